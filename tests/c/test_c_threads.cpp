// The thread rules of the C interface, for ThreadSanitizer: calls that only read one
// model run side by side under the caller's lock, distinct models need none, a handle may
// be freed while another thread is in a call on it, and messages are of their thread.
#include <minnorm.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

namespace {

constexpr std::int64_t n = 40, p = 60, stay = 20;
std::atomic<int> failures{0};

void check(bool holds, const char* what) {
  if (holds) return;
  ++failures;
  std::printf("%s: %s\n", what, minnorm_message());
}

std::vector<double> numbers(std::int64_t count, unsigned seed) {
  std::vector<double> out(static_cast<std::size_t>(count));
  for (double& value : out) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<double>(seed >> 8) / 8388608.0 - 1;
  }
  return out;
}

const std::vector<double> X = numbers(n * p, 1), y = numbers(n, 2);

minnorm_model* fitted() {
  minnorm_model* model;
  check(minnorm_linear_fit_f64(n, p, 1, X.data(), p, y.data(), 1, nullptr, &model) == MINNORM_OK,
        "fit");
  return model;
}

void predict(const minnorm_model* model) {
  double F[stay];
  check(minnorm_predict_f64(model, stay, p, 1, X.data(), p, F, 1) == MINNORM_OK, "predict");
  for (std::int64_t i = 0; i < stay; ++i)
    check(std::abs(F[i] - y[static_cast<std::size_t>(i)]) < 1e-10, "prediction");
}

void readers_beside_a_writer() {
  minnorm_model* model = fitted();
  std::shared_mutex lock;
  // Each side waits for the other, by atomics that put no order between their threads.
  std::atomic<int> readers{0};
  std::atomic<bool> done{false};
  const auto read = [&] {
    for (int round = 0; round < 2000 && !done.load(std::memory_order_relaxed); ++round) {
      {
        const std::shared_lock reading(lock);
        predict(model);
      }
      if (round == 0) readers.fetch_add(1, std::memory_order_relaxed);
      std::this_thread::yield();  // some locks prefer readers to the writer that waits
    }
  };
  std::thread first(read), second(read), third([&] {
    while (readers.load(std::memory_order_relaxed) < 2) std::this_thread::yield();
    for (std::int64_t id = n - 1; id >= stay; --id) {
      {
        const std::unique_lock writing(lock);
        check(minnorm_forget(model, 1, &id, nullptr) == MINNORM_OK, "forget");
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    done.store(true, std::memory_order_relaxed);
  });
  first.join();
  second.join();
  third.join();
  check(minnorm_free(model) == MINNORM_OK, "free");
}

void models_of_their_own() {
  const auto work = [] {
    minnorm_model* model = fitted();
    const std::int64_t id = n - 1;
    check(minnorm_forget(model, 1, &id, nullptr) == MINNORM_OK, "forget");
    predict(model);
    check(minnorm_forget(model, 1, &id, nullptr) == MINNORM_UNKNOWN_SAMPLE, "forget twice");
    check(std::strstr(minnorm_message(), "sample 39 is forgotten already") != nullptr, "message");
    check(minnorm_free(model) == MINNORM_OK, "free");
  };
  std::thread first(work), second(work);
  first.join();
  second.join();
}

void freed_during_calls() {
  minnorm_model* model = fitted();
  std::thread reader([&] {
    double F;
    while (minnorm_predict_f64(model, 1, p, 1, X.data(), p, &F, 1) == MINNORM_OK) {
    }
    check(std::strstr(minnorm_message(), "freed") != nullptr, "message");
  });
  check(minnorm_free(model) == MINNORM_OK, "free");
  reader.join();
}

}  // namespace

int main() {
  readers_beside_a_writer();
  models_of_their_own();
  freed_during_calls();
  std::printf("%d checks failed\n", failures.load());
  return failures != 0;
}
