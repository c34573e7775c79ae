// cholesky.hpp: backward error of every entry, and where the factorisation ends.
#include "minnorm/cholesky.hpp"

#include <gtest/gtest.h>

#include "asserts.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

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
    const Long gap = L * L.transpose() - before.block(2, 1, n, n).template cast<long double>();
    const Long size = L.cwiseAbs() * L.cwiseAbs().transpose();
    ASSERT_TRUE(lower_block_within<S>(all, before, 2, 1, gap,
                                      size * static_cast<long double>(gamma<S>(double(n) + 2))));
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
