// Twenty lines: fit, forget, and the distance to the model that never saw the samples.
#include <cstdio>
#include <minnorm/minnorm.hpp>

int main() {
  const minnorm::RowMatrix<double> X = minnorm::RowMatrix<double>::Random(200, 800);
  const minnorm::RowMatrix<double> Y = minnorm::RowMatrix<double>::Random(200, 1);
  minnorm::LinearInterpolator<double> model, retrained;
  model.fit(X, Y);
  model.forget({198, 199});  // ids: by default the numbers of the rows at the fit
  retrained.fit(X.topRows(198), Y.topRows(198));

  const auto& certificate = model.certificate();
  const double distance = (model.coef() - retrained.coef()).norm();
  const double bound =
      certificate.parameter_error_bound + retrained.certificate().parameter_error_bound;
  std::printf("%s: %d retained, distance %.1e, proved at most %.1e\n", certificate.method.c_str(),
              static_cast<int>(certificate.n_retained), distance, bound);
  return distance <= bound ? 0 : 1;
}
