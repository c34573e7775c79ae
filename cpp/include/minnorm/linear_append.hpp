// Examines candidate rows against the span of the basis: the independent ones
// join L, the others become dependents with their weights.
//
// With A the weights of the candidates on the basis and E = X_c - A X_B what is
// left, [A L, L_22] are the new rows of L, L_22 from a pivoted QR of E^T: from the
// residual vectors, never from a difference of squares. A is corrected once by
// E X_B^T G^-1 ("twice is enough"). With a ridge the rows carry sqrt(alpha) I.
// Cost for m candidates: 3 passes over X_B at 4 m r p flops.
// Throws nothing but std::bad_alloc; the system is only read.
#pragma once

#include "linear_factorization.hpp"

namespace minnorm::detail {

template <class S>
struct LinearGrowth {
  typename DualSystem<S>::Growth rows;
  double sigma = 0;     // proved for the basis once it has grown
  bool certain = true;  // false: rounding hides who is independent; refit
};

// `sigma` is the proved bound for the basis before, `frobenius` that of all rows.
template <class S>
LinearGrowth<S> examine_rows(const DualSystem<S>& system, const Rows<S>& X,
                             const Indices& candidates, const RowScaling& how, double alpha,
                             double sigma, double frobenius) {
  const Indices basis = system.basis();
  const Index r = system.rank(), m = static_cast<Index>(candidates.size());
  const Index columns = how.augmented(X.cols());
  const auto times_inverse = [&](const Matrix<double>& rows) {  // rows G^-1
    Matrix<S> t = rows.transpose().template cast<S>();
    system.factor().solve(t);
    return Matrix<double>(t.transpose().template cast<double>());
  };

  Matrix<double> A = times_inverse(cross_gram<S>(X, candidates, basis, how));
  Matrix<double> C, E(m, columns);
  RowMatrix<double> own;
  Vector<double> before = Vector<double>::Constant(m, std::numeric_limits<double>::infinity());
  // Each round shrinks what is left of a dependent row by eps cond(X), down to
  // rounding; one that no longer shrinks is what it is.
  for (int round = 0; round < 6; ++round) {
    if (round > 0) A += times_inverse(C);
    C = -alpha * A;
    for_each_panel<double, S>(
        X, basis, how, panel_columns, [&](const RowMatrix<double>& panel, Index first) {
          gather_panel<double, S>(X, candidates, how, first, own, panel.cols());
          own.noalias() -= A * panel;
          C.noalias() += own * panel.transpose();
          E.middleCols(first, panel.cols()) = own;
        });
    const Vector<double> left = E.rowwise().norm();
    if (round > 0 && (left.array() > 0.25 * before.array()).all()) break;
    before = left;
  }

  Matrix<double> gram = Matrix<double>::Zero(m, m);
  IndependentRows chosen;
  bool uncertain = false;
  if (alpha > 0) {
    gram.selfadjointView<Eigen::Lower>().rankUpdate(E);
    gram.selfadjointView<Eigen::Lower>().rankUpdate(A, alpha);
    gram.diagonal().array() += alpha;
    chosen = independent_rows_of_gram(gram, 0);
  } else {
    const double largest = E.size() > 0 ? E.rowwise().norm().maxCoeff() : 0;
    const double held = static_cast<double>(system.factor().largest_singular_value());
    const double tolerance = rank_tolerance<S>(X.size(), columns, std::max(held, largest));
    chosen = independent_rows(E.transpose(), tolerance);
    // E is rounded by eps sum |A_j| |x_j|: on an ill-conditioned basis A is large.
    const Vector<double> lengths =  // |x_k| is that of row k of L
        system.factor().matrix().rowwise().norm().template cast<double>();
    const double noise = r > 0 ? (A.cwiseAbs() * lengths).maxCoeff() : 0;
    uncertain = 4 * std::numeric_limits<double>::epsilon() * noise > tolerance;
  }

  const auto middle = chosen.order.begin() + chosen.rank;
  const Indices in(chosen.order.begin(), middle), rest(middle, chosen.order.end());
  LinearGrowth<S> out;
  out.sigma = sigma;
  out.certain = !uncertain;
  for (const Index i : in) out.rows.samples.push_back(candidates[static_cast<std::size_t>(i)]);
  for (const Index i : rest) out.rows.dependents.push_back(candidates[static_cast<std::size_t>(i)]);
  if (chosen.rank > 0) {
    const Matrix<double> A_in = rows_of(A, in), E_in = rows_of(E, in);
    Matrix<double> S_in = Matrix<double>::Zero(chosen.rank, chosen.rank);
    S_in.selfadjointView<Eigen::Lower>().rankUpdate(E_in);
    if (alpha > 0) {
      S_in.selfadjointView<Eigen::Lower>().rankUpdate(A_in, alpha);
      S_in.diagonal().array() += alpha;
    }
    // E is rounded by at most gamma_{r+2} (|X_c| + |A| |X_B|), in norm.
    const double weights = A_in.norm(), left = E_in.norm();
    const double rounding =
        gamma<double>(static_cast<double>(r) + 3) * frobenius * (1 + weights) * (1 + 1e-10);
    const double s_error = gamma<double>(gram_depth(X.cols()) + static_cast<double>(r)) *
                               (left * left + alpha * (weights * weights + double(chosen.rank))) +
                           rounding * (2 * left + rounding);
    const double c_error = rounding * frobenius + gamma<double>(gram_depth(X.cols()) + 3) *
                                                      (left * frobenius + alpha * weights);
    const TriangularFactor<double> L22(chosen.L);
    const double estimate = L22.smallest_singular_value();
    const double lambda = smallest_eigenvalue_of_gram(S_in, estimate * estimate, s_error);
    const double cross = rows_of(C, in).norm() * (1 + 1e-10) + c_error;
    out.sigma =
        r == 0 ? std::sqrt(lambda) : std::sqrt(after_append(sigma * sigma, lambda, cross, weights));

    out.rows.L21 =
        A_in.template cast<S>() * system.factor().matrix().template triangularView<Eigen::Lower>();
    out.rows.L22 = chosen.L.template cast<S>();
  }
  Matrix<double> weights(static_cast<Index>(rest.size()), r + chosen.rank);
  if (!rest.empty()) {
    weights.leftCols(r) = rows_of(A, rest) - chosen.W * rows_of(A, in);
    weights.rightCols(chosen.rank) = chosen.W;
  }
  out.rows.weights = weights.template cast<S>();
  return out;
}

// The inherited bound loses a factor with every append; it is proved anew once it
// has lost more than 16.
template <class S>
double renewed_sigma(const DualSystem<S>& system, const Rows<S>& X, const RowScaling& how,
                     double alpha, double sigma, double frobenius) {
  if (!(sigma < system.factor().smallest_singular_value() / 16)) return sigma;
  const TriangularFactor<double> L(
      Matrix<double>(system.factor().matrix().template cast<double>()));
  return std::max(sigma,
                  smallest_singular_value_of_rows<S>(L, X, system.basis(), how, alpha, frobenius));
}

}  // namespace minnorm::detail
