// 8 to 16 bytes read from cache and 2 to 4 flops per entry.

#include "cpu/filter.hpp"

#include <algorithm>

#include "common/simd.hpp"

namespace consilience {
namespace {

template <class Below>
inline __attribute__((always_inline)) index_t collect(index_t n, index_t* hits, Below below) {
  index_t n_hits = 0;
  index_t j = 0;
  for (; j + kFilterChunk <= n; j += kFilterChunk) {
    int any = 0;
    for (index_t c = 0; c < kFilterChunk; ++c) any |= below(j + c);
    hits[n_hits] = j;
    n_hits += any;
  }
  int any = 0;
  for (index_t c = j; c < n; ++c) any |= below(c);
  hits[n_hits] = j;
  return n_hits + any;
}

}  // namespace

CONSILIENCE_SIMD index_t chunks_below(const float* lower, const float* products, index_t n,
                                      float threshold, index_t* hits) {
  return collect(n, hits, [=](index_t j) -> int { return lower[j] - products[j] <= threshold; });
}

CONSILIENCE_SIMD index_t chunks_below_columns(float lower, const float* products,
                                              const float* thresholds, index_t n, index_t* hits) {
  return collect(n, hits, [=](index_t j) -> int { return lower - products[j] <= thresholds[j]; });
}

CONSILIENCE_SIMD index_t joint_chunks_below(const float* lower_a, const float* lower_b,
                                            const float* a, const float* b, index_t n,
                                            float threshold, index_t* hits) {
  return collect(n, hits, [=](index_t j) -> int {
    return (lower_a[j] + lower_b[j]) - (a[j] + b[j]) <= threshold;
  });
}

CONSILIENCE_SIMD index_t joint_chunks_below_columns(float lower, const float* a, const float* b,
                                                    const float* thresholds, index_t n,
                                                    index_t* hits) {
  return collect(n, hits, [=](index_t j) -> int { return lower - (a[j] + b[j]) <= thresholds[j]; });
}

}  // namespace consilience
