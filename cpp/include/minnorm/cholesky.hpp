// Cholesky factors of square matrices, by several threads.
//
// Every entry is a sum of the same terms whoever forms it: no rounding beyond that of the
// products. Shapes: A (n, n), lower triangle. n^3 / 3 flops. Throws nothing but
// std::bad_alloc.
#pragma once

#include <Eigen/Cholesky>

#include "rank_update.hpp"

namespace minnorm::detail {

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
// A is spoilt then. Right-looking by blocks, with the rows below a diagonal block and the
// trailing matrix shared out.
template <class S>
bool cholesky_in_place(MatrixRef<S> A) {
  constexpr Index block = 128;
  const Index n = A.rows();
  RankUpdate<S> update;
  for (Index k = 0; k < n; k += block) {
    const Index b = std::min(block, n - k), below = n - k - b;
    MatrixRef<S> D = A.block(k, k, b, b);
    if (Eigen::LLT<MatrixRef<S>>(D).info() != Eigen::Success) return false;
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
    update.add(B, S(-1), A.bottomRightCorner(below, below));
  }
  return true;
}

}  // namespace minnorm::detail
