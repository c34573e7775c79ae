// Solution of a linear model from its factor, refined, and its certificate.
//
// Everything here is in scaled units: X times frame.scale, Y times y_scale. One
// fused pass over X gives theta and its residual; corrections theta += X_B^T M r
// follow while the residual is above the rounding of its own evaluation, three at
// most, and only if they lessen it.
// Shapes: X (n, p), Y (n, t). Cost: 4 n p t + 2 r^2 t a step. Throws nothing but
// std::bad_alloc; the problem is only read.
#pragma once

#include "certificate.hpp"
#include "dual_system.hpp"
#include "row_passes.hpp"
#include "samples.hpp"

namespace minnorm::detail {

template <class S>
struct LinearProblem {
  const Rows<S>& rows;
  const RowMatrix<S>& targets;  // (n, t), user units
  const DualSystem<S>& system;
  const RowScaling& frame;
  const Vector<double>& norms;  // of the scaled rows
  double alpha;                 // scaled
  double sigma;                 // proved, scaled
};

template <class S>
struct LinearSolution {
  RowMatrix<S> theta;                          // (t, p)
  Eigen::Matrix<S, 1, Eigen::Dynamic> bias;    // (t)
  Matrix<S> dual;                              // (r, t)
  Matrix<S> residual;                          // (n, t), of the model: y - X theta - b
  Eigen::Matrix<S, 1, Eigen::Dynamic> centre;  // (t), taken off y before solving
  Vector<double> weight;                       // (t) sum of |a_i| |x_i| over all passes
  double y_scale = 1;
  int refinements = 0;
};

template <class S>
double column_norm(const Matrix<S>& A, Index k) {
  return A.col(k).template cast<double>().norm();
}
template <class S>
double row_norm(const RowMatrix<S>& A, Index k) {
  return A.row(k).template cast<double>().norm();
}

// y - centre, scaled. A common level of the targets goes to the intercept whole, so
// it costs no digits; the subtraction is one rounding, exact when the level is high.
template <class S>
Matrix<S> centred_targets(const LinearProblem<S>& problem, const LinearSolution<S>& solution) {
  Matrix<S> Y = problem.targets * static_cast<S>(solution.y_scale);
  Y.rowwise() -= solution.centre;
  return Y;
}

template <class S>
LinearSolution<S> solve_linear(const LinearProblem<S>& problem) {
  const auto& system = problem.system;
  const Index n = problem.rows.size(), p = problem.rows.cols(), t = problem.targets.cols();
  LinearSolution<S> out;
  out.y_scale = unit_scale(problem.targets);
  out.centre.setZero(t);
  if (problem.frame.offset > 0)
    out.centre = (problem.targets.colwise().mean() * static_cast<S>(out.y_scale));
  const Matrix<S> Y = centred_targets(problem, out);
  Vector<double> basis_norms(system.rank());
  for (Index k = 0; k < system.rank(); ++k)
    basis_norms(k) = problem.norms(system.basis()[static_cast<std::size_t>(k)]);
  const double frobenius = problem.norms.norm();
  const S alpha = static_cast<S>(problem.alpha);
  const double eps = static_cast<double>(std::numeric_limits<S>::epsilon());

  out.theta = RowMatrix<S>::Zero(t, p);
  out.bias.setZero(t);
  out.dual = Matrix<S>::Zero(system.rank(), t);
  out.residual = Y;
  out.weight = Vector<double>::Zero(t);

  // Right-hand side of the dual system that is still to be met.
  const auto unmet = [&](const LinearSolution<S>& s) {
    Matrix<S> f = system.basis_values(s.residual);
    if (alpha > 0) f -= alpha * s.dual;
    return f;
  };
  const auto step = [&](LinearSolution<S>& s, Matrix<S> f) {
    auto delta = system.solve_basis(std::move(f));
    s.dual += delta.dual;
    s.bias += delta.bias;
    s.weight += delta.dual.cwiseAbs().template cast<double>().transpose() * basis_norms;
    s.residual = Y;
    s.residual.rowwise() -= s.bias;
    fused_pass<S>(problem.rows, system.basis(), delta.dual, problem.frame.scale, s.theta,
                  s.residual);
  };

  step(out, unmet(out));
  for (; out.refinements < 3; ++out.refinements) {
    Matrix<S> f = unmet(out);
    bool settled = true;
    for (Index k = 0; k < t; ++k) {
      const double size = frobenius * row_norm<S>(out.theta, k) + column_norm<S>(Y, k) +
                          std::sqrt(static_cast<double>(n)) * std::abs(double(out.bias(k)));
      settled = settled && column_norm<S>(f, k) <= 4 * eps * size;
    }
    if (settled) break;
    LinearSolution<S> better = out;
    const double before = f.template cast<double>().norm();
    step(better, std::move(f));
    if (!(unmet(better).template cast<double>().norm() < before)) break;
    better.refinements = out.refinements;
    out = std::move(better);
  }
  return out;
}

// Bounds for one output, in scaled units; stated in certificate.hpp.
struct LinearBounds {
  double residual, parameter, intercept;
  bool interpolates;
};

template <class S>
LinearBounds bound_output(const LinearProblem<S>& problem, const LinearSolution<S>& solution,
                          const Matrix<S>& Y, Index k) {
  const auto& system = problem.system;
  const double n = static_cast<double>(problem.rows.size()), r = static_cast<double>(system.rank());
  const double frobenius = problem.norms.norm() * (1 + 1e-10);
  const double theta = row_norm<S>(solution.theta, k);
  const double targets = Y.col(k).template cast<double>().norm();
  const double bias = std::abs(static_cast<double>(solution.bias(k)));
  const Vector<double> residual = solution.residual.col(k).template cast<double>();
  const Vector<double> dual = solution.dual.col(k).template cast<double>();
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
    Vector<double> gap = residual;
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
      const Indices all = [&] {
        Indices i(static_cast<std::size_t>(problem.rows.size()));
        for (std::size_t j = 0; j < i.size(); ++j) i[j] = static_cast<Index>(j);
        return i;
      }();
      const RowMatrix<S> gradient = combine_rows<S>(problem.rows, all, column, problem.frame.scale);
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
                    gamma<S>(1) * std::abs(static_cast<double>(solution.centre(k)) +
                                           static_cast<double>(solution.bias(k)));
  return out;
}

template <class S>
Certificate certify_linear(const LinearProblem<S>& problem, const LinearSolution<S>& solution) {
  const Matrix<S> Y = centred_targets(problem, solution);
  Certificate c;
  c.rank = problem.system.rank();
  c.n_retained = problem.rows.size();
  c.refinement_steps = solution.refinements;
  c.interpolates = true;
  for (Index k = 0; k < Y.cols(); ++k) {
    const LinearBounds bounds = bound_output<S>(problem, solution, Y, k);
    c.residual = std::max(c.residual, bounds.residual);
    // A bound that is not a number proves nothing.
    const auto worst = [](double a, double b) {
      return std::isnan(b) ? std::numeric_limits<double>::infinity() : std::max(a, b);
    };
    c.parameter_error_bound = worst(c.parameter_error_bound, bounds.parameter);
    c.intercept_error_bound = worst(c.intercept_error_bound, bounds.intercept);
    c.interpolates = c.interpolates && bounds.interpolates;
  }
  const double to_user = 1 / solution.y_scale;
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
  return c;
}

}  // namespace minnorm::detail
