// The highest level whose extension module this CPU and operating system can run.
//
// Compiled without -march flags: this module has to load everywhere in order to answer.
// A level's module uses any instruction of its level, so every feature of the definition in the
// x86-64 psABI, section 3.1.1 ("micro-architecture levels") is asked for, not only the vector ones.
#include <pybind11/pybind11.h>

#if defined(__x86_64__) && !defined(MINNORM_BASE_RUNS_ANYWHERE)
#include <cpuid.h>
#endif

namespace {

#if defined(MINNORM_BASE_RUNS_ANYWHERE)

const char* level() { return "base"; }

#elif defined(__x86_64__)

// The features that __builtin_cpu_supports does not name in every supported compiler. None of them
// has registers of its own to be saved by the operating system beyond AVX's, which the builtin has
// checked, so the CPUID bit alone decides.
struct CpuidBits {
  unsigned leaf_1_ecx = 0;
  unsigned leaf_80000001_ecx = 0;

  CpuidBits() {
    unsigned eax = 0, ebx = 0, edx = 0;
    __get_cpuid(1, &eax, &ebx, &leaf_1_ecx, &edx);
    __get_cpuid(0x80000001u, &eax, &ebx, &leaf_80000001_ecx, &edx);
  }
  bool cmpxchg16b() const { return (leaf_1_ecx >> 13) & 1u; }
  bool movbe() const { return (leaf_1_ecx >> 22) & 1u; }
  bool f16c() const { return (leaf_1_ecx >> 29) & 1u; }
  bool lahf() const { return leaf_80000001_ecx & 1u; }
  bool lzcnt() const { return (leaf_80000001_ecx >> 5) & 1u; }
};

const char* level() {
  __builtin_cpu_init();
  const CpuidBits bits;
  const bool v2 = bits.cmpxchg16b() && bits.lahf() && __builtin_cpu_supports("popcnt") &&
                  __builtin_cpu_supports("sse3") && __builtin_cpu_supports("ssse3") &&
                  __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("sse4.2");
  // "avx" is true only where the operating system saves its registers (OSXSAVE and XGETBV).
  const bool v3 = v2 && bits.movbe() && bits.f16c() && bits.lzcnt() &&
                  __builtin_cpu_supports("avx") && __builtin_cpu_supports("avx2") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                  __builtin_cpu_supports("fma");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return v4 ? "v4" : v3 ? "v3" : v2 ? "base" : "unsupported";
}

#elif defined(__aarch64__)

const char* level() { return "neon"; }  // part of the base architecture

#else
#error "python/bindings/CMakeLists.txt defines MINNORM_BASE_RUNS_ANYWHERE on this architecture"
#endif

}  // namespace

PYBIND11_MODULE(_cpu, module) {
  module.doc() = "Which of minnorm's extension modules this CPU can run.";
  module.def("level", &level,
             "The highest level this CPU has: 'v4', 'v3', 'base' (x86-64-v2), 'neon' or "
             "'unsupported'.");
}
