// The Gram matrix of a wide Jacobian, panel by panel in cache, against Eigen's rank
// update of the same panels and of the whole, and against its matrix product.
#include "minnorm/tall_products.hpp"

#include "minnorm/jacobian_blocks.hpp"
#include "problems.hpp"

namespace minnorm::bench {
namespace {

double gram_flops(Index m, Index p) {
  return static_cast<double>(m) * static_cast<double>(m + 1) * static_cast<double>(p);
}

// A panel that stays in cache: what the tiles alone can do.
void GramPanel(benchmark::State& state) {
  const Index m = state.range(0), w = JacobianBlocks<float>::panel_columns(m);
  const RowMatrix<double> buffer = gaussian<double>(m, w + 8);
  Matrix<double> G = Matrix<double>::Zero(m, m);
  for (auto _ : state) detail::add_gram(buffer.leftCols(w), G);
  benchmark::DoNotOptimize(G.data());
  rates(state, gram_flops(m, w), 0);
}
void GramPanelByEigen(benchmark::State& state) {
  const Index m = state.range(0), w = JacobianBlocks<float>::panel_columns(m);
  const RowMatrix<double> buffer = gaussian<double>(m, w + 8);
  Matrix<double> G = Matrix<double>::Zero(m, m);
  for (auto _ : state) G.selfadjointView<Eigen::Lower>().rankUpdate(buffer.leftCols(w));
  benchmark::DoNotOptimize(G.data());
  rates(state, gram_flops(m, w), 0);
}

// From memory, floats converted on the way.
template <class S>
void Gram(benchmark::State& state) {
  const Index m = state.range(0), p = state.range(1);
  const RowMatrix<S> J = gaussian<S>(m, p);
  const auto blocks = JacobianBlocks<S>::view(J);
  const Indices all = all_indices(m);
  Matrix<double> G = Matrix<double>::Zero(m, m);
  for (auto _ : state)
    blocks.sum_over_panels(
        all, {}, G,
        [](const ConstRowMatrixRef<double>& panel, Index, Upcoming& next, Matrix<double>& own) {
          Matrix<double> none;
          detail::add_gram(panel, own, panel.topRows(0), none, next);
        });
  benchmark::DoNotOptimize(G.data());
  rates(state, gram_flops(m, p), static_cast<double>(J.size()) * sizeof(S));
}
// In the precision of J.
template <class S>
void GramByEigen(benchmark::State& state) {
  const Index m = state.range(0), p = state.range(1);
  const RowMatrix<S> J = gaussian<S>(m, p);
  Matrix<S> G = Matrix<S>::Zero(m, m);
  for (auto _ : state) G.template selfadjointView<Eigen::Lower>().rankUpdate(J);
  benchmark::DoNotOptimize(G.data());
  rates(state, gram_flops(m, p), static_cast<double>(J.size()) * sizeof(S));
}

void MatrixProduct(benchmark::State& state) {
  const Index n = state.range(0);
  const Matrix<double> A = gaussian<double>(n, n), B = gaussian<double>(n, n, 2);
  Matrix<double> C(n, n);
  for (auto _ : state) C.noalias() = A * B;
  benchmark::DoNotOptimize(C.data());
  rates(state, 2 * std::pow(static_cast<double>(n), 3), 0);
}

BENCHMARK(GramPanel)->Arg(20)->Arg(50)->Arg(100);
BENCHMARK(GramPanelByEigen)->Arg(20)->Arg(50)->Arg(100);
BENCHMARK(Gram<float>)->Args({50, 1 << 20})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(GramByEigen<float>)->Args({50, 1 << 20})->Unit(benchmark::kMillisecond);
BENCHMARK(Gram<double>)->Args({50, 1 << 20})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(GramByEigen<double>)->Args({50, 1 << 20})->Unit(benchmark::kMillisecond);
BENCHMARK(MatrixProduct)->Arg(1000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace minnorm::bench
