#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "common/types.hpp"

namespace consilience {

// The nearest seen so far of many rows: each list holds the smallest offers by (key, index), none
// twice. What a list holds in the end depends on who was offered, not on the order or the thread,
// as long as a pair always has the same key.
class NearestLists {
 public:
  NearestLists(index_t n_rows, index_t length)
      : length_(length),
        keys_(n_rows * length, std::numeric_limits<float>::infinity()),
        thresholds_(n_rows, std::numeric_limits<float>::infinity()),
        indices_(n_rows * length, kNobody),
        locks_(std::make_unique<std::atomic_flag[]>(n_rows)) {}

  static constexpr std::int32_t kNobody = std::numeric_limits<std::int32_t>::max();
  static index_t bytes_per_row(index_t length) { return 8 * length + 5; }

  index_t length() const { return length_; }
  const std::int32_t* indices(index_t row) const { return indices_.data() + row * length_; }
  // How many it holds.
  index_t count(index_t row) const {
    return std::find(indices(row), indices(row) + length_, kNobody) - indices(row);
  }

  void clear(index_t row) {
    thresholds_[row] = std::numeric_limits<float>::infinity();
    std::fill_n(keys_.data() + row * length_, length_, std::numeric_limits<float>::infinity());
    std::fill_n(indices_.data() + row * length_, length_, kNobody);
  }

  // The largest key of a full list, or infinity. May be stale, which is never too small.
  float threshold(index_t row) const {
    return std::atomic_ref(const_cast<float&>(thresholds_[row])).load(std::memory_order_relaxed);
  }

  // Returns the threshold after the offer.
  float offer(index_t row, std::int32_t j, float key) {
    while (locks_[row].test_and_set(std::memory_order_acquire)) {
    }
    float* keys = keys_.data() + row * length_;
    std::int32_t* indices = indices_.data() + row * length_;
    // Counting has no branch to guess wrongly.
    std::int32_t smaller = 0;
    for (index_t s = 0; s < length_; ++s) smaller += keys[s] < key;
    index_t at = smaller;
    while (at < length_ && keys[at] == key && indices[at] < j) ++at;
    if (at < length_ && indices[at] != j) {
      for (index_t s = length_ - 1; s > at; --s) {
        keys[s] = keys[s - 1];
        indices[s] = indices[s - 1];
      }
      keys[at] = key;
      indices[at] = j;
      std::atomic_ref(thresholds_[row]).store(keys[length_ - 1], std::memory_order_relaxed);
    }
    const float threshold = keys[length_ - 1];
    locks_[row].clear(std::memory_order_release);
    return threshold;
  }

 private:
  index_t length_;
  std::vector<float> keys_, thresholds_;
  std::vector<std::int32_t> indices_;
  std::unique_ptr<std::atomic_flag[]> locks_;
};

}  // namespace consilience
