// row_scans.hpp: sizes of rows at any scale and in any layout; the row that is not finite.
#include "minnorm/row_scans.hpp"

#include <gtest/gtest.h>

#include "asserts.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

template <class S>
class RowScansTest : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(RowScansTest, Scalars);

// Squares of the entries leave the range of a double at the ends of that of S.
TYPED_TEST(RowScansTest, NormsAtEveryScale) {
  using S = TypeParam;
  Sampler sampler(1);
  const RowMatrix<S> X = sampler.gaussian<S>(9, 150);
  const int end = std::numeric_limits<S>::max_exponent - 8;
  for (const int exponent : {-end, -end / 2, -60, 0, 60, end / 2, end}) {
    const RowMatrix<S> scaled = X * std::ldexp(S(1), exponent);
    for (const Rows<S>& held : {Rows<S>::view(scaled), Rows<S>::panels(scaled)})
      for (const Index from : {0, 4}) {
        const detail::RowScan<S> scan(held, from);
        const auto rows = scaled.bottomRows(9 - from);
        EXPECT_EQ(scan.largest(), static_cast<double>(rows.cwiseAbs().maxCoeff())) << exponent;
        const Vector<double> norms = scan.norms(std::ldexp(1.0, -exponent));
        const Vector<double> expected =
            X.bottomRows(9 - from).template cast<double>().rowwise().norm();
        EXPECT_LE((norms - expected).norm(), 200 * eps<double>() * expected.norm()) << exponent;
      }
  }
}

TYPED_TEST(RowScansTest, NoEntriesAndZeros) {
  using S = TypeParam;
  const auto zeros = Rows<S>::panels(RowMatrix<S>::Zero(3, 5));
  EXPECT_EQ(detail::RowScan<S>(zeros).largest(), 0);
  EXPECT_EQ(detail::RowScan<S>(zeros).norms(0.5), Vector<double>::Zero(3));
  EXPECT_EQ(detail::RowScan<S>(zeros, 3).norms(1).size(), 0);
}

TYPED_TEST(RowScansTest, NamesTheRowThatIsNotFinite) {
  using S = TypeParam;
  for (const S bad : {std::numeric_limits<S>::quiet_NaN(), std::numeric_limits<S>::infinity(),
                      -std::numeric_limits<S>::infinity()})
    for (const Index column : {0, 70, 99}) {
      RowMatrix<S> X = RowMatrix<S>::Ones(6, 100);
      X(5, column) = bad;
      for (const Rows<S>& held : {Rows<S>::view(X), Rows<S>::panels(X)}) {
        try {
          detail::RowScan<S> scan(held, 2);
          ADD_FAILURE() << "accepted " << bad;
        } catch (const InputError& error) {
          EXPECT_NE(std::string(error.what()).find("row 3;"), std::string::npos) << error.what();
        }
      }
    }
}

}  // namespace
}  // namespace minnorm::test
