// joint_nearest on the CPU: 2 d flops per entry and model; then per entry and pair of models two
// loads from the first cache, an addition and a comparison with both rows' thresholds.

#include "ops/joint_nearest.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>

#include "cpu/exact.hpp"
#include "cpu/micro_kernel.hpp"
#include "cpu/panels.hpp"
#include "cpu/selection.hpp"
#include "cpu/tournament.hpp"
#include "cpu/two_nearest.hpp"
#include "cpu/word_kernel.hpp"
#include "cpu/word_panels.hpp"

namespace consilience {
namespace {

constexpr index_t kNearest = 2;

// The float64 side of the search, for one row of one pair. Both sets share one scale, so that
// their keys add up; the sum is rounded once more, which the spare roundings of product_error
// cover.
struct Judge {
  const Embedding &X, &Y;
  const Selection &x, &y;
  index_t i;

  float width(index_t j) const { return x.width[j] + y.width[j]; }
  void prefetch(index_t j) const {
    prefetch_row(X, j);
    prefetch_row(Y, j);
  }
  float slack() const { return x.slack[i] + y.slack[i]; }
  double key(index_t j) const { return squared_distance(X, i, j) + squared_distance(Y, i, j); }
  float threshold(double key) const {
    const double value = x.set.scale * x.set.scale * key;
    const double norm2 = x.set.squared_norms[i] + y.set.squared_norms[i];
    return static_cast<float>(0.5 * (value - norm2) + slack() +
                              std::max(x.error, y.error) * (value + norm2));
  }
};

class Search {
 public:
  Search(const std::vector<Embedding>& sets, const std::vector<std::pair<index_t, index_t>>& pairs,
         const JointRows& rows, bool words, const Run& run)
      : sets_(sets),
        pairs_(pairs),
        rows_(rows),
        padded_(padded(sets[0].n_samples)),
        padded_rows_(padded(n_rows())),
        lists_(n_pairs() * padded_rows_) {
    std::vector<index_t> chosen;
    if (some()) chosen.assign(rows.rows, rows.rows + rows.n_rows);
    double scale = natural_scale(sets[0], run);
    for (const Embedding& set : sets) scale = std::min(scale, natural_scale(set, run));
    for (const Embedding& set : sets) {
      Centered<float> centered_set = centered<float>(set, run, scale);
      if (words) {
        words_.emplace_back(centered_set.rows.data(), centered_set.n_samples,
                            centered_set.n_features, run);
        if (some()) row_words_.emplace_back(words_.back(), chosen);
      } else {
        panels_.push_back(packed(centered_set, run));
        if (some()) {
          row_panels_.push_back(packed(n_rows(), set.n_features, run, [&](index_t r) {
            return centered_set.row(chosen[r]);
          }));
        }
      }
      const double rounding = words ? words_.back().rounding() : 0.0;
      selections_.push_back(make_selection(std::move(centered_set), false, rounding));
      selections_.back().set.rows = {};  // the panels show them
    }
    lower_.resize(n_pairs() * padded_);
    for (index_t p = 0; p < n_pairs(); ++p) {
      const std::vector<float>&a = first(p).lower, &b = second(p).lower;
      for (index_t i = 0; i < n_samples(); ++i) lower_[p * padded_ + i] = a[i] + b[i];
    }
  }

  // Lists of a pair, so that a whole panel of them may be read.
  static index_t padded(index_t n_samples) {
    const index_t cols = micro_kernel().cols;
    return (n_samples + cols - 1) / cols * cols;
  }

  index_t n_samples() const { return sets_[0].n_samples; }
  index_t n_rows() const { return some() ? rows_.n_rows : n_samples(); }
  index_t n_pairs() const { return static_cast<index_t>(pairs_.size()); }
  // Products of all models in one micro-tile: they stay in the first cache.
  index_t products_size() const { return static_cast<index_t>(sets_.size()) * area_; }

  void meet(const TileRange& t, float* products) {
    for (index_t i = t.row_start; i < t.row_stop; i += kernel_.cols) {
      const index_t row_stop = std::min(t.row_stop, i + kernel_.cols);
      for (index_t j = t.diagonal() ? i : t.col_start; j < t.col_stop; j += kernel_.cols) {
        const index_t col_stop = std::min(t.col_stop, j + kernel_.cols);
        for (index_t r = i; r < row_stop; r += kernel_.rows) {
          look({r, std::min(row_stop, r + kernel_.rows), j, col_stop}, i < j, products);
        }
      }
    }
  }

  // Rows [first, last) and all samples.
  void meet_all(index_t first, index_t last, float* products) {
    for (index_t j = 0; j < n_samples(); j += kernel_.cols) {
      const index_t col_stop = std::min(n_samples(), j + kernel_.cols);
      for (index_t r = first; r < last; r += kernel_.rows) {
        look({r, std::min(last, r + kernel_.rows), j, col_stop}, false, products);
      }
    }
  }

  void finish(index_t p, index_t i, double* distances) {
    lists_.finish(list_of(p, i), judge(p, i), distances);
    for (index_t s = 0; s < kNearest; ++s) distances[s] = std::sqrt(distances[s]);
  }

 private:
  bool some() const { return rows_.rows != nullptr; }
  index_t sample(index_t row) const { return some() ? rows_.rows[row] : row; }
  index_t list_of(index_t p, index_t row) const { return p * padded_rows_ + row; }
  const Selection& first(index_t p) const { return selections_[pairs_[p].first]; }
  const Selection& second(index_t p) const { return selections_[pairs_[p].second]; }
  Judge judge(index_t p, index_t row) const {
    return {sets_[pairs_[p].first], sets_[pairs_[p].second], first(p), second(p), sample(row)};
  }

  // One micro-tile of all models. A panel among itself holds each pair of samples twice, and
  // serves its rows only.
  void look(const TileRange& t, bool both, float* products) {
    const std::vector<Panels>& row_panels = some() ? row_panels_ : panels_;
    for (std::size_t s = 0; s < panels_.size(); ++s) {
      kernel_.multiply(row_panels[s].row(t.row_start), panels_[s].row(t.col_start), panels_[s].depth(),
                       false, products + s * area_, kernel_.cols);
    }
    for (std::size_t s = 0; s < words_.size(); ++s) {
      const WordPanels &rows = some() ? row_words_[s] : words_[s], &of = words_[s];
      word_kernel().multiply(rows.row(t.row_start), of.row(t.col_start), of.pairs(),
                             rows.steps(t.row_start), of.steps(t.col_start), products + s * area_);
    }
    const std::uint64_t there = ~std::uint64_t{0} >> (64 - t.n_cols());
    std::uint64_t masks[kMostRows];
    for (index_t p = 0; p < n_pairs(); ++p) {
      const float* a = products + pairs_[p].first * area_;
      const float* b = products + pairs_[p].second * area_;
      const float* lower = lower_.data() + p * padded_;
      const float* thresholds = lists_.thresholds() + list_of(p, 0);
      // Lower bounds of rows are for their columns, which have no use for them unless both are
      // the same samples.
      const MicroBounds bounds{both ? lower + t.row_start : lower, thresholds + t.row_start,
                               lower + t.col_start,
                               both ? thresholds + t.col_start : kNever.data()};
      if (!kernel_.joint_reached(a, b, bounds, masks)) continue;
      for (index_t i = t.row_start; i < t.row_stop; ++i) {
        const index_t row = (i - t.row_start) * kernel_.cols;
        for (std::uint64_t mask = masks[i - t.row_start] & there; mask != 0; mask &= mask - 1) {
          const int c = std::countr_zero(mask);
          take(p, i, t.col_start + c, a[row + c] + b[row + c], both);
        }
      }
    }
  }

  void take(index_t p, index_t i, index_t j, float product, bool both) {
    if (sample(i) == j) return;
    const float* lower = lower_.data() + p * padded_;
    lists_.offer(list_of(p, i), j, lower[j] - product, judge(p, i));
    if (both) lists_.offer(list_of(p, j), i, lower[i] - product, judge(p, j));
  }

  inline static const std::vector<float> kNever =
      std::vector<float>(kMostCols, -std::numeric_limits<float>::infinity());

  const std::vector<Embedding>& sets_;
  const std::vector<std::pair<index_t, index_t>>& pairs_;
  const MicroKernel& kernel_ = micro_kernel();
  const index_t area_ = kernel_.rows * kernel_.cols;
  JointRows rows_;
  index_t padded_, padded_rows_;
  std::vector<Selection> selections_;
  std::vector<Panels> panels_, row_panels_;
  std::vector<WordPanels> words_, row_words_;  // in place of those
  std::vector<float> lower_;       // (n_pairs, padded_), of the joint spaces
  TwoNearest lists_;
};

}  // namespace

void joint_nearest(const std::vector<Embedding>& sets,
                   const std::vector<std::pair<index_t, index_t>>& pairs, const JointRows& rows,
                   index_t tile, bool words, const Run& run, double* distances) {
  assert(!sets.empty() && !pairs.empty() && sets[0].n_samples > kNearest);
  Search search(sets, pairs, rows, words, run);
  const index_t n = search.n_samples(), n_rows = search.n_rows(), cols = micro_kernel().cols;
  std::vector<std::vector<float>> products(run.n_threads,
                                           std::vector<float>(search.products_size()));
  if (rows.rows) {
    parallel_for((n_rows + cols - 1) / cols, run, [&](index_t task, int worker) {
      search.meet_all(task * cols, std::min(n_rows, (task + 1) * cols), products[worker].data());
    });
  } else {
    tournament(
        n, std::max<index_t>(1, tile / cols) * cols, run,
        [&](const TileRange& t, index_t, int worker) { search.meet(t, products[worker].data()); });
  }
  constexpr index_t kRowsPerTask = 1024;
  const index_t n_parts = (n_rows + kRowsPerTask - 1) / kRowsPerTask;
  parallel_for(search.n_pairs() * n_parts, run, [&](index_t task, int) {
    const index_t p = task / n_parts, start = task % n_parts * kRowsPerTask;
    for (index_t i = start; i < std::min(n_rows, start + kRowsPerTask); ++i) {
      search.finish(p, i, distances + (p * n_rows + i) * kNearest);
    }
  });
}

index_t joint_nearest_bytes(index_t n_samples, index_t n_rows, index_t total_features,
                            index_t most_features, index_t n_sets, index_t n_pairs, int n_threads) {
  const index_t padded = Search::padded(n_samples), padded_rows = Search::padded(n_rows);
  const index_t packed_rows = n_rows < n_samples ? 4 * total_features : 0;
  return padded * (4 * (total_features + most_features) + 20 * n_sets + 4 * n_pairs) +
         padded_rows * (packed_rows + n_pairs * (TwoNearest::bytes_per_row() + 16)) +
         n_threads * n_sets * kMostRows * kMostCols * 4;
}

}  // namespace consilience
