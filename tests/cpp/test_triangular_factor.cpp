// TriangularFactor: L L^T stays the Gram matrix of the rows held, whichever leave.
#include "minnorm/triangular_factor.hpp"

#include "asserts.hpp"
#include "reference.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

TriangularFactor<double> factor_of(const RowMatrix<double>& X) {
  return TriangularFactor<double>(triangular_factor(X));
}

// Sets of rows that leave n: ends, neighbours, both sides of the switch from
// rotations to blocks, every other row, all but one.
std::vector<Indices> choices(Index n) {
  Sampler sampler(static_cast<unsigned>(n));
  std::vector<Indices> sets = {{0}, {n - 1}, {n / 2}, {0, n - 1}};
  if (n > 3) sets.push_back({n / 2, n / 2 + 1});
  if (n > 10) {
    sets.push_back(sampler.subset(n, 8));
    sets.push_back(sampler.subset(n, 9));
    sets.push_back(sampler.subset(n, 3 * n / 4));
  }
  Indices alternate, first, last, all_but_one;
  for (Index i = 0; i < n; i += 2) alternate.push_back(i);
  for (Index i = 0; i < n / 2; ++i) first.push_back(i);
  for (Index i = n / 2; i < n; ++i) last.push_back(i);
  for (Index i = 0; i < n; ++i)
    if (i != n / 3) all_but_one.push_back(i);
  for (const Indices& set : {alternate, first, last, all_but_one}) sets.push_back(set);
  return sets;
}

void expect_erasures_exact(Index n, bool gram_is_accurate) {
  Sampler sampler(7);
  const RowMatrix<double> X = sampler.gaussian(n, n + 5);
  const TriangularFactor<double> whole = factor_of(X);
  for (const Indices& rows : choices(n)) {
    if (rows.size() > 1 && (static_cast<Index>(rows.size()) >= n || rows[0] == rows[1])) continue;
    TriangularFactor<double> factor = whole;
    const Erasure how = factor.erase(rows, gram_is_accurate);
    SCOPED_TRACE("n " + std::to_string(n) + ", " + std::to_string(rows.size()) + " rows from " +
                 std::to_string(rows.front()) + detail::suffix(how));
    EXPECT_TRUE(is_clean_triangle(factor));
    EXPECT_TRUE(factors_rows(factor, without_rows(X, rows), 10 * std::sqrt(double(n)) + 20));
    if (rows.size() <= 8) {
      EXPECT_EQ(how, Erasure::rotations);
    } else if (!gram_is_accurate) {
      EXPECT_EQ(how, Erasure::blocked);
    }
  }
}

TEST(TriangularFactor, EraseLeavesFactorOfRetainedRows) {
  for (const Index n : {2, 5, 16, 17, 33, 97, 150}) expect_erasures_exact(n, false);
}
TEST(TriangularFactor, EraseLeavesFactorWhereRefactoringIsAllowed) {
  for (const Index n : {17, 97, 150}) expect_erasures_exact(n, true);
}
TEST(TriangularFactor, RefactorsOnlyWhereMostRowsLeaveAndGramIsAccurate) {
  Sampler sampler(1);
  const RowMatrix<double> X = sampler.gaussian(120, 130);
  Indices rows;
  for (Index i = 0; i < 119; ++i) rows.push_back(i);
  TriangularFactor<double> allowed = factor_of(X), forbidden = allowed;
  EXPECT_EQ(allowed.erase(rows, true), Erasure::refactored);
  EXPECT_EQ(forbidden.erase(rows, false), Erasure::blocked);
  EXPECT_TRUE(close(allowed.matrix(), forbidden.matrix(), 1e-13));
  EXPECT_TRUE(is_clean_triangle(allowed));
}

TEST(TriangularFactor, EraseOfNothingChangesNothing) {
  Sampler sampler(2);
  TriangularFactor<double> factor = factor_of(sampler.gaussian(9, 12));
  const Matrix<double> before = factor.matrix();
  EXPECT_EQ(factor.erase({}), Erasure::none);
  EXPECT_TRUE(identical(factor.matrix(), before));
}

// Backward stability row by row, for any condition number and any scaling of rows.
TEST(TriangularFactor, EraseKeepsSmallAndNearlyDependentRowsAccurate) {
  Sampler sampler(3);
  RowMatrix<double> X = sampler.conditioned(80, 100, 1e12);
  for (Index i = 0; i < 80; ++i) X.row(i) *= std::pow(10.0, double(i % 17) - 8);
  for (const Index k : {1, 5, 8, 9, 40}) {
    TriangularFactor<double> factor = factor_of(X);
    const Indices rows = sampler.subset(80, k);
    factor.erase(rows);
    EXPECT_TRUE(is_clean_triangle(factor));
    EXPECT_TRUE(factors_rows(factor, without_rows(X, rows), 200)) << k;
  }
}

TEST(TriangularFactor, ErrorsOfManyErasuresAddUpAtMostLinearly) {
  Sampler sampler(4);
  RowMatrix<double> X = sampler.conditioned(100, 110, 1e8);
  TriangularFactor<double> factor = factor_of(X);
  for (int step = 0; step < 95; ++step) {
    const Indices row = {sampler.below(X.rows())};
    factor.erase(row);
    X = without_rows(X, row);
    ASSERT_TRUE(factors_rows(factor, X, 20 + 4 * step)) << step;
    ASSERT_TRUE(is_clean_triangle(factor));
  }
}

TEST(TriangularFactor, EraseTogetherIsEraseOneByOne) {
  Sampler sampler(5);
  const RowMatrix<double> X = sampler.gaussian(60, 90);
  for (const Index k : {2, 8, 20}) {
    TriangularFactor<double> together = factor_of(X), apart = together;
    const Indices rows = sampler.subset(60, k);
    together.erase(rows);
    for (std::size_t f = rows.size(); f-- > 0;) apart.erase({rows[f]});
    EXPECT_TRUE(close(together.matrix(), apart.matrix(), 1e-13));
  }
}

TEST(TriangularFactor, EraseNeverLowersSmallestSingularValue) {
  Sampler sampler(6);
  for (const double condition : {1e2, 1e7}) {
    const RowMatrix<double> X = sampler.conditioned(40, 60, condition);
    TriangularFactor<double> factor = factor_of(X);
    double smallest = singular_values(factor.matrix()).minCoeff(),
           largest = singular_values(factor.matrix()).maxCoeff();
    while (factor.size() > 1) {
      factor.erase(sampler.subset(factor.size(), std::min<Index>(3, factor.size() - 1)));
      const Vector<double> now = singular_values(factor.matrix());
      const double rounding = 100 * eps<double>() * largest;
      EXPECT_GE(now.minCoeff(), smallest - rounding);  // Cauchy interlacing
      EXPECT_LE(now.maxCoeff(), largest + rounding);
      smallest = now.minCoeff();
      largest = now.maxCoeff();
    }
  }
}

TEST(TriangularFactor, EraseOfSingularFactor) {
  Matrix<double> L = Matrix<double>::Zero(4, 4);  // rows of rank 2
  L.col(0) << 2, 1, 0, 3;
  L.col(2) << 0, 0, 1, 1;
  const RowMatrix<double> rows = L;
  for (const Indices& gone : std::vector<Indices>{{0}, {2}, {3}, {0, 1}, {1, 2}, {0, 2, 3}}) {
    TriangularFactor<double> factor(L);
    factor.erase(gone);
    EXPECT_TRUE(factors_rows(factor, without_rows(rows, gone), 20));
    EXPECT_GE(factor.matrix().diagonal().minCoeff(), 0);
  }
}

TEST(TriangularFactor, AppendExtendsFactorIntoSpareCapacityAndBeyond) {
  Sampler sampler(8);
  for (const Index erased : {0, 3, 20})
    for (const Index m : {1, 2, 7, 30}) {
      RowMatrix<double> X = sampler.gaussian(40, 120);
      TriangularFactor<double> factor = factor_of(X);
      const Indices gone = sampler.subset(40, erased);
      factor.erase(gone);
      X = without_rows(X, gone);
      const RowMatrix<double> added = sampler.gaussian(m, 120);
      Matrix<double> L12 = X * added.transpose();
      factor.forward(L12);
      TriangularFactor<double> schur;
      ASSERT_TRUE(TriangularFactor<double>::from_gram(
          added * added.transpose() - L12.transpose() * L12, schur));
      Matrix<double> L22 = schur.matrix();
      L22.triangularView<Eigen::StrictlyUpper>().setConstant(99);  // not to be read
      factor.append(L12.transpose(), L22);
      EXPECT_TRUE(is_clean_triangle(factor));
      EXPECT_TRUE(factors_rows(factor, stacked(X, added), 100));
    }
}

TEST(TriangularFactor, RandomSequencesOfEraseAndAppend) {
  Sampler sampler(9);
  RowMatrix<double> X = sampler.gaussian(6, 50);
  TriangularFactor<double> factor = factor_of(X);
  for (int step = 0; step < 200; ++step) {
    const bool shrink = X.rows() > 30 || (X.rows() > 1 && sampler.below(2) == 0);
    if (shrink) {
      const Indices gone = sampler.subset(X.rows(), 1 + sampler.below(X.rows() - 1));
      factor.erase(gone, sampler.below(2) == 0);
      X = without_rows(X, gone);
    } else {
      const RowMatrix<double> row = sampler.gaussian(1, 50);
      Matrix<double> l = X * row.transpose();
      factor.forward(l);
      const double pivot = std::sqrt(row.squaredNorm() - l.squaredNorm());
      factor.append(l.transpose(), Matrix<double>::Constant(1, 1, pivot));
      X = stacked(X, row);
    }
    ASSERT_TRUE(is_clean_triangle(factor)) << step;
    ASSERT_TRUE(factors_rows(factor, X, 2000)) << step;
  }
}

TEST(TriangularFactor, FromGramIsCholesky) {
  Sampler sampler(10);
  for (const Index n : {1, 2, 50}) {
    const RowMatrix<double> X = sampler.gaussian(n, n + 20);
    Matrix<double> G = X * X.transpose();
    G.triangularView<Eigen::StrictlyUpper>().setConstant(99);  // the lower triangle is read
    TriangularFactor<double> factor;
    ASSERT_TRUE(TriangularFactor<double>::from_gram(G, factor));
    EXPECT_TRUE(is_clean_triangle(factor));
    EXPECT_TRUE(factors_rows(factor, X, 100));
  }
}

TEST(TriangularFactor, FromGramRefusesIndefiniteAndLeavesItsArgument) {
  Sampler sampler(11);
  TriangularFactor<double> factor = factor_of(sampler.gaussian(3, 5));
  const Matrix<double> before = factor.matrix();
  Matrix<double> indefinite = Matrix<double>::Identity(5, 5), with_nan = indefinite;
  indefinite(3, 3) = -1e-3;
  with_nan(2, 2) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(TriangularFactor<double>::from_gram(indefinite, factor));
  EXPECT_FALSE(TriangularFactor<double>::from_gram(with_nan, factor));
  EXPECT_TRUE(identical(factor.matrix(), before));
}

TEST(TriangularFactor, AccumulateOfColumnPanelsIsQRWithoutQ) {
  Sampler sampler(12);
  for (const Index width : {1, 3, 8, 9, 64}) {
    const RowMatrix<double> X = sampler.conditioned(45, 64, 1e3);
    TriangularFactor<double> factor(45, 0.0);
    for (Index first = 0; first < 64; first += width) {
      Matrix<double> panel = X.middleCols(first, std::min<Index>(width, 64 - first));
      factor.accumulate(panel);
    }
    EXPECT_TRUE(is_clean_triangle(factor));
    EXPECT_TRUE(factors_rows(factor, X, 200));
    EXPECT_TRUE(close(factor.matrix(), factor_of(X).matrix(), 1e-11));
  }
}

TEST(TriangularFactor, AccumulateOnDiagonalAddsRidge) {
  Sampler sampler(13);
  const RowMatrix<double> X = sampler.gaussian(30, 10);
  TriangularFactor<double> factor(30, std::sqrt(0.25));
  Matrix<double> C = X;
  factor.accumulate(C);
  RowMatrix<double> augmented(30, 40);
  augmented << X, 0.5 * RowMatrix<double>::Identity(30, 30);
  EXPECT_TRUE(factors_rows(factor, augmented, 100));
  EXPECT_LT(C.cwiseAbs().maxCoeff(), 1e100);  // destroyed, but finite
}

TEST(TriangularFactor, InverseIsTriangularAndInverse) {
  Sampler sampler(14);
  for (const Index n : {1, 2, 32, 33, 70, 131}) {
    const TriangularFactor<double> factor =
        factor_of(sampler.conditioned(n, n + 3, n > 1 ? 1e6 : 1));
    const Matrix<double> L = factor.matrix(), V = factor.inverse();
    EXPECT_EQ(Matrix<double>(V.triangularView<Eigen::StrictlyUpper>()).cwiseAbs().maxCoeff(), 0);
    const double limit = 10.0 * double(n) * eps<double>() * V.norm() * L.norm();
    EXPECT_TRUE(at_most((V * L - Matrix<double>::Identity(n, n)).norm(), limit, "|V L - I|")) << n;
    EXPECT_TRUE(at_most((L * V - Matrix<double>::Identity(n, n)).norm(), limit, "|L V - I|")) << n;
  }
}

TEST(TriangularFactor, SolvesHaveSmallResiduals) {
  Sampler sampler(15);
  const TriangularFactor<double> factor = factor_of(sampler.conditioned(50, 60, 1e5));
  const Matrix<double> L = factor.matrix();
  for (const Index t : {1, 8, 9, 20}) {  // either side of the switch between solvers
    const Matrix<double> B = sampler.gaussian(50, t);
    Matrix<double> x = B, y = B, z = B;
    factor.forward(x);
    factor.backward(y);
    factor.solve(z);
    const double limit = 1e3 * eps<double>() * L.norm();
    EXPECT_TRUE(at_most((L * x - B).norm(), limit * x.norm(), "|L x - b|"));
    EXPECT_TRUE(at_most((L.transpose() * y - B).norm(), limit * y.norm(), "|L^T y - b|"));
    EXPECT_TRUE(
        at_most((L * (L.transpose() * z) - B).norm(), limit * L.norm() * z.norm(), "|G z - b|"));
  }
}

TEST(TriangularFactor, SingularValueEstimatesErrOnTheirStatedSides) {
  Sampler sampler(16);
  for (const double condition : {1.0, 1e3, 1e9}) {
    const TriangularFactor<double> factor = factor_of(sampler.conditioned(40, 45, condition));
    const Vector<double> exact = singular_values(factor.matrix());
    const double largest = factor.largest_singular_value(),
                 smallest = factor.smallest_singular_value();
    EXPECT_LE(largest, exact.maxCoeff() * (1 + 1e-12));
    EXPECT_GE(largest, exact.maxCoeff() / 2);
    EXPECT_GE(smallest, exact.minCoeff() * (1 - 1e-6));
    EXPECT_LE(smallest, exact.minCoeff() * 2);
  }
  EXPECT_EQ(TriangularFactor<double>(3, 0.0).smallest_singular_value(), 0);
  EXPECT_EQ(TriangularFactor<double>().smallest_singular_value(), 0);
  EXPECT_EQ(TriangularFactor<double>().largest_singular_value(), 0);
}

}  // namespace
}  // namespace minnorm::test
