// rank_update.hpp: every entry within its roundings, nothing above the diagonal touched.
#include "minnorm/rank_update.hpp"

#include <gtest/gtest.h>

#include "asserts.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

using Long = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;

template <class S>
class RankUpdateTest : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(RankUpdateTest, Scalars);

// P as a part of a larger matrix, by rows or by columns, added to a block of another.
template <class S, class P>
void expect_update(const P& whole, Index n, Index w, S weight, Sampler& sampler) {
  const auto part = whole.block(1, 2, n, w);
  Matrix<S> all = sampler.gaussian<S>(n + 3, n + 1);
  const Matrix<S> before = all;
  detail::RankUpdate<S> update;
  update.add(part, weight, all.block(2, 1, n, n));

  const Long factor = part.template cast<long double>();
  const Long change = factor * factor.transpose() * static_cast<long double>(weight);
  const Long size = (factor.cwiseAbs() * factor.cwiseAbs().transpose()) *
                    std::abs(static_cast<long double>(weight));
  const double depth = static_cast<double>(std::min(w, update.depth)) +
                       std::ceil(static_cast<double>(w) / static_cast<double>(update.depth)) + 1;
  for (Index j = 0; j < all.cols(); ++j)
    for (Index i = 0; i < all.rows(); ++i) {
      const Index r = i - 2, c = j - 1;
      if (r < 0 || r >= n || c < 0 || c > r) {
        ASSERT_EQ(all(i, j), before(i, j)) << "outside, " << i << " " << j;
        continue;
      }
      const long double old = static_cast<long double>(before(i, j));
      const long double error = std::abs(static_cast<long double>(all(i, j)) - old - change(r, c));
      ASSERT_LE(error, gamma<S>(depth) * (size(r, c) + std::abs(old))) << r << " " << c;
    }
}

TYPED_TEST(RankUpdateTest, RoundsOnceAColumn) {
  using S = TypeParam;
  constexpr Index tile = detail::Tile<S>::rows;
  Sampler sampler(1);
  for (const Index n : {Index(1), Index(2), tile - 1, tile, tile + 1, 3 * tile + 5, 17 * tile})
    for (const Index w : {1, 7, 32, 33, 256, 257, 600}) {
      expect_update<S>(sampler.gaussian<S>(n + 2, w + 3), n, w, S(1), sampler);
      expect_update<S>(Matrix<S>(sampler.gaussian<S>(n + 2, w + 3)), n, w, S(-0.5), sampler);
    }
}

TYPED_TEST(RankUpdateTest, AnUpdateIsUsedAgainForAnyShape) {
  using S = TypeParam;
  Sampler sampler(2);
  detail::RankUpdate<S> update;
  for (const Index n : {40, 3, 100, 41}) {
    const RowMatrix<S> P = sampler.gaussian<S>(n, 9 * n);
    Matrix<S> again = Matrix<S>::Zero(n, n), anew = again;
    update.add(P, S(1), again);
    detail::add_outer_product<S>(P, S(1), anew);
    EXPECT_TRUE(identical(again, anew));
  }
}

}  // namespace
}  // namespace minnorm::test
