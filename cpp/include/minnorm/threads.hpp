// Threads: independent tasks at once where the program is compiled with OpenMP, in
// order elsewhere. The only header that knows of either.
//
// OpenMP says how many threads there may be (OMP_NUM_THREADS, threadpoolctl) and whether
// the caller runs in parallel already. The threads themselves are started for a call and
// joined in it: those of an OpenMP runtime wait for their next work in busy loops of
// milliseconds, which where processes share the cores took more time than they gave
// (bench/README.md), and they are missing in a forked child, which then waits for ever.
//
// Invariant: never more threads than omp_get_max_threads(), and one inside a task or a
// parallel region. What a task computes does not depend on who runs it: results depend
// on the number of threads at most, never on time. An exception ends its task alone; when
// all have ended, that of the first task which failed is thrown.
// Compile all of a program with OpenMP or none of it: these functions are inline.
#pragma once

#include <algorithm>

#include "types.hpp"

#ifdef _OPENMP
#include <omp.h>

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#endif

namespace minnorm::detail {

// Sharing out less than this is not worth the tens of microseconds that starting a
// thread takes.
inline constexpr double flops_a_thread = 1e7;

#ifdef _OPENMP
// While it lives OpenMP allows the thread that made it no other: not to the algorithms
// that a task calls, nor to Eigen's products, which ask OpenMP themselves.
class SingleThread {
 public:
  SingleThread() { omp_set_num_threads(1); }
  ~SingleThread() { omp_set_num_threads(before_); }
  SingleThread(const SingleThread&) = delete;
  SingleThread& operator=(const SingleThread&) = delete;

 private:
  int before_ = omp_get_max_threads();
};
#endif

// Threads for `flops` operations, at least 1.
inline Index thread_count([[maybe_unused]] double flops) {
#ifdef _OPENMP
  if (omp_in_parallel()) return 1;
  const double worth = std::clamp(flops / flops_a_thread, 1.0, 1024.0);
  return std::max<Index>(1, std::min<Index>(omp_get_max_threads(), static_cast<Index>(worth)));
#else
  return 1;
#endif
}

// f(0), ..., f(count - 1), each once, by `threads` threads that take the next task when
// they have done one. Fewer threads where the system gives no more.
template <class F>
void for_each_task(Index count, [[maybe_unused]] Index threads, F&& f) {
#ifdef _OPENMP
  if (threads > 1 && count > 1) {
    std::atomic<Index> next{0};
    std::mutex failing;
    std::exception_ptr error;
    Index failed = count;
    const auto work = [&] {
      const SingleThread single;
      for (Index i = next++; i < count; i = next++) {
        try {
          f(i);
        } catch (...) {
          const std::lock_guard lock(failing);
          if (i < failed) {
            failed = i;
            error = std::current_exception();
          }
        }
      }
    };
    std::vector<std::thread> helpers;
    const Index wanted = std::min(threads, count) - 1;
    try {
      helpers.reserve(static_cast<std::size_t>(wanted));
      for (Index t = 0; t < wanted; ++t) helpers.emplace_back(work);
    } catch (...) {
      // No thread or no memory for one: the tasks are done by those there are.
    }
    work();
    for (std::thread& helper : helpers) helper.join();
    if (error) std::rethrow_exception(error);
    return;
  }
#endif
  for (Index i = 0; i < count; ++i) f(i);
}

// [first, last).
struct Range {
  Index first = 0, last = 0;
};

// Part i of [0, count) in `parts` of about one size, cut at multiples of `step`.
inline Range part_of(Index count, Index i, Index parts, Index step) {
  const Index steps = (count + step - 1) / step;
  const auto cut = [&](Index part) { return std::min(count, steps * part / parts * step); };
  return {cut(i), cut(i + 1)};
}

// f(part) for [0, count) in one part a thread.
template <class F>
void for_each_part(Index count, double flops, F&& f) {
  const Index threads = thread_count(flops);
  for_each_task(threads, threads, [&](Index i) { f(part_of(count, i, threads, 1)); });
}

}  // namespace minnorm::detail
