// fused_pass.hpp: theta and its residual, within the roundings that their depths promise.
#include "minnorm/fused_pass.hpp"

#include <gtest/gtest.h>

#include "asserts.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

template <class S>
class FusedPassTest : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(FusedPassTest, Scalars);

// X as a model may hold it: where the caller has it, in panels, and in panels of two
// buffers whose order is no longer that of the samples.
template <class S>
std::vector<Rows<S>> layouts(const RowMatrix<S>& X) {
  const Index n = X.rows();
  RowMatrix<S> shuffled(n + 2, X.cols());
  shuffled << X.row(0), X.topRows(n), X.row(n - 1);
  auto moved = Rows<S>::panels(shuffled.topRows(n / 2 + 1));
  moved.append(moved.copied(shuffled.bottomRows(n + 1 - n / 2)));
  moved.erase(Indices{0, n + 1});
  return {Rows<S>::view(X), Rows<S>::panels(X), std::move(moved)};
}

TYPED_TEST(FusedPassTest, RoundsNoMoreThanItsDepth) {
  using S = TypeParam;
  const auto exact = [](const auto& A) { return A.template cast<long double>().eval(); };
  Sampler sampler(1);
  for (const Index n : {1, 7, 8, 65, 600})  // 600 row-major rows go by wide strips
    for (const Index p : {1, 31, 32, 33, 64, 65, 511, 1000, 2200})
      for (const Index t : {1, 3}) {
        const RowMatrix<S> X = sampler.gaussian<S>(n, p);
        const Index m = std::max<Index>(1, n / 2);
        const Indices chosen = sampler.subset(n, m);
        const Matrix<S> A = sampler.gaussian<S>(m, t);
        const RowMatrix<S> start = sampler.gaussian<S>(t, p);
        const Matrix<S> y = sampler.gaussian<S>(n, t);
        const Long rows = exact(rows_of<S>(X, chosen)) / 2;
        const Long sum = exact(A).transpose() * rows;
        const Long size = exact(A).cwiseAbs().transpose() * rows.cwiseAbs();
        RowMatrix<S> first_theta;
        Matrix<S> first_residual;
        for (const Rows<S>& held : layouts<S>(X)) {
          RowMatrix<S> theta = start;
          Matrix<S> R = y;
          Workspace space;
          space.reserve(detail::pass_bytes<S>(n, p, t));
          detail::fused_pass<S>(held, chosen, A, 0.5, theta, R, space);
          const Long error = exact(theta - start) - sum;
          const long double along = gamma<S>(detail::combine_depth(m) + 2);
          EXPECT_TRUE(
              (error.cwiseAbs().array() <= along * (size + exact(start).cwiseAbs()).array()).all())
              << n << " " << p;

          const Long image = exact(X) * exact(theta).transpose() / 2;
          const Long image_size = exact(X).cwiseAbs() * exact(theta).cwiseAbs().transpose() / 2;
          const Long missed = exact(R) - (exact(y) - image);
          const long double across = gamma<S>(detail::residual_depth(p) + 1);
          EXPECT_TRUE(
              (missed.cwiseAbs().array() <= across * (image_size + exact(y).cwiseAbs()).array())
                  .all())
              << n << " " << p;

          RowMatrix<S> zero = RowMatrix<S>::Zero(t, p);
          detail::fused_pass<S>(held, chosen, A, 0.5, zero, R, space);
          EXPECT_EQ(detail::combine_rows<S>(held, chosen, A, 0.5), zero);
          // The same sums in every layout.
          if (first_theta.size() == 0) {
            first_theta = theta;
            first_residual = R;
          }
          EXPECT_EQ(theta, first_theta) << n << " " << p;
          EXPECT_EQ(R, first_residual) << n << " " << p;
        }
      }
}

// A forgotten row that is borrowed may hold anything by now.
TYPED_TEST(FusedPassTest, ForgottenRowsAreNotRead) {
  using S = TypeParam;
  Sampler sampler(2);
  RowMatrix<S> X = sampler.gaussian<S>(9, 70);
  Rows<S> rows = Rows<S>::view(X);
  rows.erase(Indices{0, 4, 8});
  for (const Index i : {0, 4, 8}) X.row(i).setConstant(std::numeric_limits<S>::quiet_NaN());
  const Matrix<S> a = sampler.gaussian<S>(6, 1);
  Matrix<S> R = a;
  RowMatrix<S> theta = RowMatrix<S>::Zero(1, 70);
  Workspace space;
  detail::fused_pass<S>(rows, all_indices(6), a, 1.0, theta, R, space);
  EXPECT_TRUE(theta.allFinite());
  EXPECT_TRUE(R.allFinite());
}

}  // namespace
}  // namespace minnorm::test
