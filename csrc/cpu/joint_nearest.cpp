// joint_nearest on the CPU: one float32 GEMM tile per model, then for each pair of models two
// filters over the sum of two tiles (2 x 16 bytes from cache per entry).

#include "ops/joint_nearest.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "common/blas.hpp"
#include "cpu/candidates.hpp"
#include "cpu/exact.hpp"
#include "cpu/filter.hpp"
#include "cpu/selection.hpp"
#include "cpu/tournament.hpp"

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
  index_t id(index_t j) const { return j; }
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
         const Run& run)
      : sets_(sets), pairs_(pairs), lists_(n_pairs() * n_samples(), kNearest) {
    double scale = natural_scale(sets[0], run);
    for (const Embedding& set : sets) scale = std::min(scale, natural_scale(set, run));
    for (const Embedding& set : sets) {
      selections_.push_back(make_selection(centered<float>(set, run, scale), false));
    }
  }

  index_t n_samples() const { return sets_[0].n_samples; }
  index_t n_sets() const { return static_cast<index_t>(sets_.size()); }
  index_t n_pairs() const { return static_cast<index_t>(pairs_.size()); }

  void multiply(index_t s, const TileRange& t, float* products) const {
    const Selection& set = selections_[s];
    blas::gemm_nt(t.n_rows(), t.n_cols(), set.n_features(), set.row(t.row_start), set.n_features(),
                  set.row(t.col_start), set.n_features(), products, t.n_cols());
  }

  void feed(index_t p, const TileRange& t, const float* a, const float* b) {
    feed_rows(p, t, a, b);
    if (!t.diagonal()) feed_columns(p, t, a, b);
  }

  void finish(index_t p, index_t i, double* distances) {
    index_t indices[kNearest];
    lists_.finish(list_of(p, i), judge(p, i), indices, distances);
    for (index_t s = 0; s < kNearest; ++s) distances[s] = std::sqrt(distances[s]);
  }

 private:
  index_t list_of(index_t p, index_t i) const { return p * n_samples() + i; }
  const Selection& first(index_t p) const { return selections_[pairs_[p].first]; }
  const Selection& second(index_t p) const { return selections_[pairs_[p].second]; }
  Judge judge(index_t p, index_t i) const {
    return {sets_[pairs_[p].first], sets_[pairs_[p].second], first(p), second(p), i};
  }

  void feed_rows(index_t p, const TileRange& t, const float* a, const float* b) {
    std::vector<index_t> hits(t.n_cols());
    const float* lower_a = first(p).lower.data() + t.col_start;
    const float* lower_b = second(p).lower.data() + t.col_start;
    for (index_t i = t.row_start; i < t.row_stop; ++i, a += t.n_cols(), b += t.n_cols()) {
      const index_t list = list_of(p, i);
      const index_t n_hits = joint_columns_below(lower_a, lower_b, a, b, t.n_cols(),
                                                 lists_.threshold(list), hits.data());
      for (index_t h = 0; h < n_hits; ++h) {
        const index_t c = hits[h];
        if (t.col_start + c == i) continue;
        lists_.offer(list, t.col_start + c, (lower_a[c] + lower_b[c]) - (a[c] + b[c]), judge(p, i));
      }
    }
  }

  void feed_columns(index_t p, const TileRange& t, const float* a, const float* b) {
    std::vector<index_t> hits(t.n_cols());
    const float* thresholds = lists_.thresholds() + list_of(p, t.col_start);
    for (index_t i = t.row_start; i < t.row_stop; ++i, a += t.n_cols(), b += t.n_cols()) {
      const float lower = first(p).lower[i] + second(p).lower[i];
      const index_t n_hits =
          joint_columns_reached(lower, a, b, thresholds, t.n_cols(), hits.data());
      for (index_t h = 0; h < n_hits; ++h) {
        const index_t c = hits[h], j = t.col_start + c;
        lists_.offer(list_of(p, j), i, lower - (a[c] + b[c]), judge(p, j));
      }
    }
  }

  const std::vector<Embedding>& sets_;
  const std::vector<std::pair<index_t, index_t>>& pairs_;
  std::vector<Selection> selections_;
  CandidateLists lists_;
};

}  // namespace

void joint_nearest(const std::vector<Embedding>& sets,
                   const std::vector<std::pair<index_t, index_t>>& pairs, index_t tile,
                   const Run& run, double* distances) {
  assert(!sets.empty() && !pairs.empty() && sets[0].n_samples > kNearest);
  Search search(sets, pairs, run);
  const index_t n = search.n_samples(), n_sets = search.n_sets(), area = tile * tile;
  std::vector<std::vector<float>> tiles(run.n_threads, std::vector<float>(n_sets * area));

  tournament(n, tile, run, [&](const TileRange& t, index_t, int worker) {
    float* products = tiles[worker].data();
    for (index_t s = 0; s < n_sets; ++s) search.multiply(s, t, products + s * area);
    for (index_t p = 0; p < search.n_pairs(); ++p) {
      search.feed(p, t, products + pairs[p].first * area, products + pairs[p].second * area);
    }
  });
  parallel_for(search.n_pairs(), run, [&](index_t p, int) {
    for (index_t i = 0; i < n; ++i) search.finish(p, i, distances + (p * n + i) * kNearest);
  });
}

index_t joint_nearest_bytes(index_t n_samples, index_t total_features, index_t n_sets,
                            index_t n_pairs, index_t tile, int n_threads) {
  return n_samples * (4 * total_features + 20 * n_sets) +
         n_samples * n_pairs * (CandidateLists::bytes_per_row(kNearest) + 16) +
         n_threads * n_sets * tile * tile * 4;
}

}  // namespace consilience
