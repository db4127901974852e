#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "common/types.hpp"
#include "cpu/exact.hpp"

namespace consilience {

// The nearest of those that one row met, in no order, and some more.
class Near {
 public:
  explicit Near(index_t length) : length_(length), keys_(2 * length), indices_(2 * length) {}

  static index_t bytes(index_t length) { return 16 * length + 80; }

  index_t count() const { return count_; }
  float key(index_t s) const { return keys_[s]; }
  std::int32_t index(index_t s) const { return indices_[s]; }
  void clear() { count_ = 0; }
  // Whether it is full.
  bool add(float key, std::int32_t j) {
    keys_[count_] = key;
    indices_[count_] = j;
    return ++count_ == 2 * length_;
  }
  // Leaves the nearest, when full. Whoever has a larger key than is returned is not among them.
  float narrow();

 private:
  index_t length_, count_ = 0;
  std::vector<float> keys_;
  std::vector<std::int32_t> indices_;
};

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

  void offer(index_t row, const Near& near);
  void prefetch(index_t row) const {
    for (index_t s = row * length_; s < (row + 1) * length_; s += 16) {
      consilience::prefetch(keys_.data() + s);
      consilience::prefetch(indices_.data() + s);
    }
  }

 private:
  index_t length_;
  std::vector<float> keys_, thresholds_;
  std::vector<std::int32_t> indices_;
  std::unique_ptr<std::atomic_flag[]> locks_;
};

}  // namespace consilience
