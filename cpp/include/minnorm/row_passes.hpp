// The passes over the rows X (n, p) of a linear model. Each reads X once, by
// panels of columns that stay in cache, and has a known summation depth: the
// number of roundings in sequence behind one result, which the certificate needs.
//
// X enters scaled by a power of two, exactly; with `offset` s > 0 a constant
// column s is appended (the bordered system of dual_system.hpp).
// Threads share the rows of a panel and the strips of a Gram matrix, the same sums
// whatever their number, and the columns of the fused pass. No function copies X; a panel is (n,
// panel_width). Results do not overlap X. The fused pass takes its memory from a workspace. Throws
// nothing but std::bad_alloc.
#pragma once

#include <Eigen/Core>
#include <cmath>

#include "cholesky.hpp"
#include "rows.hpp"

namespace minnorm {

// How the rows enter: X * scale, augmented by the column `offset` if positive.
struct RowScaling {
  double scale = 1;
  double offset = 0;

  Index augmented(Index p) const { return p + (offset > 0 ? 1 : 0); }
};

namespace detail {

inline constexpr Index panel_columns = 256;

// Reading an entry of X from memory takes as long as so many operations of a product.
inline constexpr double flops_an_entry_read = 16;

// Panel of columns [first, first + width) of the chosen rows, scaled, as (m, w).
template <class T, class S>
void gather_panel(const Rows<S>& X, const Indices& samples, const RowScaling& how, Index first,
                  RowMatrix<T>& panel, Index width) {
  const Index m = static_cast<Index>(samples.size()), p = X.cols();
  const Index from_rows = std::min(width, p - first);
  panel.resize(m, width);
  const T scale = static_cast<T>(how.scale);
  const auto gather = [&](Index i) {
    const S* row = X.row(samples[static_cast<std::size_t>(i)]) + first;
    panel.row(i).head(from_rows) =
        Eigen::Map<const Eigen::Matrix<S, 1, Eigen::Dynamic>>(row, from_rows).template cast<T>() *
        scale;
    if (from_rows < width) panel(i, width - 1) = static_cast<T>(how.offset);
  };
  for_each_part(m, flops_an_entry_read * static_cast<double>(m * width), [&](Range part) {
    for (Index i = part.first; i < part.last; ++i) gather(i);
  });
}

// Calls f(panel, first) over the augmented columns of the chosen rows.
template <class T, class S, class F>
void for_each_panel(const Rows<S>& X, const Indices& samples, const RowScaling& how, Index width,
                    F f) {
  RowMatrix<T> panel;
  const Index columns = how.augmented(X.cols());
  for (Index first = 0; first < columns; first += width) {
    const Index w = std::min(width, columns - first);
    gather_panel<T, S>(X, samples, how, first, panel, w);
    f(panel, first);
  }
}

inline double gram_depth(Index p) {
  return static_cast<double>(std::min(p, panel_columns)) +
         std::ceil(static_cast<double>(p) / panel_columns) + 2;
}

// G = X X^T, lower triangle, accumulated in double. n^2 p flops.
template <class S>
Matrix<double> gram(const Rows<S>& X, const Indices& samples, const RowScaling& how) {
  const Index n = static_cast<Index>(samples.size());
  Matrix<double> G = Matrix<double>::Zero(n, n);
  // Threads that meet at every panel meet less often at a wide one; the sums are the same.
  const double size = static_cast<double>(n);
  const Index width = panel_columns * (thread_count(size * size * panel_columns) > 1 ? 3 : 1);
  for_each_panel<double, S>(X, samples, how, width, [&](const RowMatrix<double>& panel, Index) {
    add_outer_product<double>(panel, 1.0, panel_columns, G);
  });
  return G;
}

// A (m, n) += P Q^T, by strips of columns.
inline void add_product_by_strips(const RowMatrix<double>& P, const RowMatrix<double>& Q,
                                  Matrix<double>& A) {
  const Index n = A.cols();
  const Index threads = thread_count(2 * static_cast<double>(A.size() * P.cols()));
  const Index strips = threads == 1 ? 1 : 4 * threads;
  for_each_task(strips, threads, [&](Index strip) {
    const Range own = part_of(n, strip, strips, 16);
    const Index b = own.last - own.first;
    if (b > 0) A.middleCols(own.first, b).noalias() += P * Q.middleRows(own.first, b).transpose();
  });
}

// A (m, n) = X_a X_b^T in double. 2 m n p flops.
template <class S>
Matrix<double> cross_gram(const Rows<S>& X, const Indices& a, const Indices& b,
                          const RowScaling& how) {
  Matrix<double> A = Matrix<double>::Zero(Index(a.size()), Index(b.size()));
  RowMatrix<double> other;
  for_each_panel<double, S>(X, b, how, panel_columns,
                            [&](const RowMatrix<double>& panel, Index first) {
                              gather_panel<double, S>(X, a, how, first, other, panel.cols());
                              add_product_by_strips(other, panel, A);
                            });
  return A;
}

// Roundings in sequence of `combine` and of the dot products in `residual`.
inline constexpr Index lanes = 16, group = 8, groups = 8, pass_columns = 512;
inline double combine_depth(Index n) {
  return 3.0 * group + std::ceil(static_cast<double>(n) / (group * groups)) + 2;
}
inline double residual_depth(Index p) {
  // T threads add up P / T panels each, then each other: at most P / T + T <= P + 1.
  return std::ceil(static_cast<double>(std::min(p, pass_columns)) / lanes) + 5 +
         std::ceil(static_cast<double>(p) / pass_columns) + 4;
}

// Sum of a(i) x_i over `count` rows into t (w), group by group.
template <class S>
void combine_panel(const S* const* rows, Index first, Index w, const S* a, Index count, S* t,
                   VectorMap<S>& partial) {
  using Segment = Eigen::Map<const Eigen::Array<S, Eigen::Dynamic, 1>>;
  Eigen::Map<Eigen::Array<S, Eigen::Dynamic, 1>> sum(t, w);
  auto part = partial.head(w).array();
  const auto x = [&](Index i) { return Segment(rows[i] + first, w); };
  for (Index i = 0; i < count; i += group * groups) {
    const Index end = std::min(count, i + group * groups);
    Index r = i;
    part.setZero();
    for (; r + group <= end; r += group)
      part += ((a[r] * x(r) + a[r + 1] * x(r + 1)) + (a[r + 2] * x(r + 2) + a[r + 3] * x(r + 3))) +
              ((a[r + 4] * x(r + 4) + a[r + 5] * x(r + 5)) +
               (a[r + 6] * x(r + 6) + a[r + 7] * x(r + 7)));
    for (; r < end; ++r) part += a[r] * x(r);
    sum += part;
  }
}

template <class S>
S dot(const S* x, const S* y, Index w) {
  Eigen::Array<S, lanes, 1> sum = Eigen::Array<S, lanes, 1>::Zero();
  Index j = 0;
  for (; j + lanes <= w; j += lanes)
    sum += Eigen::Map<const Eigen::Array<S, lanes, 1>>(x + j) *
           Eigen::Map<const Eigen::Array<S, lanes, 1>>(y + j);
  for (; j < w; ++j) sum(j % lanes) += x[j] * y[j];
  return sum.sum();
}

// The addresses of the chosen rows.
template <class S>
const S** row_addresses(const Rows<S>& X, View<Index> chosen, Workspace& space) {
  const S** rows = space.take<const S*>(static_cast<Index>(chosen.size()));
  for (std::size_t i = 0; i < chosen.size(); ++i) rows[i] = X.row(chosen[i]);
  return rows;
}
// Of the workspace, for a pass over n rows.
template <class S>
std::size_t pass_bytes(Index n) {
  return 2 * Workspace::bytes<const S*>(n) + 2 * Workspace::bytes<S>(pass_columns);
}

// What a thread of the fused pass adds to.
template <class S>
struct PassPart {
  Matrix<S> R;
  Vector<S> partial, sum;
};

// `count` of them for n samples and t outputs, zero; fewer where memory is short.
template <class S>
std::vector<PassPart<S>> pass_parts(Index count, Index n, Index t) {
  std::vector<PassPart<S>> parts;
  try {
    parts.reserve(static_cast<std::size_t>(count));
    for (Index i = 0; i < count; ++i)
      parts.push_back({Matrix<S>::Zero(n, t), Vector<S>(pass_columns), Vector<S>(pass_columns)});
  } catch (const std::bad_alloc&) {
    // Fewer threads, then: the pass may run when nothing may fail any more.
  }
  return parts;
}

// theta (t, p) += scale A^T X and at once R (n, t) -= scale X theta: a panel of
// theta is finished, then used while its part of X is in cache. A (m, t) weighs
// the rows `combined`; the residual is taken on all rows. 4 n p t flops.
template <class S>
void fused_pass(const Rows<S>& X, View<Index> combined, const ConstMatrixRef<S>& A, double scale,
                RowMatrix<S>& theta, MatrixRef<S> R, Workspace& space) {
  const Workspace::Frame frame(space);
  const Index n = X.size(), m = static_cast<Index>(combined.size()), t = A.cols();
  const S s = static_cast<S>(scale);
  const S** in = row_addresses(X, combined, space);
  const S** all = space.take<const S*>(n);
  for (Index i = 0; i < n; ++i) all[i] = X.row(i);
  const auto pass = [&](Range columns, auto& partial, auto& sum, auto& residual) {
    for (Index first = columns.first; first < columns.last; first += pass_columns) {
      const Index w = std::min(pass_columns, columns.last - first);
      for (Index k = 0; k < t; ++k) {
        sum.setZero();
        combine_panel<S>(in, first, w, A.col(k).data(), m, sum.data(), partial);
        theta.row(k).segment(first, w) += s * sum.head(w).transpose();
      }
      for (Index i = 0; i < n; ++i)
        for (Index k = 0; k < t; ++k)
          residual(i, k) -= s * dot<S>(all[i] + first, &theta(k, first), w);
    }
  };
  const Index panels = (X.cols() + pass_columns - 1) / pass_columns;
  const double reads = static_cast<double>(n) * static_cast<double>(X.cols());
  const Index wanted = std::min(panels, thread_count(flops_an_entry_read * reads));
  auto others = pass_parts<S>(wanted - 1, n, t);
  const Index parts = static_cast<Index>(others.size()) + 1;
  auto partial = space.vector<S>(pass_columns), sum = space.vector<S>(pass_columns);
  for_each_task(parts, parts, [&](Index i) {
    const Range columns = part_of(X.cols(), i, parts, pass_columns);
    if (i == 0) return pass(columns, partial, sum, R);
    PassPart<S>& own = others[static_cast<std::size_t>(i - 1)];
    VectorMap<S> other_partial(own.partial.data(), pass_columns);
    pass(columns, other_partial, own.sum, own.R);
  });
  for (const PassPart<S>& own : others) R += own.R;
}

// C (t, p) = scale A^T X over the rows `combined`: the first half of the fused pass alone.
template <class S>
RowMatrix<S> combine_rows(const Rows<S>& X, View<Index> combined, const Matrix<S>& A,
                          double scale) {
  const Index m = static_cast<Index>(combined.size()), t = A.cols();
  Workspace space;
  const S** in = row_addresses(X, combined, space);
  auto partial = space.vector<S>(pass_columns);
  RowMatrix<S> C = RowMatrix<S>::Zero(t, X.cols());
  for (Index first = 0; first < X.cols(); first += pass_columns) {
    const Index w = std::min(pass_columns, X.cols() - first);
    for (Index k = 0; k < t; ++k)
      combine_panel<S>(in, first, w, A.col(k).data(), m, &C(k, first), partial);
  }
  return C * static_cast<S>(scale);
}

}  // namespace detail
}  // namespace minnorm
