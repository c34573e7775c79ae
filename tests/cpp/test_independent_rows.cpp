// Independent rows: a maximal independent set, and the rest reproduced from it.
#include "minnorm/independent_rows.hpp"

#include "asserts.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

// The chosen rows, the rest reproduced by W, L the factor of the chosen.
AssertionResult spans(const IndependentRows& found, const RowMatrix<double>& X, double tolerance) {
  Indices sorted = found.order;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i)
    if (sorted[i] != static_cast<Index>(i)) return AssertionFailure() << "order: no permutation";
  if (static_cast<Index>(found.order.size()) != X.rows())
    return AssertionFailure() << "order has length " << found.order.size();
  const Index r = found.rank, rest = X.rows() - r;
  if (found.L.rows() != r || found.L.cols() != r || found.W.rows() != rest || found.W.cols() != r)
    return AssertionFailure() << "shapes of L or W";
  const RowMatrix<double> ordered = X(found.order, Eigen::all);
  const RowMatrix<double> chosen = ordered.topRows(r);
  if (r > 0) {
    if (!(found.L.diagonal().minCoeff() > 0)) return AssertionFailure() << "diagonal of L";
    if ((found.L.triangularView<Eigen::StrictlyUpper>().toDenseMatrix().array() != 0).any())
      return AssertionFailure() << "L is not lower triangular";
    for (Index k = 1; k < r; ++k)
      if (found.L(k, k) > found.L(k - 1, k - 1) * (1 + 1e-12))
        return AssertionFailure() << "pivots grow at " << k;
    const auto same = close(found.L * found.L.transpose(), chosen * chosen.transpose(), tolerance);
    if (!same) return same;
  }
  const RowMatrix<double> reproduced = found.W * chosen;
  return at_most((reproduced - ordered.bottomRows(rest)).norm(), tolerance * X.norm() + 1e-300,
                 "|W X_B - X_rest|");
}

struct Shape {
  Index n, p, rank;
};
const Shape shapes[] = {{1, 1, 1},  {1, 4, 0},   {5, 8, 5},   {8, 5, 5},   {12, 20, 7},
                        {40, 9, 9}, {40, 30, 1}, {20, 20, 0}, {33, 64, 32}};

TEST(IndependentRows, ByQRFindRankAndReproduceRest) {
  Sampler sampler(1);
  for (const Shape& s : shapes) {
    const RowMatrix<double> X = sampler.deficient(s.n, s.p, s.rank);
    const IndependentRows found = independent_rows(X.transpose(), 1e-12 * (X.norm() + 1));
    SCOPED_TRACE(std::to_string(s.n) + " x " + std::to_string(s.p));
    EXPECT_EQ(found.rank, s.rank);
    EXPECT_TRUE(spans(found, X, 1e-12));
  }
}

TEST(IndependentRows, OfGramFindRankAndReproduceRest) {
  Sampler sampler(2);
  for (const Shape& s : shapes) {
    const RowMatrix<double> X = sampler.deficient(s.n, s.p, s.rank);
    Matrix<double> G = X * X.transpose();
    const double tolerance = 1e-11 * (G.trace() + 1);
    G.triangularView<Eigen::StrictlyUpper>().setConstant(99);  // the lower triangle is read
    const IndependentRows found = independent_rows_of_gram(G, tolerance);
    SCOPED_TRACE(std::to_string(s.n) + " x " + std::to_string(s.p));
    EXPECT_EQ(found.rank, s.rank);
    EXPECT_TRUE(spans(found, X, 1e-11));
    EXPECT_LE(found.defect, tolerance);
  }
}

TEST(IndependentRows, BothWaysChooseTheSameRows) {
  Sampler sampler(3);
  const RowMatrix<double> X = sampler.gaussian(20, 30);
  const IndependentRows by_rows = independent_rows(X.transpose(), 1e-10);
  const IndependentRows by_gram = independent_rows_of_gram(X * X.transpose(), 1e-10);
  EXPECT_EQ(by_rows.order, by_gram.order);
  EXPECT_TRUE(close(by_rows.L, by_gram.L, 1e-12));
}

// The distance to the span decides, against an absolute tolerance.
TEST(IndependentRows, ToleranceIsTheDistanceToTheSpan) {
  RowMatrix<double> X = RowMatrix<double>::Zero(3, 4);
  X.row(0) << 2, 0, 0, 0;
  X.row(1) << 0, 1, 0, 0;
  X.row(2) << 1, 0.5, 1e-5, 0;
  EXPECT_EQ(independent_rows(X.transpose(), 0.9e-5).rank, 3);
  EXPECT_EQ(independent_rows(X.transpose(), 1.1e-5).rank, 2);
  EXPECT_EQ(independent_rows_of_gram(X * X.transpose(), 0.9e-10).rank, 3);
  EXPECT_EQ(independent_rows_of_gram(X * X.transpose(), 1.1e-10).rank, 2);
}

TEST(IndependentRows, LongestRowComesFirst) {
  Sampler sampler(4);
  RowMatrix<double> X = sampler.gaussian(6, 10);
  X.row(4) *= 100;
  EXPECT_EQ(independent_rows(X.transpose(), 1e-10).order.front(), 4);
  EXPECT_EQ(independent_rows_of_gram(X * X.transpose(), 1e-10).order.front(), 4);
}

TEST(IndependentRows, ChoiceDoesNotDependOnScale) {
  Sampler sampler(5);
  const RowMatrix<double> X = sampler.deficient(15, 20, 9);
  const IndependentRows plain = independent_rows(X.transpose(), 1e-10);
  const double scale = 0x1p-300;
  const IndependentRows scaled = independent_rows((X * scale).transpose(), 1e-10 * scale);
  EXPECT_EQ(plain.order, scaled.order);
  EXPECT_TRUE(identical(Matrix<double>(plain.L * scale), scaled.L));
}

TEST(IndependentRows, DefectTellsIndefiniteFromSemidefinite) {
  Matrix<double> swap(2, 2);
  swap << 0, 1, 1, 0;  // eigenvalues 1 and -1, no positive pivot
  const IndependentRows none = independent_rows_of_gram(swap, 1e-12);
  EXPECT_EQ(none.rank, 0);
  EXPECT_DOUBLE_EQ(none.defect, 1);

  Sampler sampler(6);
  const RowMatrix<double> X = sampler.gaussian(8, 8);
  Matrix<double> G = X.topRows(7).transpose() * X.topRows(7);
  EXPECT_LT(independent_rows_of_gram(G, 1e-11 * G.trace()).defect, 1e-12 * G.trace());
  G -= 0.01 * X.row(7).transpose() * X.row(7);
  EXPECT_GT(independent_rows_of_gram(G, 1e-11 * G.trace()).defect, 1e-6 * G.trace());
}

}  // namespace
}  // namespace minnorm::test
