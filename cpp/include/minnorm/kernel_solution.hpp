// The factor, the solution and the certificate of a kernel model from its Gram
// matrix K, taken as evaluated: K in working precision is the definition of the
// problem, so no rounding of the kernel function enters the bounds.
//
// K is scaled by a power of two. f(x) = sum_B a_b k(x_b, x).
// Shapes: K (n, n), targets (n, t). Cost: factor 2 n^3 / 3, a solution with its
// certificate 2 r^2 t + n^2 t a step. Solutions take their memory from a workspace,
// kernel_solution_bytes of it; without dependents and for few outputs none from the heap.
// Throws NotPositiveDefiniteError.
#pragma once

#include <string>

#include "certificate.hpp"
#include "dual_system.hpp"
#include "gram_matrix.hpp"
#include "independent_rows.hpp"
#include "linear_solution.hpp"
#include "singular_value_bounds.hpp"

namespace minnorm::detail {

template <class S>
struct KernelProblem {
  const GramMatrix<S>& K;
  const Samples<S>& samples;
  const DualSystem<S>& system;
  const TargetScaling<S>& scaling;
  double alpha;   // scaled
  double lambda;  // proved lower bound on lambda_min(K_BB + alpha I), scaled
  double scale;   // K here is the user's times this
};

template <class S>
struct KernelSolution {
  KeptStorage<Matrix<S>> dual;      // (r, t)
  KeptStorage<Matrix<S>> residual;  // (n, t)
  int refinements = 0;
};

template <class S>
struct KernelFactorization {
  DualSystem<S> system;
  double lambda = 0;
  std::string method;
};

inline NotPositiveDefiniteError not_positive_definite(double found, double size) {
  return NotPositiveDefiniteError(
      "kernel matrix: expected positive semidefinite, got an eigenvalue near " +
      std::to_string(found / size) +
      " of the largest; increase alpha, or change the kernel or its parameters "
      "(a polynomial needs gamma > 0 and coef0 >= 0; a precomputed matrix must be a Gram matrix)");
}

// Relative to lambda_max. The factorisation runs in double, so for float data it
// is the rounding of the kernel values, not n of them, that hides an eigenvalue.
template <class S>
double rank_tolerance_of_kernel(Index n) {
  return std::max(static_cast<double>(n) * std::numeric_limits<double>::epsilon(),
                  8 * static_cast<double>(std::numeric_limits<S>::epsilon()));
}

// Cholesky of K + alpha I; where it breaks down without a ridge, pivoted Cholesky
// separates dependent samples (rank_tolerance_of_kernel) from a kernel that is
// not positive semidefinite. n^3 / 3 flops, twice with the proof of lambda.
template <class S>
KernelFactorization<S> factorize_kernel(const GramMatrix<S>& K, double alpha) {
  const Index n = K.size();
  Matrix<double> G = K.ordered().template cast<double>();
  G.diagonal().array() += alpha;
  const double rounding = std::numeric_limits<double>::epsilon() * G.diagonal().cwiseAbs().sum();
  const double error = alpha > 0 ? rounding : 0;
  KernelFactorization<S> out;
  TriangularFactor<double> factor;
  Indices all(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<Index>(i);
  if (TriangularFactor<double>::from_gram(lower_triangle_of(G), factor)) {
    const double smallest = factor.smallest_singular_value(),
                 largest = factor.largest_singular_value();
    if (alpha > 0 || smallest * smallest > 2 * rank_tolerance_of_kernel<S>(n) * largest * largest) {
      out.lambda = smallest_eigenvalue_of_gram(G, smallest * smallest, error);
      out.method = "cholesky";
      out.system = DualSystem<S>(TriangularFactor<S>(Matrix<S>(factor.matrix().template cast<S>())),
                                 all, {}, Matrix<S>(0, n), false);
      return out;
    }
  }
  double largest = G.diagonal().maxCoeff();
  {
    Vector<double> x = Vector<double>::Ones(n);
    for (int step = 0; step < 8 && x.norm() > 0; ++step) {
      x = G.selfadjointView<Eigen::Lower>() * (x / x.norm()).eval();
      largest = std::max(largest, x.norm());
    }
  }
  const double tolerance = rank_tolerance_of_kernel<S>(n) * largest;
  const double lowest = G.diagonal().minCoeff();
  if (alpha > 0 || !(lowest >= -tolerance)) throw not_positive_definite(lowest, largest);
  IndependentRows chosen = independent_rows_of_gram(G, tolerance);
  // What pivoting leaves of a semidefinite matrix is at most the last pivot on the
  // diagonal and, by Cauchy-Schwarz, off it; rounding adds n eps lambda_max.
  if (chosen.defect > 4 * tolerance) throw not_positive_definite(-chosen.defect, largest);
  const auto middle = chosen.order.begin() + chosen.rank;
  const Indices basis(chosen.order.begin(), middle), rest(middle, chosen.order.end());
  const TriangularFactor<double> L(std::move(chosen.L));
  const double smallest = L.smallest_singular_value();
  out.lambda = smallest_eigenvalue_of_gram(
      block_of(Matrix<double>(G.selfadjointView<Eigen::Lower>()), basis, basis),
      smallest * smallest, error);
  out.method = "pivoted-cholesky";
  out.system = DualSystem<S>(TriangularFactor<S>(Matrix<S>(L.matrix().template cast<S>())), basis,
                             rest, chosen.W.template cast<S>(), false);
  return out;
}

// Of the workspace, for the solution and its certificate.
template <class S>
std::size_t kernel_solution_bytes(Index n, Index slots, Index t) {
  return 3 * Workspace::bytes<S>(n * t) + Workspace::bytes<S>(t) +
         GramMatrix<S>::times_bytes(slots) + 2 * Workspace::bytes<double>(n);
}

template <class S>
void solve_kernel(const KernelProblem<S>& problem, KernelSolution<S>& out, Workspace& space) {
  const Workspace::Frame frame(space);
  const auto& system = problem.system;
  const auto targets = problem.samples.targets();
  const Index n = system.size(), t = targets.cols(), r = system.rank();
  out.refinements = 0;
  const auto Y = targets * static_cast<S>(problem.scaling.scale);
  const S alpha = static_cast<S>(problem.alpha);
  const double eps = static_cast<double>(std::numeric_limits<S>::epsilon());
  const double trace = problem.K.trace();

  out.dual.set_zero(r, t);
  out.residual.set_zero(n, t);
  auto dual = out.dual.view(), residual = out.residual.view();
  residual = Y;
  auto f = space.matrix<S>(r, t);
  Eigen::Map<typename DualSystem<S>::Bias> no_bias(space.take<S>(t), t);
  const auto measure = [&] {
    problem.K.times(system.basis(), dual, residual, space);
    residual = Y - residual;
  };
  // f: the right-hand side that is still to be met.
  const auto unmet = [&] {
    system.basis_values(residual, f);
    if (alpha > 0) f -= alpha * dual;
  };
  const auto step = [&] {
    system.solve_basis(f, no_bias);
    dual += f;
    measure();
    unmet();
  };
  const auto settled = [&] {
    for (Index k = 0; k < t; ++k) {
      const double size =
          trace / std::sqrt(static_cast<double>(n)) * column_norm(dual, k) + column_norm(Y, k);
      if (!(column_norm(f, k) <= 4 * eps * size)) return false;
    }
    return true;
  };
  if (system.carries()) {
    system.solve_carried(problem.scaling, dual, no_bias);
    measure();
    unmet();
  } else {
    unmet();
    step();
  }
  while (out.refinements < 3 && !settled()) {
    const Workspace::Frame trial(space);
    auto old_dual = space.matrix<S>(r, t), old_residual = space.matrix<S>(n, t);
    old_dual = dual;
    old_residual = residual;
    const double before = f.template cast<double>().norm();
    step();
    if (!(f.template cast<double>().norm() < before)) {
      dual = old_dual;
      residual = old_residual;
      break;
    }
    ++out.refinements;
  }
}

// All of the certificate but its name and the number forgotten.
template <class S>
void certify_kernel(const KernelProblem<S>& problem, const KernelSolution<S>& solution,
                    Certificate& c, Workspace& space) {
  const Workspace::Frame frame(space);
  const auto& system = problem.system;
  const auto targets = problem.samples.targets();
  const auto Y = targets * static_cast<S>(problem.scaling.scale);
  const double depth = problem.K.depth(targets.cols()) + 3;
  const double eps = static_cast<double>(std::numeric_limits<S>::epsilon());
  auto root = space.vector<double>(system.size()), gap = space.vector<double>(system.size());
  for (Index i = 0; i < root.size(); ++i) root(i) = std::sqrt(std::max(problem.K.diagonal(i), 0.0));
  const double trace = root.squaredNorm();

  c.clear_figures();
  c.rank = system.rank();
  c.n_retained = system.size();
  c.refinement_steps = solution.refinements;
  c.interpolates = problem.alpha == 0;
  double bound = 0;
  for (Index k = 0; k < targets.cols(); ++k) {
    const auto residual = solution.residual.view().col(k).template cast<double>();
    const auto dual = solution.dual.view().col(k).template cast<double>();
    // |K_ij| <= sqrt(K_ii K_jj): (|K| |a|)_i is at most root(i) sum_j root(j) |a_j|.
    double reach = 0;
    for (Index j = 0; j < system.rank(); ++j)
      reach += root(system.basis()[static_cast<std::size_t>(j)]) * std::abs(dual(j));
    const double size = std::sqrt(trace) * reach + column_norm(Y, k);
    const double evaluation = gamma<S>(depth) * size * (1 + 1e-10);
    const double norm = residual.norm();
    c.residual = std::max(c.residual, norm);
    c.interpolates = c.interpolates && norm <= 100 * eps * size;
    double output;
    if (problem.alpha > 0) {
      gap = residual;
      for (Index j = 0; j < system.rank(); ++j)
        gap(system.basis()[static_cast<std::size_t>(j)]) -= problem.alpha * dual(j);
      output = (gap.norm() + evaluation + gamma<double>(2) * problem.alpha * dual.norm()) *
               ridge_amplification(problem.lambda, problem.alpha);
    } else {
      const double root_lambda = std::sqrt(problem.lambda);
      output = system.rank() == 0 ? 0  // K = 0, f = 0 = f*
                                  : divided(norm + evaluation, root_lambda);
      if (system.rank() > 0 && !system.full_rank() && norm > evaluation) {
        // Least squares: with g = (K r)_B the distance is at most |g| / lambda^(3/2),
        // since K_BB (a - a*) = (I + W^T W)^-1 K_BB^-1 g.
        const Matrix<S> r = solution.residual.view().col(k);
        Matrix<S> Kr(system.size(), 1);
        problem.K.times(all_indices(system.size()), r, Kr, space);
        const Matrix<S> g = rows_of(Kr, system.basis());
        double weight = 0;
        for (Index i = 0; i < system.size(); ++i) weight += root(i) * std::abs(residual(i));
        const double gradient = column_norm(g, 0) + gamma<S>(depth) * std::sqrt(trace) * weight;
        output = std::min(output, divided(gradient, problem.lambda * root_lambda) +
                                      divided(evaluation, root_lambda));
      }
    }
    bound = std::isnan(output) ? std::numeric_limits<double>::infinity() : std::max(bound, output);
  }
  // |f|_H^2 = a^T K a: with K scaled by c and y by d, |f|_H = |f'|_H sqrt(c) / d.
  const double to_user = 1 / problem.scaling.scale;
  c.residual *= to_user;
  c.parameter_error_bound = bound * std::sqrt(problem.scale) * to_user * (1 + 1e-10);
  c.prediction_error_bound = c.parameter_error_bound;
  c.sigma_min_bound = problem.lambda / problem.scale;
  c.condition_bound = divided(trace + problem.alpha, problem.lambda);
}

}  // namespace minnorm::detail
