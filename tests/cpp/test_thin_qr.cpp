// thin_qr.hpp and row_space.hpp: X = K Q with orthonormal Q, through any sequence of
// deletions and insertions.
#include "minnorm/thin_qr.hpp"

#include "asserts.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

// Q Q^T = I, and every row is its coordinates times Q, relative to its own length.
template <class S>
AssertionResult spans(const ThinQR<S>& qr, const RowMatrix<S>& X, double roundings = 30) {
  const RowMatrix<double> Q = qr.Q().template cast<double>();
  const Index r = qr.rank();
  if (qr.size() != X.rows()) return AssertionFailure() << "size " << qr.size();
  const double gap = (Q * Q.transpose() - RowMatrix<double>::Identity(r, r)).norm();
  if (!(gap <= roundings * eps<S>())) return AssertionFailure() << "|Q Q^T - I| = " << gap;
  const RowMatrix<double> rows = qr.space().scale().asDiagonal() * X.template cast<double>();
  const RowMatrix<double> rest = rows - qr.space().coordinates() * Q;
  for (Index i = 0; i < X.rows(); ++i) {
    const double limit = roundings * eps<S>() * std::sqrt(double(r) + 1) * rows.row(i).norm();
    if (!(rest.row(i).norm() <= limit))
      return AssertionFailure() << "row " << i << " is off by " << rest.row(i).norm() << " of "
                                << rows.row(i).norm();
  }
  return AssertionSuccess();
}

template <class S>
class ThinQRTest : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ThinQRTest, Scalars);

TYPED_TEST(ThinQRTest, IsOrthonormalForAnyCondition) {
  using S = TypeParam;
  Sampler sampler(1);
  for (const double condition : {1.0, 1e3, 1e6, 1e10, 1e14}) {
    if (condition * eps<S>() > 0.1) continue;
    const auto X = sampler.conditioned<S>(20, 700, condition);
    const ThinQR<S> qr{ConstRowMatrixRef<S>(X)};
    EXPECT_EQ(qr.rank(), 20) << condition;
    EXPECT_TRUE(spans(qr, X)) << condition;
  }
}

TYPED_TEST(ThinQRTest, FindsTheRank) {
  using S = TypeParam;
  Sampler sampler(2);
  for (const auto& [n, p, r] : std::vector<std::array<Index, 3>>{
           {30, 200, 12}, {40, 15, 15}, {40, 15, 6}, {5, 300, 1}, {1, 40, 1}, {3, 3, 0}}) {
    const auto X = sampler.deficient<S>(n, p, r);
    const ThinQR<S> qr{ConstRowMatrixRef<S>(X)};
    EXPECT_EQ(qr.rank(), r) << n << " x " << p;
    EXPECT_TRUE(spans(qr, X)) << n << " x " << p;
  }
}

TYPED_TEST(ThinQRTest, RowsOfAnySize) {
  using S = TypeParam;
  Sampler sampler(3);
  RowMatrix<S> X = sampler.gaussian<S>(12, 150);
  const int range = std::is_same_v<S, float> ? 30 : 250;
  for (Index i = 0; i < 12; ++i)
    X.row(i) *= static_cast<S>(std::pow(10.0, double(2 * range * i) / 11 - range));
  const ThinQR<S> qr{ConstRowMatrixRef<S>(X)};
  EXPECT_EQ(qr.rank(), 12);
  EXPECT_TRUE(spans(qr, X));
}

TYPED_TEST(ThinQRTest, FollowsDeletionsAndInsertions) {
  using S = TypeParam;
  for (const unsigned seed : {4u, 5u, 6u, 7u}) {
    Sampler sampler(seed);
    const Index p = 120;
    RowMatrix<S> X = seed % 2 ? sampler.deficient<S>(24, p, 15) : sampler.gaussian<S>(24, p);
    ThinQR<S> qr{ConstRowMatrixRef<S>(X)};
    for (int step = 0; step < 12; ++step) {
      if (step % 3 == 2) {
        RowMatrix<S> more = sampler.gaussian<S>(3, p);
        more.row(1) = X.row(0);  // one that is held already
        qr.append(ConstRowMatrixRef<S>(more));
        X = stacked(X, more);
      } else {
        const Indices gone = sampler.subset(X.rows(), 1 + sampler.below(4));
        qr.erase(gone);
        X = without_rows(X, gone);
      }
      EXPECT_TRUE(spans(qr, X, 60)) << "seed " << seed << ", step " << step;
      EXPECT_EQ(qr.rank(), ThinQR<S>{ConstRowMatrixRef<S>(X)}.rank()) << seed << " " << step;
    }
  }
}

TYPED_TEST(ThinQRTest, AppendsWhatIsNearlyHeld) {
  using S = TypeParam;
  Sampler sampler(8);
  const RowMatrix<S> X = sampler.gaussian<S>(10, 200);
  RowMatrix<S> more = X.topRows(2);
  const S distance = static_cast<S>(1e4 * eps<S>());
  more += distance * sampler.gaussian<S>(2, 200);
  ThinQR<S> qr{ConstRowMatrixRef<S>(X)};
  qr.append(ConstRowMatrixRef<S>(more));
  EXPECT_EQ(qr.rank(), 12);
  EXPECT_TRUE(spans(qr, stacked(X, more)));
}

TYPED_TEST(ThinQRTest, DependentStepsInForTheRowItDependedOn) {
  using S = TypeParam;
  Sampler sampler(9);
  RowMatrix<S> X = sampler.gaussian<S>(6, 50);
  X.row(4) = X.row(1);
  ThinQR<S> qr{ConstRowMatrixRef<S>(X)};
  ASSERT_EQ(qr.rank(), 5);
  qr.erase({1});
  EXPECT_EQ(qr.rank(), 5);
  EXPECT_TRUE(spans(qr, without_rows(X, {1})));
}

TYPED_TEST(ThinQRTest, FactorInTheUnitsOfTheRows) {
  using S = TypeParam;
  Sampler sampler(10);
  RowMatrix<S> X = sampler.deficient<S>(9, 60, 6) * S(1000);
  const ThinQR<S> qr{ConstRowMatrixRef<S>(X)};
  const Matrix<double> B = rows_of(Matrix<double>(X.template cast<double>()), qr.space().basis());
  const Matrix<double> D =
      rows_of(Matrix<double>(X.template cast<double>()), qr.space().dependents());
  const Matrix<double> L = qr.L().template cast<double>(), Q = qr.Q().template cast<double>();
  EXPECT_TRUE(close(L * Q, B, 30 * eps<S>()));
  EXPECT_TRUE(close(qr.weights().template cast<double>() * B, D, 100 * eps<S>()));
}

TEST(ThinQR, RefusesWhatItCannotDo) {
  Sampler sampler(11);
  const auto X = sampler.gaussian(4, 9);
  ThinQR<double> qr{ConstRowMatrixRef<double>(X)};
  EXPECT_THROW(qr.erase({4}), UnknownSampleError);
  EXPECT_THROW(qr.erase({1, 1}), InputError);
  EXPECT_THROW(qr.erase({}), InputError);
  EXPECT_THROW(qr.erase({0, 1, 2, 3}), InputError);
  const auto narrow = sampler.gaussian(2, 8);
  EXPECT_THROW(qr.append(ConstRowMatrixRef<double>(narrow)), ShapeError);
  RowMatrix<double> bad = sampler.gaussian(2, 9);
  bad(1, 3) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(qr.append(ConstRowMatrixRef<double>(bad)), InputError);
  EXPECT_TRUE(spans(qr, X));
  EXPECT_THROW(ThinQR<double>{ConstRowMatrixRef<double>(bad)}, InputError);
  EXPECT_THROW(ThinQR<double>{ConstRowMatrixRef<double>(RowMatrix<double>(0, 3))}, ShapeError);
}

}  // namespace
}  // namespace minnorm::test
