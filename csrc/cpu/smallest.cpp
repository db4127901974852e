// One read of the values for each halving of the bound, about ten of them.

#include "cpu/smallest.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "common/simd.hpp"

namespace consilience {

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

}  // namespace consilience
