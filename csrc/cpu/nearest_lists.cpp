// offer: about length^2 / 64 vector operations per row met at first, fewer later.

#include "cpu/nearest_lists.hpp"

#include <tuple>
#include <utility>

#include "common/simd.hpp"
#include "cpu/smallest.hpp"

namespace consilience {
namespace {

// How many of sorted keys are smaller. Counting has no branch to guess wrongly.
CONSILIENCE_INLINE index_t count_smaller(const float* keys, index_t n, float key) {
  std::int32_t smaller = 0;
  for (index_t s = 0; s < n; ++s) smaller += keys[s] < key;
  return smaller;
}

CONSILIENCE_INLINE bool holds(const std::int32_t* indices, index_t n, std::int32_t j) {
  std::int32_t held = 0;
  for (index_t s = 0; s < n; ++s) held |= indices[s] == j;
  return held != 0;
}

CONSILIENCE_SIMD void insert_all(const Near& near, index_t length, float* keys,
                                 std::int32_t* indices) {
  for (index_t o = 0; o < near.count(); ++o) {
    const float key = near.key(o);
    const std::int32_t j = near.index(o);
    if (key > keys[length - 1] || holds(indices, length, j)) continue;
    index_t at = count_smaller(keys, length, key);
    while (at < length && keys[at] == key && indices[at] < j) ++at;
    if (at == length) continue;
    std::copy_backward(keys + at, keys + length - 1, keys + length);
    std::copy_backward(indices + at, indices + length - 1, indices + length);
    keys[at] = key;
    indices[at] = j;
  }
}

}  // namespace

float Near::narrow() {
  float bound = bound_of_smallest(keys_.data(), count_, length_, length_ + length_ / 4);
  index_t kept = 0;
  for (index_t s = 0; s < count_; ++s) {
    keys_[kept] = keys_[s];
    indices_[kept] = indices_[s];
    kept += keys_[s] <= bound;
  }
  count_ = kept;
  if (2 * kept <= 3 * length_) return bound;
  // Many have one key.
  std::vector<std::pair<float, std::int32_t>> sorted(kept);
  for (index_t s = 0; s < kept; ++s) sorted[s] = {keys_[s], indices_[s]};
  std::sort(sorted.begin(), sorted.end());
  count_ = length_;
  for (index_t s = 0; s < count_; ++s) std::tie(keys_[s], indices_[s]) = sorted[s];
  return keys_[count_ - 1];
}

void NearestLists::offer(index_t row, const Near& near) {
  if (near.count() == 0) return;
  while (locks_[row].test_and_set(std::memory_order_acquire)) {
  }
  float* keys = keys_.data() + row * length_;
  insert_all(near, length_, keys, indices_.data() + row * length_);
  std::atomic_ref(thresholds_[row]).store(keys[length_ - 1], std::memory_order_relaxed);
  locks_[row].clear(std::memory_order_release);
}

}  // namespace consilience
