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
         bool words, const Run& run)
      : sets_(sets),
        pairs_(pairs),
        padded_(padded(sets[0].n_samples)),
        lists_(n_pairs() * padded_) {
    double scale = natural_scale(sets[0], run);
    for (const Embedding& set : sets) scale = std::min(scale, natural_scale(set, run));
    for (const Embedding& set : sets) {
      Centered<float> rows = centered<float>(set, run, scale);
      if (words) {
        words_.emplace_back(rows.rows.data(), rows.n_samples, rows.n_features, run);
      } else {
        panels_.push_back(packed(rows, run));
      }
      const double rounding = words ? words_.back().rounding() : 0.0;
      selections_.push_back(make_selection(std::move(rows), false, rounding));
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

  void finish(index_t p, index_t i, double* distances) {
    lists_.finish(list_of(p, i), judge(p, i), distances);
    for (index_t s = 0; s < kNearest; ++s) distances[s] = std::sqrt(distances[s]);
  }

 private:
  index_t list_of(index_t p, index_t i) const { return p * padded_ + i; }
  const Selection& first(index_t p) const { return selections_[pairs_[p].first]; }
  const Selection& second(index_t p) const { return selections_[pairs_[p].second]; }
  Judge judge(index_t p, index_t i) const {
    return {sets_[pairs_[p].first], sets_[pairs_[p].second], first(p), second(p), i};
  }

  // One micro-tile of all models. A panel among itself holds each pair of samples twice, and
  // serves its rows only.
  void look(const TileRange& t, bool both, float* products) {
    for (std::size_t s = 0; s < panels_.size(); ++s) {
      kernel_.multiply(panels_[s].row(t.row_start), panels_[s].row(t.col_start), panels_[s].depth(),
                       false, products + s * area_, kernel_.cols);
    }
    for (std::size_t s = 0; s < words_.size(); ++s) {
      const WordPanels& of = words_[s];
      word_kernel().multiply(of.row(t.row_start), of.row(t.col_start), of.pairs(),
                             of.steps(t.row_start), of.steps(t.col_start), products + s * area_);
    }
    const std::uint64_t there = ~std::uint64_t{0} >> (64 - t.n_cols());
    std::uint64_t masks[kMostRows];
    for (index_t p = 0; p < n_pairs(); ++p) {
      const float* a = products + pairs_[p].first * area_;
      const float* b = products + pairs_[p].second * area_;
      const index_t rows = list_of(p, t.row_start), columns = list_of(p, t.col_start);
      const MicroBounds bounds{lower_.data() + rows, lists_.thresholds() + rows,
                               lower_.data() + columns,
                               both ? lists_.thresholds() + columns : kNever.data()};
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
    if (i == j) return;
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
  index_t padded_;
  std::vector<Selection> selections_;
  std::vector<Panels> panels_;
  std::vector<WordPanels> words_;  // in place of those
  std::vector<float> lower_;       // (n_pairs, padded_), of the joint spaces
  TwoNearest lists_;
};

}  // namespace

void joint_nearest(const std::vector<Embedding>& sets,
                   const std::vector<std::pair<index_t, index_t>>& pairs, index_t tile, bool words,
                   const Run& run, double* distances) {
  assert(!sets.empty() && !pairs.empty() && sets[0].n_samples > kNearest);
  Search search(sets, pairs, words, run);
  const index_t n = search.n_samples(), cols = micro_kernel().cols;
  std::vector<std::vector<float>> products(run.n_threads,
                                           std::vector<float>(search.products_size()));
  tournament(
      n, std::max<index_t>(1, tile / cols) * cols, run,
      [&](const TileRange& t, index_t, int worker) { search.meet(t, products[worker].data()); });
  constexpr index_t kRowsPerTask = 1024;
  const index_t n_parts = (n + kRowsPerTask - 1) / kRowsPerTask;
  parallel_for(search.n_pairs() * n_parts, run, [&](index_t task, int) {
    const index_t p = task / n_parts, start = task % n_parts * kRowsPerTask;
    for (index_t i = start; i < std::min(n, start + kRowsPerTask); ++i) {
      search.finish(p, i, distances + (p * n + i) * kNearest);
    }
  });
}

index_t joint_nearest_bytes(index_t n_samples, index_t total_features, index_t most_features,
                            index_t n_sets, index_t n_pairs, int n_threads) {
  const index_t padded = Search::padded(n_samples);
  return padded * (4 * (total_features + most_features) + 20 * n_sets) +
         padded * n_pairs * (TwoNearest::bytes_per_row() + 20) +
         n_threads * n_sets * kMostRows * kMostCols * 4;
}

}  // namespace consilience
