// The inverse of a lower triangular matrix, in place.
//
// By halves: [A 0; B C]^-1 = [A^-1 0; -C^-1 B A^-1, C^-1], so that nearly all of it is
// solves and products of large blocks, whose columns threads share. What lies above the
// diagonal is zero and stays so: products read it.
// Shapes: V (n, n). n^3 / 3 flops, a copy of the block B and of C at every level. An entry
// of the diagonal that is zero gives infinities. Throws nothing but std::bad_alloc.
#pragma once

#include <Eigen/Core>

#include "threads.hpp"

namespace minnorm::detail {

template <class S>
void invert_triangle(MatrixRef<S> V) {
  const Index n = V.rows();
  if (n <= 32) {
    for (Index j = 0; j < n; ++j) {
      V(j, j) = S(1) / V(j, j);
      for (Index i = j + 1; i < n; ++i)
        V(i, j) = -V.row(i).segment(j, i - j).dot(V.col(j).segment(j, i - j)) / V(i, i);
    }
    return;
  }
  const Index h = n / 2, r = n - h, width = std::max<Index>(48, h / 8);
  const double flops = static_cast<double>(r) * static_cast<double>(r) * static_cast<double>(h);
  const Index threads = thread_count(flops), strips = (h + width - 1) / width;
  auto B = V.block(h, 0, r, h);
  {
    const Matrix<S> C = V.bottomRightCorner(r, r);
    for_each_task(threads, threads, [&](Index i) {
      const Range own = part_of(h, i, threads, 8);
      auto columns = B.middleCols(own.first, own.last - own.first);
      C.template triangularView<Eigen::Lower>().solveInPlace(columns);
    });
  }
  invert_triangle<S>(V.topLeftCorner(h, h));
  Matrix<S> product(r, h);
  for_each_task(strips, threads, [&](Index strip) {
    const Index j = strip * width, b = std::min(width, h - j);
    product.middleCols(j, b).noalias() = B.rightCols(h - j) * V.block(j, j, h - j, b);
  });
  B = -product;
  invert_triangle<S>(V.bottomRightCorner(r, r));
}

}  // namespace minnorm::detail
