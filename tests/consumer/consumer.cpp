// Forgets a sample and compares with a fit of the rest.
#include <cstdio>
#include <minnorm/minnorm.hpp>

int main() {
  const minnorm::RowMatrix<double> X = minnorm::RowMatrix<double>::Random(20, 50);
  const minnorm::RowMatrix<double> Y = minnorm::RowMatrix<double>::Random(20, 1);
  minnorm::LinearInterpolator<double> model, rest;
  model.fit(X, Y);
  model.forget({7});

  minnorm::RowMatrix<double> X_rest(19, 50), Y_rest(19, 1);
  X_rest << X.topRows(7), X.bottomRows(12);
  Y_rest << Y.topRows(7), Y.bottomRows(12);
  rest.fit(X_rest, Y_rest);

  const double distance = (model.coef() - rest.coef()).norm();
  const double bound =
      model.certificate().parameter_error_bound + rest.certificate().parameter_error_bound;
  std::printf("C++%ld, Eigen %d.%d.%d: distance from a fit of the rest %.1e, proved at most %.1e\n",
              __cplusplus / 100 % 100, EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION,
              EIGEN_MINOR_VERSION, distance, bound);
  return distance <= bound && bound <= 1e-9 ? 0 : 1;
}
