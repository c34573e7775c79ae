// ModelOf: a model of the library behind the interface of model.hpp.
#pragma once

#include <type_traits>

#include "buffers.hpp"
#include "minnorm/kernel_interpolator.hpp"
#include "minnorm/linear_interpolator.hpp"
#include "model.hpp"

namespace minnorm::c {

template <class S, template <class> class Interpolator>
class ModelOf final : public Model<S> {
 public:
  explicit ModelOf(Interpolator<S> model) : model_(std::move(model)) {}

  std::shared_ptr<AnyModel> copy() const override { return std::make_shared<ModelOf>(model_); }

  minnorm_shape shape() const override {
    minnorm_shape out{};
    out.n_samples = model_.n_samples();
    out.n_features = model_.n_features();
    if constexpr (is_kernel)
      if (model_.precomputed()) out.n_features = model_.n_samples();
    out.n_outputs = model_.samples().targets().cols();
    out.rank = model_.rank();
    out.is_kernel = is_kernel;
    out.is_f32 = std::is_same_v<S, float>;
    return out;
  }

  const std::vector<Handle>& ids() const override { return model_.samples().handles(); }
  const Certificate& certificate() const override { return model_.certificate(); }
  void reserve(Index count) override { model_.reserve(count); }
  void forget(View<Handle> ids) override { model_.forget(ids); }
  std::vector<Handle> learn(ConstRowMatrixRef<S> X, ConstRowMatrixRef<S> Y) override {
    return model_.learn(X, Y);
  }
  RowMatrix<S> predict(ConstRowMatrixRef<S> Z) const override { return model_.predict(Z); }
  RowMatrix<S> dual_coef() const override { return model_.dual_coef(); }
  RowMatrix<S> leave_one_out() const override { return model_.leave_one_out(); }

  RowMatrix<S> coef() const override {
    if constexpr (!is_kernel) return model_.coef();
    throw no_coefficients();
  }
  Vector<S> intercept() const override {
    if constexpr (!is_kernel) return model_.intercept();
    throw no_coefficients();
  }

 private:
  static constexpr bool is_kernel = std::is_same_v<Interpolator<S>, minnorm::KernelInterpolator<S>>;

  static InputError no_coefficients() {
    return InputError(
        "coefficients: expected a linear model, got a kernel model; use minnorm_dual_coef");
  }

  Interpolator<S> model_;
};

inline LinearOptions from_c(const minnorm_linear_options& options) {
  constexpr FactorizationChoice choices[] = {
      FactorizationChoice::automatic, FactorizationChoice::cholesky, FactorizationChoice::qr};
  LinearOptions out;
  out.alpha = options.alpha;
  out.fit_intercept = enumerator(options.fit_intercept, 1, "fit_intercept") != 0;
  out.factorization =
      choices[enumerator(options.factorization, MINNORM_FACTORIZATION_QR, "factorization")];
  return out;
}

inline KernelOptions from_c(const minnorm_kernel_options& options) {
  constexpr KernelType kernels[] = {
      KernelType::linear,   KernelType::rbf,      KernelType::laplacian,  KernelType::polynomial,
      KernelType::matern32, KernelType::matern52, KernelType::precomputed};
  KernelOptions out;
  out.kernel.type = kernels[enumerator(options.kernel, MINNORM_KERNEL_PRECOMPUTED, "kernel")];
  out.kernel.gamma = options.gamma;
  out.kernel.degree = options.degree;
  out.kernel.coef0 = options.coef0;
  out.alpha = options.alpha;
  return out;
}

template <class S>
std::shared_ptr<AnyModel> fit(const minnorm_linear_options& options, ConstRowMatrixRef<S> X,
                              ConstRowMatrixRef<S> Y) {
  LinearInterpolator<S> model(from_c(options));
  model.fit(X, Y);
  return std::make_shared<ModelOf<S, LinearInterpolator>>(std::move(model));
}

template <class S>
std::shared_ptr<AnyModel> fit(const minnorm_kernel_options& options, ConstRowMatrixRef<S> X,
                              ConstRowMatrixRef<S> Y) {
  KernelInterpolator<S> model(from_c(options));
  if (options.kernel == MINNORM_KERNEL_PRECOMPUTED)
    model.fit_precomputed(X, Y);
  else
    model.fit(X, Y);
  return std::make_shared<ModelOf<S, KernelInterpolator>>(std::move(model));
}

}  // namespace minnorm::c
