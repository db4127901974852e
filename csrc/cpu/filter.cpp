// 8 to 16 bytes read from cache and 2 to 4 flops per entry.

#include "cpu/filter.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "common/simd.hpp"

namespace consilience {
namespace {

constexpr index_t kChunk = 64;

// Flags of 64 columns, one byte each, looked at eight at a time.
template <class Below>
inline __attribute__((always_inline)) index_t collect(index_t n, index_t* hits, Below below) {
  index_t n_hits = 0;
  index_t j = 0;
  for (; j + kChunk <= n; j += kChunk) {
    std::uint8_t flags[kChunk];
    for (index_t c = 0; c < kChunk; ++c) flags[c] = below(j + c);
    std::uint64_t words[kChunk / 8], any = 0;
    std::memcpy(words, flags, sizeof flags);
    for (const std::uint64_t word : words) any |= word;
    if (any == 0) continue;
    for (index_t w = 0; w < kChunk / 8; ++w) {
      for (std::uint64_t word = words[w]; word != 0; word &= word - 1) {
        hits[n_hits++] = j + 8 * w + std::countr_zero(word) / 8;
      }
    }
  }
  for (; j < n; ++j) {
    hits[n_hits] = j;
    n_hits += below(j);
  }
  return n_hits;
}

}  // namespace

CONSILIENCE_SIMD float bound_of_smallest(const float* values, index_t n, index_t k,
                                         index_t enough) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  float low = kInfinity, high = -kInfinity;
  for (index_t c = 0; c < n; ++c) {
    low = std::min(low, values[c] > -kInfinity ? values[c] : kInfinity);
    high = std::max(high, values[c]);
  }
  const auto count_up_to = [&](float bound) {
    std::int32_t count = 0;
    for (index_t c = 0; c < n; ++c) count += values[c] <= bound;
    return count;
  };
  if (count_up_to(-kInfinity) >= k) return -kInfinity;
  // high always holds k values or more.
  for (int step = 0; step < 40; ++step) {
    const float middle = low + 0.5f * (high - low);
    if (!(middle > low && middle < high)) break;
    const index_t count = count_up_to(middle);
    if (count < k) {
      low = middle;
    } else {
      high = middle;
      if (count <= enough) break;
    }
  }
  return high;
}

CONSILIENCE_SIMD index_t columns_below(const float* lower, const float* products, index_t n,
                                       float threshold, index_t* hits) {
  return collect(n, hits, [=](index_t j) -> bool { return lower[j] - products[j] <= threshold; });
}

CONSILIENCE_SIMD index_t columns_reached(float lower, const float* products,
                                         const float* thresholds, index_t n, index_t* hits) {
  return collect(n, hits, [=](index_t j) -> bool { return lower - products[j] <= thresholds[j]; });
}

}  // namespace consilience
