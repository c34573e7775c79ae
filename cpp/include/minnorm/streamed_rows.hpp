// One pass over float rows in place: y = x - a^T X and c += X y, a run of columns at a
// time, without a panel in between.
//
// A run of X is read from memory for the subtraction and from the first-level cache
// for the product; what comes two runs later is asked for meanwhile, so the pass takes
// little more than reading X. Products of floats are exact in double.
// Roundings in sequence: m for y; p / lanes + log2 lanes for c.
// Shapes: X (m, w) as m addresses, a (m), x, y (w), c (m). 4 m w flops.
#pragma once

#include <Eigen/Core>

#include "tall_products.hpp"

namespace minnorm::detail {

// Sums over the columns: of the products, a vector of partial sums a row, and of squares.
struct StreamedSums {
  Matrix<double> products;  // (product_width, m)
  double removed = 0, length = 0;

  void reset(Index m) {
    products.setZero(product_width, m);
    removed = length = 0;
  }
  StreamedSums& operator+=(const StreamedSums& other) {
    products += other.products;
    removed += other.removed;
    length += other.length;
    return *this;
  }
};

// y = scale out for n entries, out = y / scale rounded to T: what is measured is what is
// stored. Two functions that are not inlined: written in one loop, GCC 12.2 at -O2 with
// AVX2 or AVX-512 measured the values before rounding. It did not at -O1, without
// -ftree-slp-vectorize, or with clang 14, so we take the compiler to have elided the
// round trip through T.
template <class T>
EIGEN_DONT_INLINE void store_rounded(const double* y, Index n, double back, T* out) {
  for (Index l = 0; l < n; ++l) out[l] = static_cast<T>(y[l] * back);
}
template <class T>
EIGEN_DONT_INLINE void load_scaled(const T* out, Index n, double scale, double* y) {
  for (Index l = 0; l < n; ++l) y[l] = static_cast<double>(out[l]) * scale;
}

// x = scale v and y as stored, scale out; `subtracted` is v or what an earlier pass left
// in out. No `a`: nothing is subtracted. No `out`: nothing is stored, y = x.
template <class T>
void stream_rows(const float* const* rows, Index m, Index w, const double* a, const T* v,
                 const T* subtracted, T* out, double scale, StreamedSums& sums) {
  using Lanes = Eigen::Array<double, product_width, 1>;
  using Row = Eigen::Map<const Eigen::Array<float, product_width, 1>>;
  using Given = Eigen::Map<const Eigen::Array<T, product_width, 1>>;
  constexpr int groups = 8;
  constexpr Index run = groups * product_width;
  const double back = 1 / scale;
  Index k = 0;
  for (; k + run <= w; k += run) {
    Lanes y[groups];
    for (int g = 0; g < groups; ++g)
      y[g] = Given(subtracted + k + g * product_width).template cast<double>() * scale;
    for (Index i = 0; i < m; ++i) {
      const float* row = rows[i] + k;
      for (Index line = 0; line < run; line += 16) prefetch(row + 2 * run + line);
      if (!a) continue;
      const double weight = a[i];
      for (int g = 0; g < groups; ++g)
        y[g] -= weight * Row(row + g * product_width).template cast<double>();
    }
    if (out) {
      store_rounded(y[0].data(), run, back, out + k);
      load_scaled(out + k, run, scale, y[0].data());
    }
    Lanes removed = Lanes::Zero(), length = Lanes::Zero();
    for (int g = 0; g < groups; ++g) {
      const Lanes x = Given(v + k + g * product_width).template cast<double>() * scale;
      removed += (x - y[g]).square();
      length += x.square();
    }
    sums.removed += removed.sum();
    sums.length += length.sum();
    for (Index i = 0; i < m; ++i) {
      const float* row = rows[i] + k;
      Lanes sum = sums.products.col(i).array();
      for (int g = 0; g < groups; ++g)
        sum += y[g] * Row(row + g * product_width).template cast<double>();
      sums.products.col(i) = sum;
    }
  }
  for (; k < w; ++k) {
    double y = static_cast<double>(subtracted[k]) * scale;
    for (Index i = 0; a && i < m; ++i) y -= a[i] * static_cast<double>(rows[i][k]);
    if (out) {
      store_rounded(&y, 1, back, out + k);
      load_scaled(out + k, 1, scale, &y);
    }
    const double x = static_cast<double>(v[k]) * scale;
    sums.removed += (x - y) * (x - y);
    sums.length += x * x;
    for (Index i = 0; i < m; ++i) sums.products(0, i) += y * static_cast<double>(rows[i][k]);
  }
}

}  // namespace minnorm::detail
