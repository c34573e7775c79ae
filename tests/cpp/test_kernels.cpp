// Kernels: the stated formulas, evaluated by blocks without loss of digits.
#include "minnorm/kernels.hpp"

#include <Eigen/Eigenvalues>

#include "asserts.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

const Kernel kernels[] = {
    {KernelType::linear, 1, 3, 1},       {KernelType::rbf, 0.3, 3, 1},
    {KernelType::laplacian, 0.2, 3, 1},  {KernelType::polynomial, 0.5, 3, 1},
    {KernelType::polynomial, 0.5, 2, 0}, {KernelType::polynomial, 0.05, 2.5, 8},
    {KernelType::matern32, 0.7, 3, 1},   {KernelType::matern52, 0.7, 3, 1}};
bool has_unit_diagonal(const Kernel& k) {
  return k.type != KernelType::linear && k.type != KernelType::polynomial;
}

// Matern kernels by their length scale l, gamma = 1 / (2 l^2).
long double direct(const Kernel& k, const Vector<long double>& x, const Vector<long double>& z) {
  const long double gamma = k.gamma, d = (x - z).norm(), l = 1 / std::sqrt(2 * gamma);
  const long double a3 = std::sqrt(3.0L) * d / l, a5 = std::sqrt(5.0L) * d / l;
  switch (k.type) {
    case KernelType::linear:
      return x.dot(z);
    case KernelType::polynomial:
      return std::pow(gamma * x.dot(z) + static_cast<long double>(k.coef0),
                      static_cast<long double>(k.degree));
    case KernelType::rbf:
      return std::exp(-gamma * d * d);
    case KernelType::laplacian:
      return std::exp(-gamma * (x - z).cwiseAbs().sum());
    case KernelType::matern32:
      return (1 + a3) * std::exp(-a3);
    case KernelType::matern52:
      return (1 + a5 + a5 * a5 / 3) * std::exp(-a5);
    default:
      return std::numeric_limits<long double>::quiet_NaN();
  }
}

template <class S>
Matrix<S> values(const Kernel& kernel, const RowMatrix<S>& A, const RowMatrix<S>& B) {
  Matrix<S> K(A.rows(), B.rows());
  evaluate<S>(kernel, A, B, K);
  return K;
}
template <class S>
Matrix<S> values(const Kernel& kernel, const RowMatrix<S>& A) {
  Matrix<S> K = Matrix<S>::Constant(A.rows(), A.rows(), S(99));
  evaluate_symmetric<S>(kernel, A, K);
  return K;
}

template <class S>
void expect_direct_formula(Index n, Index m) {
  Sampler sampler(1);
  const RowMatrix<S> A = sampler.gaussian<S>(n, 7), B = sampler.gaussian<S>(m, 7);
  for (const Kernel& kernel : kernels) {
    const Matrix<S> K = values<S>(kernel, A, B);
    double worst = 0;
    for (Index i = 0; i < n; i += 1 + n / 60)
      for (Index j = 0; j < m; j += 1 + m / 60) {
        const Vector<long double> x = A.row(i).template cast<long double>(),
                                  z = B.row(j).template cast<long double>();
        const double exact = static_cast<double>(direct(kernel, x, z));
        double size = 1 + std::abs(exact);
        if (kernel.type == KernelType::linear) size += double(x.norm() * z.norm());
        if (kernel.type == KernelType::polynomial)  // condition of the power
          size +=
              kernel.degree *
              std::pow(kernel.gamma * double(x.norm() * z.norm()) + kernel.coef0, kernel.degree);
        worst = std::max(worst, std::abs(static_cast<double>(K(i, j)) - exact) / size);
      }
    EXPECT_TRUE(at_most(worst, 60 * eps<S>(), "error"))
        << "type " << static_cast<int>(kernel.type) << " degree " << kernel.degree;
  }
}

TEST(Kernels, DirectFormula) { expect_direct_formula<double>(12, 9); }
TEST(Kernels, DirectFormulaAcrossBlocks) { expect_direct_formula<double>(300, 270); }
TEST(Kernels, DirectFormulaInFloat) { expect_direct_formula<float>(40, 30); }

TEST(Kernels, PolynomialDegrees) {
  const RowMatrix<double> A = RowMatrix<double>::Constant(1, 1, 1.25);
  for (const double degree : {0.0, 1.0, 2.0, 3.0, 7.0, 10.0, 64.0, 65.0, 0.5, 1.5}) {
    const Kernel kernel{KernelType::polynomial, 0.8, degree, 0.125};
    const double exact = std::pow(0.8 * 1.5625 + 0.125, degree);
    EXPECT_NEAR(values<double>(kernel, A)(0, 0), exact, 1e-13 * exact) << degree;
  }
}

TEST(Kernels, SymmetricExactlyAndAsEvaluated) {
  Sampler sampler(2);
  const RowMatrix<double> A = sampler.gaussian(300, 5);
  for (const Kernel& kernel : kernels) {
    const Matrix<double> K = values<double>(kernel, A);
    EXPECT_TRUE(identical(K, K.transpose()));
    EXPECT_TRUE(close(K, values<double>(kernel, A, A), 1e-13));
  }
}

TEST(Kernels, DuplicatesAreExact) {
  Sampler sampler(3);
  RowMatrix<double> A = sampler.gaussian(290, 6);
  A.array() += 1e4;
  A.row(7) = A.row(3);
  A.row(280) = A.row(3);  // in another block
  for (const Kernel& kernel : kernels) {
    if (!has_unit_diagonal(kernel)) continue;
    const Matrix<double> K = values<double>(kernel, A);
    EXPECT_EQ(K(7, 3), 1);
    EXPECT_EQ(K(280, 3), 1);
    EXPECT_EQ((K.diagonal().array() - 1).abs().maxCoeff(), 0);
    EXPECT_LT((K.row(7) - K.row(280)).cwiseAbs().maxCoeff(), 1e-10);
  }
}

// Cancellation costs at most a factor of 1024, at every distance and far from the
// origin.
template <class S>
void expect_distances_relatively_accurate() {
  Sampler sampler(4);
  const Index p = 9;
  const RowMatrix<S> A = (sampler.gaussian(40, p).array() + 1e3).matrix().template cast<S>();
  RowMatrix<S> B = A;
  for (Index i = 0; i < 40; ++i)
    B.row(i) += sampler.gaussian<S>(1, p) * static_cast<S>(std::pow(10.0, -double(i) / 8));
  Matrix<S> D(40, 40);
  detail::squared_distances<S>(A, B, D);
  for (Index i = 0; i < 40; ++i)
    for (Index j = 0; j < 40; ++j) {
      const double exact =
          (A.row(i).template cast<double>() - B.row(j).template cast<double>()).squaredNorm();
      EXPECT_TRUE(at_most(std::abs(static_cast<double>(D(i, j)) - exact),
                          1024 * 4.0 * double(p) * eps<S>() * exact, "squared distance"))
          << i << " " << j;
    }
}
TEST(Kernels, DistancesOfClosePairsKeepTheirDigits) {
  expect_distances_relatively_accurate<double>();
  expect_distances_relatively_accurate<float>();
}

TEST(Kernels, CommonOffsetOfTheSamplesCostsNothing) {
  Sampler sampler(5);
  // Multiples of 2^-10 below 2^3, so that adding 2^20 is exact.
  const RowMatrix<double> A = (sampler.gaussian(30, 4).array() * 0x1p10).round().matrix() * 0x1p-10;
  const RowMatrix<double> far = (A.array() + 0x1p20).matrix();
  for (const Kernel& kernel : kernels) {
    if (!has_unit_diagonal(kernel)) continue;
    EXPECT_TRUE(close(values<double>(kernel, far), values<double>(kernel, A), 1e-12));
  }
}

TEST(Kernels, PositiveSemidefinite) {
  Sampler sampler(6);
  const RowMatrix<double> A = sampler.gaussian(40, 3);
  for (const Kernel& kernel : kernels) {
    if (kernel.degree != std::floor(kernel.degree)) continue;  // not a kernel in general
    const Matrix<double> K = values<double>(kernel, A);
    const Eigen::SelfAdjointEigenSolver<Matrix<double>> eigen(K, Eigen::EigenvaluesOnly);
    EXPECT_GE(eigen.eigenvalues().minCoeff(), -1e-13 * eigen.eigenvalues().maxCoeff());
  }
}

TEST(Kernels, NamesAndParametersAreChecked) {
  EXPECT_EQ(kernel_type("matern52"), KernelType::matern52);
  EXPECT_EQ(kernel_type("precomputed"), KernelType::precomputed);
  EXPECT_THROW(kernel_type("gaussian"), InputError);
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinity = std::numeric_limits<double>::infinity();
  EXPECT_NO_THROW(require_valid({KernelType::rbf, 1, 0, -1}));
  for (const double gamma : {0.0, -1.0, nan, infinity})
    EXPECT_THROW(require_valid({KernelType::rbf, gamma, 3, 1}), InputError);
  for (const double degree : {-1.0, nan, infinity})
    EXPECT_THROW(require_valid({KernelType::polynomial, 1, degree, 1}), InputError);
  for (const double coef0 : {nan, infinity})
    EXPECT_THROW(require_valid({KernelType::polynomial, 1, 3, coef0}), InputError);
}

TEST(Kernels, ShapesAreChecked) {
  const RowMatrix<double> A = RowMatrix<double>::Ones(2, 3), B = RowMatrix<double>::Ones(2, 4);
  Matrix<double> K(2, 2);
  EXPECT_THROW(evaluate<double>(Kernel{}, A, B, K), ShapeError);
  EXPECT_THROW(evaluate<double>({KernelType::precomputed, 1, 3, 1}, A, A, K), InputError);
}

}  // namespace
}  // namespace minnorm::test
