// compensated_dot.hpp: sums that plain double loses altogether.
#include "minnorm/compensated_dot.hpp"

#include "asserts.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

TEST(CompensatedDot, ErrorOfAProductIsExact) {
  Sampler sampler(1);
  for (int i = 0; i < 2000; ++i) {
    const double x = sampler.normal() * std::exp2(double(sampler.below(200)) - 100);
    const double y = sampler.normal() * std::exp2(double(sampler.below(200)) - 100);
    const double p = x * y;
    // The split form loses the last bits of the error, at 2^-106 of the product.
    EXPECT_NEAR(detail::product_error(x, y, p), std::fma(x, y, -p), std::abs(p) * 0x1p-104);
  }
}

// x . y = `sum` exactly, while the terms reach `size`: pairs that cancel, shuffled.
struct Cancelling {
  Vector<double> x, y;
  double sum = 0;

  Cancelling(Index n, double size, Sampler& sampler) : x(2 * n + 1), y(2 * n + 1) {
    for (Index i = 0; i < n; ++i) {
      x(2 * i) = size * sampler.normal();
      x(2 * i + 1) = -x(2 * i);
      y(2 * i) = y(2 * i + 1) = sampler.normal();
    }
    x(2 * n) = 3;
    y(2 * n) = 0.25;
    sum = 0.75;
    const Indices order = sampler.permutation(x.size());
    const Vector<double> before_x = x, before_y = y;
    for (Index i = 0; i < x.size(); ++i) {
      x(i) = before_x(order[static_cast<std::size_t>(i)]);
      y(i) = before_y(order[static_cast<std::size_t>(i)]);
    }
  }
};

TEST(CompensatedDot, KeepsWhatCancellationLeaves) {
  Sampler sampler(2);
  for (const Index n : {3, 8, 50, 1000}) {
    const Cancelling c(n, 1e14, sampler);
    double sum = 0, error = 0;
    detail::compensated_dot(c.x.data(), c.y.data(), c.x.size(), sum, error);
    // gamma_n^2 |x| |y|, and the rounding of the result.
    const double terms = c.x.cwiseAbs().dot(c.y.cwiseAbs());
    const double g = gamma<double>(double(c.x.size()));
    EXPECT_NEAR(sum + error, c.sum, g * g * terms + 1e-15);
  }
}

TEST(CompensatedDot, AddsUpOverParts) {
  Sampler sampler(3);
  const Cancelling c(200, 1e13, sampler);
  double sum = 0, error = 0;
  for (Index from = 0; from < c.x.size(); from += 37)
    detail::compensated_dot(c.x.data() + from, c.y.data() + from,
                            std::min<Index>(37, c.x.size() - from), sum, error);
  EXPECT_NEAR(sum + error, c.sum, 1e-9);
}

TEST(CompensatedSubtract, RoundsOnce) {
  Sampler sampler(4);
  for (const Index w : {1, 15, 16, 33}) {
    const Index n = 40;
    RowMatrix<double> X(2 * n + 1, w);
    Vector<double> a(2 * n + 1);
    for (Index i = 0; i < n; ++i) {
      a(2 * i) = 1e13 * sampler.normal();
      a(2 * i + 1) = -a(2 * i);
      X.row(2 * i) = sampler.gaussian(1, w);
      X.row(2 * i + 1) = X.row(2 * i);
    }
    a(2 * n) = 1;
    X.row(2 * n).setConstant(0.5);
    Vector<double> y = Vector<double>::Constant(w, 2.0);
    detail::compensated_subtract(a.data(), X.data(), X.cols(), X.rows(), w, y.data());
    for (Index k = 0; k < w; ++k) EXPECT_NEAR(y(k), 1.5, 1e-12) << k << " of " << w;
  }
}

}  // namespace
}  // namespace minnorm::test
