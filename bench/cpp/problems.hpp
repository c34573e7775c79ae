// Problems to measure on, and the rates that go with a time.
//
// Every problem is drawn from a seed of its own: the same on every run. A task that
// spoils its input is timed by itself, between the clock readings of `timed`, and its
// benchmark says UseManualTime().
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>
#include <random>

#include "minnorm/types.hpp"

namespace minnorm::bench {

template <class S>
RowMatrix<S> gaussian(Index n, Index p, unsigned seed = 1) {
  std::mt19937 bits(seed);
  std::normal_distribution<S> normal;
  RowMatrix<S> A(n, p);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < p; ++j) A(i, j) = normal(bits);
  return A;
}

// A A^T + n I for Gaussian A (n, n): positive definite, condition number below 10.
inline Matrix<double> positive_definite(Index n) {
  const Matrix<double> A = gaussian<double>(n, n);
  Matrix<double> G = Matrix<double>::Zero(n, n);
  G.selfadjointView<Eigen::Lower>().rankUpdate(A);
  G.diagonal().array() += static_cast<double>(n);
  return Matrix<double>(G.selfadjointView<Eigen::Lower>());
}

// k positions of n, evenly spread: the middle one, or every (n / k)-th.
inline Indices spread(Index n, Index k) {
  Indices out;
  for (Index f = 0; f < k; ++f) out.push_back((2 * f + 1) * n / (2 * k));
  return out;
}

template <class F>
void timed(benchmark::State& state, F&& task) {
  const auto start = std::chrono::steady_clock::now();
  task();
  benchmark::ClobberMemory();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  state.SetIterationTime(taken.count());
}

// Per iteration; printed per second.
inline void rates(benchmark::State& state, double flops, double bytes) {
  using benchmark::Counter;
  constexpr auto rate = Counter::kIsIterationInvariantRate;
  if (flops > 0) state.counters["flops"] = Counter(flops, rate);
  if (bytes > 0) state.counters["bytes"] = Counter(bytes, rate, Counter::kIs1024);
}

}  // namespace minnorm::bench
