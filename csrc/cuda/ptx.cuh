// The instructions that C++ has no name for, one function each.
#pragma once

#ifdef CONSILIENCE_EMULATED
#include "emulated/ptx.hpp"
#else

// Halves travel as their bits.
__device__ __forceinline__ unsigned short half_of(float value) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}
__device__ __forceinline__ float float_of(unsigned short half) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
  return value;
}

// 16 bytes from global to shared memory, in the background.
__device__ __forceinline__ void copy_async(void* shared, const void* global) {
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(global));
}
__device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;"); }
// Waits until at most kPending of the committed groups are on their way.
template <int kPending>
__device__ __forceinline__ void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending));
}

// Four 8 x 8 matrices of halves; lane l names row l % 8 of matrix l / 8.
__device__ __forceinline__ void load_matrices(unsigned (&out)[4], const void* shared_row) {
  const auto from = static_cast<unsigned>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(from));
}

// c += a b, a 16 x 16, b 16 x 8 of halves, c 16 x 8 of floats, in the fragments of PTX's
// mma.m16n8k16.
__device__ __forceinline__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0,
                                             unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// ---- warpgroups (sm_90a) -----------------------------------------------------------------

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
constexpr bool kWarpgroups = true;
#else
constexpr bool kWarpgroups = false;
#endif

// A barrier in shared memory whose phases end when all have arrived and all bytes have come.
struct __align__(8) Phase {
  unsigned long long state;
};
__device__ __forceinline__ unsigned address_of(const void* shared) {
  return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}
__device__ __forceinline__ void phase_start(Phase& phase, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address_of(&phase)), "r"(arrivals)
               : "memory");
}
__device__ __forceinline__ void phase_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;\n\tfence.proxy.async.shared::cta;" ::
                   : "memory");
}
__device__ __forceinline__ void phase_arrive(Phase& phase) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address_of(&phase)) : "memory");
}
__device__ __forceinline__ void phase_expect(Phase& phase, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address_of(&phase)),
               "r"(bytes)
               : "memory");
}
// Returns once a phase of this parity has ended; of the one before the first it has.
__device__ __forceinline__ void phase_wait(Phase& phase, unsigned parity) {
  unsigned ended = 0;
  while (!ended) {
    asm volatile(
        "{\n\t.reg .pred p;\n\t"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n\t"
        "selp.u32 %0, 1, 0, p;\n\t}"
        : "=r"(ended)
        : "r"(address_of(&phase)), "r"(parity)
        : "memory");
  }
}
// Who observes what was published sees what was written before.
__device__ __forceinline__ void publish(int& shared, int value) {
  asm volatile("st.release.cta.shared::cta.u32 [%0], %1;" ::"r"(address_of(&shared)), "r"(value)
               : "memory");
}
__device__ __forceinline__ int observe(const int& shared) {
  int value;
  asm volatile("ld.acquire.cta.shared::cta.u32 %0, [%1];"
               : "=r"(value)
               : "r"(address_of(&shared))
               : "memory");
  return value;
}
// Before one looks again, having looked in vain so often.
__device__ __forceinline__ void relax(int) { asm volatile("nanosleep.u32 100;"); }

// Bytes from global to shared memory in the background, a multiple of 16, counted by a phase.
__device__ __forceinline__ void copy_bulk(void* shared, const void* global, int bytes,
                                          Phase& phase) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(address_of(shared)),
      "l"(global), "r"(bytes), "r"(address_of(&phase))
      : "memory");
}

// Registers of each thread of a warpgroup, which others give up or take.
template <int kCount>
__device__ __forceinline__ void fewer_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
}
template <int kCount>
__device__ __forceinline__ void more_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
}
// The four warps of a warpgroup wait for each other.
__device__ __forceinline__ void group_sync(int group) {
  asm volatile("bar.sync %0, 128;" ::"r"(group + 1) : "memory");
}
__device__ __forceinline__ void group_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void group_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Waits until at most kPending of the committed products are under way.
template <int kPending>
__device__ __forceinline__ void group_wait(float (&c)[128]) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
  if (kPending == 0) {
#pragma unroll
    for (int t = 0; t < 128; ++t) asm volatile("" : "+f"(c[t])::"memory");  // not read before
  }
}

// Of a matrix in a brick (halves.cuh): pieces exchanged over 128 bytes, eight rows in 1024 bytes.
__device__ __forceinline__ unsigned long long matrix_of(const void* shared) {
  return ((address_of(shared) & 0x3ffffull) >> 4) | 1ull << 16 | 64ull << 32 | 1ull << 62;
}

// c (+)= a b', a 64 x 16, b 256 x 16 of halves in bricks, c in the fragments of PTX's
// wgmma.m64n256k16. By a warpgroup; c is not to be touched before group_wait.
__device__ __forceinline__ void multiply_group(float (&c)[128], const void* a, const void* b,
                                               bool accumulate) {
#define CONSILIENCE_4(i) "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3])
#define CONSILIENCE_16(i) \
  CONSILIENCE_4(i), CONSILIENCE_4(i + 4), CONSILIENCE_4(i + 8), CONSILIENCE_4(i + 12)
  asm volatile(
      "{\n\t.reg .pred p;\n\tsetp.ne.b32 p, %130, 0;\n\t"
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, "
      "%8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, "
      "%24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, "
      "%40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, "
      "%56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, "
      "%72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, "
      "%88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, "
      "%104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, "
      "%120, %121, %122, %123, %124, %125, %126, %127"
      "}, %128, %129, p, 1, 1, 0, 0;\n\t}"
      : CONSILIENCE_16(0), CONSILIENCE_16(16), CONSILIENCE_16(32), CONSILIENCE_16(48),
        CONSILIENCE_16(64), CONSILIENCE_16(80), CONSILIENCE_16(96), CONSILIENCE_16(112)
      : "l"(matrix_of(a)), "l"(matrix_of(b)), "r"(static_cast<int>(accumulate)));
#undef CONSILIENCE_16
#undef CONSILIENCE_4
}

extern __shared__ __align__(16) unsigned char dynamic_memory[];
// The shared memory that a launch asked for.
__device__ __forceinline__ unsigned char* dynamic_shared() { return dynamic_memory; }

#endif

// From the next address that kAlignment divides.
template <class T, int kAlignment>
__device__ __forceinline__ T* aligned_shared(unsigned char* raw) {
  const auto address = reinterpret_cast<unsigned long long>(raw);
  return reinterpret_cast<T*>(raw + (kAlignment - address % kAlignment) % kAlignment);
}

#define CONSILIENCE_DYNAMIC_SHARED(name) unsigned char* name = dynamic_shared()
