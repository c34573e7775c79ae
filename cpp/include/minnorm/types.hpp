// Aliases used everywhere. Samples are rows; what the library stores for its
// own algebra is column-major, what it takes from callers is row-major.
#pragma once

#ifdef __FAST_MATH__
#error "minnorm proves its error bounds for IEEE arithmetic: compile without -ffast-math"
#endif

#include <Eigen/Core>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "view.hpp"

namespace minnorm {

using Index = Eigen::Index;
using Handle = std::int64_t;  // stable name of a sample: never reused
using Indices = std::vector<Index>;

template <class S>
using Matrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic>;
template <class S>
using RowMatrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class S>
using Vector = Eigen::Matrix<S, Eigen::Dynamic, 1>;

template <class S>
using MatrixRef = Eigen::Ref<Matrix<S>, 0, Eigen::OuterStride<>>;
template <class S>
using ConstMatrixRef = Eigen::Ref<const Matrix<S>, 0, Eigen::OuterStride<>>;
// Binds any row-major block without a copy (a column-major argument is copied).
template <class S>
using ConstRowMatrixRef = Eigen::Ref<const RowMatrix<S>, 0, Eigen::OuterStride<>>;

// 0, ..., n - 1.
inline Indices all_indices(Index n) {
  Indices all(static_cast<std::size_t>(n));
  std::iota(all.begin(), all.end(), Index(0));
  return all;
}

// Rows or entries by position. Plain loops: Eigen's indexed views cost more in
// compilation than all the algebra of this library.
template <class S>
Matrix<S> rows_of(const Matrix<S>& A, View<Index> rows) {
  Matrix<S> out(static_cast<Index>(rows.size()), A.cols());
  for (Index j = 0; j < A.cols(); ++j)
    for (Index i = 0; i < out.rows(); ++i) out(i, j) = A(rows[static_cast<std::size_t>(i)], j);
  return out;
}
template <class S>
Matrix<S> block_of(const Matrix<S>& A, View<Index> rows, View<Index> columns) {
  Matrix<S> out(static_cast<Index>(rows.size()), static_cast<Index>(columns.size()));
  for (Index j = 0; j < out.cols(); ++j) {
    const S* column = A.col(columns[static_cast<std::size_t>(j)]).data();
    for (Index i = 0; i < out.rows(); ++i) out(i, j) = column[rows[static_cast<std::size_t>(i)]];
  }
  return out;
}
template <class S>
void set_rows(Matrix<S>& A, View<Index> rows, const Matrix<S>& values) {
  for (Index j = 0; j < A.cols(); ++j)
    for (Index i = 0; i < values.rows(); ++i)
      A(rows[static_cast<std::size_t>(i)], j) = values(i, j);
}

namespace detail {
// Calls move(from, to), to < from, so that of n entries those at the positions `gone`
// (ascending, distinct) drop out and the others close ranks; the number that stays.
template <class Move>
std::size_t close_ranks(std::size_t n, View<Index> gone, Move move) {
  std::size_t f = 0, kept = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (f < gone.size() && gone[f] == static_cast<Index>(i)) {
      ++f;
      continue;
    }
    if (kept != i) move(i, kept);
    ++kept;
  }
  return kept;
}

template <class F, int... I>
EIGEN_STRONG_INLINE void unrolled(F&& f, std::integer_sequence<int, I...>) {
  (f(std::integral_constant<Index, I>{}), ...);
}
// f(0), ..., f(N-1), each a constant, so the calls are inlined and unrolled whatever
// the optimisation level: what f keeps in an array of N packets stays in registers.
template <int N, class F>
EIGEN_STRONG_INLINE void unrolled(F&& f) {
  unrolled(f, std::make_integer_sequence<int, N>{});
}
}  // namespace detail

// gamma_d = d u / (1 - d u): d roundings in sequence (Higham, Accuracy and
// Stability of Numerical Algorithms, 2nd ed., Lemma 3.1). Infinite past d u >= 1.
template <class S>
double gamma(double d) {
  const double du = d * 0.5 * static_cast<double>(std::numeric_limits<S>::epsilon());
  return du < 1.0 ? du / (1.0 - du) : std::numeric_limits<double>::infinity();
}

}  // namespace minnorm
