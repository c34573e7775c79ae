// Hot calls stay off the heap: a deletion after `reserve`.
//
// Forbidden in malloc itself, where the C library lets a program put its own in front.
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
bool counting = false, failing = false;
std::size_t calls = 0, most = 0, total = 0;

[[maybe_unused]] void count(std::size_t bytes) {
  if (!counting) return;
  ++calls;
  total += bytes;
  most = std::max(most, bytes);
}
}  // namespace

#ifdef MINNORM_COUNTS_MALLOC
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
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
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  count(bytes);
  return failing ? nullptr : __libc_memalign(alignment, bytes);
}
}
#endif

namespace minnorm::test {
namespace {

// What `work` takes from the heap.
template <class Work>
std::size_t heap_calls(Work work) {
  calls = total = most = 0;
  counting = true;
  work();
  counting = false;
  return calls;
}

#ifdef MINNORM_COUNTS_MALLOC
#define REQUIRE_COUNTING \
  EXPECT_GT(heap_calls([] { delete[] std::make_unique<double[]>(99).release(); }), 0u)
#else
#define REQUIRE_COUNTING GTEST_SKIP() << "malloc cannot be counted here"
#endif

std::vector<Handle> some(const std::vector<Handle>& held, Index k, Sampler& sampler) {
  std::vector<Handle> out;
  for (const Index i : sampler.subset(static_cast<Index>(held.size()), k))
    out.push_back(held[static_cast<std::size_t>(i)]);
  return out;
}

template <class S, class Model>
void expect_no_heap(Model model, Index n, Index p, Index t, Index most_at_once) {
  Sampler sampler(static_cast<unsigned>(n + p + t));
  model.fit(sampler.gaussian<S>(n, p), sampler.gaussian<S>(n, t));
  ASSERT_EQ(model.rank(), n);
  model.reserve(most_at_once);
  for (const Index k : {Index(1), Index(1), most_at_once, Index(3), Index(1)}) {
    const auto ids = some(model.samples().handles(), std::min(k, most_at_once), sampler);
    EXPECT_EQ(heap_calls([&] { model.forget(ids); }), 0u)
        << "n " << n << ", p " << p << ", t " << t << ", k " << k << ": " << total << " bytes, "
        << most << " at most";
  }
}

TEST(Allocation, LinearForget) {
  REQUIRE_COUNTING;
  for (const Index t : {1, 3, 8}) {
    expect_no_heap<double>(LinearInterpolator<double>(), 90, 400, t, 4);
    expect_no_heap<float>(LinearInterpolator<float>(), 90, 400, t, 8);
  }
  LinearOptions options;
  options.fit_intercept = false;
  expect_no_heap<double>(LinearInterpolator<double>(options), 400, 700, 1, 8);
  options.alpha = 0.1;
  expect_no_heap<double>(LinearInterpolator<double>(options), 120, 60, 2, 8);
  options.alpha = 0;
  options.factorization = FactorizationChoice::qr;
  expect_no_heap<double>(LinearInterpolator<double>(options), 60, 90, 2, 8);
}

TEST(Allocation, KernelForget) {
  REQUIRE_COUNTING;
  KernelOptions options;
  options.kernel.gamma = 0.1;
  for (const Index t : {1, 8}) {
    expect_no_heap<double>(KernelInterpolator<double>(options), 300, 12, t, 8);
    expect_no_heap<float>(KernelInterpolator<float>(options), 100, 20, t, 4);
  }
  options.alpha = 0.1;
  expect_no_heap<double>(KernelInterpolator<double>(options), 100, 5, 2, 8);
}

// Targets that dwarf those that stay: the residual is too large at first, and the solution
// is refined, on copies that come from the workspace.
TEST(Allocation, ForgetThatRefines) {
  REQUIRE_COUNTING;
  Sampler sampler(5);
  const Index n = 40, p = 80;
  const RowMatrix<double> X = sampler.conditioned(n, p, 1e6);
  RowMatrix<double> Y = sampler.gaussian(n, 1);
  Y(7, 0) = 1e12;
  KernelOptions options;
  options.kernel.type = KernelType::linear;
  KernelInterpolator<double> kernel(options);
  kernel.fit(sampler.conditioned(n, p, 1e3), Y);
  kernel.reserve(1);
  EXPECT_EQ(heap_calls([&] { kernel.forget({7}); }), 0u);
  LinearInterpolator<double> linear;
  linear.fit(X, Y);
  linear.reserve(1);
  EXPECT_EQ(heap_calls([&] { linear.forget({7}); }), 0u);
  EXPECT_GT(linear.certificate().refinement_steps + kernel.certificate().refinement_steps, 0);
}

// Without `reserve` a deletion asks once, for vectors only, and gives it all back.
TEST(Allocation, ForgetAsksOnce) {
  REQUIRE_COUNTING;
  const Index n = 600, p = 1500;
  Sampler sampler(3);
  LinearInterpolator<double> model;
  model.fit(sampler.gaussian(n, p), sampler.gaussian(n, 1));
  for (const Index k : {1, 4}) {
    const auto ids = some(model.samples().handles(), k, sampler);
    EXPECT_EQ(heap_calls([&] { model.forget(ids); }), 2u) << k;  // the block and its place
    EXPECT_LT(total, sizeof(double) * n * n / 16) << k;
  }
}

// A deletion for which there is no memory changes nothing.
TEST(Allocation, ForgetThatFailsChangesNothing) {
  REQUIRE_COUNTING;
  Sampler sampler(4);
  const Index n = 50, p = 80;
  LinearInterpolator<double> model;
  model.fit(sampler.gaussian(n, p), sampler.gaussian(n, 2));
  const LinearInterpolator<double> before = model;
  failing = true;
  EXPECT_THROW(model.forget({3, 17}), std::bad_alloc);
  failing = false;
  EXPECT_EQ(model.samples().handles(), before.samples().handles());
  EXPECT_EQ(model.coef(), before.coef());
  EXPECT_EQ(model.samples().targets(), before.samples().targets());
  model.forget({3, 17});
  EXPECT_EQ(model.n_samples(), n - 2);
}

}  // namespace
}  // namespace minnorm::test
