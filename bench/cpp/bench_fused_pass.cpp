// theta and its residual in one read of X, against two products of Eigen.
#include "minnorm/fused_pass.hpp"

#include "problems.hpp"

namespace minnorm::bench {
namespace {

// theta = X^T a and y - X theta.
void fused_pass_over(benchmark::State& state, bool in_panels) {
  const Index n = state.range(0), p = state.range(1);
  const RowMatrix<double> X = gaussian<double>(n, p);
  const auto rows = in_panels ? Rows<double>::panels(X) : Rows<double>::view(X);
  const Indices all = all_indices(n);
  const Matrix<double> a = gaussian<double>(n, 1, 2);
  Workspace space;
  space.reserve(detail::pass_bytes<double>(n, p, 1));
  RowMatrix<double> theta(1, p);
  Matrix<double> residual(n, 1);
  for (auto _ : state) {
    theta.setZero();
    residual = a;
    detail::fused_pass<double>(rows, all, a, 1.0, theta, residual, space);
    benchmark::DoNotOptimize(residual.data());
  }
  const double size = static_cast<double>(X.size());
  rates(state, 4 * size, size * sizeof(double));  // one read is what it has to do
}
void FusedPassOverPanels(benchmark::State& state) { fused_pass_over(state, true); }
void FusedPassOverRows(benchmark::State& state) { fused_pass_over(state, false); }
void TwoProducts(benchmark::State& state) {
  const Index n = state.range(0), p = state.range(1);
  const RowMatrix<double> X = gaussian<double>(n, p);
  const Vector<double> a = gaussian<double>(n, 1, 2);
  Vector<double> theta(p), residual(n);
  for (auto _ : state) {
    theta.noalias() = X.transpose() * a;
    residual = a;
    residual.noalias() -= X * theta;
    benchmark::DoNotOptimize(residual.data());
  }
  const double size = static_cast<double>(X.size());
  rates(state, 4 * size, 2 * size * sizeof(double));
}
void ReadRows(benchmark::State& state) {
  const RowMatrix<double> X = gaussian<double>(state.range(0), state.range(1));
  for (auto _ : state) benchmark::DoNotOptimize(X.sum());
  rates(state, 0, static_cast<double>(X.size()) * sizeof(double));
}

BENCHMARK(FusedPassOverPanels)
    ->Args({2000, 8000})
    ->Args({2000, 8192})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(FusedPassOverRows)
    ->Args({2000, 8000})
    ->Args({2000, 8192})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(TwoProducts)->Args({2000, 8000})->Unit(benchmark::kMillisecond);
BENCHMARK(ReadRows)->Args({2000, 8000})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace minnorm::bench
