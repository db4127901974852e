// 2 flops per entry and feature, operands from L1; the two comparisons of an entry cost about as
// much as six features (bench/ladder/knn_exact.md).

#include "cpu/micro_kernel.hpp"

#include <bit>
#include <cstring>

#include "common/simd.hpp"

#ifdef CONSILIENCE_X86_KERNELS
#include <immintrin.h>
#endif

namespace consilience {
namespace {

// Any processor: 4 x 8 sums in the registers of SSE or NEON.
namespace baseline {
#define LANES 4
#define ROWS 4
#define VECTORS 2
using Four = float __attribute__((vector_size(16)));
inline unsigned at_least_one(Four s, Four a, Four b) {
  unsigned bits = 0;
  for (unsigned l = 0; l < 4; ++l) bits |= static_cast<unsigned>(s[l] >= a[l] || s[l] >= b[l]) << l;
  return bits;
}
using FourCounts = std::int32_t __attribute__((vector_size(16)));
inline unsigned negative(FourCounts c) {
  unsigned bits = 0;
  for (unsigned l = 0; l < 4; ++l) bits |= static_cast<unsigned>(c[l] < 0) << l;
  return bits;
}
#define AT_LEAST_ONE(s, a, b) at_least_one(s, a, b)
#define GREATER(s, a) negative((s) > (a))
#define AT_LEAST(s, a) negative((s) >= (a))
#define NEGATIVE(c) negative(c)
#include "cpu/micro_kernel.inl"
#undef LANES
#undef ROWS
#undef VECTORS
#undef AT_LEAST_ONE
#undef GREATER
#undef AT_LEAST
#undef NEGATIVE
}  // namespace baseline

#ifdef CONSILIENCE_X86_KERNELS
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace haswell {
#define LANES 8
#define ROWS 4
#define VECTORS 3
#define AT_LEAST_ONE(s, a, b)               \
  static_cast<unsigned>(_mm256_movemask_ps( \
      _mm256_cmp_ps((__m256)(s), _mm256_min_ps((__m256)(a), (__m256)(b)), _CMP_GE_OQ)))
#define GREATER(s, a) \
  static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps((__m256)(s), (__m256)(a), _CMP_GT_OQ)))
#define AT_LEAST(s, a) \
  static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps((__m256)(s), (__m256)(a), _CMP_GE_OQ)))
#define NEGATIVE(c) static_cast<unsigned>(_mm256_movemask_ps((__m256)(c)))
#include "cpu/micro_kernel.inl"
#undef LANES
#undef ROWS
#undef VECTORS
#undef AT_LEAST_ONE
#undef GREATER
#undef AT_LEAST
#undef NEGATIVE
}  // namespace haswell
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")
namespace avx512 {
#define LANES 16
#define ROWS 8
#define VECTORS 3
#define AT_LEAST_ONE(s, a, b) \
  _mm512_cmp_ps_mask((__m512)(s), (__m512)((a) < (b) ? (a) : (b)), _CMP_GE_OQ)
#define GREATER(s, a) _mm512_cmp_ps_mask((__m512)(s), (__m512)(a), _CMP_GT_OQ)
#define AT_LEAST(s, a) _mm512_cmp_ps_mask((__m512)(s), (__m512)(a), _CMP_GE_OQ)
#define NEGATIVE(c) _mm512_movepi32_mask((__m512i)(c))
#include "cpu/micro_kernel.inl"
#undef LANES
#undef ROWS
#undef VECTORS
#undef AT_LEAST_ONE
#undef GREATER
#undef AT_LEAST
#undef NEGATIVE
}  // namespace avx512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx512vnni,avx2,fma")
namespace avx512 {
bool vnni_reached(const float* left, const float* right, index_t depth,
                  const std::int32_t* left_sums, const MicroBounds& bounds, float* products,
                  std::uint64_t* masks) {
  constexpr int kRows = 8, kVectors = 3;
  // The instruction multiplies signed bytes by unsigned ones, which are 128 too many.
  const __m512i flip = _mm512_set1_epi8(-128);
  __m512i totals[kRows][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) totals[i][v] = _mm512_set1_epi32(-128 * left_sums[i]);
  }
  for (index_t f = 0; f < depth; ++f, left += kCols, right += kCols) {
    __m512i columns[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      columns[v] = _mm512_xor_si512(_mm512_loadu_si512(right + 16 * v), flip);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      std::int32_t four;
      std::memcpy(&four, left + i, sizeof(four));
      const __m512i row = _mm512_set1_epi32(four);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        // Written out: around the intrinsic GCC 12 moves every sum to and from memory.
        asm("vpdpbusd %2, %1, %0" : "+v"(totals[i][v]) : "v"(columns[v]), "v"(row));
      }
    }
  }
  Vector sums[kRows][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      sums[i][v] = __builtin_convertvector((Counts)totals[i][v], Vector);
    }
  }
  if (!compare(sums, bounds, masks)) return false;
  for (int i = 0; i < kRows; ++i) std::memcpy(products + i * kCols, sums[i], sizeof(sums[i]));
  return true;
}
}  // namespace avx512
#pragma GCC pop_options
#endif

MicroKernel choose() {
#ifdef CONSILIENCE_X86_KERNELS
  if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    const bool vnni = __builtin_cpu_supports("avx512vnni");
    return {8,
            48,
            avx512::reached,
            vnni ? avx512::vnni_reached : avx512::bytes_reached,
            vnni,
            avx512::multiply,
            avx512::count,
            avx512::joint_reached,
            avx512::row_products,
            "avx512"};
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return {4,
            24,
            haswell::reached,
            haswell::bytes_reached,
            false,
            haswell::multiply,
            haswell::count,
            haswell::joint_reached,
            haswell::row_products,
            "avx2"};
  }
#endif
  return {4,
          8,
          baseline::reached,
          baseline::bytes_reached,
          false,
          baseline::multiply,
          baseline::count,
          baseline::joint_reached,
          baseline::row_products,
          "baseline"};
}

}  // namespace

const MicroKernel& micro_kernel() {
  static const MicroKernel kernel = choose();
  return kernel;
}

}  // namespace consilience
