// Solution of a linear model from its factor, refined, and its certificate.
//
// Everything here is in scaled units: X times frame.scale, Y by its TargetScaling. One
// fused pass over X gives theta and its residual; corrections theta += X_B^T M r
// follow while the residual is above the rounding of its own evaluation, three at
// most, and only if they lessen it.
// Shapes: X (n, p), Y (n, t). Cost: 4 n p t + 2 r^2 t a step. The problem is only read.
// Memory comes from a workspace, solution_bytes of it; without dependents, for few
// outputs and a solution that need not grow, none from the heap. Throws nothing but
// std::bad_alloc.
#pragma once

#include "certificate.hpp"
#include "dual_system.hpp"
#include "fused_pass.hpp"
#include "samples.hpp"

namespace minnorm::detail {

template <class S>
struct LinearProblem {
  const Rows<S>& rows;
  const Samples<S>& samples;  // targets (n, t), user units
  const DualSystem<S>& system;
  const RowScaling& frame;
  const TargetScaling<S>& scaling;
  KeptStorage<Vector<double>>::ConstMap norms;  // of the scaled rows
  double alpha;                                 // scaled
  double sigma;                                 // proved, scaled
};

template <class S>
struct LinearSolution {
  using PerOutput = Eigen::Matrix<S, 1, Eigen::Dynamic>;
  RowMatrix<S> theta;               // (t, p)
  PerOutput bias;                   // (t)
  KeptStorage<Matrix<S>> dual;      // (r, t)
  KeptStorage<Matrix<S>> residual;  // (n, t), of the model: y - X theta - b
  Vector<double> weight;            // (t) sum of |a_i| |x_i| over all passes
  int refinements = 0;
};

template <class D>
double column_norm(const Eigen::MatrixBase<D>& A, Index k) {
  return A.col(k).template cast<double>().norm();
}
template <class S>
double row_norm(const RowMatrix<S>& A, Index k) {
  return A.row(k).template cast<double>().norm();
}

// The targets as they enter.
template <class S>
MatrixMap<S> centred_targets(const LinearProblem<S>& problem, Workspace& space) {
  const auto targets = problem.samples.targets();
  auto Y = space.matrix<S>(targets.rows(), targets.cols());
  Y = targets * static_cast<S>(problem.scaling.scale);
  Y.rowwise() -= problem.scaling.centre;
  return Y;
}

// Of the workspace, for the solution and its certificate.
template <class S>
std::size_t solution_bytes(Index n, Index p, Index t) {
  return 4 * Workspace::bytes<S>(n * t) + Workspace::bytes<S>(p * t) + 2 * Workspace::bytes<S>(t) +
         Workspace::bytes<double>(t) + Workspace::bytes<double>(n) + pass_bytes<S>(n, p, t);
}

template <class S>
void solve_linear(const LinearProblem<S>& problem, LinearSolution<S>& out, Workspace& space) {
  using PerOutput = typename LinearSolution<S>::PerOutput;
  const Workspace::Frame frame(space);
  const auto& system = problem.system;
  const Index n = problem.rows.size(), t = problem.samples.targets().cols(), r = system.rank();
  out.refinements = 0;
  const auto Y = centred_targets(problem, space);
  const double frobenius = problem.norms.norm();
  const S alpha = static_cast<S>(problem.alpha);
  const double eps = static_cast<double>(std::numeric_limits<S>::epsilon());

  out.theta.setZero(t, problem.rows.cols());
  out.bias.setZero(t);
  out.weight.setZero(t);
  out.dual.set_zero(r, t);
  out.residual.set_zero(n, t);
  auto dual = out.dual.view(), residual = out.residual.view();
  residual = Y;

  auto f = space.matrix<S>(r, t);
  Eigen::Map<PerOutput> bias(space.take<S>(t), t);
  // f: the right-hand side of the dual system that is still to be met.
  const auto unmet = [&] {
    system.basis_values(residual, f);
    if (alpha > 0) f -= alpha * dual;
  };
  const auto advance = [&] {
    dual += f;
    out.bias += bias;
    for (Index k = 0; k < t; ++k)
      for (Index i = 0; i < r; ++i)
        out.weight(k) += std::abs(static_cast<double>(f(i, k))) *
                         problem.norms(system.basis()[static_cast<std::size_t>(i)]);
    residual = Y;
    residual.rowwise() -= out.bias;
    fused_pass<S>(problem.rows, system.basis(), f, problem.frame.scale, out.theta, residual, space);
    unmet();
  };
  const auto step = [&] {
    system.solve_basis(f, bias);
    advance();
  };
  const auto settled = [&] {
    for (Index k = 0; k < t; ++k) {
      const double size = frobenius * row_norm<S>(out.theta, k) + column_norm(Y, k) +
                          std::sqrt(static_cast<double>(n)) * std::abs(double(out.bias(k)));
      if (!(column_norm(f, k) <= 4 * eps * size)) return false;
    }
    return true;
  };

  if (system.carries()) {
    system.solve_carried(problem.scaling, f, bias);
    advance();
  } else {
    unmet();
    step();
  }
  while (out.refinements < 3 && !settled()) {
    const Workspace::Frame trial(space);
    auto old_theta = space.row_matrix<S>(t, out.theta.cols());
    auto old_dual = space.matrix<S>(r, t), old_residual = space.matrix<S>(n, t);
    Eigen::Map<PerOutput> old_bias(space.take<S>(t), t);
    auto old_weight = space.vector<double>(t);
    old_theta = out.theta;
    old_dual = dual;
    old_residual = residual;
    old_bias = out.bias;
    old_weight = out.weight;
    const double before = f.template cast<double>().norm();
    step();
    if (!(f.template cast<double>().norm() < before)) {
      out.theta = old_theta;
      dual = old_dual;
      residual = old_residual;
      out.bias = old_bias;
      out.weight = old_weight;
      break;
    }
    ++out.refinements;
  }
}

// Bounds for one output, in scaled units; stated in certificate.hpp.
struct LinearBounds {
  double residual, parameter, intercept;
  bool interpolates;
};

template <class S>
LinearBounds bound_output(const LinearProblem<S>& problem, const LinearSolution<S>& solution,
                          const ConstMatrixRef<S>& Y, Index k, Workspace& space) {
  const auto& system = problem.system;
  const double n = static_cast<double>(problem.rows.size()), r = static_cast<double>(system.rank());
  const double frobenius = problem.norms.norm() * (1 + 1e-10);
  const double theta = row_norm<S>(solution.theta, k);
  const double targets = Y.col(k).template cast<double>().norm();
  const double bias = std::abs(static_cast<double>(solution.bias(k)));
  const auto residual = solution.residual.view().col(k).template cast<double>();
  const auto dual = solution.dual.view().col(k).template cast<double>();
  const bool bordered = problem.frame.offset > 0;

  // theta against X_B^T a: rounding of the pass, and 1^T a = 0 missed by epsilon,
  // which counts as |epsilon| |X_B^T 1| / r <= |epsilon| |X|_F / sqrt(r).
  double out_of_span = gamma<S>(combine_depth(system.rank()) + 4) * solution.weight(k);
  if (bordered && r > 0)
    out_of_span += (std::abs(dual.sum()) + gamma<double>(r) * dual.cwiseAbs().sum()) * frobenius /
                   std::sqrt(r);
  // Evaluation of the residual; |x_i| |theta| >= |x_i|^T |theta|.
  const double evaluation = gamma<S>(residual_depth(problem.rows.cols()) + 4) *
                            (frobenius * theta + targets + std::sqrt(n) * bias);

  LinearBounds out{};
  out.residual = residual.norm();
  const double size = frobenius * theta + targets + std::sqrt(n) * bias;
  const double eps = static_cast<double>(std::numeric_limits<S>::epsilon());
  out.interpolates = problem.alpha == 0 && out.residual <= 100 * eps * size;

  if (problem.alpha > 0) {
    const Workspace::Frame frame(space);
    auto gap = space.vector<double>(residual.size());
    gap = residual;
    for (Index i = 0; i < system.rank(); ++i)
      gap(system.basis()[static_cast<std::size_t>(i)]) -= problem.alpha * dual(i);
    const double unmet = gap.norm() + gamma<double>(2) * problem.alpha * dual.norm() + evaluation +
                         frobenius * out_of_span;
    out.parameter =
        out_of_span + unmet * ridge_amplification(problem.sigma * problem.sigma, problem.alpha);
  } else {
    // Dependent rows are read at X_D theta, the target at their projections: apart by
    // their distance from the span of the basis, times what theta has outside it.
    double dependents = 0;
    for (const Index i : system.dependents()) dependents += problem.norms(i) * problem.norms(i);
    double away = std::sqrt(dependents);
    if (bordered && !system.full_rank())  // from the affine hull, by way of its mean
      away += std::sqrt(static_cast<double>(system.dependents().size()) / r) * frobenius;
    const double unknown = evaluation + away * out_of_span;
    double inside = system.rank() == 0  // X = 0, theta = 0 = theta*
                        ? 0
                        : divided(out.residual + unknown, problem.sigma);
    if (system.rank() > 0 && !system.full_rank() && out.residual > unknown) {
      // Least squares: |X^+ r| <= |X^T r_c| / sigma^2, r_c the centred residual.
      Vector<double> centred = residual;
      if (bordered) centred.array() -= residual.mean();
      const Matrix<S> column = centred.template cast<S>();
      const RowMatrix<S> gradient = combine_rows<S>(problem.rows, all_indices(problem.rows.size()),
                                                    column, problem.frame.scale);
      const double weight = centred.cwiseAbs().dot(problem.norms);
      const double normal =
          row_norm<S>(gradient, 0) + gamma<S>(combine_depth(problem.rows.size()) + 6) * weight +
          gamma<S>(4) * centred.cwiseAbs().sum() * frobenius / std::sqrt(n) +
          (bordered ? (std::abs(centred.sum()) + gamma<double>(n + 1) * centred.cwiseAbs().sum()) *
                          frobenius / std::sqrt(n)
                    : 0);
      inside = std::min(
          inside, divided(normal, problem.sigma * problem.sigma) + divided(unknown, problem.sigma));
    }
    out.parameter = std::hypot(out_of_span, inside);
  }
  // b - b* = mean(r) - mean(x)^T (theta - theta*).
  if (bordered)
    out.intercept = std::abs(residual.mean()) +
                    (evaluation + gamma<double>(n) * out.residual) / std::sqrt(n) +
                    frobenius / std::sqrt(n) * out.parameter +
                    gamma<S>(1) * std::abs(static_cast<double>(problem.scaling.centre(k)) +
                                           static_cast<double>(solution.bias(k)));
  return out;
}

// All of the certificate but its name and the number forgotten.
template <class S>
void certify_linear(const LinearProblem<S>& problem, const LinearSolution<S>& solution,
                    Certificate& c, Workspace& space) {
  const Workspace::Frame frame(space);
  const auto Y = centred_targets(problem, space);
  c.clear_figures();
  c.rank = problem.system.rank();
  c.n_retained = problem.rows.size();
  c.refinement_steps = solution.refinements;
  c.interpolates = true;
  for (Index k = 0; k < Y.cols(); ++k) {
    const LinearBounds bounds = bound_output<S>(problem, solution, Y, k, space);
    c.residual = std::max(c.residual, bounds.residual);
    // A bound that is not a number proves nothing.
    const auto worst = [](double a, double b) {
      return std::isnan(b) ? std::numeric_limits<double>::infinity() : std::max(a, b);
    };
    c.parameter_error_bound = worst(c.parameter_error_bound, bounds.parameter);
    c.intercept_error_bound = worst(c.intercept_error_bound, bounds.intercept);
    c.interpolates = c.interpolates && bounds.interpolates;
  }
  const double to_user = 1 / problem.scaling.scale;
  const double safe = 1 + 1e-10;  // the sums above are few and in double
  c.residual *= to_user;
  c.parameter_error_bound *= problem.frame.scale * to_user * safe;
  c.intercept_error_bound *= to_user * safe;
  c.prediction_error_bound = c.parameter_error_bound + c.intercept_error_bound;
  c.sigma_min_bound = problem.sigma / problem.frame.scale;
  c.condition_bound =
      divided(std::sqrt(problem.norms.squaredNorm() + problem.frame.offset * problem.frame.offset *
                                                          static_cast<double>(problem.rows.size())),
              problem.sigma);
}

}  // namespace minnorm::detail
