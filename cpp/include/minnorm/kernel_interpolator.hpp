// KernelInterpolator: the function of least norm in the kernel's Hilbert space
// that fits the retained samples, f = sum_i a_i k(x_i, .), kept exact while
// samples leave and arrive.
//
// Invariant after every call: K a = y on the basis, K the kernel matrix of the
// retained samples (scaled by a power of two), which is held beside its factor so
// that the residual is that of the data and not of the factor; (K + alpha I) a = y
// for alpha > 0. Dependent samples carry no coefficient in `predict`.
// Shapes: X (n, p) or a precomputed K (n, n), Y (n, t). Cost: fit n^2 p + 2 n^3 / 3,
// forget of k samples 2 n^2 k + 3 n^2, memory 2 n^2.
// Aliasing: X, K and Y are copied, unless X comes as rows that are viewed.
// Memory: `forget` asks for all it needs before it changes anything, and gives it back;
// after `reserve` it takes none from the heap.
// Throws InputError, ShapeError, UnknownSampleError, NotPositiveDefiniteError,
// before anything changes.
#pragma once

#include <cmath>

#include "kernel_append.hpp"
#include "kernels.hpp"
#include "row_scans.hpp"

namespace minnorm {

struct KernelOptions {
  Kernel kernel;
  double alpha = 0;
};

template <class S>
class KernelInterpolator {
 public:
  KernelInterpolator() = default;
  explicit KernelInterpolator(KernelOptions options) : options_(options) {
    require_valid(options.kernel);
    if (!(options.alpha >= 0) || !std::isfinite(options.alpha))
      throw InputError("alpha: expected a finite number >= 0, got " +
                       std::to_string(options.alpha) + "; use 0 to interpolate");
  }

  void fit(ConstRowMatrixRef<S> X, ConstRowMatrixRef<S> Y) { fit(Rows<S>::copy(X), Y); }
  void fit(Rows<S> rows, ConstRowMatrixRef<S> Y) {
    if (rows.size() < 1 || rows.cols() < 1)
      throw ShapeError("X: expected at least one sample and one feature, got shape (" +
                       std::to_string(rows.size()) + ", " + std::to_string(rows.cols()) + ")");
    Samples<S> samples;
    samples.append(Y, rows.size());
    detail::require_finite(rows, 0);
    Matrix<S> K = kernel_matrix(rows);
    replace_all(std::move(rows), std::move(K), std::move(samples));
  }
  // Kernel "precomputed": K (n, n), read once and copied.
  void fit_precomputed(ConstRowMatrixRef<S> K, ConstRowMatrixRef<S> Y) {
    if (K.rows() != K.cols() || K.rows() < 1)
      throw ShapeError("precomputed kernel: expected a square matrix, got shape (" +
                       std::to_string(K.rows()) + ", " + std::to_string(K.cols()) + ")");
    Samples<S> samples;
    samples.append(Y, K.rows());
    replace_all(no_features(K.rows()), Matrix<S>(K), std::move(samples));
  }

  Index n_samples() const { return samples_.size(); }
  Index n_features() const { return rows_.cols(); }
  Index rank() const { return system_.rank(); }
  bool precomputed() const { return options_.kernel.type == KernelType::precomputed; }
  const Samples<S>& samples() const { return samples_; }
  const Rows<S>& rows() const { return rows_; }
  const DualSystem<S>& system() const { return system_; }
  const Certificate& certificate() const { return certificate_; }

  // (n, t); of least norm where samples are dependent.
  RowMatrix<S> dual_coef() const {
    return system_.spread(solution_.dual.view()) * static_cast<S>(scale_) /
           static_cast<S>(target_scaling_.scale);
  }

  // (q, t). Z (q, p); precomputed: Z (q, n) values against the retained samples.
  RowMatrix<S> predict(ConstRowMatrixRef<S> Z) const {
    const Matrix<S> a =
        solution_.dual.view() * static_cast<S>(scale_) / static_cast<S>(target_scaling_.scale);
    if (precomputed()) {
      if (Z.cols() != n_samples())
        throw ShapeError("X: number of kernel values in a row: " +
                         detail::got(n_samples(), Z.cols()));
      Matrix<S> all = Matrix<S>::Zero(n_samples(), a.cols());
      set_rows(all, system_.basis(), a);
      return Z * all;
    }
    if (Z.cols() != n_features())
      throw ShapeError("X: number of features: " + detail::got(n_features(), Z.cols()));
    RowMatrix<S> out = RowMatrix<S>::Zero(Z.rows(), a.cols());
    Matrix<S> K;
    over_blocks(rows_, system_.basis(), [&](const RowMatrix<S>& block, Index first) {
      for (Index i = 0; i < Z.rows(); i += 1024) {
        const Index h = std::min<Index>(1024, Z.rows() - i);
        K.resize(h, block.rows());
        evaluate<S>(options_.kernel, Z.middleRows(i, h), block, K);
        out.middleRows(i, h).noalias() += K * a.middleRows(first, block.rows());
      }
    });
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
    const auto erased = system_.erase(gone, false, false, workspace_);
    system_.finish();
    rows_.erase(gone, workspace_);
    K_.erase(gone, workspace_);
    samples_.erase(gone);
    detail::set_suffix(method_, detail::suffix(erased.how));
    resolve();
  }

  std::vector<Handle> learn(ConstRowMatrixRef<S> X, ConstRowMatrixRef<S> Y) {
    if (precomputed()) return learn_precomputed(X, Y);
    return learn(rows_.copied(X), X.cols(), Y);
  }
  std::vector<Handle> learn(typename Rows<S>::Block block, Index cols, ConstRowMatrixRef<S> Y) {
    if (precomputed())
      throw InputError("learn: expected kernel values for a precomputed kernel, got rows");
    if (cols != n_features())
      throw ShapeError("X: number of features: " + detail::got(n_features(), cols));
    const Index n = n_samples(), m = block.rows;
    if (m < 1) throw ShapeError("X: expected at least one sample, got none");
    Rows<S> rows = rows_.alias();
    rows.append(std::move(block));
    detail::require_finite(rows, n);
    Indices added;
    for (Index i = n; i < n + m; ++i) added.push_back(i);
    RowMatrix<S> fresh(m, cols);
    for (Index i = 0; i < m; ++i) fresh.row(i) = rows.vector(n + i);
    Matrix<S> cross(m, n), own(m, m);
    Indices old;
    for (Index i = 0; i < n; ++i) old.push_back(i);
    over_blocks(rows, old, [&](const RowMatrix<S>& part, Index first) {
      evaluate<S>(options_.kernel, fresh, part, cross.middleCols(first, part.rows()));
    });
    evaluate_symmetric<S>(options_.kernel, fresh, own);
    return learn_values(std::move(rows), cross, own, Y);
  }
  // values (m, n + m): [K(new, retained) K(new, new)].
  std::vector<Handle> learn_precomputed(ConstRowMatrixRef<S> values, ConstRowMatrixRef<S> Y) {
    const Index n = n_samples(), m = values.rows();
    if (!precomputed()) throw InputError("learn: expected rows, got kernel values");
    if (m < 1) throw ShapeError("X: expected at least one sample, got none");
    if (values.cols() != n + m)
      throw ShapeError("X: kernel values in a row, retained and new samples: " +
                       detail::got(n + m, values.cols()));
    Rows<S> rows = rows_.alias();
    rows.append(typename Rows<S>::Block{nullptr, m, 0, nullptr});
    return learn_values(std::move(rows), values.leftCols(n), values.rightCols(m), Y);
  }

  void set_targets(ConstRowMatrixRef<S> Y) {
    samples_.set_targets(Y);
    system_.drop_carried();
    resolve();
  }

  // What forget would give. Shares rows and kernel matrix: valid until this changes.
  KernelInterpolator preview(View<Handle> handles) const {
    KernelInterpolator other(options_);
    other.rows_ = rows_.borrowed();
    other.K_ = K_.borrowed();
    other.samples_ = samples_;
    other.scale_ = scale_;
    other.system_ = system_;
    other.lambda_ = lambda_;
    other.examined_ = examined_;
    other.method_ = method_;
    other.forget(handles);
    return other;
  }

  RowMatrix<S> leave_one_out() const {
    return system_.leave_one_out(solution_.dual.view(), solution_.residual.view()) /
           static_cast<S>(target_scaling_.scale);
  }

  struct State {
    KernelOptions options;
    Samples<S> samples;
    double scale = 1, lambda = 0;
    Matrix<S> K;  // user units
    Matrix<S> L;
    Indices basis, dependents;
    Matrix<S> weights;
    std::string method;
  };
  State state() const {
    return {options_,
            samples_,
            scale_,
            lambda_,
            K_.ordered() / static_cast<S>(scale_),
            Matrix<S>(system_.factor().matrix()),
            system_.basis(),
            system_.dependents(),
            system_.weights(),
            method_};
  }
  static KernelInterpolator from_state(State state, Rows<S> rows) {
    KernelInterpolator out(state.options);
    out.scale_ = state.scale;
    out.lambda_ = state.lambda;
    out.rows_ = out.precomputed() ? no_features(state.K.rows()) : std::move(rows);
    out.K_ = GramMatrix<S>(Matrix<S>(state.K * static_cast<S>(state.scale)));
    out.examined_ = out.K_.trace();
    out.samples_ = std::move(state.samples);
    out.system_ = DualSystem<S>(TriangularFactor<S>(std::move(state.L)), std::move(state.basis),
                                std::move(state.dependents), std::move(state.weights), false);
    out.method_ = state.method;
    out.resolve();
    return out;
  }

 private:
  double alpha() const { return options_.alpha * scale_; }
  // Of the workspace, for a deletion of k samples.
  std::size_t deletion_bytes(Index k) const {
    const Index n = n_samples(), t = samples_.targets().cols(), most = std::min(k, n);
    return Workspace::bytes<Index>(k) +
           std::max({DualSystem<S>::erase_bytes(n, most, t), CarriedTargets<S>::keep_bytes(n, t),
                     Workspace::bytes<Index>(rows_.slots()), GramMatrix<S>::erase_bytes(K_.slots()),
                     detail::kernel_solution_bytes<S>(n, K_.slots(), t)});
  }
  static Rows<S> no_features(Index n) {
    return Rows<S>(typename Rows<S>::Block{nullptr, n, 0, nullptr}, 0, true);
  }

  // f(block, first): the rows of the samples, gathered 1024 at a time.
  template <class F>
  static void over_blocks(const Rows<S>& rows, const Indices& samples, F f) {
    RowMatrix<S> block;
    const Index n = static_cast<Index>(samples.size());
    for (Index first = 0; first < n; first += 1024) {
      block.resize(std::min<Index>(1024, n - first), rows.cols());
      for (Index i = 0; i < block.rows(); ++i)
        block.row(i) = rows.vector(samples[static_cast<std::size_t>(first + i)]);
      f(block, first);
    }
  }

  Matrix<S> kernel_matrix(const Rows<S>& rows) const {
    const Index n = rows.size();
    Matrix<S> K(n, n);
    if (rows.blocks().size() == 1 && rows.slots() == n) {
      const auto& block = rows.blocks().front();
      evaluate_symmetric<S>(options_.kernel,
                            Eigen::Map<const RowMatrix<S>, 0, Eigen::OuterStride<>>(
                                block.data, n, rows.cols(), Eigen::OuterStride<>(block.stride)),
                            K);
      return K;
    }
    Indices all(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<Index>(i);
    over_blocks(rows, all, [&](const RowMatrix<S>& left, Index i) {
      over_blocks(rows, all, [&](const RowMatrix<S>& right, Index j) {
        evaluate<S>(options_.kernel, left, right, K.block(i, j, left.rows(), right.rows()));
      });
    });
    K.template triangularView<Eigen::StrictlyUpper>() = K.transpose();
    return K;
  }

  // K in user units and in the order of the samples.
  void replace_all(Rows<S> rows, Matrix<S> K, Samples<S> samples) {
    if (!K.allFinite())
      throw InputError(
          "kernel matrix: expected finite values, got NaN or infinity; decrease degree or gamma, "
          "or rescale X");
    KernelInterpolator fresh(options_);
    const double largest = std::max(static_cast<double>(K.cwiseAbs().maxCoeff()), options_.alpha);
    int exponent = 0;
    if (largest > 0) std::frexp(largest, &exponent);
    fresh.scale_ = std::ldexp(1.0, -exponent);
    if (options_.alpha > 0 && !(fresh.alpha() > 0))
      throw InputError("alpha: expected at least 1e-300 times the largest kernel value, got " +
                       std::to_string(options_.alpha) + "; use 0, or rescale the kernel");
    K *= static_cast<S>(fresh.scale_);
    fresh.K_ = GramMatrix<S>(std::move(K));
    auto factored = detail::factorize_kernel<S>(fresh.K_, fresh.alpha());
    fresh.rows_ = std::move(rows);
    fresh.samples_ = std::move(samples);
    fresh.system_ = std::move(factored.system);
    fresh.lambda_ = factored.lambda;
    fresh.method_ = factored.method;
    fresh.examined_ = fresh.K_.trace();
    fresh.resolve();
    fresh.workspace_ = std::move(workspace_);
    *this = std::move(fresh);
  }

  std::vector<Handle> learn_values(Rows<S> rows, Matrix<S> cross, Matrix<S> own,
                                   ConstRowMatrixRef<S> Y) {
    Samples<S> samples = samples_;
    const Index n = n_samples(), m = own.rows();
    const std::vector<Handle> handles = samples.append(Y, m);
    if (!cross.allFinite() || !own.allFinite())
      throw InputError("kernel values of the new samples: expected finite, got NaN or infinity");
    cross *= static_cast<S>(scale_);
    own *= static_cast<S>(scale_);
    detail::KernelGrowth<S> growth;
    growth.certain = !(own.cwiseAbs().maxCoeff() > S(0x1p40)) && 4 * m <= rank() + 32;
    if (growth.certain) {
      Indices candidates;
      for (Index i = n; i < n + m; ++i) candidates.push_back(i);
      const Matrix<S> cross_on_basis =
          rows_of(Matrix<S>(cross.transpose()), system_.basis()).transpose();
      growth =
          detail::examine_kernel<S>(system_, K_, cross_on_basis, own, candidates, alpha(), lambda_);
    }
    if (!growth.certain) {
      GramMatrix<S> K = K_.borrowed();
      K.append(cross, own);
      replace_all(std::move(rows), K.ordered() / static_cast<S>(scale_), std::move(samples));
      return handles;
    }
    K_.append(cross, own);
    system_.grow(growth.samples);
    rows_ = std::move(rows);
    samples_ = std::move(samples);
    lambda_ = growth.samples.samples.empty()
                  ? growth.lambda
                  : detail::renewed_lambda<S>(system_, K_, alpha(), growth.lambda);
    detail::set_suffix(method_, "+append");
    resolve();
    return handles;
  }

  void forget_with_dependents(View<Index> gone) {
    GramMatrix<S> K = K_.borrowed();
    K.erase(gone, workspace_);
    Samples<S> samples = samples_;
    samples.erase(gone);
    const double trace = K.trace();
    const bool shrunk = trace < examined_ / 4;
    DualSystem<S> system = system_;
    const auto erased = system.erase(gone, false, shrunk, workspace_);
    system.finish();
    double lambda = lambda_;
    const Index loose = static_cast<Index>(erased.loose.size());
    bool refit = trace < 0x1p-40 || 4 * loose > system.rank() + 32;
    if (!refit && loose > 0) {
      const auto growth =
          detail::examine_kernel<S>(system, K, K.block(erased.loose, system.basis()),
                                    K.block(erased.loose, erased.loose), erased.loose, 0, lambda);
      refit = !growth.certain;
      if (!refit) {
        system.grow(growth.samples);
        lambda = detail::renewed_lambda<S>(system, K, 0, growth.lambda);
      }
    }
    if (refit) {
      Rows<S> rows = rows_.alias();
      Matrix<S> values = K.ordered() / static_cast<S>(scale_);
      KernelInterpolator fresh(options_);
      fresh.replace_all(no_features(values.rows()), std::move(values), std::move(samples));
      rows.erase(gone);  // overwrites, once the fit has succeeded
      K_.erase(gone, workspace_);
      fresh.rows_ = std::move(rows);
      fresh.workspace_ = std::move(workspace_);
      *this = std::move(fresh);
      method_ += "+refit";
      certificate_.method = method_;
      return;
    }
    if (shrunk) examined_ = trace;
    rows_.erase(gone, workspace_);
    K_.erase(gone, workspace_);
    samples_ = std::move(samples);
    system_ = std::move(system);
    lambda_ = lambda;
    detail::set_suffix(method_, detail::suffix(erased.how));
    resolve();
  }

  void resolve() {
    detail::reserve_name(method_);
    detail::reserve_name(certificate_.method);
    target_scaling_.fit(samples_.targets(), false);
    system_.keep_carried(samples_.targets(), target_scaling_, workspace_);
    const detail::KernelProblem<S> problem{K_,      samples_, system_, target_scaling_,
                                           alpha(), lambda_,  scale_};
    detail::solve_kernel(problem, solution_, workspace_);
    detail::certify_kernel(problem, solution_, certificate_, workspace_);
    certificate_.method = method_;
    certificate_.n_forgotten = samples_.n_forgotten();
  }

  KernelOptions options_;
  Rows<S> rows_;
  GramMatrix<S> K_;
  Samples<S> samples_;
  double scale_ = 1;  // K_ is the kernel matrix times this
  TargetScaling<S> target_scaling_;
  DualSystem<S> system_;
  double lambda_ = 0;    // proved lower bound on lambda_min, scaled
  double examined_ = 0;  // trace when the dependents were last examined
  std::string method_;
  detail::KernelSolution<S> solution_;
  Certificate certificate_;
  Workspace workspace_;
};

}  // namespace minnorm
