// 2 flops per entry and row, both operands from the second-level cache at 11 bytes per 48 flops;
// why not BLAS: bench/ladder/moments.md.

#include "cpu/moment_kernel.hpp"

#include <algorithm>
#include <cstring>

#include "common/simd.hpp"

namespace consilience {
namespace {

// Any processor: vectors of four numbers, as the compiler can make them.
namespace baseline {
#define GROUP 4
#include "cpu/moment_kernel.inl"
#undef GROUP
}  // namespace baseline

#ifdef CONSILIENCE_X86_KERNELS
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace haswell {
#define GROUP 4
#include "cpu/moment_kernel.inl"
#undef GROUP
}  // namespace haswell
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")
namespace avx512 {
#define GROUP 8
#include "cpu/moment_kernel.inl"
#undef GROUP
}  // namespace avx512
#pragma GCC pop_options
#endif

MomentKernel choose() {
#ifdef CONSILIENCE_X86_KERNELS
  if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    return avx512::kernel("avx512");
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return haswell::kernel("avx2");
  }
#endif
  return baseline::kernel("baseline");
}

}  // namespace

const MomentKernel& moment_kernel() {
  static const MomentKernel kernel = choose();
  return kernel;
}

}  // namespace consilience
