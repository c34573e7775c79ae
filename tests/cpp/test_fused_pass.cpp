// fused_pass.hpp: theta and its residual, within the roundings that their depths promise.
#include "minnorm/fused_pass.hpp"

#include <gtest/gtest.h>

#include "samplers.hpp"

namespace minnorm::test {
namespace {

using Long = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;

template <class S>
class FusedPassTest : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(FusedPassTest, Scalars);

TYPED_TEST(FusedPassTest, RoundsNoMoreThanItsDepth) {
  using S = TypeParam;
  Sampler sampler(1);
  for (const Index n : {1, 7, 8, 65, 300})
    for (const Index p : {1, 31, 32, 33, 64, 1000, 2200})
      for (const Index t : {1, 3}) {
        const RowMatrix<S> X = sampler.gaussian<S>(n, p);
        const Index m = std::max<Index>(1, n / 2);
        const Indices chosen = sampler.subset(n, m);
        const Matrix<S> A = sampler.gaussian<S>(m, t);
        const RowMatrix<S> start = sampler.gaussian<S>(t, p);
        const Matrix<S> y = sampler.gaussian<S>(n, t);
        RowMatrix<S> theta = start;
        Matrix<S> R = y;
        Workspace space;
        space.reserve(detail::pass_bytes<S>(n, p, t));
        detail::fused_pass<S>(Rows<S>::view(X), chosen, A, 0.5, theta, R, space);

        const Long rows = rows_of<S>(X, chosen).template cast<long double>() / 2;
        const Long sum = A.template cast<long double>().transpose() * rows;
        const Long size = A.template cast<long double>().cwiseAbs().transpose() * rows.cwiseAbs() +
                          start.template cast<long double>().cwiseAbs();
        const Long error = (theta - start).template cast<long double>() - sum;
        const long double along = gamma<S>(detail::combine_depth(m) + 2);
        EXPECT_TRUE((error.cwiseAbs().array() <= along * size.array()).all()) << n << " " << p;

        const Long image =
            X.template cast<long double>() * theta.template cast<long double>().transpose() / 2;
        const Long image_size = X.template cast<long double>().cwiseAbs() *
                                theta.template cast<long double>().cwiseAbs().transpose() / 2;
        const Long missed =
            R.template cast<long double>() - (y.template cast<long double>() - image);
        const long double across = gamma<S>(detail::residual_depth(p) + 1);
        EXPECT_TRUE((missed.cwiseAbs().array() <=
                     across * (image_size + y.template cast<long double>().cwiseAbs()).array())
                        .all())
            << n << " " << p;
        EXPECT_EQ(detail::combine_rows<S>(Rows<S>::view(X), chosen, A, 0.5), [&] {
          RowMatrix<S> zero = RowMatrix<S>::Zero(t, p);
          detail::fused_pass<S>(Rows<S>::view(X), chosen, A, 0.5, zero, R, space);
          return zero;
        }());
      }
}

}  // namespace
}  // namespace minnorm::test
