// Examines candidate samples of a kernel model against the span of the basis: the
// kernel counterpart of linear_append.hpp, with inner products in place of rows.
//
// With A = K_cB (K_BB + alpha I)^-1, C = K_cB - A (K_BB + alpha I) and
//   S = K_cc + alpha I - A K_Bc - C A^T,
// the Gram matrix of the residuals whatever rounding did to A, the new rows of L
// are [A L, chol(S)]. Pivoting decides who is independent, tolerance
// n eps lambda_max. Cost for m candidates 4 r^2 m + r m^2 flops.
// Throws NotPositiveDefiniteError, before anything changes.
#pragma once

#include "kernel_solution.hpp"

namespace minnorm::detail {

template <class S>
struct KernelGrowth {
  typename DualSystem<S>::Growth samples;
  double lambda = 0;    // proved for the basis once it has grown
  bool certain = true;  // false: rounding hides who is independent; refit
};

// cross (m, r): values of the candidates against the basis; own (m, m) theirs.
template <class S>
KernelGrowth<S> examine_kernel(const DualSystem<S>& system, const GramMatrix<S>& K,
                               const Matrix<S>& cross_values, const Matrix<S>& own,
                               const Indices& candidates, double alpha, double lambda) {
  const Indices& basis = system.basis();
  const Index r = system.rank(), m = own.rows();
  const Matrix<double> cross = cross_values.template cast<double>();
  const auto times_inverse = [&](const Matrix<double>& rows) {
    Matrix<S> t = rows.transpose().template cast<S>();
    system.factor().solve(t);
    return Matrix<double>(t.transpose().template cast<double>());
  };
  Matrix<double> A = times_inverse(cross), C;
  for (int round = 0; round < 2; ++round) {
    if (round > 0) A = (A + times_inverse(C)).template cast<S>().template cast<double>();
    Matrix<S> product(K.size(), A.rows());
    Workspace space;
    K.times(basis, A.transpose().template cast<S>(), product, space);
    C = cross - rows_of(product, basis).transpose().template cast<double>() - alpha * A;
  }
  Matrix<double> Sm = own.template cast<double>();
  Sm.diagonal().array() += alpha;
  const Vector<double> sizes = Sm.diagonal();
  Sm.noalias() -= A * cross.transpose();
  Sm.noalias() -= C * A.transpose();
  Sm = (0.5 * (Sm + Sm.transpose())).eval();

  const double held = system.factor().largest_singular_value();
  const double largest = std::max(held * held, sizes.maxCoeff());
  const double tolerance = rank_tolerance_of_kernel<S>(K.size() + m) * largest;
  KernelGrowth<S> out;
  out.lambda = lambda;
  // Entries of S are rounded by eps (sum_j |A_j| sqrt(k_jj))^2.
  const Vector<double> roots =
      rows_of(Matrix<double>(K.diagonal().cwiseMax(0.0).cwiseSqrt()), basis);
  const double spread = r > 0 ? (A.cwiseAbs() * roots).maxCoeff() : 0;
  if (alpha == 0 &&
      4 * static_cast<double>(std::numeric_limits<S>::epsilon()) * spread * spread > tolerance) {
    out.certain = false;
    return out;
  }
  if (Sm.diagonal().minCoeff() < -4 * tolerance)
    throw not_positive_definite(Sm.diagonal().minCoeff(), largest);
  IndependentRows chosen = independent_rows_of_gram(Sm, alpha > 0 ? 0 : tolerance);
  if (chosen.rank < m && (alpha > 0 || chosen.defect > 4 * tolerance))
    throw not_positive_definite(-chosen.defect, largest);

  const auto middle = chosen.order.begin() + chosen.rank;
  const Indices in(chosen.order.begin(), middle), rest(middle, chosen.order.end());
  for (const Index i : in) out.samples.samples.push_back(candidates[static_cast<std::size_t>(i)]);
  for (const Index i : rest)
    out.samples.dependents.push_back(candidates[static_cast<std::size_t>(i)]);
  if (chosen.rank > 0) {
    const Matrix<double> A_in = rows_of(A, in);
    const double weights = A_in.norm(), trace = K.trace() + double(r) * alpha;
    // C is evaluated in the precision of K, with |K_BB| at most its trace.
    const double depth = gamma<S>(static_cast<double>(K.slots()) + 6);
    const double c_error = depth * (cross.norm() + weights * trace);
    const double s_error =
        depth * (sizes.sum() + 2 * weights * cross.norm() + weights * weights * trace);
    const double estimate = TriangularFactor<double>(chosen.L).smallest_singular_value();
    const double residual_eigenvalue =
        smallest_eigenvalue_of_gram(block_of(Sm, in, in), estimate * estimate, s_error);
    const double off = rows_of(C, in).norm() * (1 + 1e-10) + c_error;
    out.lambda =
        r == 0 ? residual_eigenvalue : after_append(lambda, residual_eigenvalue, off, weights);
    out.samples.L21 =
        A_in.template cast<S>() * system.factor().matrix().template triangularView<Eigen::Lower>();
    out.samples.L22 = chosen.L.template cast<S>();
  }
  Matrix<double> weights(static_cast<Index>(rest.size()), r + chosen.rank);
  if (!rest.empty()) {
    weights.leftCols(r) = rows_of(A, rest) - chosen.W * rows_of(A, in);
    weights.rightCols(chosen.rank) = chosen.W;
  }
  out.samples.weights = weights.template cast<S>();
  return out;
}

// As renewed_sigma of linear_append.hpp, for K in which the new samples stand.
template <class S>
double renewed_lambda(const DualSystem<S>& system, const GramMatrix<S>& K, double alpha,
                      double lambda) {
  const double estimate = std::pow(system.factor().smallest_singular_value(), 2);
  if (!(lambda < estimate / 256)) return lambda;
  Matrix<double> G = K.block(system.basis(), system.basis()).template cast<double>();
  G.diagonal().array() += alpha;
  const double rounding =
      alpha > 0 ? std::numeric_limits<double>::epsilon() * G.diagonal().sum() : 0;
  return std::max(lambda, smallest_eigenvalue_of_gram(G, estimate, rounding));
}

}  // namespace minnorm::detail
