// Proved lower bounds on the smallest singular value of the rows held, the
// denominator of every certificate. Each returns 0 where nothing can be proved.
//
// The bound is computed once, at the fit. Deleting rows keeps it valid (Cauchy
// interlacing); adding rows needs `after_append` or a new proof.
// All of this runs in double, on float data too. Cost: of_gram n^3/3 flops,
// of_rows 2 n^2 p + n^3, after_append O(m^3) beyond its inputs.
// Throws nothing but std::bad_alloc.
#pragma once

#include <algorithm>
#include <cmath>

#include "row_passes.hpp"
#include "triangular_factor.hpp"

namespace minnorm::detail {

// A bound computed from few rounded operations, moved to the safe side.
inline double safely_below(double x) { return std::max(0.0, x * (1 - 1e-12)); }

// lambda_min(G) from below, where |G - G_exact|_2 <= error. If the Cholesky
// factorisation of G - tau I runs to completion, lambda_min(G - tau I) >=
// -gamma_{n+1} / (1 - gamma_{n+1}) tr (Rump, BIT 46, 2006, Theorem 2.3); two more
// roundings cover the subtraction and the reciprocal pivots. `estimate` of
// lambda_min is from above; tau starts close below it.
inline double smallest_eigenvalue_of_gram(const Matrix<double>& G, double estimate, double error) {
  const Index n = G.rows();
  if (n == 0) return 0;
  const double g = gamma<double>(static_cast<double>(n) + 3);
  const double slack = g / (1 - g) * G.diagonal().cwiseAbs().sum() + error;
  for (const double share : {0.9, 0.5, 0.1}) {
    const double tau = share * estimate;
    if (!(tau > slack)) return 0;
    Matrix<double> shifted = lower_triangle_of(G);
    shifted.diagonal().array() -= tau;
    if (cholesky_in_place<double>(shifted)) return safely_below(tau - slack);
  }
  return 0;
}

// Upper bound on |V|_2: the least of |V|_F, sqrt(|V|_1 |V|_inf), |V^T V|_F^(1/2).
inline double norm_upper_bound(const Matrix<double>& V) {
  const double frobenius = V.norm();
  const double mixed =
      std::sqrt(V.cwiseAbs().colwise().sum().maxCoeff() * V.cwiseAbs().rowwise().sum().maxCoeff());
  const Index n = V.rows();
  Matrix<double> square = Matrix<double>::Zero(n, n);
  square.selfadjointView<Eigen::Lower>().rankUpdate(V.transpose());
  const double g = gamma<double>(static_cast<double>(n) + 2);
  const double below = square.triangularView<Eigen::StrictlyLower>().toDenseMatrix().squaredNorm();
  const double gram =
      std::sqrt(2 * below + square.diagonal().squaredNorm()) + g * frobenius * frobenius;
  return std::min({frobenius, mixed, std::sqrt(gram)}) *
         (1 + gamma<double>(4 * static_cast<double>(n) + 8));
}

// sigma_min(X_B) from below for any lower-triangular L, without a word on how
// accurate L is: with V = fl(L^-1) and Z = V X_B,
//   sigma_min(X_B) >= sigma_min(Z) / |V|_2,  sigma_min(Z)^2 >= 1 - |I - Z Z^T|.
// Z is formed panel by panel. Its rounding is at most gamma_n |V|_F |X|_F, that of
// Z Z^T at most gamma_d |Z|_F^2. A ridge enters as the columns sqrt(alpha) I.
template <class S>
double smallest_singular_value_of_rows(const TriangularFactor<double>& factor, const Rows<S>& X,
                                       const Indices& basis, const RowScaling& how, double alpha,
                                       double rows_frobenius) {
  const Index n = factor.size();
  if (n == 0) return 0;
  const Matrix<double> V = factor.inverse();
  if (!V.allFinite()) return 0;
  Matrix<double> E = Matrix<double>::Identity(n, n), Z;
  for_each_panel<double, S>(X, basis, how, panel_columns,
                            [&](const RowMatrix<double>& panel, Index) {
                              Z.noalias() = V.template triangularView<Eigen::Lower>() * panel;
                              add_outer_product<double>(Z, -1.0, E);
                            });
  if (alpha > 0) E.template selfadjointView<Eigen::Lower>().rankUpdate(V, -alpha);
  const double below =
      E.template triangularView<Eigen::StrictlyLower>().toDenseMatrix().squaredNorm();
  const double defect = std::sqrt(2 * below + E.diagonal().squaredNorm());
  const double z_squared = static_cast<double>(n) * (1 + defect);
  const double gram_error =
      gamma<double>(gram_depth(X.cols()) + (alpha > 0 ? static_cast<double>(n) + 3 : 1)) *
      (z_squared + static_cast<double>(n));
  const double z_error =
      gamma<double>(static_cast<double>(n) + 1) * V.norm() * (1 + 1e-10) *
      std::sqrt(rows_frobenius * rows_frobenius + static_cast<double>(n) * alpha);
  const double sigma_z = 1 - defect * (1 + 1e-10) - gram_error;
  if (!(sigma_z > 0)) return 0;
  return safely_below((std::sqrt(sigma_z) - z_error) / norm_upper_bound(V));
}

// Rows [X; Y], Y = A X + E: with T = [I 0; A I], sigma([X; Y]) >= sigma([X; E]) /
// |T^-1|, sigma([X; E])^2 >= min(sigma(X)^2, lambda_min(E E^T)) - |E X^T|, and
// |T^-1| <= (|A| + sqrt(|A|^2 + 4)) / 2. Holds for any A. Squares throughout.
inline double after_append(double old_squared, double residual_eigenvalue, double cross_norm,
                           double weights_norm) {
  const double t = (weights_norm + std::sqrt(weights_norm * weights_norm + 4)) / 2 * (1 + 1e-12);
  return safely_below((std::min(old_squared, residual_eigenvalue) - cross_norm) / (t * t));
}

}  // namespace minnorm::detail
