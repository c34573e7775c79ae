// LinearInterpolator: theta of least 2-norm among those that fit the retained
// samples, f(x) = theta . x + b, kept exact while samples leave and arrive.
//
// Invariant after every call: theta = X_B^T a with (a, b) the solution of the
// bordered dual system of the retained rows, so that theta = P_{S_r}(theta*)
// (arXiv 2505.22601, Theorem 2), = X_r^+ y_r where the rows are dependent, the
// ridge solution for alpha > 0; `certificate()` bounds what rounding did to it.
// Units: inside, X and Y are scaled by powers of two to at most 1 in size.
// Shapes: X (n, p), Y (n, t), coef (t, p). Cost of forget for k samples: 2 n^2 k for
// the factor and 4 n p t for theta, residual and certificate; fit n^2 p + 2 n^3 / 3.
// Aliasing: X and Y are copied, unless X comes as rows that are viewed; results are new.
// Memory: `forget` asks for all it needs before it changes anything, and gives it back;
// after `reserve` it takes none from the heap.
// Throws InputError, ShapeError, UnknownSampleError, before anything changes.
#pragma once

#include <cmath>

#include "linear_append.hpp"
#include "linear_solution.hpp"
#include "row_scans.hpp"
#include "samples.hpp"

namespace minnorm {

struct LinearOptions {
  double alpha = 0;  // ridge; 0 interpolates
  bool fit_intercept = true;
  FactorizationChoice factorization = FactorizationChoice::automatic;
};

template <class S>
class LinearInterpolator {
 public:
  LinearInterpolator() = default;
  explicit LinearInterpolator(LinearOptions options) : options_(options) {
    if (!(options.alpha >= 0) || !std::isfinite(options.alpha))
      throw InputError("alpha: expected a finite number >= 0, got " +
                       std::to_string(options.alpha) + "; use 0 to interpolate");
  }

  // Fits a private copy of X.
  void fit(ConstRowMatrixRef<S> X, ConstRowMatrixRef<S> Y) { fit(Rows<S>::panels(X), Y); }
  void fit(Rows<S> rows, ConstRowMatrixRef<S> Y) {
    if (rows.size() < 1 || rows.cols() < 1)
      throw ShapeError("X: expected at least one sample and one feature, got shape (" +
                       std::to_string(rows.size()) + ", " + std::to_string(rows.cols()) + ")");
    Samples<S> samples;
    samples.append(Y, rows.size());
    replace_all(std::move(rows), std::move(samples));
  }

  Index n_samples() const { return rows_.size(); }
  Index n_features() const { return rows_.cols(); }
  Index rank() const { return system_.rank(); }
  const Samples<S>& samples() const { return samples_; }
  const Rows<S>& rows() const { return rows_; }
  const DualSystem<S>& system() const { return system_; }
  const Certificate& certificate() const { return certificate_; }

  RowMatrix<S> coef() const {
    return solution_.theta * static_cast<S>(frame_.scale) / static_cast<S>(target_scaling_.scale);
  }
  Vector<S> intercept() const {
    return (solution_.bias + target_scaling_.centre).transpose() /
           static_cast<S>(target_scaling_.scale);
  }
  // (n, t): theta = X^T dual; of least norm where samples are dependent.
  RowMatrix<S> dual_coef() const {
    const S c = static_cast<S>(frame_.scale);
    return system_.spread(solution_.dual.view()) * c / static_cast<S>(target_scaling_.scale) * c;
  }
  RowMatrix<S> predict(ConstRowMatrixRef<S> Z) const {
    if (Z.cols() != n_features())
      throw ShapeError("X: number of features: " + detail::got(n_features(), Z.cols()));
    RowMatrix<S> out = Z * coef().transpose();
    out.rowwise() += intercept().transpose();
    return out;
  }

  // Keeps the memory of deletions: from now on `forget` of up to k samples takes none from
  // the heap, where samples are independent and k and the number of outputs are at most
  // 8; beyond that Eigen's matrix products take their buffers there.
  void reserve(Index k = detail::few_columns) {
    if (k < 1) throw InputError("reserve: expected at least one sample, got " + std::to_string(k));
    workspace_.reserve(deletion_bytes(k));
  }

  void forget(View<Handle> handles) {
    const Workspace::Frame frame(workspace_, deletion_bytes(static_cast<Index>(handles.size())));
    const View<Index> gone = samples_.positions_to_forget(handles, workspace_);
    if (!system_.full_rank()) return forget_with_dependents(gone);
    const auto erased = system_.erase(gone, from_gram_, false, workspace_);
    system_.finish();
    rows_.erase(gone, workspace_);
    samples_.erase(gone);
    detail::erase_entries(norms_, gone);
    detail::set_suffix(method_, detail::suffix(erased.how));
    resolve();
  }

  std::vector<Handle> learn(ConstRowMatrixRef<S> X, ConstRowMatrixRef<S> Y) {
    return learn(rows_.copied(X), X.cols(), Y);
  }
  // With owned rows the block becomes the model's and may be overwritten; a row-major one
  // is copied to a model in panels.
  std::vector<Handle> learn(typename Rows<S>::Block block, Index cols, ConstRowMatrixRef<S> Y) {
    if (cols != n_features())
      throw ShapeError("X: number of features: " + detail::got(n_features(), cols));
    const Index n = n_samples(), m = block.rows;
    Samples<S> samples = samples_;
    const std::vector<Handle> handles = samples.append(Y, m);
    Rows<S> rows = rows_.alias();
    rows.append(std::move(block));
    const detail::RowScan<S> scan(rows, n);
    const bool far_larger = scan.largest() * frame_.scale > 0x1p40;
    if (far_larger || 4 * m > rank() + 32) {
      replace_all(std::move(rows), std::move(samples));
      return handles;
    }
    Vector<double> norms(n + m);
    norms << norms_.view(), scan.norms(frame_.scale);
    Indices candidates;
    for (Index i = n; i < n + m; ++i) candidates.push_back(i);
    const double frobenius = augmented_frobenius(norms);
    const auto growth =
        detail::examine_rows<S>(system_, rows, candidates, frame_, alpha(), sigma_, frobenius);
    if (!growth.certain) {
      replace_all(std::move(rows), std::move(samples));
      return handles;
    }
    system_.grow(growth.rows);
    rows_ = std::move(rows);
    samples_ = std::move(samples);
    norms_ = norms;
    sigma_ = growth.rows.samples.empty() ? growth.sigma
                                         : detail::renewed_sigma<S>(system_, rows_, frame_, alpha(),
                                                                    growth.sigma, frobenius);
    if (from_gram_ && !(sigma_ > 0) && options_.factorization == FactorizationChoice::automatic) {
      replace_all(std::move(rows_), std::move(samples_));  // by QR, where a bound can be had
      return handles;
    }
    detail::set_suffix(method_, "+append");
    resolve();
    return handles;
  }

  // New targets (n, t') for all retained samples, in insertion order.
  void set_targets(ConstRowMatrixRef<S> Y) {
    samples_.set_targets(Y);
    system_.drop_carried();
    resolve();
  }

  // What forget would give. Shares the rows: valid until this model changes.
  LinearInterpolator preview(View<Handle> handles) const {
    LinearInterpolator other(options_);
    other.commit(rows_.borrowed(), samples_, system_, norms_.view(), sigma_);
    other.frame_ = frame_;
    other.examined_ = examined_;
    other.from_gram_ = from_gram_;
    other.method_ = method_;
    other.forget(handles);
    return other;
  }

  // (n, t) residuals y_i - f_{-i}(x_i) of every left-one-out model.
  RowMatrix<S> leave_one_out() const {
    return system_.leave_one_out(solution_.dual.view(), solution_.residual.view()) /
           static_cast<S>(target_scaling_.scale);
  }
  // (m, p) directions: coef_{-i} = coef - residual_i direction_i, and the same for
  // the intercept, (m).
  struct Influence {
    RowMatrix<S> coef;
    Vector<S> intercept;
  };
  Influence influence(const Indices& positions) const {
    const auto moved = directions(positions);
    return {detail::combine_rows<S>(rows_, system_.basis(), moved.dual, frame_.scale) *
                static_cast<S>(frame_.scale),
            moved.bias.transpose()};
  }
  Vector<S> influence_intercept(const Indices& positions) const {  // without a pass over X
    return directions(positions).bias.transpose();
  }

  // Everything that a model is rebuilt from; the solution is recomputed.
  struct State {
    LinearOptions options;
    Samples<S> samples;
    RowScaling frame;
    Matrix<S> L;
    Indices basis, dependents;
    Matrix<S> weights;
    double sigma = 0, norm = 0;  // norm: |X|_F, scaled
    bool from_gram = true;
    std::string method;
  };
  State state() const {
    return {options_,
            samples_,
            frame_,
            Matrix<S>(system_.factor().matrix()),
            system_.basis(),
            system_.dependents(),
            system_.weights(),
            sigma_,
            norms_.view().norm(),
            from_gram_,
            method_};
  }
  static LinearInterpolator from_state(State state, Rows<S> rows) {
    LinearInterpolator out(state.options);
    out.frame_ = state.frame;
    out.from_gram_ = state.from_gram;
    DualSystem<S> system(TriangularFactor<S>(std::move(state.L)), std::move(state.basis),
                         std::move(state.dependents), std::move(state.weights),
                         state.options.fit_intercept);
    Vector<double> norms = detail::RowScan<S>(rows).norms(state.frame.scale);
    out.examined_ = norms.norm();
    out.commit(std::move(rows), std::move(state.samples), std::move(system), std::move(norms),
               state.sigma);
    out.method_ = state.method;
    out.resolve();
    return out;
  }

 private:
  double alpha() const { return options_.alpha * frame_.scale * frame_.scale; }
  // Of the workspace, for a deletion of k samples.
  std::size_t deletion_bytes(Index k) const {
    const Index n = n_samples(), t = samples_.targets().cols(), most = std::min(k, n);
    return Workspace::bytes<Index>(k) +
           std::max({DualSystem<S>::erase_bytes(n, most, t), CarriedTargets<S>::keep_bytes(n, t),
                     Workspace::bytes<Index>(rows_.slots()),
                     detail::solution_bytes<S>(n, n_features(), t)});
  }
  double augmented_frobenius(const Eigen::Ref<const Vector<double>>& norms) const {
    return std::sqrt(norms.squaredNorm() +
                     frame_.offset * frame_.offset * static_cast<double>(norms.size()));
  }

  typename DualSystem<S>::Solution directions(const Indices& positions) const {
    for (const Index i : positions)
      if (i < 0 || i >= n_samples())
        throw UnknownSampleError("position: expected 0 to " + std::to_string(n_samples() - 1) +
                                 ", got " + std::to_string(i));
    return system_.influence(positions);
  }

  // Fits from scratch, in a frame of its own, then takes the place of this model.
  void replace_all(Rows<S> rows, Samples<S> samples) {
    LinearInterpolator fresh(options_);
    const detail::RowScan<S> scan(rows);
    const double largest = std::max(scan.largest(), std::sqrt(options_.alpha));
    int exponent = 0;
    if (largest > 0) std::frexp(largest, &exponent);
    fresh.frame_.scale = std::ldexp(1.0, -exponent);
    Vector<double> norms = scan.norms(fresh.frame_.scale);
    if (options_.fit_intercept) {
      const double spread = norms.norm() / static_cast<double>(rows.size());
      fresh.frame_.offset = spread > 0 ? std::exp2(std::round(std::log2(spread))) : 1;
    }
    if (options_.alpha > 0 && !(fresh.alpha() > 0))
      throw InputError(
          "alpha: expected at least 1e-300 times the square of the largest entry of X, got " +
          std::to_string(options_.alpha) + "; use 0, or rescale X");
    const double frobenius = fresh.augmented_frobenius(norms);
    auto factored =
        factorize_rows<S>(rows, fresh.frame_, fresh.alpha(), options_.factorization, frobenius);
    fresh.from_gram_ = factored.from_gram;
    fresh.method_ = factored.method;
    fresh.examined_ = norms.norm();
    fresh.commit(std::move(rows), std::move(samples), std::move(factored.system), std::move(norms),
                 factored.sigma);
    fresh.resolve();
    fresh.workspace_ = std::move(workspace_);
    *this = std::move(fresh);
  }

  // Dependent samples may have to step in for those that leave, and the rank
  // tolerance follows the rows that stay: as a fresh fit would decide.
  void forget_with_dependents(View<Index> gone) {
    Rows<S> rows = rows_.borrowed();
    rows.erase(gone);
    Samples<S> samples = samples_;
    samples.erase(gone);
    auto kept_norms = norms_;
    detail::erase_entries(kept_norms, gone);
    Vector<double> norms = kept_norms.view();
    const bool shrunk = norms.norm() < examined_ / 2;
    DualSystem<S> system = system_;
    auto erased = system.erase(gone, false, shrunk, workspace_);
    system.finish();
    double sigma = sigma_;
    const Index loose = static_cast<Index>(erased.loose.size());
    bool refit = norms.norm() < 0x1p-40 || 4 * loose > system.rank() + 32;
    if (!refit && loose > 0) {
      const double frobenius = augmented_frobenius(norms);
      const auto growth =
          detail::examine_rows<S>(system, rows, erased.loose, frame_, 0, sigma, frobenius);
      refit = !growth.certain;
      if (!refit) {
        system.grow(growth.rows);
        sigma = detail::renewed_sigma<S>(system, rows, frame_, 0, growth.sigma, frobenius);
      }
    }
    if (refit) {
      Rows<S> keep = rows_.alias();
      replace_all(std::move(rows), std::move(samples));
      keep.erase(gone);  // overwrites, once the fit has succeeded
      rows_ = std::move(keep);
      method_ += "+refit";
      certificate_.method = method_;
      return;
    }
    if (shrunk) examined_ = norms.norm();
    rows_.erase(gone);
    commit(std::move(rows_), std::move(samples), std::move(system), std::move(norms), sigma);
    detail::set_suffix(method_, detail::suffix(erased.how));
    resolve();
  }

  void commit(Rows<S> rows, Samples<S> samples, DualSystem<S> system, Vector<double> norms,
              double sigma) {
    rows_ = std::move(rows);
    samples_ = std::move(samples);
    system_ = std::move(system);
    norms_ = norms;
    sigma_ = sigma;
    detail::reserve_name(method_);
    detail::reserve_name(certificate_.method);
  }

  void resolve() {
    target_scaling_.fit(samples_.targets(), options_.fit_intercept);
    system_.keep_carried(samples_.targets(), target_scaling_, workspace_);
    const detail::LinearProblem<S> problem{rows_,   samples_,        system_,
                                           frame_,  target_scaling_, std::as_const(norms_).view(),
                                           alpha(), sigma_};
    detail::solve_linear(problem, solution_, workspace_);
    detail::certify_linear(problem, solution_, certificate_, workspace_);
    certificate_.method = method_;
    certificate_.n_forgotten = samples_.n_forgotten();
  }

  LinearOptions options_;
  Rows<S> rows_;
  Samples<S> samples_;
  RowScaling frame_;
  TargetScaling<S> target_scaling_;
  KeptStorage<Vector<double>> norms_;  // of the scaled rows
  DualSystem<S> system_;
  double sigma_ = 0;     // proved lower bound on sigma_min, scaled
  double examined_ = 0;  // |X|_F when the dependents were last examined
  bool from_gram_ = true;
  std::string method_;
  detail::LinearSolution<S> solution_;
  Certificate certificate_;
  Workspace workspace_;
};

}  // namespace minnorm
