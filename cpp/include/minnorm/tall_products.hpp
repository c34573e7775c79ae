// A B^T and A A^T of panels with few rows and many columns, where a general matrix
// product spends its time packing.
//
// A tile of the result is summed in registers along the columns, a vector of
// partial sums per entry: nothing is packed, each load serves several products.
// Roundings in sequence: w / lanes + log2 lanes for a panel of w columns.
// Shapes: A (m, w), B (n, w), row-major; result added to G (m, n). 2 m n w flops,
// half of it for A A^T, of which only the lower triangle is formed.
// A and B may be the same; G overlaps neither. Throws nothing but std::bad_alloc.
#pragma once

#include <Eigen/Core>
#include <type_traits>

#include "types.hpp"

namespace minnorm::detail {

// Asks for the cache line at `address`, into the second-level cache. Any address will do.
inline void prefetch([[maybe_unused]] const void* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address, 0, 2);
#endif
}

inline constexpr int product_width = EIGEN_MAX_STATIC_ALIGN_BYTES / sizeof(double);
// 32 vector registers hold the sums of a 4 x 6 tile with its operands, 16 those of 4 x 3.
inline constexpr int tile_rows = 4, tile_columns = EIGEN_MAX_STATIC_ALIGN_BYTES >= 64 ? 6 : 3;

struct NothingNext {
  void operator()() const {}
};

// `next` is called once a step: to ask for what comes after this panel.
template <int R, int C, class Next>
void product_tile(const double* a, Index a_stride, const double* b, Index b_stride, Index w,
                  double* g, Index g_stride, Next& next) {
  using Lanes = Eigen::Array<double, product_width, 1>;
  using In = Eigen::Map<const Lanes>;
  Lanes sums[R * C];
  for (auto& s : sums) s.setZero();
  Index k = 0;
  for (; k + product_width <= w; k += product_width) {
    next();
    Lanes x[R];
    unrolled<R>([&](auto i) { x[i()] = In(a + i() * a_stride + k); });
    unrolled<C>([&](auto j) {
      const Lanes y = In(b + j() * b_stride + k);
      unrolled<R>([&](auto i) { sums[i() * C + j()] += x[i()] * y; });
    });
  }
  for (Index i = 0; i < R; ++i)
    for (Index j = 0; j < C; ++j) {
      double total = sums[i * C + j].sum();
      for (Index l = k; l < w; ++l) total += a[i * a_stride + l] * b[j * b_stride + l];
      g[i + j * g_stride] += total;
    }
}

// One strip of C columns of the result, rows [from, m).
template <int C, class Next>
void product_strip(const ConstRowMatrixRef<double>& A, const double* b, Index b_stride, Index from,
                   double* g, Index g_stride, Next& next) {
  const Index m = A.rows(), w = A.cols(), stride = A.outerStride();
  Index i = from;
  for (; i + tile_rows <= m; i += tile_rows)
    product_tile<tile_rows, C>(A.data() + i * stride, stride, b, b_stride, w, g + i, g_stride,
                               next);
  for (; i < m; ++i)
    product_tile<1, C>(A.data() + i * stride, stride, b, b_stride, w, g + i, g_stride, next);
}

// G (m, n) += A B^T.
inline void add_tall_product(const ConstRowMatrixRef<double>& A, const ConstRowMatrixRef<double>& B,
                             MatrixRef<double> G) {
  const NothingNext nothing;
  const Index n = B.rows(), b_stride = B.outerStride(), g_stride = G.outerStride();
  Index j = 0;
  for (; j + tile_columns <= n; j += tile_columns)
    product_strip<tile_columns>(A, B.data() + j * b_stride, b_stride, 0, G.data() + j * g_stride,
                                g_stride, nothing);
  for (; j < n; ++j)
    product_strip<1>(A, B.data() + j * b_stride, b_stride, 0, G.data() + j * g_stride, g_stride,
                     nothing);
}

// G (m, m) += panel panel^T, lower triangle. C (m, k) += panel X^T on the way, strip by
// strip while it is in first-level cache; X may have no rows.
template <class Next>
void add_gram(const ConstRowMatrixRef<double>& panel, Matrix<double>& G,
              const ConstRowMatrixRef<double>& X, Matrix<double>& C, Next& next) {
  // Tiles read the panel once per strip: fast while it stays in second-level cache.
  if (panel.size() > (Index(1) << 17)) {
    G.template selfadjointView<Eigen::Lower>().rankUpdate(panel);
    if (X.rows() > 0) add_tall_product(panel, X, C);
    return;
  }
  const Index m = panel.rows(), w = panel.cols(), stride = panel.outerStride();
  const auto strip = [&](Index j, auto columns) {
    const double* b = panel.data() + j * stride;
    product_strip<columns()>(panel, b, stride, j, G.data() + j * m, m, next);
    for (Index k = 0; k < X.rows(); ++k)
      product_tile<1, columns()>(X.data() + k * X.outerStride(), 0, b, stride, w, &C(j, k), 1,
                                 next);
  };
  Index j = 0;
  for (; j + tile_columns <= m; j += tile_columns)
    strip(j, std::integral_constant<int, tile_columns>{});
  for (; j < m; ++j) strip(j, std::integral_constant<int, 1>{});
}
inline void add_gram(const ConstRowMatrixRef<double>& panel, Matrix<double>& G) {
  const NothingNext nothing;
  Matrix<double> none;
  add_gram(panel, G, panel.topRows(0), none, nothing);
}

}  // namespace minnorm::detail
