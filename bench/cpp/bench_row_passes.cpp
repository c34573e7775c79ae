// The Gram matrix of the rows of a linear model, against Eigen's rank update.
#include "minnorm/row_passes.hpp"

#include "problems.hpp"

namespace minnorm::bench {
namespace {

void Gram(benchmark::State& state) {
  const Index n = state.range(0), p = state.range(1);
  const RowMatrix<double> X = gaussian<double>(n, p);
  const auto rows = Rows<double>::view(X);
  const Indices all = all_indices(n);
  for (auto _ : state) benchmark::DoNotOptimize(detail::gram<double>(rows, all, {}).data());
  rates(state, static_cast<double>(n * (n + 1)) * static_cast<double>(p), 0);
}
void GramByEigen(benchmark::State& state) {
  const Index n = state.range(0), p = state.range(1);
  const RowMatrix<double> X = gaussian<double>(n, p);
  Matrix<double> G = Matrix<double>::Zero(n, n);
  for (auto _ : state) G.selfadjointView<Eigen::Lower>().rankUpdate(X);
  benchmark::DoNotOptimize(G.data());
  rates(state, static_cast<double>(n * (n + 1)) * static_cast<double>(p), 0);
}

BENCHMARK(Gram)->Args({2000, 8000})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(GramByEigen)->Args({2000, 8000})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace minnorm::bench
