// The factor of a linear model from its rows: which rows are independent, L for
// them, and the proved bound on sigma_min.
//
// Invariant of the result: L L^T = G_BB with G = X X^T + s^2 1 1^T + alpha I in the
// scaled units of RowScaling, X_D = W X_B to the rank tolerance
//   max(n, p) eps sigma_max(X),   eps of the data's precision.
// Choice: the Gram matrix while cond(X) <= 0.015 / sqrt(eps) and its Cholesky
// factor proves a bound; else a Q-less QR of X^T, whose condition is not squared
// (semi-normal equations: Demmel and Higham, SIAM J. Matrix Anal. Appl. 14, 1993);
// rows that are dependent to the tolerance are sorted out by pivoting. The
// arithmetic is in double throughout. Cost: n^2 p + 2 n^3 / 3, or 4 n^2 p + 2 n^3.
// Throws nothing but std::bad_alloc; X is only read.
#pragma once

#include <string>

#include "dual_system.hpp"
#include "independent_rows.hpp"
#include "singular_value_bounds.hpp"

namespace minnorm {

enum class FactorizationChoice { automatic, cholesky, qr };

template <class S>
struct LinearFactorization {
  DualSystem<S> system;
  double sigma = 0;  // proved, scaled units; of G + alpha I: sqrt of lambda_min
  bool from_gram = true;
  std::string method;
};

namespace detail {

template <class S>
double rank_tolerance(Index n, Index p, double sigma_max) {
  return static_cast<double>(std::max(n, p)) *
         static_cast<double>(std::numeric_limits<S>::epsilon()) * sigma_max;
}

template <class S>
TriangularFactor<S> cast_factor(TriangularFactor<double> factor) {
  if constexpr (std::is_same_v<S, double>)
    return factor;
  else
    return TriangularFactor<S>(Matrix<S>(factor.matrix().template cast<S>()));
}

// Pivoted QR of X^T. For n <= p of L^T, which has the same Gram matrix and is
// n x n; for n > p of the gathered rows.
template <class S>
LinearFactorization<S> factorize_dependent(const Rows<S>& X, const RowScaling& how,
                                           const TriangularFactor<double>* factor,
                                           double frobenius) {
  const Index n = X.size();
  const Indices all = all_indices(n);
  Matrix<double> A;
  if (factor) {
    A = factor->matrix().transpose();
  } else {
    RowMatrix<double> gathered;
    gather_panel<double, S>(X, all, how, 0, gathered, how.augmented(X.cols()));
    A = gathered.transpose();
  }
  // R_11 of a column-pivoted QR is the largest row norm; sigma_max needs more.
  double sigma_max = 0;
  {
    Vector<double> x = Vector<double>::Ones(A.cols());
    for (int step = 0; step < 8 && A.size() > 0; ++step) {
      const double norm = x.norm();
      if (!(norm > 0)) break;
      x = A.transpose() * (A * (x / norm));
      sigma_max = std::sqrt(x.norm());
    }
    if (A.cols() > 0) sigma_max = std::max(sigma_max, A.colwise().norm().maxCoeff());
  }
  IndependentRows chosen =
      independent_rows(A, rank_tolerance<S>(n, how.augmented(X.cols()), sigma_max));
  A.resize(0, 0);
  const auto middle = chosen.order.begin() + chosen.rank;
  const Indices basis(chosen.order.begin(), middle), rest(middle, chosen.order.end());
  const TriangularFactor<double> L(std::move(chosen.L));
  LinearFactorization<S> out;
  out.sigma = smallest_singular_value_of_rows<S>(L, X, basis, how, 0, frobenius);
  out.from_gram = false;
  out.method = "pivoted-qr";
  out.system =
      DualSystem<S>(cast_factor<S>(L), basis, rest, chosen.W.template cast<S>(), how.offset > 0);
  return out;
}

}  // namespace detail

// `frobenius` is |X|_F with the constant column, scaled; `alpha` is scaled.
template <class S>
LinearFactorization<S> factorize_rows(const Rows<S>& X, const RowScaling& how, double alpha,
                                      FactorizationChoice choice, double frobenius) {
  const Index n = X.size(), columns = how.augmented(X.cols());
  const Indices all = all_indices(n);
  const bool bordered = how.offset > 0;
  if (alpha == 0 && n > columns) return detail::factorize_dependent<S>(X, how, nullptr, frobenius);

  const double eps = static_cast<double>(std::numeric_limits<double>::epsilon());
  LinearFactorization<S> out;
  TriangularFactor<double> factor;
  if (choice != FactorizationChoice::qr) {
    Matrix<double> G = detail::gram<S>(X, all, how);
    G.diagonal().array() += alpha;
    if (TriangularFactor<double>::from_gram(detail::lower_triangle_of(G), factor)) {
      const double smallest = factor.smallest_singular_value();
      const double largest = factor.largest_singular_value();
      const bool forced = choice == FactorizationChoice::cholesky;
      // Past 1/sqrt(eps) the Gram matrix no longer tells dependent rows apart.
      const double limit = forced ? 0.1 / std::sqrt(eps) : 0.015 / std::sqrt(eps);
      const double dependent = detail::rank_tolerance<S>(n, columns, largest);
      if (largest <= limit * smallest && (alpha > 0 || smallest > 2 * dependent)) {
        const double error = gamma<double>(detail::gram_depth(X.cols()) + 2) *
                             (frobenius * frobenius + static_cast<double>(n) * alpha);
        out.sigma = std::sqrt(detail::smallest_eigenvalue_of_gram(G, smallest * smallest, error));
        if (forced || out.sigma > 0) {
          out.method = "cholesky";
          out.system = DualSystem<S>(detail::cast_factor<S>(std::move(factor)), all, {},
                                     Matrix<S>(0, n), bordered);
          return out;
        }
      }
    }
  }
  factor = TriangularFactor<double>(n, std::sqrt(alpha));
  detail::for_each_panel<double, S>(X, all, how, std::max<Index>(detail::panel_columns, n / 4),
                                    [&](const RowMatrix<double>& panel, Index) {
                                      Matrix<double> C = panel;
                                      factor.accumulate(C);
                                    });
  const double smallest = factor.smallest_singular_value();
  const double dependent = detail::rank_tolerance<S>(n, columns, factor.largest_singular_value());
  if (alpha == 0 && !(smallest > 2 * dependent))
    return detail::factorize_dependent<S>(X, how, &factor, frobenius);
  out.from_gram = false;
  out.method = "qr";
  out.sigma = detail::smallest_singular_value_of_rows<S>(factor, X, all, how, alpha, frobenius);
  out.system =
      DualSystem<S>(detail::cast_factor<S>(std::move(factor)), all, {}, Matrix<S>(0, n), bordered);
  return out;
}

}  // namespace minnorm
