// Kernel matrices of n rows of 50 features, against one Eigen expression for all of it,
// which cancels for rows that lie close together, and against the product alone.
#include "minnorm/kernels.hpp"

#include "problems.hpp"

namespace minnorm::bench {
namespace {

constexpr Index features = 50;

double product_flops(Index n) {
  return static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(features);
}

template <KernelType type>
void EvaluateSymmetric(benchmark::State& state) {
  const Index n = state.range(0);
  const RowMatrix<double> X = gaussian<double>(n, features);
  const Kernel kernel{type, 1.0 / features, 3, 1};
  Matrix<double> K(n, n);
  for (auto _ : state) {
    evaluate_symmetric<double>(kernel, X, K);
    benchmark::ClobberMemory();
  }
  rates(state, product_flops(n), static_cast<double>(K.size()) * sizeof(double));
}
void GaussianByEigen(benchmark::State& state) {
  const Index n = state.range(0);
  const RowMatrix<double> X = gaussian<double>(n, features);
  Matrix<double> K(n, n);
  for (auto _ : state) {
    const Vector<double> squared = X.rowwise().squaredNorm();
    K.noalias() = -2 * X * X.transpose();
    K.colwise() += squared;
    K.rowwise() += squared.transpose();
    K = (K.array() * (-1.0 / features)).exp();
    benchmark::ClobberMemory();
  }
  rates(state, 2 * product_flops(n), static_cast<double>(K.size()) * sizeof(double));
}
void ProductAlone(benchmark::State& state) {
  const Index n = state.range(0);
  const RowMatrix<double> X = gaussian<double>(n, features);
  Matrix<double> K = Matrix<double>::Zero(n, n);
  for (auto _ : state) {
    K.selfadjointView<Eigen::Lower>().rankUpdate(X);
    benchmark::ClobberMemory();
  }
  rates(state, product_flops(n), static_cast<double>(K.size()) * sizeof(double));
}

constexpr auto ms = benchmark::kMillisecond;
BENCHMARK(EvaluateSymmetric<KernelType::rbf>)->Arg(2000)->Unit(ms)->UseRealTime();
BENCHMARK(EvaluateSymmetric<KernelType::matern52>)->Arg(2000)->Unit(ms)->UseRealTime();
BENCHMARK(EvaluateSymmetric<KernelType::laplacian>)->Arg(2000)->Unit(ms)->UseRealTime();
BENCHMARK(EvaluateSymmetric<KernelType::polynomial>)->Arg(2000)->Unit(ms)->UseRealTime();
BENCHMARK(GaussianByEigen)->Arg(2000)->Unit(ms);
BENCHMARK(ProductAlone)->Arg(2000)->Unit(ms);

}  // namespace
}  // namespace minnorm::bench
