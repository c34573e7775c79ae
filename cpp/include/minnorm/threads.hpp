// Threads: independent tasks at once where the program is compiled with OpenMP, in
// order elsewhere. The only header that knows of OpenMP.
//
// Invariant: never more threads than omp_get_max_threads(), so OMP_NUM_THREADS and
// threadpoolctl govern; one inside a parallel region, whoever opened it, and one in a
// forked child, which has inherited no threads to wake. What a task computes does not
// depend on who runs it: results depend on the number of threads at most, never on time.
// An exception leaves its task alone; when all have ended, that of the first task which
// failed is thrown.
// Compile all of a program with OpenMP or none of it: these functions are inline.
#pragma once

#include <algorithm>

#include "types.hpp"

#ifdef _OPENMP
#include <omp.h>

#include <atomic>
#include <exception>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define MINNORM_WATCHES_FORKS
#endif
#endif

namespace minnorm::detail {

// Sharing out less than this is not worth the tens of microseconds that waking a
// sleeping thread takes.
inline constexpr double flops_a_thread = 5e6;

#ifdef MINNORM_WATCHES_FORKS
// A parallel region in a forked child waits for threads that exist in the parent alone.
inline std::atomic<bool> forked_child{false};
inline const int watches_forks = pthread_atfork(nullptr, nullptr, [] { forked_child = true; });
#endif

// Threads for `flops` operations, at least 1.
inline Index thread_count([[maybe_unused]] double flops) {
#ifdef _OPENMP
#ifdef MINNORM_WATCHES_FORKS
  if (forked_child) return 1;
#endif
  if (omp_in_parallel()) return 1;
  const double worth = std::clamp(flops / flops_a_thread, 1.0, 1024.0);
  return std::max<Index>(1, std::min<Index>(omp_get_max_threads(), static_cast<Index>(worth)));
#else
  return 1;
#endif
}

// f(0), ..., f(count - 1), each once, by `threads` threads that take the next task when
// they have done one.
template <class F>
void for_each_task(Index count, [[maybe_unused]] Index threads, F&& f) {
#ifdef _OPENMP
  if (threads > 1 && count > 1) {
    std::exception_ptr error;
    Index failed = count;
#pragma omp parallel for schedule(dynamic, 1) num_threads(static_cast<int>(threads))
    for (Index i = 0; i < count; ++i) {
      try {
        f(i);
      } catch (...) {
#pragma omp critical(minnorm_task_failed)
        if (i < failed) {
          failed = i;
          error = std::current_exception();
        }
      }
    }
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

}  // namespace minnorm::detail
