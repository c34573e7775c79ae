// RankUpdate: A += w P P^T, lower triangle, with one factor packed for both sides.
//
// P is packed by tiles of rows, a tile column after column: a product of a tile with a
// few rows of another reads both in order, and these few rows are a part of a packed tile
// too, so P is packed once. A tile of sums stays in registers for up to `depth` columns.
// A block of tiles that fits in second-level cache meets all rows above it in turn.
// Every entry is the sum of the same terms in the same order whoever forms it: one
// rounding a column, one for each `depth` of them. Measured at n = 2000, p = 8000, AVX-512,
// one thread, packing included: 89 to 92 GFLOP/s, where products of Eigen in strips reached 59
// to 65 and OpenBLAS's rank update 79 to 84.
// Shapes: A (n, n), P (n, w). n^2 w flops; a copy of `depth` columns of P, three times as
// many with threads.
// P does not overlap A. Throws nothing but std::bad_alloc.
#pragma once

#include <Eigen/Core>

#include "threads.hpp"

namespace minnorm::detail {

// A product takes `rows` rows of one side, two to four packets, and `columns` of the other:
// as many sums as leave registers for the operands.
template <class S>
struct Tile {
  using Packet = typename Eigen::internal::packet_traits<S>::type;
  static constexpr Index size = Eigen::internal::packet_traits<S>::size;
  static constexpr bool many_registers = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS >= 32;
  static constexpr int packets = size >= 4 ? 3 : size == 2 && !many_registers ? 2 : 4;
  static constexpr Index rows = packets * size;
  static constexpr int columns = many_registers && size >= 8 ? 8 : 4;
  static_assert(rows % columns == 0, "the few rows are part of one tile");
};

// c (rows, columns) += w a b^T for packed a and b.
template <class S>
void add_tile_product(const S* a, const S* b, Index depth, S w, S* c, Index stride) {
  using T = Tile<S>;
  using Packet = typename T::Packet;
  namespace simd = Eigen::internal;
  Packet sums[T::columns][T::packets];
  const auto each = [&](auto f) {
    unrolled<T::columns>([&](auto j) { unrolled<T::packets>([&](auto i) { f(j, i); }); });
  };
  each([&](auto j, auto i) {
    sums[j()][i()] = simd::pset1<Packet>(S(0));
    simd::prefetch(c + j() * stride + i() * T::size);
  });
  for (Index k = 0; k < depth; ++k, a += T::rows, b += T::rows) {
    Packet x[T::packets];
    unrolled<T::packets>([&](auto i) { x[i()] = simd::ploadu<Packet>(a + i() * T::size); });
    unrolled<T::columns>([&](auto j) {
      const Packet y = simd::pset1<Packet>(b[j()]);
      unrolled<T::packets>(
          [&](auto i) { sums[j()][i()] = simd::pmadd(x[i()], y, sums[j()][i()]); });
    });
  }
  const Packet weight = simd::pset1<Packet>(w);
  each([&](auto j, auto i) {
    S* at = c + j() * stride + i() * T::size;
    simd::pstoreu(at, simd::pmadd(weight, sums[j()][i()], simd::ploadu<Packet>(at)));
  });
}

template <class S>
class RankUpdate {
  using T = Tile<S>;

 public:
  static constexpr Index depth = 256, tile_rows = Tile<S>::rows;

  template <class D>
  void add(const Eigen::MatrixBase<D>& P, S weight, MatrixRef<S> A) {
    const auto pack = [&P](Index top, Index first, Index columns, S* out) {
      pack_block(P.derived(), top, first, columns, out);
    };
    add(P.cols(), pack, weight, A);
  }

  // P by its blocks: pack(top, first, columns, out) writes entry (top + i, first + c) to
  // out[c tile_rows + i], and zeros for the rows beyond P; columns <= depth, and first is a
  // multiple of depth.
  template <class Pack>
  void add(Index columns, Pack pack, S weight, MatrixRef<S> A) {
    const Index n = A.rows(), tiles = (n + T::rows - 1) / T::rows;
    const double size = static_cast<double>(n);
    const Index threads = thread_count(size * size * static_cast<double>(std::min(columns, depth)));
    // Threads that meet after every step meet less often after long ones.
    const Index step = std::min(columns, depth * (threads > 1 ? 3 : 1));
    if (packed_.size() < tiles * T::rows * step) packed_.resize(tiles * T::rows * step);
    for (Index first = 0; first < columns; first += step) {
      const Range own{first, std::min(columns, first + step)};
      for_each_task(threads, threads, [&](Index i) {
        const Range part = part_of(tiles, i, threads, 1);
        for_each_depth(tiles, own, [&](Index k, Index w, S* packed) {
          for (Index tile = part.first; tile < part.last; ++tile)
            pack(tile * T::rows, k, w, packed + tile * T::rows * w);
        });
      });
      add_packed(tiles, own, weight, A, threads);
    }
  }

  // Packs a block of a matrix, 32 columns at a time where they lie along its rows.
  template <class D>
  static void pack_block(const D& P, Index top, Index first, Index columns, S* out) {
    const Index rows = std::min(T::rows, P.rows() - top);
    constexpr Index some = D::IsRowMajor ? 32 : 1;
    for (Index k = 0; k < columns; k += some)
      for (Index i = 0; i < T::rows; ++i)
        for (Index c = k; c < std::min(columns, k + some); ++c)
          out[c * T::rows + i] = i < rows ? P.coeff(top + i, first + c) : S(0);
  }

 private:
  // f(first, columns, packed) for what is packed of these columns, `depth` at a time.
  template <class F>
  void for_each_depth(Index tiles, Range columns, F f) {
    for (Index k = columns.first; k < columns.last; k += depth)
      f(k, std::min(depth, columns.last - k),
        packed_.data() + tiles * T::rows * (k - columns.first));
  }

  void add_packed(Index tiles, Range columns, S weight, MatrixRef<S> A, Index threads) {
    // The longest rows of blocks first, so that threads end together.
    const Index height = std::clamp<Index>(tiles / (4 * threads), 1, most_tiles);
    const Index blocks = (tiles + height - 1) / height;
    for_each_task(blocks, threads, [&](Index i) {
      const Index first = (blocks - 1 - i) * height;
      for_each_depth(tiles, columns, [&](Index, Index w, const S* packed) {
        add_block({first, std::min(tiles, first + height)}, packed, w, weight, A);
      });
    });
  }

  // The tiles of a range of rows of A, from its first column to the diagonal.
  static void add_block(Range own, const S* packed, Index w, S weight, MatrixRef<S> A) {
    const Index n = A.rows();
    for (Index j = 0; j < std::min(n, own.last * T::rows); j += T::columns) {
      const Index diagonal = j / T::rows;
      const S* b = packed + diagonal * T::rows * w + j % T::rows;
      for (Index tile = std::max(own.first, diagonal); tile < own.last; ++tile) {
        const Index i = tile * T::rows;
        const S* a = packed + i * w;
        if (tile > diagonal && i + T::rows <= n)
          add_tile_product<S>(a, b, w, weight, &A(i, j), A.outerStride());
        else
          add_to_edge(a, b, w, weight, i, j, A);
      }
    }
  }

  // A tile that crosses the diagonal or ends below A.
  static void add_to_edge(const S* a, const S* b, Index w, S weight, Index i, Index j,
                          MatrixRef<S> A) {
    Eigen::Matrix<S, T::rows, T::columns> tile = Eigen::Matrix<S, T::rows, T::columns>::Zero();
    add_tile_product<S>(a, b, w, weight, tile.data(), T::rows);
    const Index n = A.rows();
    for (Index c = 0; c < std::min<Index>(T::columns, n - j); ++c)
      for (Index r = std::max<Index>(0, j + c - i); r < std::min(T::rows, n - i); ++r)
        A(i + r, j + c) += tile(r, c);
  }

  // 16 tiles of 24 rows and 256 columns take 768 KB.
  static constexpr Index most_tiles = 16;
  Vector<S> packed_;
};

// A += weight P P^T, lower triangle.
template <class S, class D>
void add_outer_product(const Eigen::MatrixBase<D>& P, S weight, MatrixRef<S> A) {
  RankUpdate<S>().add(P, weight, A);
}

}  // namespace minnorm::detail
