// The functions of minnorm.h on models. Each examines the caller's buffers before it
// touches the model, so a refused call changes nothing.
#include <algorithm>
#include <cstdio>

#include "buffers.hpp"
#include "handles.hpp"
#include "model.hpp"

namespace minnorm::c {
namespace {

// Never destroyed: a handle may be used by the destructors of the program.
Handles<AnyModel, minnorm_model>& models() {
  static auto* handles = new Handles<AnyModel, minnorm_model>("model");
  return *handles;
}

template <class S>
std::shared_ptr<Model<S>> model_of(const minnorm_model* handle) {
  auto model = std::dynamic_pointer_cast<Model<S>>(models().find(handle));
  if (!model) throw wrong_precision<S>("model");
  return model;
}

void write(const Certificate& from, minnorm_certificate& to) {
  to = minnorm_certificate{};
  to.rank = from.rank;
  to.n_retained = from.n_retained;
  to.n_forgotten = from.n_forgotten;
  to.residual = from.residual;
  to.parameter_error_bound = from.parameter_error_bound;
  to.intercept_error_bound = from.intercept_error_bound;
  to.prediction_error_bound = from.prediction_error_bound;
  to.sigma_min_bound = from.sigma_min_bound;
  to.condition_bound = from.condition_bound;
  to.interpolates = from.interpolates;
  to.refinement_steps = from.refinement_steps;
  std::snprintf(to.method, sizeof to.method, "%s", from.method.c_str());
}

minnorm_linear_options linear_defaults() { return {0, 1, MINNORM_FACTORIZATION_AUTO}; }
minnorm_kernel_options kernel_defaults() { return {1, 3, 1, 0, MINNORM_KERNEL_RBF}; }

template <class S, class Options>
minnorm_status fit_model(std::int64_t n, std::int64_t p, std::int64_t t, const S* X,
                         std::int64_t ldx, const S* Y, std::int64_t ldy, const Options& options,
                         minnorm_model** model) {
  return guarded([&] {
    minnorm_model*& out = required(model, "model");
    out = nullptr;
    const auto rows = input(X, n, p, ldx, "X"), targets = input(Y, n, t, ldy, "Y");
    out = models().issue(fit<S>(options, rows, targets));
  });
}

template <class S>
minnorm_status learn(minnorm_model* model, std::int64_t m, std::int64_t p, std::int64_t t,
                     const S* X, std::int64_t ldx, const S* Y, std::int64_t ldy,
                     std::int64_t* ids) {
  return guarded([&] {
    const auto held = model_of<S>(model);
    const auto rows = input(X, m, p, ldx, "X"), targets = input(Y, m, t, ldy, "Y");
    const std::vector<Handle> issued = held->learn(rows, targets);
    if (ids) std::copy(issued.begin(), issued.end(), ids);
  });
}

template <class S>
minnorm_status predict(const minnorm_model* model, std::int64_t m, std::int64_t p, std::int64_t t,
                       const S* Z, std::int64_t ldz, S* F, std::int64_t ldf) {
  return guarded([&] {
    const auto held = model_of<S>(model);
    const auto inputs = input(Z, m, p, ldz, "Z");
    auto out = output(F, m, t, ldf, m, held->shape().n_outputs, "F");
    if (!inputs.allFinite())
      throw InputError("Z: expected finite values, got NaN or infinity; impute or drop the row");
    out = held->predict(inputs);
  });
}

enum class Part { coef, dual_coef, leave_one_out };

template <class S>
minnorm_status write_part(const minnorm_model* model, Part part, std::int64_t rows,
                          std::int64_t cols, S* data, std::int64_t ld, const char* name) {
  return guarded([&] {
    const auto held = model_of<S>(model);
    const minnorm_shape shape = held->shape();
    const bool coef = part == Part::coef;
    auto out = output(data, rows, cols, ld, coef ? shape.n_outputs : shape.n_samples,
                      coef ? shape.n_features : shape.n_outputs, name);
    if (coef)
      out = held->coef();
    else if (part == Part::dual_coef)
      out = held->dual_coef();
    else
      out = held->leave_one_out();
  });
}

template <class S>
minnorm_status write_intercept(const minnorm_model* model, std::int64_t t, S* b) {
  return guarded([&] {
    const auto held = model_of<S>(model);
    auto out = output(b, 1, t, t, 1, held->shape().n_outputs, "b");
    out = held->intercept().transpose();
  });
}

}  // namespace
}  // namespace minnorm::c

using namespace minnorm::c;

minnorm_status minnorm_linear_defaults(minnorm_linear_options* options) {
  return guarded([&] { required(options, "options") = linear_defaults(); });
}
minnorm_status minnorm_kernel_defaults(minnorm_kernel_options* options) {
  return guarded([&] { required(options, "options") = kernel_defaults(); });
}

minnorm_status minnorm_linear_fit_f64(int64_t n, int64_t p, int64_t t, const double* X, int64_t ldx,
                                      const double* Y, int64_t ldy,
                                      const minnorm_linear_options* options,
                                      minnorm_model** model) {
  return fit_model(n, p, t, X, ldx, Y, ldy, options ? *options : linear_defaults(), model);
}
minnorm_status minnorm_linear_fit_f32(int64_t n, int64_t p, int64_t t, const float* X, int64_t ldx,
                                      const float* Y, int64_t ldy,
                                      const minnorm_linear_options* options,
                                      minnorm_model** model) {
  return fit_model(n, p, t, X, ldx, Y, ldy, options ? *options : linear_defaults(), model);
}
minnorm_status minnorm_kernel_fit_f64(int64_t n, int64_t p, int64_t t, const double* X, int64_t ldx,
                                      const double* Y, int64_t ldy,
                                      const minnorm_kernel_options* options,
                                      minnorm_model** model) {
  return fit_model(n, p, t, X, ldx, Y, ldy, options ? *options : kernel_defaults(), model);
}
minnorm_status minnorm_kernel_fit_f32(int64_t n, int64_t p, int64_t t, const float* X, int64_t ldx,
                                      const float* Y, int64_t ldy,
                                      const minnorm_kernel_options* options,
                                      minnorm_model** model) {
  return fit_model(n, p, t, X, ldx, Y, ldy, options ? *options : kernel_defaults(), model);
}

minnorm_status minnorm_copy(const minnorm_model* model, minnorm_model** copy) {
  return guarded([&] {
    minnorm_model*& out = required(copy, "copy");
    out = nullptr;
    out = models().issue(models().find(model)->copy());
  });
}
minnorm_status minnorm_free(minnorm_model* model) {
  if (!model) return MINNORM_OK;
  return guarded([&] { models().release(model); });
}

minnorm_status minnorm_get_shape(const minnorm_model* model, minnorm_shape* shape) {
  return guarded([&] { required(shape, "shape") = models().find(model)->shape(); });
}
minnorm_status minnorm_get_ids(const minnorm_model* model, int64_t count, int64_t* ids) {
  return guarded([&] {
    const auto held = models().find(model);
    auto out = output(ids, count, 1, 1, held->shape().n_samples, 1, "ids");
    std::copy(held->ids().begin(), held->ids().end(), out.data());
  });
}
minnorm_status minnorm_certify(const minnorm_model* model, minnorm_certificate* certificate) {
  return guarded([&] {
    const auto held = models().find(model);
    write(held->certificate(), required(certificate, "certificate"));
  });
}

minnorm_status minnorm_reserve(minnorm_model* model, int64_t count) {
  return guarded([&] {
    const auto held = models().find(model);
    const std::int64_t most = held->shape().n_samples;
    if (count < 1 || count > most)
      throw minnorm::ShapeError("count: expected 1 to the " + std::to_string(most) +
                                " samples held, got " + std::to_string(count));
    held->reserve(static_cast<minnorm::Index>(count));
  });
}
minnorm_status minnorm_forget(minnorm_model* model, int64_t count, const int64_t* ids,
                              minnorm_certificate* certificate) {
  return guarded([&] {
    const auto held = models().find(model);
    if (count > held->shape().n_samples)
      throw minnorm::ShapeError("ids: expected at most the " +
                                std::to_string(held->shape().n_samples) + " samples held, got " +
                                std::to_string(count));
    input(ids, count, 1, 1, "ids");
    held->forget({ids, static_cast<std::size_t>(count)});
    if (certificate) write(held->certificate(), *certificate);
  });
}

minnorm_status minnorm_learn_f64(minnorm_model* model, int64_t m, int64_t p, int64_t t,
                                 const double* X, int64_t ldx, const double* Y, int64_t ldy,
                                 int64_t* ids) {
  return learn(model, m, p, t, X, ldx, Y, ldy, ids);
}
minnorm_status minnorm_learn_f32(minnorm_model* model, int64_t m, int64_t p, int64_t t,
                                 const float* X, int64_t ldx, const float* Y, int64_t ldy,
                                 int64_t* ids) {
  return learn(model, m, p, t, X, ldx, Y, ldy, ids);
}

minnorm_status minnorm_predict_f64(const minnorm_model* model, int64_t m, int64_t p, int64_t t,
                                   const double* Z, int64_t ldz, double* F, int64_t ldf) {
  return predict(model, m, p, t, Z, ldz, F, ldf);
}
minnorm_status minnorm_predict_f32(const minnorm_model* model, int64_t m, int64_t p, int64_t t,
                                   const float* Z, int64_t ldz, float* F, int64_t ldf) {
  return predict(model, m, p, t, Z, ldz, F, ldf);
}

minnorm_status minnorm_coef_f64(const minnorm_model* model, int64_t t, int64_t p, double* W,
                                int64_t ldw) {
  return write_part(model, Part::coef, t, p, W, ldw, "W");
}
minnorm_status minnorm_coef_f32(const minnorm_model* model, int64_t t, int64_t p, float* W,
                                int64_t ldw) {
  return write_part(model, Part::coef, t, p, W, ldw, "W");
}
minnorm_status minnorm_intercept_f64(const minnorm_model* model, int64_t t, double* b) {
  return write_intercept(model, t, b);
}
minnorm_status minnorm_intercept_f32(const minnorm_model* model, int64_t t, float* b) {
  return write_intercept(model, t, b);
}
minnorm_status minnorm_dual_coef_f64(const minnorm_model* model, int64_t n, int64_t t, double* A,
                                     int64_t lda) {
  return write_part(model, Part::dual_coef, n, t, A, lda, "A");
}
minnorm_status minnorm_dual_coef_f32(const minnorm_model* model, int64_t n, int64_t t, float* A,
                                     int64_t lda) {
  return write_part(model, Part::dual_coef, n, t, A, lda, "A");
}
minnorm_status minnorm_leave_one_out_f64(const minnorm_model* model, int64_t n, int64_t t,
                                         double* R, int64_t ldr) {
  return write_part(model, Part::leave_one_out, n, t, R, ldr, "R");
}
minnorm_status minnorm_leave_one_out_f32(const minnorm_model* model, int64_t n, int64_t t, float* R,
                                         int64_t ldr) {
  return write_part(model, Part::leave_one_out, n, t, R, ldr, "R");
}
