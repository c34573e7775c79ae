// theta += X^T a and the residual r -= X theta in one read of X from memory.
//
// By strips of columns: theta is finished on a strip, then used on the same strip of X
// while that is in cache, 4 KB a row of doubles. Narrower strips would stay in second-level
// cache, but where the rows lie a multiple of a large power of two apart they share its
// sets, and the pass took half as long again (measured, n = 2000, p = 8192); wider ones
// outgrow the caches of most machines.
// Both sums are short trees, and their depth is known, the number of roundings in
// sequence behind one result: the certificate needs it.
// Threads share the columns; each sums the residual of its own, and those are added in
// order. Shapes: X (n, p), A (m, t) for m chosen rows, theta (t, p), R (n, t). 4 n p t
// flops. Nothing overlaps X. Memory comes from a workspace. Throws nothing but
// std::bad_alloc.
#pragma once

#include <cmath>

#include "row_passes.hpp"

namespace minnorm::detail {

// Columns of a strip. Rows by eights, in a tree, and eight eights to a partial sum. Lanes
// of a dot product.
inline constexpr Index strip_columns = 512, group = 8, groups = 8, lanes = 16;
// Rows whose dot products are taken at once: their sums fill half of 32 vector registers.
inline constexpr int dot_rows = EIGEN_MAX_STATIC_ALIGN_BYTES >= 64 ? 8 : 4;
inline double combine_depth(Index n) {
  return 3.0 * group + std::ceil(static_cast<double>(n) / (group * groups)) + 2;
}
inline double residual_depth(Index p) {
  // T threads, at most one a strip, add up s / T strips each, then each other: at most
  // s / T + T <= s + 1 additions.
  return std::ceil(static_cast<double>(std::min(p, strip_columns)) / lanes) + 5 +
         std::ceil(static_cast<double>(p) / strip_columns) + 4;
}

// out (w) = sum of a(i) x_i over `count` rows.
template <class S>
void combine_strip(const S* const* rows, Index first, Index w, const S* a, Index count, S* out) {
  using Strip = Eigen::Array<S, Eigen::Dynamic, 1, 0, strip_columns, 1>;  // on the stack
  const auto x = [&](Index i) { return Eigen::Map<const Strip>(rows[i] + first, w); };
  Eigen::Map<Strip> sum(out, w);
  Strip part(w);
  sum.setZero();
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

// out(r) += x_r . y over w entries, for R rows at once: as many streams from memory.
template <int R, class S>
void add_dots(const S* const* rows, Index first, const S* y, Index w, S* out, Index stride) {
  using Lanes = Eigen::Array<S, lanes, 1>;
  using In = Eigen::Map<const Lanes>;
  Lanes sums[R];
  for (auto& sum : sums) sum.setZero();
  Index j = 0;
  for (; j + lanes <= w; j += lanes) {
    const Lanes b = In(y + j);
    for (int r = 0; r < R; ++r) sums[r] += In(rows[r] + first + j) * b;
  }
  for (; j < w; ++j)
    for (int r = 0; r < R; ++r) sums[r](j % lanes) += rows[r][first + j] * y[j];
  for (int r = 0; r < R; ++r) out[r * stride] += sums[r].sum();
}

// f(first, w) for the strips of a range.
template <class F>
void for_each_strip(Range columns, F f) {
  for (Index first = columns.first; first < columns.last; first += strip_columns)
    f(first, std::min(strip_columns, columns.last - first));
}

// The addresses of the chosen rows.
template <class S>
const S** row_addresses(const Rows<S>& X, View<Index> chosen, Workspace& space) {
  const S** rows = space.take<const S*>(static_cast<Index>(chosen.size()));
  for (std::size_t i = 0; i < chosen.size(); ++i) rows[i] = X.row(chosen[i]);
  return rows;
}

inline Index threads_of_pass(Index n, Index p) {
  const double entries = static_cast<double>(n) * static_cast<double>(p);
  return std::min((p + strip_columns - 1) / strip_columns,
                  thread_count(flops_an_entry_read * entries));
}
// Of the workspace, for a pass over X (n, p) with t outputs.
template <class S>
std::size_t pass_bytes(Index n, Index p, Index t) {
  const Index threads = threads_of_pass(n, p);
  return 2 * Workspace::bytes<const S*>(n) + Workspace::bytes<S>(strip_columns * threads) +
         Workspace::bytes<S>(n * t * threads);
}

// theta += scale A^T X, A for the rows `combined`; R -= scale X theta, on all rows.
template <class S>
void fused_pass(const Rows<S>& X, View<Index> combined, const ConstMatrixRef<S>& A, double scale,
                RowMatrix<S>& theta, MatrixRef<S> R, Workspace& space) {
  const Workspace::Frame frame(space);
  const Index n = X.size(), p = X.cols(), m = static_cast<Index>(combined.size()), t = A.cols();
  const Index parts = threads_of_pass(n, p);
  const S s = static_cast<S>(scale);
  const S* const* in = row_addresses(X, combined, space);
  const S** all = space.take<const S*>(n);
  for (Index i = 0; i < n; ++i) all[i] = X.row(i);
  // X theta (t, n) of each part.
  auto products = space.matrix<S>(t * n, parts), sums = space.matrix<S>(strip_columns, parts);

  for_each_task(parts, parts, [&](Index part) {
    auto product = products.col(part);
    S* sum = sums.col(part).data();
    product.setZero();
    for_each_strip(part_of(p, part, parts, strip_columns), [&](Index first, Index w) {
      for (Index k = 0; k < t; ++k) {
        combine_strip(in, first, w, A.col(k).data(), m, sum);
        theta.row(k).segment(first, w) += s * Eigen::Map<const Vector<S>>(sum, w).transpose();
      }
      for (Index k = 0; k < t; ++k) {
        const S* y = &theta(k, first);
        Index i = 0;
        for (; i + dot_rows <= n; i += dot_rows)
          add_dots<dot_rows>(all + i, first, y, w, &product(i * t + k), t);
        for (; i < n; ++i) add_dots<1>(all + i, first, y, w, &product(i * t + k), t);
      }
    });
  });
  for (Index part = 0; part < parts; ++part)
    for (Index i = 0; i < n; ++i)
      for (Index k = 0; k < t; ++k) R(i, k) -= s * products(i * t + k, part);
}

// C (t, p) = scale A^T X for the rows `combined`: the first half of the fused pass alone.
template <class S>
RowMatrix<S> combine_rows(const Rows<S>& X, View<Index> combined, const Matrix<S>& A,
                          double scale) {
  Workspace space;
  const Index p = X.cols(), m = static_cast<Index>(combined.size());
  const Index parts = threads_of_pass(m, p);
  const S* const* in = row_addresses(X, combined, space);
  RowMatrix<S> C(A.cols(), p);
  for_each_task(parts, parts, [&](Index part) {
    for_each_strip(part_of(p, part, parts, strip_columns), [&](Index first, Index w) {
      for (Index k = 0; k < A.cols(); ++k)
        combine_strip(in, first, w, A.col(k).data(), m, &C(k, first));
    });
  });
  return C * static_cast<S>(scale);
}

}  // namespace minnorm::detail
