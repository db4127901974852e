// Six instructions for 32 entries and a list with AVX-512, about eight for each entry without.

#include "cpu/list_filter.hpp"

#include <algorithm>
#include <bit>

#include "common/simd.hpp"

#ifdef CONSILIENCE_X86_KERNELS
#include <immintrin.h>
#endif

namespace consilience {
namespace {

namespace baseline {

struct Hashed {
  std::uint32_t low[kProbedLanes], high[kProbedLanes];
  index_t count;
};

template <class Id>
inline Hashed hash(const Id* entries, index_t count, int shift) {
  Hashed hashed;
  hashed.count = count;
  for (index_t s = 0; s < count; ++s) {
    hashed.low[s] = entries[s] & 511u;
    hashed.high[s] = (static_cast<std::uint32_t>(entries[s]) >> shift) & 511u;
  }
  return hashed;
}

inline std::uint32_t listed(const Hashed& hashed, const ListFilter& filter) {
  std::uint32_t bits = 0;
  for (index_t s = 0; s < hashed.count; ++s) {
    const std::uint32_t low = hashed.low[s], high = hashed.high[s];
    const std::uint32_t both = (static_cast<std::uint32_t>(filter.low[low >> 4]) >> (low & 15)) &
                               (static_cast<std::uint32_t>(filter.high[high >> 4]) >> (high & 15));
    bits |= (both & 1u) << s;
  }
  return bits;
}

#define ENTRY std::uint16_t
#include "cpu/list_filter.inl"
#undef ENTRY
#define ENTRY std::uint32_t
#include "cpu/list_filter.inl"
#undef ENTRY

}  // namespace baseline

#ifdef CONSILIENCE_X86_KERNELS
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")
namespace avx512 {

// Words of the filters and bits in them; lanes past the end have none.
struct Hashed {
  __m512i low, low_bit, high, high_bit;
};

inline Hashed hashed_of(__m512i low, __m512i high, index_t count) {
  const __mmask32 valid = ~std::uint32_t{0} >> (kProbedLanes - count);
  const __m512i one = _mm512_set1_epi16(1), last = _mm512_set1_epi16(15);
  return {_mm512_srli_epi16(low, 4),
          _mm512_maskz_sllv_epi16(valid, one, _mm512_and_si512(low, last)),
          _mm512_srli_epi16(high, 4),
          _mm512_maskz_sllv_epi16(valid, one, _mm512_and_si512(high, last))};
}

inline Hashed hash(const std::uint16_t* entries, index_t count, int shift) {
  const __m512i low = _mm512_loadu_si512(entries);
  return hashed_of(low, _mm512_srl_epi16(low, _mm_cvtsi32_si128(shift)), count);
}

inline Hashed hash(const std::uint32_t* entries, index_t count, int shift) {
  alignas(64) std::uint16_t low[kProbedLanes], high[kProbedLanes];
  for (index_t s = 0; s < kProbedLanes; ++s) {
    low[s] = static_cast<std::uint16_t>(entries[s]);
    high[s] = static_cast<std::uint16_t>(entries[s] >> shift);
  }
  return hashed_of(_mm512_load_si512(low), _mm512_load_si512(high), count);
}

inline std::uint32_t listed(const Hashed& hashed, const ListFilter& filter) {
  const __m512i low = _mm512_permutexvar_epi16(hashed.low, _mm512_load_si512(filter.low));
  const __m512i high = _mm512_permutexvar_epi16(hashed.high, _mm512_load_si512(filter.high));
  return _mm512_mask_test_epi16_mask(_mm512_test_epi16_mask(low, hashed.low_bit), high,
                                     hashed.high_bit);
}

#define ENTRY std::uint16_t
#include "cpu/list_filter.inl"
#undef ENTRY
#define ENTRY std::uint32_t
#include "cpu/list_filter.inl"
#undef ENTRY

}  // namespace avx512
#pragma GCC pop_options
#endif

template <class Id>
Probe<Id> choose() {
#ifdef CONSILIENCE_X86_KERNELS
  if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
    return avx512::probe_rows;
  }
#endif
  return baseline::probe_rows;
}

}  // namespace

template <>
Probe<std::uint16_t> probe() {
  return choose<std::uint16_t>();
}

template <>
Probe<std::uint32_t> probe() {
  return choose<std::uint32_t>();
}

}  // namespace consilience
