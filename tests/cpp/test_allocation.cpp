// What a deletion takes from the heap: vectors of the sizes n, p and k n, and nothing of
// the size of the factor or of X, so that a service's memory does not jump.
//
// Counted in malloc itself, where the C library lets a program put its own in front.
#include <gtest/gtest.h>

#include <cstdlib>

#include "minnorm/kernel_interpolator.hpp"
#include "minnorm/linear_interpolator.hpp"
#include "samplers.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MINNORM_SANITIZED
#endif
#endif
#if defined(__GLIBC__) && !defined(MINNORM_SANITIZED) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define MINNORM_COUNTS_MALLOC
#endif

namespace {
bool counting = false;
std::size_t total = 0, largest = 0;

[[maybe_unused]] void count(std::size_t bytes) {
  if (!counting) return;
  total += bytes;
  largest = std::max(largest, bytes);
}
}  // namespace

#ifdef MINNORM_COUNTS_MALLOC
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* malloc(std::size_t bytes) {
  count(bytes);
  return __libc_malloc(bytes);
}
void* calloc(std::size_t entries, std::size_t bytes) {
  count(entries * bytes);
  return __libc_calloc(entries, bytes);
}
void* realloc(void* block, std::size_t bytes) {
  count(bytes);
  return __libc_realloc(block, bytes);
}
}
#endif

namespace minnorm::test {
namespace {

constexpr Index n = 600, p = 1500;

template <class Model>
void expect_small_allocations(Model model) {
#ifndef MINNORM_COUNTS_MALLOC
  GTEST_SKIP() << "malloc cannot be counted here";
#endif
  Sampler sampler(3);
  model.fit(sampler.gaussian(n, p), sampler.gaussian(n, 1));
  const std::size_t factor = sizeof(double) * n * n;
  for (const Index k : {1, 4}) {
    std::vector<Handle> ids;
    for (Index i = 0; i < k; ++i) ids.push_back(17 * (i + 1) + k);
    total = largest = 0;
    counting = true;
    model.forget(ids);
    counting = false;
    EXPECT_LT(largest, factor / 32) << k;
    EXPECT_LT(total, factor / 8) << k;
    EXPECT_GT(total, 0u);  // malloc is being counted
  }
}

TEST(Allocation, ForgetTakesVectorsOnly) {
  expect_small_allocations(LinearInterpolator<double>());
  KernelOptions options;
  options.kernel.gamma = 1.0 / p;
  expect_small_allocations(KernelInterpolator<double>(options));
}

}  // namespace
}  // namespace minnorm::test
