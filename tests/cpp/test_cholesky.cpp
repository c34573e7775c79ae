// cholesky.hpp: backward error of every entry, and where the factorisation ends.
#include "minnorm/cholesky.hpp"

#include <gtest/gtest.h>

#include "asserts.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

using Long = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;

template <class S>
class CholeskyTest : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(CholeskyTest, Scalars);

// |L L^T - A| <= gamma_{n+2} |L| |L|^T (Higham, Accuracy and Stability of Numerical
// Algorithms, 2002, Theorem 10.3; two roundings more for the reciprocal of a pivot), A a block of
// a larger matrix of which nothing else changes.
TYPED_TEST(CholeskyTest, BackwardErrorOfEveryEntry) {
  using S = TypeParam;
  constexpr Index tile = detail::Tile<S>::rows, block = detail::RightSolver<S>::block;
  Sampler sampler(1);
  for (const Index n : {Index(1), Index(2), block - 1, block, block + 1, block + tile - 1,
                        2 * block + tile, 3 * block + 7}) {
    const Matrix<S> X = sampler.gaussian<S>(n, n + n / 4 + 3);
    Matrix<S> all = sampler.gaussian<S>(n + 3, n + 2);
    all.block(2, 1, n, n).template triangularView<Eigen::Lower>() = X * X.transpose();
    const Matrix<S> before = all;
    ASSERT_TRUE(detail::cholesky_in_place<S>(all.block(2, 1, n, n))) << n;

    Long L = all.block(2, 1, n, n).template cast<long double>();
    L.triangularView<Eigen::StrictlyUpper>().setZero();
    const Long product = L * L.transpose(), size = L.cwiseAbs() * L.cwiseAbs().transpose();
    for (Index j = 0; j < all.cols(); ++j)
      for (Index i = 0; i < all.rows(); ++i) {
        const Index r = i - 2, c = j - 1;
        if (r < 0 || r >= n || c < 0 || c > r) {
          ASSERT_EQ(all(i, j), before(i, j)) << "outside, " << i << " " << j;
          continue;
        }
        const long double error = std::abs(product(r, c) - static_cast<long double>(before(i, j)));
        ASSERT_LE(error, gamma<S>(static_cast<double>(n) + 2) * size(r, c)) << r << " " << c;
      }
  }
}

TYPED_TEST(CholeskyTest, EndsWhereAPivotIsNotPositive) {
  using S = TypeParam;
  const Index n = 2 * detail::RightSolver<S>::block + 40;
  for (const Index at : {Index(0), n / 2, n - 1})
    for (const S pivot : {S(-1), std::numeric_limits<S>::quiet_NaN()}) {
      Matrix<S> A = Matrix<S>::Identity(n, n);
      A(at, at) = pivot;
      const bool completes = detail::cholesky_in_place<S>(A);
      EXPECT_TRUE(!completes || !A.diagonal().allFinite()) << at << " " << pivot;
    }
}

}  // namespace
}  // namespace minnorm::test
