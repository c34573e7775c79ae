// The thread rule: one model may be read by several threads at once while none changes
// it, so a caller's reader-writer lock is all that shared use takes. Meant for
// ThreadSanitizer; without it, the test still sees a torn result.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "minnorm/minnorm.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

// Two threads predict while a third forgets. Every prediction on a retained sample is
// its target, whichever model of the sequence gave it.
template <class Model>
void expect_readers_beside_a_writer(Model model) {
  constexpr Index n = 40, p = 60, stay = 20;
  Sampler sampler(5);
  const RowMatrix<double> X = sampler.gaussian(n, p), Y = sampler.gaussian(n, 1);
  model.fit(X, Y);
  std::shared_mutex lock;
  // The reads and writes have to meet, so each side waits for the other; relaxed, since an
  // order between the threads would hide from the sanitizer that the lock made none.
  std::atomic<int> readers{0};
  std::atomic<bool> done{false};
  double worst[2] = {0, 0};
  const auto predict = [&](double& gap) {
    for (int round = 0; round < 2000 && !done.load(std::memory_order_relaxed); ++round) {
      {
        const std::shared_lock reading(lock);
        const RowMatrix<double> F = model.predict(X.topRows(stay));
        gap = std::max(gap, (F - Y.topRows(stay)).cwiseAbs().maxCoeff());
        gap = std::max(gap, model.certificate().residual);
      }
      if (round == 0) readers.fetch_add(1, std::memory_order_relaxed);
      std::this_thread::yield();  // some locks prefer readers to the writer that waits
    }
  };
  const auto forget = [&] {
    while (readers.load(std::memory_order_relaxed) < 2) std::this_thread::yield();
    for (Index i = n - 1; i >= stay; --i) {
      {
        const std::unique_lock writing(lock);
        model.forget({i});
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    done.store(true, std::memory_order_relaxed);
  };
  std::thread first(predict, std::ref(worst[0])), second(predict, std::ref(worst[1]));
  std::thread third(forget);
  first.join();
  second.join();
  third.join();
  EXPECT_EQ(model.n_samples(), stay);
  EXPECT_LT(worst[0], 1e-10);
  EXPECT_LT(worst[1], 1e-10);
}

TEST(Threads, PredictWhileForgettingLinear) {
  expect_readers_beside_a_writer(LinearInterpolator<double>());
}
TEST(Threads, PredictWhileForgettingKernel) {
  KernelOptions options;
  options.kernel.gamma = 0.01;
  expect_readers_beside_a_writer(KernelInterpolator<double>(options));
}

}  // namespace
}  // namespace minnorm::test
