#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "common/types.hpp"
#include "cpu/key_sort.hpp"
#include "cpu/micro_kernel.hpp"
#include "cpu/shared_keys.hpp"
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
// that the key of j comes next; id(j), by which equal keys are ordered, and sample(), its own.
class CandidateLists {
 public:
  // `n_guess`: how many candidates are offered in an order of chance, of which the first tell where
  // the k-th of all will about be; none: nothing is guessed.
  CandidateLists(index_t n_rows, index_t k, index_t n_guess = 0)
      : k_(k),
        n_guess_(n_guess),
        capacity_(capacity(k)),
        thresholds_(n_rows + kMostCols, std::numeric_limits<float>::infinity()),
        limits_(n_rows,
                static_cast<std::int32_t>(n_guess > 0 ? guess_sample(k, n_guess) : first_limit())),
        counts_(n_rows, 0),
        guessed_(n_rows, 0),
        judged_(n_rows, 0),
        lowers_(std::make_unique_for_overwrite<float[]>(n_rows * capacity_)),
        indices_(std::make_unique_for_overwrite<std::int32_t[]>(n_rows * capacity_)) {}

  static index_t bytes_per_row(index_t k) {
    return capacity(k) * index_t{sizeof(float) + sizeof(std::int32_t)} + 21;
  }

  // With room for a row of a micro-tile beyond the last limit.
  static index_t capacity(index_t k) { return k + std::max<index_t>(k, 64) + kMostCols; }

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
    if (counts_[row] >= limits_[row]) make_room(row, judge);
  }

  // The samples of some columns, those whose bit is set, to one row: their lower bounds are
  // offsets - step products. The same as to offer each, with what belongs to the row at hand.
  template <class Judge>
  void offer_row(index_t row, index_t col_start, std::uint64_t mask, const float* offsets,
                 const float* products, float step, const Judge& judge) {
    index_t count = counts_[row];
    const float threshold = thresholds_[row];
    float* lowers = lowers_.get() + row * capacity_;
    std::int32_t* indices = indices_.get() + row * capacity_;
    for (; mask != 0; mask &= mask - 1) {
      const int c = std::countr_zero(mask);
      const float lower = offsets[c] - step * products[c];
      lowers[count] = lower;
      indices[count] = static_cast<std::int32_t>(col_start + c);
      count += !(lower > threshold);
    }
    counts_[row] = static_cast<std::int32_t>(count);
    if (count >= limits_[row]) make_room(row, judge);
  }

  // And sample i to those columns, rows of their own.
  template <class JudgeOf>
  void offer_to_columns(index_t col_start, index_t i, std::uint64_t mask, float offset,
                        const float* products, float step, JudgeOf&& judge_of) {
    const index_t capacity = capacity_;
    float* lowers = lowers_.get() + col_start * capacity;
    std::int32_t* indices = indices_.get() + col_start * capacity;
    std::int32_t* counts = counts_.data() + col_start;
    const std::int32_t* limits = limits_.data() + col_start;
    const float* thresholds = thresholds_.data() + col_start;
    for (; mask != 0; mask &= mask - 1) {
      const int c = std::countr_zero(mask);
      const float lower = offset - step * products[c];
      const std::int32_t count = counts[c];
      const index_t at = c * capacity + count;
      lowers[at] = lower;
      indices[at] = static_cast<std::int32_t>(i);
      const std::int32_t next = count + !(lower > thresholds[c]);
      counts[c] = next;
      if (next >= limits[c]) make_room(col_start + c, judge_of(col_start + c));
    }
  }

  // The k nearest of rows [start, stop), nearest first, to `take(row, k of them)`; judge_of(row),
  // and fill(wanted), which computes keys. Returns how many that took.
  template <class JudgeOf, class Fill, class Take>
  index_t finish(index_t start, index_t stop, JudgeOf&& judge_of, Fill&& fill, Take&& take) {
    thread_local std::vector<double> keys;
    thread_local std::vector<KeysWanted> wanted;
    thread_local std::vector<KeyedSample> entries;
    thread_local KeySort key_sort;
    index_t evaluated = 0;
    const auto settle = [&](index_t row) {
      index_t total = 0;
      for (const KeysWanted& some : wanted) total += some.count;
      keys.resize(total);
      total = 0;
      for (KeysWanted& some : wanted) {
        some.keys = keys.data() + std::exchange(total, total + some.count);
      }
      fill(wanted);
      evaluated += total;
      for (const KeysWanted& some : wanted) {
        entries.resize(some.count);
        for (index_t c = 0; c < some.count; ++c) entries[c] = {some.keys[c], some.candidates[c]};
        key_sort.sort(entries);
        take(row++, entries.data());
      }
      wanted.clear();
    };
    index_t first = start;
    for (index_t row = start; row < stop; ++row) {
      const auto judge = judge_of(row);
      narrow(row, judge, k_);
      evaluated += judged_[row];
      std::int32_t* indices = indices_.get() + row * capacity_;
      if (guessed_[row]) {
        // Guessed too near: all others, alone, as there may be many.
        settle(first);
        const std::vector<std::int32_t> others = all_but(judge.sample());
        wanted.push_back({judge.sample(), others.data(), n_guess_, nullptr});
        settle(row);
        first = row + 1;
        continue;
      }
      for (index_t c = 0; c < counts_[row]; ++c) {
        indices[c] = static_cast<std::int32_t>(judge.id(indices[c]));
      }
      wanted.push_back({judge.sample(), indices, counts_[row], nullptr});
    }
    settle(first);
    return evaluated;
  }

 private:
  struct Judged {
    double key;
    std::int32_t id, index;
    bool operator<(const Judged& other) const {
      return key < other.key || (key == other.key && id < other.id);
    }
  };

  index_t first_limit() const { return k_ + std::max<index_t>(k_ / 2, 16); }

  // A larger sample is more to keep, a smaller one a wider guess: least in all at about this many.
  static index_t guess_sample(index_t k, index_t n) {
    return std::min(k, static_cast<index_t>(std::cbrt(3.0 * static_cast<double>(n * k))));
  }

  // Where the k-th of all offered lies in those seen, and three and a half deviations more.
  index_t guess_rank(index_t seen) const {
    const double expected = static_cast<double>(k_ * seen) / static_cast<double>(n_guess_);
    return static_cast<index_t>(expected + 3.5 * std::sqrt(expected) + 2.0);
  }

  std::vector<std::int32_t> all_but(index_t sample) const {
    std::vector<std::int32_t> others(n_guess_);
    for (index_t j = 0; j < n_guess_; ++j) {
      others[j] = static_cast<std::int32_t>(j < sample ? j : j + 1);
    }
    return others;
  }

  template <class Judge>
  void make_room(index_t row, const Judge& judge) {
    if (thresholds_[row] == std::numeric_limits<float>::infinity() && n_guess_ > 0) {
      guess(row, judge);
      limits_[row] = static_cast<std::int32_t>(first_limit());
      if (counts_[row] < limits_[row]) return;
    }
    narrow(row, judge, k_ + k_ / 16);
    if (counts_[row] <= (k_ + limits_[row]) / 2) return;
    const index_t last = capacity_ - kMostCols;
    while (limits_[row] < last) {
      limits_[row] = static_cast<std::int32_t>(std::min(last, 2 * limits_[row] - k_));
      if (counts_[row] < limits_[row]) return;
    }
    const auto& nearest = judge_all(row, judge);
    for (index_t s = 0; s < k_; ++s) {
      // Judged ones keep a lower bound that no narrowing can drop.
      lowers_[row * capacity_ + s] = -std::numeric_limits<float>::infinity();
      indices_[row * capacity_ + s] = static_cast<std::int32_t>(nearest[s].index);
    }
    counts_[row] = static_cast<std::int32_t>(k_);
    lower_threshold(row, loosened(judge.threshold(nearest[k_ - 1].key)));
  }

  // k of those seen lie within `threshold`: if a guess was not nearer, it has missed nothing.
  void lower_threshold(index_t row, float threshold) {
    if (threshold > thresholds_[row]) return;
    thresholds_[row] = threshold;
    guessed_[row] = 0;
  }

  // The k-th smallest upper bound of those listed, or another rank.
  template <class Judge>
  float bound(index_t row, const Judge& judge, index_t rank, index_t enough) const {
    const index_t count = counts_[row];
    const float* lowers = lowers_.get() + row * capacity_;
    const std::int32_t* indices = indices_.get() + row * capacity_;
    thread_local std::vector<float> uppers;
    uppers.resize(count);
    for (index_t c = 0; c < count; ++c) uppers[c] = lowers[c] + judge.width(indices[c]);
    return loosened(bound_of_smallest(uppers.data(), count, rank, enough) + judge.slack());
  }

  // A threshold that k of all offered probably meet, from a sample of them.
  template <class Judge>
  void guess(index_t row, const Judge& judge) {
    const index_t rank = guess_rank(counts_[row]);
    if (rank >= counts_[row]) return;
    thresholds_[row] = bound(row, judge, rank, rank + rank / 16);
    guessed_[row] = 1;
    drop(row);
  }

  // Drops the candidates that the k-th smallest upper bound rules out.
  template <class Judge>
  void narrow(index_t row, const Judge& judge, index_t enough) {
    if (counts_[row] < k_) return;
    const float threshold = bound(row, judge, k_, enough);
    // Judged candidates have upper bound -inf here, so with them the threshold would not hold.
    if (threshold > -std::numeric_limits<float>::infinity()) lower_threshold(row, threshold);
    drop(row);
  }

  // Drops the candidates beyond the threshold.
  void drop(index_t row) {
    const index_t count = counts_[row];
    float* lowers = lowers_.get() + row * capacity_;
    std::int32_t* indices = indices_.get() + row * capacity_;
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

  index_t k_, n_guess_, capacity_;
  std::vector<float> thresholds_;
  // A list is narrowed at its limit: early, as many pass a stale threshold; later with more room,
  // where many tie within the error.
  std::vector<std::int32_t> limits_, counts_;
  std::vector<std::uint8_t> guessed_;  // the threshold is not yet certain
  std::vector<std::int32_t> judged_;
  std::unique_ptr<float[]> lowers_;
  std::unique_ptr<std::int32_t[]> indices_;
};

}  // namespace consilience
