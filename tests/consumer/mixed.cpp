// The headers, compiled with this program's flags, beside libminnorm, compiled with its
// own, perhaps for another processor: either forgets, and both come to the same model.
#include <minnorm.h>

#include <cstdio>
#include <minnorm/linear_interpolator.hpp>

int main() {
  constexpr minnorm::Index n = 20, p = 51;
  const minnorm::RowMatrix<double> X = minnorm::RowMatrix<double>::Random(n, p);
  const minnorm::RowMatrix<double> Y = minnorm::RowMatrix<double>::Random(n, 1);
  minnorm::LinearInterpolator<double> model;
  model.fit(X, Y);
  model.forget({7});

  minnorm_model* other;
  minnorm_certificate certificate;
  const std::int64_t id = 7;
  minnorm::RowMatrix<double> coef(1, p);
  if (minnorm_linear_fit_f64(n, p, 1, X.data(), p, Y.data(), 1, nullptr, &other) != MINNORM_OK ||
      minnorm_forget(other, 1, &id, &certificate) != MINNORM_OK ||
      minnorm_coef_f64(other, 1, p, coef.data(), p) != MINNORM_OK ||
      minnorm_free(other) != MINNORM_OK) {
    std::printf("%s\n", minnorm_message());
    return 1;
  }
  const double distance = (model.coef() - coef).norm();
  const double bound =
      model.certificate().parameter_error_bound + certificate.parameter_error_bound;
  std::printf("headers and libminnorm %s apart by %.1e, proved at most %.1e\n", minnorm_version(),
              distance, bound);
  return distance <= bound && bound <= 1e-9 ? 0 : 1;
}
