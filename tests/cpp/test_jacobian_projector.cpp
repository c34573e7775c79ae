// jacobian_projector.hpp: orthogonality, idempotence, symmetry, rank, and agreement
// with a projector in long double.
#include "minnorm/jacobian_projector.hpp"

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <memory>

#include "asserts.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

template <class S>
JacobianProjector<S> projector(const RowMatrix<S>& J, ProjectorOptions options = {}) {
  return JacobianProjector<S>(JacobianBlocks<S>::view(J), options);
}
template <class S, class T>
RowMatrix<T> projected(const JacobianProjector<S>& P, const RowMatrix<T>& V,
                       ProjectionReport* report = nullptr) {
  return P.template project<T>(ConstRowMatrixRef<T>(V), {}, report);
}

// (V - V Q^T Q), Q from a Householder QR of independent rows, in long double.
Long reference(const Long& J, const Long& V) {
  const Eigen::ColPivHouseholderQR<Long> qr(J.transpose());
  const Index r = qr.rank();
  const Long Q = qr.householderQ() * Long::Identity(J.cols(), r);
  return V - (V * Q) * Q.transpose();
}

// |J P v| <= 20 m eps |J| |v|, P P v = P v, u . P v = P u . v, to the same level.
template <class S, class T>
AssertionResult projects(const JacobianProjector<S>& P, const RowMatrix<S>& J,
                         const RowMatrix<T>& V) {
  const double m = static_cast<double>(J.rows()), limit = 20 * m * eps<T>();
  ProjectionReport report;
  const RowMatrix<T> once = projected(P, V, &report), twice = projected(P, once);
  const Matrix<double> rows = J.template cast<double>();
  const double norm = detail::largest_singular_value(rows);
  const Long left = J.template cast<long double>() * once.template cast<long double>().transpose();
  double orthogonality = 0, idempotence = 0;
  for (Index k = 0; k < V.rows(); ++k) {
    const double size = V.row(k).template cast<double>().norm();
    orthogonality = std::max(orthogonality, double(left.col(k).norm()) / (norm * size));
    idempotence =
        std::max(idempotence, (twice.row(k) - once.row(k)).template cast<double>().norm() / size);
  }
  if (!(orthogonality <= limit)) return AssertionFailure() << "|J P v| is " << orthogonality;
  if (!(idempotence <= limit)) return AssertionFailure() << "|P P v - P v| is " << idempotence;
  // What the report says was measured is what is there.
  if (!(std::abs(report.orthogonality - orthogonality) <= 0.5 * orthogonality + 4 * eps<double>()))
    return AssertionFailure() << "reported " << report.orthogonality << ", is " << orthogonality;
  const Long cross = V.template cast<long double>() * once.template cast<long double>().transpose();
  const Long sizes = V.template cast<long double>().rowwise().norm();
  const Long skew = cross - cross.transpose();
  const double symmetry =
      double((sizes.cwiseInverse().asDiagonal() * skew * sizes.cwiseInverse().asDiagonal())
                 .cwiseAbs()
                 .maxCoeff());
  return at_most(symmetry, limit, "skew part of P");
}

template <class S>
class JacobianProjectorTest : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(JacobianProjectorTest, Scalars);

TYPED_TEST(JacobianProjectorTest, AnyCondition) {
  using S = TypeParam;
  Sampler sampler(1);
  for (const double condition : {1.0, 1e2, 1e3, 1e5, 1e7, 1e9, 1e12, 1e14}) {
    if (20 * condition * eps<S>() > 1) continue;
    const auto J = sampler.conditioned<S>(20, 500, condition);
    const auto V = sampler.gaussian<S>(3, 500);
    const auto P = projector(J);
    EXPECT_EQ(P.rank(), 20) << condition;
    EXPECT_TRUE(projects(P, J, V)) << condition;
    if (condition > 1e9) continue;
    // A stored Q spans the rows of a J that is rounded; a factor is corrected on J itself.
    const bool stored = P.factorization() == JacobianFactorization::qr;
    const Long exact = reference(J.template cast<long double>(), V.template cast<long double>());
    EXPECT_TRUE(close(projected(P, V).template cast<double>(), exact.cast<double>(),
                      (stored ? 20 * condition : 20 * 20) * eps<S>()))
        << condition;
  }
}

TYPED_TEST(JacobianProjectorTest, EveryFactorization) {
  using S = TypeParam;
  Sampler sampler(2);
  const auto J = sampler.conditioned<S>(15, 400, 300);
  const auto V = sampler.gaussian<S>(2, 400);
  for (const auto choice : {JacobianFactorization::cholesky, JacobianFactorization::seminormal,
                            JacobianFactorization::qr}) {
    ProjectorOptions options;
    options.factorization = choice;
    const auto P = projector(J, options);
    EXPECT_EQ(P.factorization(), choice);
    EXPECT_EQ(P.rank(), 15);
    EXPECT_TRUE(projects(P, J, V)) << int(choice);
  }
}

TYPED_TEST(JacobianProjectorTest, GradedRowsAreWellConditioned) {
  using S = TypeParam;
  Sampler sampler(3);
  RowMatrix<S> J = sampler.gaussian<S>(15, 300);
  for (Index i = 0; i < 15; ++i) J.row(i) *= static_cast<S>(std::pow(10.0, -double(i)));
  const auto P = projector(J);
  EXPECT_EQ(P.rank(), 15);
  EXPECT_EQ(P.factorization(), JacobianFactorization::cholesky);
  EXPECT_TRUE(projects(P, J, sampler.gaussian<S>(2, 300)));
}

TYPED_TEST(JacobianProjectorTest, DependentRows) {
  using S = TypeParam;
  Sampler sampler(4);
  for (const auto& [m, p, r] : std::vector<std::array<Index, 3>>{
           {30, 200, 12}, {40, 15, 15}, {40, 15, 6}, {5, 300, 1}, {1, 40, 1}, {2, 9, 0}}) {
    const auto J = sampler.deficient<S>(m, p, r);
    const auto P = projector(J);
    EXPECT_EQ(P.rank(), r) << m << " x " << p;
    EXPECT_TRUE(projects(P, J, sampler.gaussian<S>(2, p))) << m << " x " << p;
  }
}

TYPED_TEST(JacobianProjectorTest, VectorsOfTheOtherPrecision) {
  using S = TypeParam;
  using T = std::conditional_t<std::is_same_v<S, float>, double, float>;
  Sampler sampler(5);
  const auto J = sampler.conditioned<S>(10, 200, 100);
  EXPECT_TRUE(projects(projector(J), J, sampler.gaussian<T>(2, 200)));
}

TYPED_TEST(JacobianProjectorTest, AnyScale) {
  using S = TypeParam;
  Sampler sampler(6);
  const auto J = sampler.gaussian<S>(8, 100);
  const auto V = sampler.gaussian<S>(1, 100);
  const RowMatrix<S> expected = projected(projector(J), V);
  const int range = std::is_same_v<S, float> ? 100 : 900;
  for (const int rows : {-range, range})
    for (const int vectors : {-range, range}) {
      const RowMatrix<S> scaled = J * std::ldexp(S(1), rows), v = V * std::ldexp(S(1), vectors);
      const RowMatrix<S> got = projected(projector(scaled), v);
      EXPECT_TRUE(close(got * std::ldexp(S(1), -vectors), expected, 4 * eps<S>()));
    }
}

TYPED_TEST(JacobianProjectorTest, TwoReadsForOneProjection) {
  using S = TypeParam;
  Sampler sampler(7);
  const auto J = sampler.conditioned<S>(12, 300, 10);
  const auto V = sampler.gaussian<S>(2, 300);
  ProjectionReport report;
  const RowMatrix<S> once =
      project_out(JacobianBlocks<S>::view(J), ConstRowMatrixRef<S>(V), {}, {}, &report);
  EXPECT_EQ(report.passes, 2);
  EXPECT_FALSE(report.reorthogonalised);
  EXPECT_TRUE(close(once, projected(projector(J), V), 8 * eps<S>()));
  const double removed = (V.row(0) - once.row(0)).template cast<double>().norm();
  EXPECT_GE(report.norm_removed, removed * (1 - 1e-6));
}

TYPED_TEST(JacobianProjectorTest, BlocksMakeNoDifference) {
  using S = TypeParam;
  Sampler sampler(8);
  const auto J = sampler.conditioned<S>(14, 2000, 50);
  const auto V = sampler.gaussian<S>(1, 2000);
  const RowMatrix<S> whole = projected(projector(J), V);
  using Block = typename JacobianBlocks<S>::Block;
  std::vector<typename JacobianBlocks<S>::ColumnBlock> grid;
  Index last_released = 0;
  for (const auto& [from, to] : std::vector<std::array<Index, 2>>{{0, 1}, {1, 700}, {700, 2000}}) {
    typename JacobianBlocks<S>::ColumnBlock column{to - from, {}};
    for (const auto& [top, end] : std::vector<std::array<Index, 2>>{{0, 5}, {5, 6}, {6, 14}})
      column.blocks.push_back(
          Block{const_cast<S*>(&J(top, from)), end - top, J.outerStride(), nullptr});
    grid.push_back(std::move(column));
  }
  const JacobianBlocks<S> blocks(grid, [&](Index, Index last) { last_released = last; });
  const JacobianProjector<S> P(blocks);
  EXPECT_TRUE(close(projected(P, V), whole, 2 * 14 * eps<S>()));  // of the report's criterion
  EXPECT_EQ(last_released, 2000);
}

TYPED_TEST(JacobianProjectorTest, FollowsDeletionsAndInsertions) {
  using S = TypeParam;
  for (const auto choice : {JacobianFactorization::automatic, JacobianFactorization::seminormal,
                            JacobianFactorization::qr}) {
    Sampler sampler(9);
    ProjectorOptions options;
    options.factorization = choice;
    std::vector<RowMatrix<S>> batches{sampler.deficient<S>(20, 90, 14)};
    RowMatrix<S> J = batches[0];
    auto P = projector(batches[0], options);
    batches.reserve(10);
    for (int step = 0; step < 9; ++step) {
      if (step % 3 == 2) {
        RowMatrix<S> more = sampler.gaussian<S>(3, 90);
        more.row(2) = more.row(0) + J.row(1);
        batches.push_back(more);
        const RowMatrix<S>& held = batches.back();
        P.append({{90, {{const_cast<S*>(held.data()), 3, 90, nullptr}}}});
        J = stacked(J, more);
      } else {
        const Indices gone = sampler.subset(J.rows(), 1 + sampler.below(3));
        P.erase(gone);
        J = without_rows(J, gone);
      }
      EXPECT_EQ(P.rank(), projector(J).rank()) << int(choice) << ", step " << step;
      EXPECT_TRUE(projects(P, J, sampler.gaussian<S>(2, 90))) << int(choice) << " " << step;
    }
  }
}

TEST(JacobianProjector, TruncationKeepsTheLeadingDirections) {
  Sampler sampler(10);
  RowMatrix<double> J = sampler.conditioned(10, 80, 1e4);
  J = detail::unit_rows(J);
  const auto V = sampler.gaussian(2, 80);
  const Eigen::BDCSVD<Matrix<double>> svd(Matrix<double>(J), Eigen::ComputeThinV);
  const Vector<double> s = svd.singularValues();
  EXPECT_TRUE(close(gram_eigenvalues(projector(J).space()), s.cwiseAbs2(), 1e-13));
  for (const Index keep : {1, 4, 9}) {
    ProjectorOptions options;
    options.rtol = s(keep) * s(keep) * 1.1 / (s(0) * s(0));
    const auto P = projector(J, options);
    EXPECT_EQ(P.rank(), keep);
    const Matrix<double> Vk = svd.matrixV().leftCols(keep);
    const RowMatrix<double> expected = V - (V * Vk) * Vk.transpose();
    EXPECT_TRUE(close(projected(P, V), expected, 1e-10)) << keep;
  }
}

TEST(JacobianProjector, DampingIsTikhonov) {
  Sampler sampler(11);
  RowMatrix<double> J = 7 * sampler.conditioned(12, 60, 1e3);
  J.row(3) = J.row(5);
  const auto V = sampler.gaussian(2, 60);
  const Matrix<double> G = J * J.transpose();
  const double largest = Eigen::SelfAdjointEigenSolver<Matrix<double>>(G).eigenvalues()(11);
  for (const double share : {1e-6, 1e-2, 1.0, 100.0}) {
    const Matrix<double> damped = G + share * largest * Matrix<double>::Identity(12, 12);
    const RowMatrix<double> expected = V - (damped.ldlt().solve(J * V.transpose())).transpose() * J;
    ProjectorOptions options;
    options.damping = share;
    options.damping_relative = true;
    EXPECT_TRUE(close(projected(projector(J, options), V), expected, 1e-9)) << share;
    options.damping = share * largest;
    options.damping_relative = false;
    EXPECT_TRUE(close(projected(projector(J, options), V), expected, 1e-9)) << share;
  }
}

TEST(JacobianProjector, StrengthAndCoefficients) {
  Sampler sampler(12);
  const auto J = sampler.conditioned(9, 70, 1e5);
  const auto V = sampler.gaussian(2, 70);
  const auto P = projector(J);
  const RowMatrix<double> PV = projected(P, V);
  EXPECT_TRUE(close(P.project<double>(V, 0.25), V - 0.25 * PV, 1e-15));
  const RowMatrix<double> a = P.coefficients<double>(V);
  EXPECT_TRUE(close(V - a * J, PV, 1e-9));
}

// A stored basis belongs to the copy, and outlives what it was copied from.
TEST(JacobianProjector, CopiesAreIndependent) {
  Sampler sampler(15);
  const auto J = sampler.conditioned(9, 70, 1e9);
  const auto V = sampler.gaussian(2, 70);
  ProjectorOptions options;
  options.factorization = JacobianFactorization::qr;
  auto original = std::make_unique<JacobianProjector<double>>(projector(J, options));
  const RowMatrix<double> expected = projected(*original, V);
  JacobianProjector<double> copy = *original, assigned = projector(sampler.gaussian(3, 70));
  assigned = copy;
  original->erase({0, 4});
  original.reset();
  EXPECT_EQ(projected(copy, V), expected);
  EXPECT_EQ(projected(assigned, V), expected);
  const JacobianProjector<double> moved = std::move(copy);
  EXPECT_EQ(projected(moved, V), expected);
}

TEST(JacobianProjector, WritesWhereItIsTold) {
  Sampler sampler(16);
  const auto J = sampler.gaussian(5, 40);
  const auto V = sampler.gaussian(2, 40);
  const auto P = projector(J);
  RowMatrix<double> wide = RowMatrix<double>::Constant(2, 50, 7);
  ProjectionWorkspace space;
  P.project<double>(V, wide.middleCols(3, 40), space);
  EXPECT_EQ(wide.middleCols(3, 40), projected(P, V));
  EXPECT_EQ(wide.leftCols(3), (RowMatrix<double>::Constant(2, 3, 7)));
  EXPECT_THROW(P.project<double>(V, wide, space), ShapeError);
}

TEST(JacobianProjector, NoRowsNaNAndWrongSizesAreErrors) {
  Sampler sampler(13);
  RowMatrix<double> J = sampler.gaussian(4, 30);
  EXPECT_THROW(projector(RowMatrix<double>(0, 30)), InputError);
  const auto P = projector(J);
  EXPECT_THROW(projected(P, sampler.gaussian(1, 29)), ShapeError);
  RowMatrix<double> v = sampler.gaussian(1, 30);
  v(0, 3) = std::numeric_limits<double>::infinity();
  EXPECT_THROW(projected(P, v), InputError);
  J(2, 7) = std::numeric_limits<double>::quiet_NaN();
  try {
    projector(J);
    FAIL() << "NaN was taken";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("row 2"), std::string::npos) << error.what();
  }
  auto Q = projector(RowMatrix<double>(sampler.gaussian(3, 30)));
  EXPECT_THROW(Q.erase({3}), UnknownSampleError);
  EXPECT_THROW(Q.erase({0, 1, 2}), InputError);
  const RowMatrix<double> narrow = sampler.gaussian(1, 29);
  EXPECT_THROW(Q.append({{29, {{const_cast<double*>(narrow.data()), 1, 29, nullptr}}}}),
               ShapeError);
  EXPECT_EQ(Q.rank(), 3);
}

TEST(JacobianProjector, ZeroVectorStaysZero) {
  Sampler sampler(14);
  const auto J = sampler.gaussian(3, 20);
  ProjectionReport report;
  EXPECT_TRUE(projected(projector(J), RowMatrix<double>(RowMatrix<double>::Zero(1, 20)), &report)
                  .isZero(0));
  EXPECT_EQ(report.orthogonality, 0);
}

}  // namespace
}  // namespace minnorm::test
