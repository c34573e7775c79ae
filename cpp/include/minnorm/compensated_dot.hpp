// Dot products and combinations of rows as if in twice the working precision: Dot2
// of Ogita, Rump and Oishi (SIAM J. Sci. Comput. 26, 2005).
//
// Invariant: sum + error is the sum of the products so far, each product with its
// rounding error (exact) and each addition with its own (exact); only the errors
// are added up with rounding. So |fl(x . y) - x . y| <= u |x . y| + gamma_n^2 |x| |y|.
// Cost: 10 operations a product with a fused multiply-add, 24 without.
// Aliasing: x and y may be the same. Throws nothing.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "types.hpp"

namespace minnorm::detail {

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__)
inline double product_error(double x, double y, double p) { return std::fma(x, y, -p); }
#else
// The upper 26 bits of the significand, by masking: a Veltkamp split would not
// survive the contraction of its product.
inline double upper_half(double x) {
  std::uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits &= ~((std::uint64_t{1} << 27) - 1);
  std::memcpy(&x, &bits, sizeof bits);
  return x;
}
inline double product_error(double x, double y, double p) {
  const double xh = upper_half(x), yh = upper_half(y), xl = x - xh, yl = y - yh;
  return ((xh * yh - p) + xh * yl + xl * yh) + xl * yl;
}
#endif

// sum += x; returns what rounding took away (TwoSum, Knuth).
inline double add_exactly(double x, double& sum) {
  const double total = sum + x, z = total - sum;
  const double rounding = (sum - (total - z)) + (x - z);
  sum = total;
  return rounding;
}

// (sum, error) += x . y, over w entries, in `lanes` independent sums.
inline void compensated_dot(const double* x, const double* y, Index w, double& sum, double& error) {
  constexpr int lanes = 16;
  double s[lanes] = {}, e[lanes] = {};
  const auto add = [&](int l, Index k) {
    const double p = x[k] * y[k];
    const double rounding = product_error(x[k], y[k], p);
    const double total = s[l] + p, z = total - s[l];  // TwoSum (Knuth)
    e[l] += rounding + ((s[l] - (total - z)) + (p - z));
    s[l] = total;
  };
  Index k = 0;
  for (; k + lanes <= w; k += lanes)
    for (int l = 0; l < lanes; ++l) add(l, k + l);
  for (; k < w; ++k) add(0, k);
  for (int l = 0; l < lanes; ++l) error += e[l] + add_exactly(s[l], sum);
}

// y (w) -= a^T X for X (m, w), row-major; each entry rounded once, at the end.
inline void compensated_subtract(const double* a, const double* X, Index stride, Index m, Index w,
                                 double* y) {
  constexpr int lanes = 16;
  const auto columns = [&](Index k, auto count) {
    double s[lanes], e[lanes] = {};
    for (int l = 0; l < count(); ++l) s[l] = y[k + l];
    for (Index i = 0; i < m; ++i) {
      const double c = -a[i];
      const double* x = X + i * stride + k;
      for (int l = 0; l < count(); ++l) {
        const double p = c * x[l];
        const double rounding = product_error(c, x[l], p);
        const double total = s[l] + p, z = total - s[l];
        e[l] += rounding + ((s[l] - (total - z)) + (p - z));
        s[l] = total;
      }
    }
    for (int l = 0; l < count(); ++l) y[k + l] = s[l] + e[l];
  };
  Index k = 0;
  for (; k + lanes <= w; k += lanes) columns(k, std::integral_constant<int, lanes>{});
  for (; k < w; ++k) columns(k, std::integral_constant<int, 1>{});
}

}  // namespace minnorm::detail
