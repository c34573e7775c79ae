// Rows deleted from a factor of size n, against factoring the Gram matrix of the rest
// again and against one sweep that reads and writes the triangle.
#include "minnorm/triangular_factor.hpp"

#include "problems.hpp"

namespace minnorm::bench {
namespace {

constexpr double entry = sizeof(double);

double triangle(Index n) { return static_cast<double>(n) * static_cast<double>(n + 1) / 2; }

void Erase(benchmark::State& state) {
  const Index n = state.range(0), k = state.range(1);
  TriangularFactor<double> factor;
  if (!TriangularFactor<double>::from_gram(positive_definite(n), factor))
    return state.SkipWithError("the Gram matrix has no Cholesky factor");
  const Indices rows = spread(n, k);
  double flops = 0;  // four for each entry right of a deleted row
  for (const Index row : rows) flops += 4 * triangle(n - row - 1);
  for (auto _ : state) {
    TriangularFactor<double> copy = factor;
    timed(state, [&] { copy.erase(rows); });
    benchmark::DoNotOptimize(copy.matrix()(0, 0));
  }
  rates(state, flops, 2 * entry * triangle(n - rows.front()));
}

void Refactor(benchmark::State& state) {
  const Index n = state.range(0), m = n - state.range(1);
  const Matrix<double> G = positive_definite(m);
  for (auto _ : state) {
    Matrix<double> copy = G;
    timed(state, [&] { Eigen::LLT<Eigen::Ref<Matrix<double>>> llt(copy); });
  }
  rates(state, std::pow(static_cast<double>(m), 3) / 3, 0);
}

// What deleting row 0 cannot do without: every column of L read and written once.
void SweepTriangle(benchmark::State& state) {
  const Index n = state.range(0);
  Matrix<double> L = positive_definite(n);
  for (auto _ : state) {
    for (Index j = 0; j < n; ++j) L.col(j).tail(n - j) = -L.col(j).tail(n - j);
    benchmark::ClobberMemory();
  }
  rates(state, 0, 2 * entry * triangle(n));
}

// Deleting row 0 turns every column.
void EraseFirst(benchmark::State& state) {
  const Index n = state.range(0);
  TriangularFactor<double> factor;
  if (!TriangularFactor<double>::from_gram(positive_definite(n), factor))
    return state.SkipWithError("the Gram matrix has no Cholesky factor");
  for (auto _ : state) {
    TriangularFactor<double> copy = factor;
    timed(state, [&] { copy.erase({0}); });
  }
  rates(state, 4 * triangle(n), 2 * entry * triangle(n));
}

BENCHMARK(Erase)
    ->ArgsProduct({{2000}, {1, 10, 100, 1000}})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(EraseFirst)->Arg(2000)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(Refactor)
    ->ArgsProduct({{2000}, {1, 10, 100, 1000}})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(SweepTriangle)->Arg(2000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace minnorm::bench
