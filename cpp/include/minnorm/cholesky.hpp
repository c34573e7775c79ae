// Products P P^T and Cholesky factors of square matrices, by strips of columns that
// several threads form at once. A factor by one thread is Eigen's.
//
// Every entry is a sum of the same terms whoever forms it: no rounding beyond that of
// the products. One thread takes strips too: below their diagonal blocks a general
// product does what a rank update would, and faster (79 against 64 GFLOP/s, n = 2000,
// AVX-512).
// Shapes: A (n, n), lower triangle, P (n, w). n^2 w and n^3 / 3 flops.
// P does not overlap A. Throws nothing but std::bad_alloc.
#pragma once

#include <Eigen/Cholesky>

#include "threads.hpp"

namespace minnorm::detail {

// Columns of a strip: four strips a thread even out the triangle, none is so narrow that
// a product is mostly packing, and 48 columns are whole tiles of Eigen's products.
inline Index strip_width(Index n, Index threads) {
  return std::clamp<Index>((n / (4 * threads) + 47) / 48 * 48, 96, 384);
}

// A += weight P P^T, lower triangle, by `depth` columns of P after each other.
template <class S, class D>
void add_outer_product(const Eigen::MatrixBase<D>& P, S weight, Index depth, MatrixRef<S> A) {
  const Index n = A.rows();
  const double size = static_cast<double>(n);
  const Index threads = thread_count(size * size * static_cast<double>(P.cols()));
  const Index width = strip_width(n, threads);
  for_each_task((n + width - 1) / width, threads, [&](Index strip) {
    const Index j = strip * width, b = std::min(width, n - j), below = n - j - b;
    for (Index k = 0; k < P.cols(); k += depth) {
      const auto terms = P.derived().middleCols(k, std::min(depth, P.cols() - k));
      const auto own = terms.middleRows(j, b);
      A.block(j, j, b, b).template selfadjointView<Eigen::Lower>().rankUpdate(own, weight);
      if (below > 0)
        A.block(j + b, j, below, b).noalias() += weight * terms.bottomRows(below) * own.transpose();
    }
  });
}
template <class S, class D>
void add_outer_product(const Eigen::MatrixBase<D>& P, S weight, MatrixRef<S> A) {
  add_outer_product<S>(P, weight, std::max<Index>(1, P.cols()), A);
}

// The lower triangle of A; what lies above it is not initialised.
template <class S>
Matrix<S> lower_triangle_of(const Matrix<S>& A) {
  const Index n = A.rows(), width = 64;
  Matrix<S> out(n, n);
  const Index threads = thread_count(4 * static_cast<double>(A.size()));
  for_each_task((n + width - 1) / width, threads, [&](Index strip) {
    const Index end = std::min(n, (strip + 1) * width);
    for (Index j = strip * width; j < end; ++j) out.col(j).tail(n - j) = A.col(j).tail(n - j);
  });
  return out;
}

// The lower triangle of A becomes L with L L^T = A; false where a pivot is not positive,
// A is spoilt then. Right-looking by blocks, as Eigen's, with the rows below a diagonal
// block and the trailing matrix shared out.
template <class S>
bool cholesky_in_place(MatrixRef<S> A) {
  constexpr Index block = 128;
  const Index n = A.rows();
  const auto factored = [](MatrixRef<S> D) {
    return Eigen::LLT<MatrixRef<S>>(D).info() == Eigen::Success;
  };
  const double size = static_cast<double>(n);
  if (thread_count(size * size * size / 3) == 1) return factored(A);
  for (Index k = 0; k < n; k += block) {
    const Index b = std::min(block, n - k), below = n - k - b;
    MatrixRef<S> D = A.block(k, k, b, b);
    if (!factored(D)) return false;
    if (below == 0) break;
    MatrixRef<S> B = A.block(k + b, k, below, b);
    const Index threads =
        thread_count(static_cast<double>(below) * static_cast<double>(b) * static_cast<double>(b));
    for_each_task(threads, threads, [&](Index i) {
      const Range rows = part_of(below, i, threads, 16);
      auto part = B.middleRows(rows.first, rows.last - rows.first);
      D.template triangularView<Eigen::Lower>()
          .transpose()
          .template solveInPlace<Eigen::OnTheRight>(part);
    });
    add_outer_product<S>(B, S(-1), A.bottomRightCorner(below, below));
  }
  return true;
}

}  // namespace minnorm::detail
