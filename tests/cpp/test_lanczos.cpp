// lanczos.hpp: never above the largest eigenvalue, never below what powers find.
#include "minnorm/lanczos.hpp"

#include <gtest/gtest.h>

#include "asserts.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

template <class S>
double found(const Matrix<S>& A, int steps) {
  return detail::largest_eigenvalue<S>(A.rows(), steps, [&](Vector<S>& x) { x = A * x; });
}

TEST(Lanczos, LiesBetweenPowerIterationAndTheLargestEigenvalue) {
  Sampler sampler(1);
  for (const Index n : {1, 2, 5, 40, 300})
    for (const int steps : {1, 4, 8}) {
      const RowMatrix<double> X = sampler.gaussian(n, n + n / 4 + 1);
      const Matrix<double> A = X * X.transpose();
      const double largest = Eigen::SelfAdjointEigenSolver<Matrix<double>>(A).eigenvalues()(n - 1);
      Vector<double> x(n);
      for (Index i = 0; i < n; ++i) x(i) = 1 + 0.5 * std::sin(static_cast<double>(7 * i + 1));
      double power = 0;
      for (int s = 0; s < steps; ++s) {
        x.normalize();
        const Vector<double> image = A * x;
        power = x.dot(image);
        x = image;
      }
      const double value = found<double>(A, steps);
      EXPECT_LE(value, largest * (1 + 1e-12)) << n;
      EXPECT_GE(value, power * (1 - 1e-12)) << n;
      if (n <= steps) {
        EXPECT_NEAR(value, largest, 1e-12 * largest) << n;
      }
      if (steps == 8) {
        EXPECT_GE(value, 0.9 * largest) << n;
      }
    }
}

TEST(Lanczos, StopsInAnInvariantSpace) {
  EXPECT_EQ(found<double>(Matrix<double>::Zero(7, 7), 8), 0);
  EXPECT_EQ(found<double>(Matrix<double>(), 8), 0);
  EXPECT_NEAR(found<double>(3 * Matrix<double>::Identity(50, 50), 8), 3, 1e-14);
  EXPECT_NEAR(found<float>(Matrix<float>(3 * Matrix<float>::Identity(50, 50)), 8), 3, 1e-5);
}

TEST(Lanczos, TellsOfProductsThatAreNotFinite) {
  for (const double bad :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    Matrix<double> A = Matrix<double>::Identity(4, 4);
    A(2, 2) = bad;
    EXPECT_FALSE(std::isfinite(found<double>(A, 8)));
  }
}

}  // namespace
}  // namespace minnorm::test
