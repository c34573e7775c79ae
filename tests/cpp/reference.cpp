// Compiled once for all programs: decompositions are slow to build.
#include "reference.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <Eigen/SVD>

namespace minnorm::test {

RealMatrix pseudo_inverse_times(const RealMatrix& A, const RealMatrix& Y, double cut) {
  Eigen::CompleteOrthogonalDecomposition<RealMatrix> decomposition(A.rows(), A.cols());
  decomposition.setThreshold(static_cast<Real>(cut));
  decomposition.compute(A);
  return decomposition.solve(Y);
}

LinearReference linear_reference(const RealMatrix& X, const RealMatrix& Y, double alpha,
                                 bool intercept) {
  RealMatrix A = X, F = Y;
  RealMatrix x = RealMatrix::Zero(1, X.cols()), y = RealMatrix::Zero(1, Y.cols());
  if (intercept) {
    x = X.colwise().mean();
    y = Y.colwise().mean();
    A.rowwise() -= x.row(0);
    F.rowwise() -= y.row(0);
  }
  RealMatrix theta;
  if (alpha > 0) {
    RealMatrix G = A * A.transpose();
    G.diagonal().array() += static_cast<Real>(alpha);
    theta = A.transpose() * G.llt().solve(F);
  } else {
    theta = pseudo_inverse_times(A, F);
  }
  return {theta.transpose(), y - x * theta};
}

RealMatrix kernel_reference(const RealMatrix& K, const RealMatrix& Y, double alpha) {
  if (alpha == 0) return pseudo_inverse_times(K, Y);
  RealMatrix G = K;
  G.diagonal().array() += static_cast<Real>(alpha);
  return G.llt().solve(Y);
}

Matrix<double> triangular_factor(const Matrix<double>& X) {
  const Index n = X.rows();
  const Matrix<double> A = X.transpose();
  Matrix<double> L = Eigen::HouseholderQR<Matrix<double>>(A).matrixQR().topRows(n).transpose();
  L.triangularView<Eigen::StrictlyUpper>().setZero();
  for (Index j = 0; j < n; ++j)
    if (L(j, j) < 0) L.col(j) = -L.col(j);
  return L;
}

Vector<double> singular_values(const Matrix<double>& A) {
  return Eigen::JacobiSVD<Matrix<double>>(A).singularValues();
}

Real smallest_eigenvalue(const RealMatrix& G) {
  return Eigen::SelfAdjointEigenSolver<RealMatrix>(G, Eigen::EigenvaluesOnly)
      .eigenvalues()
      .minCoeff();
}

}  // namespace minnorm::test
