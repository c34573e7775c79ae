// y = K x for a symmetric K, reading only its lower triangle, once.
//
// A panel of 8 columns gives y below it (K x) and, from the same loads, its own 8
// entries (K^T x). Rounding: an entry of y is the sum of at most
// symmetric_product_depth(n) roundings in sequence, about n / 5.
// Shapes: K (n, n), x and y (n). 4 flops an entry of the triangle.
// x and y do not overlap. Throws nothing.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "types.hpp"

namespace minnorm::detail {

inline constexpr int product_columns = 8, product_lanes = 16;

inline double symmetric_product_depth(Index n) {
  const double d = static_cast<double>(n);  // n terms: n roundings, in whatever order
  return std::min(d, std::ceil(d / product_columns) + std::ceil(d / product_lanes) +
                         product_columns + 2.0 * product_lanes + 8);
}

template <class S>
void symmetric_product(const S* K, Index stride, Index n, const S* x, S* y) {
  using Lanes = Eigen::Array<S, product_lanes, 1>;
  using In = Eigen::Map<const Lanes>;
  std::fill(y, y + n, S(0));
  for (Index j = 0; j < n; j += product_columns) {
    const Index b = std::min<Index>(product_columns, n - j), below = j + b;
    for (Index c = 0; c < b; ++c) {
      const S* column = K + (j + c) * stride;
      S own = column[j + c] * x[j + c];
      for (Index i = j + c + 1; i < below; ++i) {
        own += column[i] * x[i];
        y[i] += column[i] * x[j + c];
      }
      y[j + c] += own;
    }
    if (b < product_columns) break;
    const S* first = K + j * stride;
    Lanes transposed[product_columns];
    for (auto& t : transposed) t.setZero();
    Index i = below;
    for (; i + product_lanes <= n; i += product_lanes) {
      const Lanes xi = In(x + i);
      Lanes sum = Lanes::Zero();
      unrolled<product_columns>([&](auto c) {
        const Lanes k = In(first + c() * stride + i);
        sum += k * x[j + c()];
        transposed[c()] += k * xi;
      });
      Eigen::Map<Lanes> out(y + i);
      out += sum;
    }
    S rest[product_columns] = {};
    for (; i < n; ++i) {
      S sum = 0;
      for (Index c = 0; c < product_columns; ++c) {
        const S k = first[c * stride + i];
        sum += k * x[j + c];
        rest[c] += k * x[i];
      }
      y[i] += sum;
    }
    for (Index c = 0; c < product_columns; ++c) y[j + c] += transposed[c].sum() + rest[c];
  }
}

}  // namespace minnorm::detail
