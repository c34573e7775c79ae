// `forget`, certificate included, of a kernel model, against fitting the rest again from
// a kernel matrix that is there already and against the bare Cholesky solution by Eigen.
#include "minnorm/kernel_interpolator.hpp"

#include "deletions.hpp"

namespace minnorm::bench {
namespace {

constexpr Index features = 50;

Matrix<double> kernel_matrix(Index n) {
  Matrix<double> K(n, n);
  evaluate_symmetric<double>({KernelType::rbf, 1.0 / features, 3, 1}, gaussian<double>(n, features),
                             K);
  return K;
}
KernelOptions precomputed() { return {{KernelType::precomputed, 1, 3, 1}, 0}; }

void Forget(benchmark::State& state) {
  const Index n = state.range(0), k = state.range(1);
  KernelInterpolator<double> model(precomputed());
  model.fit_precomputed(kernel_matrix(n), gaussian<double>(n, 1, 2));
  forget_in_turn(state, model, k);
  const double squared = static_cast<double>(n) * static_cast<double>(n);
  // L read twice and written once, half of K read.
  rates(state, 2 * squared * static_cast<double>(k) + 3 * squared, 2 * squared * sizeof(double));
}
void Refit(benchmark::State& state) {
  const Index n = state.range(0) - state.range(1);
  const RowMatrix<double> K = kernel_matrix(n), Y = gaussian<double>(n, 1, 2);
  KernelInterpolator<double> model(precomputed());
  for (auto _ : state) model.fit_precomputed(K, Y);
  rates(state, 2 * std::pow(static_cast<double>(n), 3) / 3, 0);
}
void CholeskyByEigen(benchmark::State& state) {
  const Index n = state.range(0) - state.range(1);
  const Matrix<double> K = kernel_matrix(n), Y = gaussian<double>(n, 1, 2);
  for (auto _ : state) {
    Matrix<double> copy = K, a = Y;
    timed(state, [&] {
      Eigen::LLT<Eigen::Ref<Matrix<double>>> llt(copy);
      llt.solveInPlace(a);
    });
  }
  rates(state, std::pow(static_cast<double>(n), 3) / 3, 0);
}

constexpr auto ms = benchmark::kMillisecond;
BENCHMARK(Forget)->Args({4000, 1})->UseManualTime()->Unit(ms);
BENCHMARK(Forget)->Args({4000, 10})->UseManualTime()->Unit(ms);
BENCHMARK(Refit)->Args({4000, 1})->Unit(ms)->UseRealTime();
BENCHMARK(CholeskyByEigen)->Args({4000, 1})->UseManualTime()->Unit(ms);

}  // namespace
}  // namespace minnorm::bench
