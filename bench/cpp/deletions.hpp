// Deletion after deletion from one model, which is fitted anew, untimed, when a tenth
// of its samples is gone: so its size stays what the name says.
#pragma once

#include "problems.hpp"

namespace minnorm::bench {

template <class Model>
void forget_in_turn(benchmark::State& state, const Model& fitted, Index k) {
  Model model = fitted;
  const Index n = fitted.n_samples();
  std::mt19937 bits(3);
  std::vector<Handle> order(fitted.samples().handles());
  std::size_t next = 0;
  for (auto _ : state) {
    if (next == 0 || model.n_samples() - k < n - std::max(n / 10, k)) {
      model = fitted;
      std::shuffle(order.begin(), order.end(), bits);
      next = 0;
    }
    const std::vector<Handle> gone(order.begin() + static_cast<std::ptrdiff_t>(next),
                                   order.begin() + static_cast<std::ptrdiff_t>(next) + k);
    next += static_cast<std::size_t>(k);
    timed(state, [&] { model.forget(gone); });
  }
}

}  // namespace minnorm::bench
