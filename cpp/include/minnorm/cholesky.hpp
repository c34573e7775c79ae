// Cholesky factors of square matrices, by several threads.
//
// Every entry is a sum of the same terms in the same order whoever forms it, then times the
// reciprocal of a pivot. Shapes: A (n, n), lower triangle. n^3 / 3 flops. Throws nothing but
// std::bad_alloc.
#pragma once

#include <Eigen/Cholesky>

#include "large_pages.hpp"
#include "rank_update.hpp"

namespace minnorm::detail {

// The lower triangle of A; what lies above it is not initialised.
template <class S>
Matrix<S> lower_triangle_of(const Matrix<S>& A) {
  const Index n = A.rows(), width = 64;
  Matrix<S> out(n, n);
  prefer_large_pages(out.data(), static_cast<std::size_t>(out.size()));
  const Index threads = thread_count(4 * static_cast<double>(A.size()));
  for_each_task((n + width - 1) / width, threads, [&](Index strip) {
    const Index end = std::min(n, (strip + 1) * width);
    for (Index j = strip * width; j < end; ++j) out.col(j).tail(n - j) = A.col(j).tail(n - j);
  });
  return out;
}

// D (block, block), lower triangular, for solves from the right: its rows packed in tiles.
template <class S>
class RightSolver {
 public:
  static constexpr Index block = 128;

  void pack(const ConstMatrixRef<S>& D) {
    constexpr Index tiles = (block + T::rows - 1) / T::rows;
    D_.resize(tiles * T::rows * block);
    reciprocals_ = D.diagonal().cwiseInverse();
    for (Index tile = 0; tile < tiles; ++tile)
      RankUpdate<S>::pack_block(D, tile * T::rows, 0, block, of_tile(tile));
  }

  // The rows of B from `top` on that make up a tile become those of B D^-T, in B and, column
  // after column, in `out`. By a few columns: what those before take off them is a product of
  // packed tiles, then they are solved among themselves.
  void solve_tile(MatrixRef<S> B, Index top, S* out) {
    const Index held = std::min(T::rows, B.rows() - top);
    for (Index first = 0; first < block; first += T::columns) {
      const S* d = of_tile(first / T::rows) + first % T::rows;  // (c, k) at d[k rows + c]
      Eigen::Map<Eigen::Array<S, T::rows, T::columns>> X(out + first * T::rows);
      X.setZero();
      X.topRows(held) = B.block(top, first, held, T::columns).array();
      add_tile_product<S>(out, d, first, S(-1), X.data(), T::rows);
      for (Index c = 0; c < T::columns; ++c) {
        for (Index k = 0; k < c; ++k) X.col(c) -= d[(first + k) * T::rows + c] * X.col(k);
        X.col(c) *= reciprocals_(first + c);
      }
      B.block(top, first, held, T::columns) = X.topRows(held).matrix();
    }
  }

 private:
  using T = Tile<S>;
  static_assert(block % T::columns == 0, "only whole groups of columns are solved");

  S* of_tile(Index tile) { return D_.data() + tile * T::rows * block; }

  Vector<S> D_, reciprocals_;
};

// The lower triangle of A becomes L with L L^T = A; false where a pivot is not positive,
// A is spoilt then. Right-looking by blocks: the rows below a diagonal block are solved for
// tile by tile as the update of what lies right of them packs them.
template <class S>
bool cholesky_in_place(MatrixRef<S> A) {
  const Index n = A.rows(), block = RightSolver<S>::block;
  RankUpdate<S> update;
  RightSolver<S> solver;
  for (Index k = 0; k < n; k += block) {
    const Index b = std::min(block, n - k), below = n - k - b;
    MatrixRef<S> D = A.block(k, k, b, b);
    if (Eigen::LLT<MatrixRef<S>>(D).info() != Eigen::Success) return false;
    if (below == 0) break;
    MatrixRef<S> B = A.block(k + b, k, below, b);
    solver.pack(D);
    update.add(
        b, [&](Index top, Index, Index, S* out) { solver.solve_tile(B, top, out); }, S(-1),
        A.bottomRightCorner(below, below));
  }
  return true;
}

}  // namespace minnorm::detail
