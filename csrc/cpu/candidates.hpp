#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "common/types.hpp"
#include "cpu/micro_kernel.hpp"
#include "cpu/smallest.hpp"

namespace consilience {

// The certified top-k of many rows. Float32 tiles offer candidates with a lower bound of their
// key; a row keeps everyone whose lower bound does not exceed the k-th smallest upper bound, and
// only at the end (or when too many tie within the bound) are keys computed in float64. So the
// lists are those of the float64 keys, ordered by (key, index), whatever was offered first.
//
// `Judge` knows the row at hand: width(j), what to add to the lower bound of j for the upper one;
// slack(), the part of the error that belongs to the row; key(row(), j), float64; threshold(key),
// the largest lower bound that a candidate with a key as small could have; prefetch(j), a hint
// that the key of j comes next; id(j), by which equal keys are ordered.
class CandidateLists {
 public:
  CandidateLists(index_t n_rows, index_t k)
      : k_(k),
        capacity_(capacity(k)),
        thresholds_(n_rows + kMostCols, std::numeric_limits<float>::infinity()),
        limits_(n_rows, static_cast<std::int32_t>(k + std::max<index_t>(k / 2, 16))),
        counts_(n_rows, 0),
        judged_(n_rows, 0),
        lowers_(std::make_unique_for_overwrite<float[]>(n_rows * capacity_)),
        indices_(std::make_unique_for_overwrite<std::int32_t[]>(n_rows * capacity_)) {}

  static index_t bytes_per_row(index_t k) {
    return capacity(k) * index_t{sizeof(float) + sizeof(std::int32_t)} + 20;
  }

  static index_t capacity(index_t k) { return k + std::max<index_t>(k, 64); }

  // A candidate with a larger lower bound than this cannot be among the k nearest of the row. The
  // array is longer than the rows, so that whole vectors of it may be read.
  float threshold(index_t row) const { return thresholds_[row]; }
  const float* thresholds() const { return thresholds_.data(); }

  // Larger by what a float32 comparison of a difference with it may be off by.
  static float loosened(float threshold) { return threshold + 0x1p-22f * std::abs(threshold); }

  template <class Judge>
  void offer(index_t row, index_t j, float lower, const Judge& judge) {
    // Written in any case, and kept by a count: whether a candidate stays is a matter of chance,
    // which no branch should hang on.
    const index_t at = row * capacity_ + counts_[row];
    lowers_[at] = lower;
    indices_[at] = static_cast<std::int32_t>(j);
    counts_[row] += !(lower > thresholds_[row]);
    if (counts_[row] == limits_[row]) make_room(row, judge);
  }

  // Writes the k nearest, nearest first, and returns how many float64 keys that took.
  template <class Judge>
  index_t finish(index_t row, const Judge& judge, index_t* indices, double* keys) {
    narrow(row, judge, k_);
    const auto& nearest = judge_all(row, judge);
    for (index_t s = 0; s < k_; ++s) {
      keys[s] = nearest[s].key;
      indices[s] = nearest[s].id;
    }
    return judged_[row];
  }

 private:
  struct Judged {
    double key;
    std::int32_t id, index;
    bool operator<(const Judged& other) const {
      return key < other.key || (key == other.key && id < other.id);
    }
  };

  template <class Judge>
  void make_room(index_t row, const Judge& judge) {
    narrow(row, judge, k_ + k_ / 16);
    const index_t room = limits_[row] - k_;
    if (counts_[row] <= k_ + room / 2) return;
    if (limits_[row] < capacity_) {
      limits_[row] = static_cast<std::int32_t>(std::min(capacity_, k_ + 2 * room));
      return;
    }
    const auto& nearest = judge_all(row, judge);
    for (index_t s = 0; s < k_; ++s) {
      // Judged ones keep a lower bound that no narrowing can drop.
      lowers_[row * capacity_ + s] = -std::numeric_limits<float>::infinity();
      indices_[row * capacity_ + s] = static_cast<std::int32_t>(nearest[s].index);
    }
    counts_[row] = static_cast<std::int32_t>(k_);
    thresholds_[row] = std::min(thresholds_[row], loosened(judge.threshold(nearest[k_ - 1].key)));
  }

  // Drops the candidates that the k-th smallest upper bound rules out.
  template <class Judge>
  void narrow(index_t row, const Judge& judge, index_t enough) {
    const index_t count = counts_[row];
    if (count < k_) return;
    float* lowers = lowers_.get() + row * capacity_;
    std::int32_t* indices = indices_.get() + row * capacity_;
    thread_local std::vector<float> uppers;
    uppers.resize(count);
    for (index_t c = 0; c < count; ++c) uppers[c] = lowers[c] + judge.width(indices[c]);
    const float bound = bound_of_smallest(uppers.data(), count, k_, enough) + judge.slack();
    const float threshold = std::min(thresholds_[row], loosened(bound));
    // Judged candidates have upper bound -inf here, so with them the threshold would not hold.
    if (threshold > -std::numeric_limits<float>::infinity()) thresholds_[row] = threshold;
    const float last = thresholds_[row];
    index_t kept = 0;
    for (index_t c = 0; c < count; ++c) {
      // No branch: which ones stay is a matter of chance.
      const float lower = lowers[c];
      lowers[kept] = lower;
      indices[kept] = indices[c];
      kept += !(lower > last);
    }
    counts_[row] = static_cast<std::int32_t>(kept);
  }

  // The k nearest of the candidates, nearest first, until the next call on this thread.
  template <class Judge>
  const std::vector<Judged>& judge_all(index_t row, const Judge& judge) {
    const index_t count = counts_[row];
    const std::int32_t* indices = indices_.get() + row * capacity_;
    const double* wide = judge.row();
    thread_local std::vector<Judged> judged;
    judged.resize(count);
    for (index_t c = 0; c < count; ++c) {
      if (c + 1 < count) judge.prefetch(indices[c + 1]);
      judged[c] = {judge.key(wide, indices[c]), static_cast<std::int32_t>(judge.id(indices[c])),
                   indices[c]};
    }
    judged_[row] += static_cast<std::int32_t>(count);
    if (count > k_) std::nth_element(judged.begin(), judged.begin() + k_, judged.end());
    std::sort(judged.begin(), judged.begin() + k_);
    return judged;
  }

  index_t k_, capacity_;
  std::vector<float> thresholds_;
  // A list is narrowed at its limit: early, as many pass a stale threshold; later with more room,
  // where many tie within the error.
  std::vector<std::int32_t> limits_, counts_, judged_;
  std::unique_ptr<float[]> lowers_;
  std::unique_ptr<std::int32_t[]> indices_;
};

}  // namespace consilience
