// rank_update.hpp: every entry within its roundings, nothing above the diagonal touched.
#include "minnorm/rank_update.hpp"

#include <gtest/gtest.h>

#include "asserts.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

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

  const Long factor = part.template cast<long double>(), magnitude = factor.cwiseAbs();
  const long double w_exact = static_cast<long double>(weight);
  const Long old = before.block(2, 1, n, n).template cast<long double>();
  const Long gap = all.block(2, 1, n, n).template cast<long double>() - old -
                   w_exact * (factor * factor.transpose());
  const Long size = std::abs(w_exact) * (magnitude * magnitude.transpose()) + old.cwiseAbs();
  const double depth = static_cast<double>(std::min(w, update.depth)) +
                       std::ceil(static_cast<double>(w) / static_cast<double>(update.depth)) + 1;
  ASSERT_TRUE(lower_block_within<S>(all, before, 2, 1, gap,
                                    size * static_cast<long double>(gamma<S>(depth))));
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
