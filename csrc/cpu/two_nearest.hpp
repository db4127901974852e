#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "common/types.hpp"
#include "cpu/candidates.hpp"

namespace consilience {

// The certified two nearest of many rows, as CandidateLists for k = 2: two upper bounds are kept in
// order, so that every offer tightens the threshold, and a list is two cache lines. `Judge` is that
// of CandidateLists; a row is offered each candidate once.
class TwoNearest {
 public:
  explicit TwoNearest(index_t n_rows)
      : thresholds_(n_rows, kInfinity), lists_(std::make_unique<List[]>(n_rows)) {}

  static constexpr index_t bytes_per_row() { return sizeof(List) + sizeof(float); }

  const float* thresholds() const { return thresholds_.data(); }

  template <class Judge>
  void offer(index_t row, index_t j, float lower, const Judge& judge) {
    if (lower > thresholds_[row]) return;
    List& list = lists_[row];
    if (list.count == kCapacity) {
      make_room(row, judge);
      if (lower > thresholds_[row]) return;
    }
    list.lowers[list.count] = lower;
    list.indices[list.count++] = static_cast<std::int32_t>(j);
    const float upper = lower + judge.width(j);
    if (upper >= list.second) return;
    list.second = std::max(list.first, upper);
    list.first = std::min(list.first, upper);
    tighten(row, list.second + judge.slack());
  }

  // Writes the two smallest keys.
  template <class Judge>
  void finish(index_t row, const Judge& judge, double* keys) {
    narrow(row);
    const auto [first, second] = judged(row, judge);
    keys[0] = first.key;
    keys[1] = second.key;
  }

 private:
  static constexpr std::int32_t kCapacity = 14;
  static constexpr float kInfinity = std::numeric_limits<float>::infinity();

  struct List {
    float first = kInfinity, second = kInfinity;  // the two smallest upper bounds
    std::int32_t count = 0;
    float lowers[kCapacity];
    std::int32_t indices[kCapacity];
  };
  struct Judged {
    double key = std::numeric_limits<double>::infinity();
    std::int32_t index = 0;
  };

  void tighten(index_t row, float threshold) {
    thresholds_[row] = std::min(thresholds_[row], CandidateLists::loosened(threshold));
  }

  // Drops the candidates that the threshold rules out.
  void narrow(index_t row) {
    List& list = lists_[row];
    std::int32_t kept = 0;
    for (std::int32_t c = 0; c < list.count; ++c) {
      if (list.lowers[c] > thresholds_[row]) continue;
      list.lowers[kept] = list.lowers[c];
      list.indices[kept++] = list.indices[c];
    }
    list.count = kept;
  }

  template <class Judge>
  void make_room(index_t row, const Judge& judge) {
    narrow(row);
    List& list = lists_[row];
    if (list.count <= kCapacity / 2) return;
    const auto [first, second] = judged(row, judge);
    // Judged ones keep a lower bound that no narrowing can drop.
    list.count = 2;
    std::fill_n(list.lowers, 2, -kInfinity);
    list.indices[0] = first.index;
    list.indices[1] = second.index;
    tighten(row, judge.threshold(second.key));
  }

  template <class Judge>
  std::pair<Judged, Judged> judged(index_t row, const Judge& judge) const {
    const List& list = lists_[row];
    Judged first, second;
    for (std::int32_t c = 0; c < list.count; ++c) {
      if (c + 1 < list.count) judge.prefetch(list.indices[c + 1]);
      const Judged found{judge.key(list.indices[c]), list.indices[c]};
      if (found.key < first.key) {
        second = first;
        first = found;
      } else if (found.key < second.key) {
        second = found;
      }
    }
    return {first, second};
  }

  std::vector<float> thresholds_;
  std::unique_ptr<List[]> lists_;
};

}  // namespace consilience
