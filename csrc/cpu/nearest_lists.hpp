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
        indices_(n_rows * length, kNobody),
        locks_(std::make_unique<std::atomic_flag[]>(n_rows)) {}

  static constexpr std::int32_t kNobody = std::numeric_limits<std::int32_t>::max();
  static index_t bytes_per_row(index_t length) { return 8 * length + 1; }

  index_t length() const { return length_; }
  const std::int32_t* indices(index_t row) const { return indices_.data() + row * length_; }
  // How many it holds.
  index_t count(index_t row) const {
    return std::find(indices(row), indices(row) + length_, kNobody) - indices(row);
  }

  void clear(index_t row) {
    std::fill_n(keys_.data() + row * length_, length_, std::numeric_limits<float>::infinity());
    std::fill_n(indices_.data() + row * length_, length_, kNobody);
  }

  // The largest key of a full list, or infinity. May be stale, which is never too small.
  float threshold(index_t row) const {
    return std::atomic_ref(const_cast<float&>(keys_[(row + 1) * length_ - 1]))
        .load(std::memory_order_relaxed);
  }

  // Returns the threshold after the offer.
  float offer(index_t row, std::int32_t j, float key) {
    while (locks_[row].test_and_set(std::memory_order_acquire)) {
    }
    float* keys = keys_.data() + row * length_;
    std::int32_t* indices = indices_.data() + row * length_;
    index_t at = std::lower_bound(keys, keys + length_, key) - keys;
    while (at < length_ && keys[at] == key && indices[at] < j) ++at;
    if (at < length_ && indices[at] != j) {
      const bool inside = at + 1 < length_;
      const float last = inside ? keys[length_ - 2] : key;
      if (inside) {
        std::copy_backward(indices + at, indices + length_ - 1, indices + length_);
        std::copy_backward(keys + at, keys + length_ - 2, keys + length_ - 1);
        keys[at] = key;
      }
      indices[at] = j;
      std::atomic_ref(keys[length_ - 1]).store(last, std::memory_order_relaxed);
    }
    const float threshold = keys[length_ - 1];
    locks_[row].clear(std::memory_order_release);
    return threshold;
  }

 private:
  index_t length_;
  std::vector<float> keys_;
  std::vector<std::int32_t> indices_;
  std::unique_ptr<std::atomic_flag[]> locks_;
};

}  // namespace consilience
