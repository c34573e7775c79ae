// y = K x from the lower triangle of K, against Eigen's own and its product with all of K.
#include "minnorm/symmetric_product.hpp"

#include "problems.hpp"

namespace minnorm::bench {
namespace {

template <class S>
struct Problem {
  Matrix<S> K;
  Vector<S> x, y;

  explicit Problem(Index n) : K(gaussian<S>(n, n)), x(gaussian<S>(n, 1, 2)), y(n) {}
  double squared() const { return static_cast<double>(K.size()); }
};

template <class S>
void SymmetricProduct(benchmark::State& state) {
  Problem<S> problem(state.range(0));
  for (auto _ : state) {
    detail::symmetric_product<S>(problem.K.data(), problem.K.rows(), problem.K.rows(),
                                 problem.x.data(), problem.y.data());
    benchmark::ClobberMemory();
  }
  rates(state, 2 * problem.squared(), problem.squared() / 2 * sizeof(S));
}
template <class S>
void SelfAdjointView(benchmark::State& state) {
  Problem<S> problem(state.range(0));
  for (auto _ : state) {
    problem.y.noalias() = problem.K.template selfadjointView<Eigen::Lower>() * problem.x;
    benchmark::ClobberMemory();
  }
  rates(state, 2 * problem.squared(), problem.squared() / 2 * sizeof(S));
}
template <class S>
void FullProduct(benchmark::State& state) {
  Problem<S> problem(state.range(0));
  for (auto _ : state) {
    problem.y.noalias() = problem.K * problem.x;
    benchmark::ClobberMemory();
  }
  rates(state, 2 * problem.squared(), problem.squared() * sizeof(S));
}

BENCHMARK(SymmetricProduct<double>)->Arg(4000)->Unit(benchmark::kMillisecond);
BENCHMARK(SelfAdjointView<double>)->Arg(4000)->Unit(benchmark::kMillisecond);
BENCHMARK(FullProduct<double>)->Arg(4000)->Unit(benchmark::kMillisecond);
BENCHMARK(SymmetricProduct<float>)->Arg(4000)->Unit(benchmark::kMillisecond);
BENCHMARK(SelfAdjointView<float>)->Arg(4000)->Unit(benchmark::kMillisecond);
BENCHMARK(FullProduct<float>)->Arg(4000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace minnorm::bench
