// `forget`, certificate included, of a linear model, against fitting the rest again.
#include "minnorm/linear_interpolator.hpp"

#include "deletions.hpp"

namespace minnorm::bench {
namespace {

LinearInterpolator<double> fitted(Index n, Index p) {
  LinearInterpolator<double> model(LinearOptions{0, false, FactorizationChoice::automatic});
  model.fit(gaussian<double>(n, p), gaussian<double>(n, 1, 2));
  return model;
}

void Forget(benchmark::State& state) {
  const Index n = state.range(0), p = state.range(1), k = state.range(2);
  forget_in_turn(state, fitted(n, p), k);
  const double rows = static_cast<double>(n), size = rows * static_cast<double>(p);
  rates(state, 4 * size + 2 * rows * rows * static_cast<double>(k), size * sizeof(double));
}
void Refit(benchmark::State& state) {
  const Index n = state.range(0) - state.range(2), p = state.range(1);
  const RowMatrix<double> X = gaussian<double>(n, p), Y = gaussian<double>(n, 1, 2);
  LinearInterpolator<double> model(LinearOptions{0, false, FactorizationChoice::automatic});
  for (auto _ : state) model.fit(Rows<double>::view(X), Y);
  const double rows = static_cast<double>(n);
  rates(state, rows * rows * static_cast<double>(p) + 2 * rows * rows * rows / 3, 0);
}

constexpr auto ms = benchmark::kMillisecond;
BENCHMARK(Forget)->Args({2000, 8000, 1})->UseManualTime()->Unit(ms);
BENCHMARK(Forget)->Args({2000, 8000, 10})->UseManualTime()->Unit(ms);
BENCHMARK(Forget)->Args({2000, 8000, 100})->UseManualTime()->Unit(ms);
BENCHMARK(Refit)->Args({2000, 8000, 1})->Unit(ms)->UseRealTime();

}  // namespace
}  // namespace minnorm::bench
