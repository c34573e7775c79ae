// The rows X (n, p) of a linear model against each other. Each product reads X once, by
// panels of columns that stay in cache, and has a known summation depth: the
// number of roundings in sequence behind one result, which the certificate needs.
//
// X enters scaled by a power of two, exactly; with `offset` s > 0 a constant
// column s is appended (the bordered system of dual_system.hpp).
// Threads share the rows of a panel and the blocks of a Gram matrix: the same sums,
// whatever their number. No function copies X; a panel is (n, panel_width).
// Results do not overlap X. Throws nothing but std::bad_alloc.
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

// Panel of columns [first, first + width) of the chosen rows, scaled, as (m, w); `first` a
// multiple of 256.
template <class T, class S>
void gather_panel(const Rows<S>& X, const Indices& samples, const RowScaling& how, Index first,
                  RowMatrix<T>& panel, Index width) {
  const Index m = static_cast<Index>(samples.size()), p = X.cols();
  const Index from_rows = std::min(width, p - first);
  panel.resize(m, width);
  const T scale = static_cast<T>(how.scale);
  constexpr Index piece = Rows<S>::panel_width;
  const Index step = X.in_panels() ? piece : std::max<Index>(from_rows, 1);
  for_each_part(m, flops_an_entry_read * static_cast<double>(m * width), [&](Range part) {
    for (Index j = 0; j < from_rows; j += step) {
      const Index w = std::min(step, from_rows - j);
      for (Index i = part.first; i < part.last; ++i) {
        const auto place = X.place(samples[static_cast<std::size_t>(i)]);
        panel.row(i).segment(j, w) =
            typename Rows<S>::Run(place.piece((first + j) / piece), w).template cast<T>() * scale;
      }
    }
    if (from_rows < width)
      panel.col(width - 1)
          .segment(part.first, part.last - part.first)
          .setConstant(static_cast<T>(how.offset));
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

// A block of the chosen rows as RankUpdate packs it, from where they lie.
template <class S>
void pack_rows(const Rows<S>& X, const Indices& samples, const RowScaling& how, Index top,
               Index first, Index columns, double* out) {
  constexpr Index height = RankUpdate<double>::tile_rows, piece = Rows<S>::panel_width;
  static_assert(RankUpdate<double>::depth % piece == 0, "a block begins where a piece does");
  const Index held = std::min(height, static_cast<Index>(samples.size()) - top);
  const Index from_rows = std::min(columns, X.cols() - first);
  if (held < height) std::fill_n(out, height * columns, 0.0);
  for (Index j = 0; j < from_rows; j += piece)
    for (Index i = 0; i < held; ++i) {
      const S* x = X.place(samples[static_cast<std::size_t>(top + i)]).piece((first + j) / piece);
      double* to = out + j * height + i;
      const Index width = std::min(piece, from_rows - j);
      for (Index c = 0; c < width; ++c) to[c * height] = static_cast<double>(x[c]) * how.scale;
    }
  if (from_rows < columns) std::fill_n(out + from_rows * height, held, how.offset);
}

// G = X X^T, lower triangle, accumulated in double. n^2 p flops.
template <class S>
Matrix<double> gram(const Rows<S>& X, const Indices& samples, const RowScaling& how) {
  const Index n = static_cast<Index>(samples.size());
  Matrix<double> G(n, n);
  prefer_large_pages(G.data(), static_cast<std::size_t>(G.size()));
  G.setZero();
  static_assert(RankUpdate<double>::depth == panel_columns, "gram_depth counts them");
  RankUpdate<double>().add(
      how.augmented(X.cols()),
      [&](Index top, Index first, Index columns, double* out) {
        pack_rows<S>(X, samples, how, top, first, columns, out);
      },
      1.0, G);
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

}  // namespace detail
}  // namespace minnorm
