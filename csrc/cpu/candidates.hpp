#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "common/types.hpp"

namespace consilience {

// The certified top-k of many rows. Float32 tiles offer candidates with a lower bound of their
// key; a row keeps everyone whose lower bound does not exceed the k-th smallest upper bound, and
// only at the end (or when too many tie within the bound) are keys computed in float64. So the
// lists are those of the float64 keys, ordered by (key, index), whatever was offered first.
//
// `Judge` knows the row at hand: width(j), what to add to the lower bound of j for the upper one;
// slack(), the part of the error that belongs to the row; key(j), float64; threshold(key), the
// largest lower bound that a candidate with a key as small could have.
class CandidateLists {
 public:
  CandidateLists(index_t n_rows, index_t k)
      : k_(k),
        capacity_(k + std::max<index_t>(k, 64)),
        thresholds_(n_rows, std::numeric_limits<float>::infinity()),
        counts_(n_rows, 0),
        judged_(n_rows, 0),
        lowers_(n_rows * capacity_),
        indices_(n_rows * capacity_) {}

  static index_t bytes_per_row(index_t k) {
    return (k + std::max<index_t>(k, 64)) * index_t{sizeof(float) + sizeof(std::int32_t)} + 16;
  }

  // A candidate with a larger lower bound than this cannot be among the k nearest of the row.
  float threshold(index_t row) const { return thresholds_[row]; }
  const float* thresholds() const { return thresholds_.data(); }

  template <class Judge>
  void offer(index_t row, index_t j, float lower, const Judge& judge) {
    if (counts_[row] == capacity_) make_room(row, judge);
    if (lower > thresholds_[row]) return;
    const index_t at = row * capacity_ + counts_[row]++;
    lowers_[at] = lower;
    indices_[at] = static_cast<std::int32_t>(j);
  }

  // Writes the k nearest, nearest first, and returns how many float64 keys that took.
  template <class Judge>
  index_t finish(index_t row, const Judge& judge, index_t* indices, double* keys) {
    narrow(row, judge);
    const auto nearest = judge_all(row, judge);
    for (index_t s = 0; s < k_; ++s) {
      keys[s] = nearest[s].first;
      indices[s] = nearest[s].second;
    }
    return judged_[row];
  }

 private:
  using Judged = std::pair<double, index_t>;  // (key, index): pairs order as ties must

  template <class Judge>
  void make_room(index_t row, const Judge& judge) {
    narrow(row, judge);
    if (counts_[row] <= k_ + (capacity_ - k_) / 2) return;
    const auto nearest = judge_all(row, judge);
    for (index_t s = 0; s < k_; ++s) {
      // Judged ones keep a lower bound that no narrowing can drop.
      lowers_[row * capacity_ + s] = -std::numeric_limits<float>::infinity();
      indices_[row * capacity_ + s] = static_cast<std::int32_t>(nearest[s].second);
    }
    counts_[row] = static_cast<std::int32_t>(k_);
    thresholds_[row] = std::min(thresholds_[row], judge.threshold(nearest[k_ - 1].first));
  }

  // Drops the candidates that the k-th smallest upper bound rules out.
  template <class Judge>
  void narrow(index_t row, const Judge& judge) {
    const index_t count = counts_[row];
    if (count < k_) return;
    float* lowers = lowers_.data() + row * capacity_;
    std::int32_t* indices = indices_.data() + row * capacity_;
    std::vector<float> uppers(count);
    for (index_t c = 0; c < count; ++c) uppers[c] = lowers[c] + judge.width(indices[c]);
    std::nth_element(uppers.begin(), uppers.begin() + (k_ - 1), uppers.end());
    const float threshold = std::min(thresholds_[row], uppers[k_ - 1] + judge.slack());
    // Judged candidates have upper bound -inf here, so with them the threshold would not hold.
    if (threshold > -std::numeric_limits<float>::infinity()) thresholds_[row] = threshold;
    index_t kept = 0;
    for (index_t c = 0; c < count; ++c) {
      if (lowers[c] > thresholds_[row]) continue;
      lowers[kept] = lowers[c];
      indices[kept++] = indices[c];
    }
    counts_[row] = static_cast<std::int32_t>(kept);
  }

  template <class Judge>
  std::vector<Judged> judge_all(index_t row, const Judge& judge) {
    const index_t count = counts_[row];
    const std::int32_t* indices = indices_.data() + row * capacity_;
    std::vector<Judged> judged(count);
    for (index_t c = 0; c < count; ++c) judged[c] = {judge.key(indices[c]), indices[c]};
    judged_[row] += static_cast<std::int32_t>(count);
    std::partial_sort(judged.begin(), judged.begin() + k_, judged.end());
    return judged;
  }

  index_t k_, capacity_;
  std::vector<float> thresholds_;
  std::vector<std::int32_t> counts_, judged_;
  std::vector<float> lowers_;
  std::vector<std::int32_t> indices_;
};

}  // namespace consilience
