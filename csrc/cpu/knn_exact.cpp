// knn_exact on the CPU: a float32 GEMM tile per pair of row blocks (2 d flops per entry), filtered
// from both sides (2 x 8 bytes from cache), then about k float64 distances per row.

#include "ops/knn_exact.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "common/blas.hpp"
#include "cpu/candidates.hpp"
#include "cpu/exact.hpp"
#include "cpu/filter.hpp"
#include "cpu/selection.hpp"
#include "cpu/tournament.hpp"

namespace consilience {
namespace {

// The float64 side of the search, for one row.
struct Judge {
  const Embedding& X;
  const Selection& selection;
  Distance distance;
  index_t i;
  double to_mean;  // <x_i, mean>, read under ip only

  float width(index_t j) const { return selection.width[j]; }
  void prefetch(index_t j) const { prefetch_row(X, j); }
  float slack() const { return selection.slack[i]; }

  double key(index_t j) const {
    return distance == Distance::l2 ? squared_distance(X, i, j) : -inner_product(X, i, j);
  }

  float threshold(double key) const {
    const double scale2 = selection.set.scale * selection.set.scale;
    const double norm2 = selection.set.squared_norms[i];
    // For ip, tiles leave out what row i has in common with all others.
    double value = scale2 * (distance == Distance::l2 ? key : key + to_mean);
    double magnitude = std::abs(value) + norm2;
    if (distance == Distance::l2) value = 0.5 * (value - norm2);
    return static_cast<float>(value + selection.slack[i] + selection.error * magnitude);
  }
};

class Search {
 public:
  Search(const Embedding& X, const KnnExactOptions& options, const Run& run)
      : X_(X),
        options_(options),
        selection_(make_selection(centered<float>(X, run), options.distance == Distance::ip)),
        lists_(options.row_stop - options.row_start, options.k) {
    if (options.distance != Distance::ip) return;
    to_means_.resize(X.n_samples);
    for (index_t i = 0; i < X.n_samples; ++i) {
      to_means_[i] = product_with(X, i, selection_.set.mean.data());
    }
  }

  index_t list_of(index_t i) const { return i - options_.row_start; }
  Judge judge(index_t i) const {
    const bool ip = options_.distance == Distance::ip;
    return {X_, selection_, options_.distance, i, ip ? to_means_[i] : 0.0};
  }
  const Selection& selection() const { return selection_; }

  // Rows [row, row + n_rows) of a tile meet its columns.
  void feed_rows(const TileRange& t, const float* products) {
    std::vector<index_t> hits(t.n_cols());
    const float* lower = selection_.lower.data() + t.col_start;
    for (index_t i = t.row_start; i < t.row_stop; ++i) {
      const float* row = products + (i - t.row_start) * t.n_cols();
      const index_t list = list_of(i);
      const index_t n_hits =
          columns_below(lower, row, t.n_cols(), lists_.threshold(list), hits.data());
      for (index_t h = 0; h < n_hits; ++h) {
        const index_t c = hits[h];
        if (t.col_start + c != i) lists_.offer(list, t.col_start + c, lower[c] - row[c], judge(i));
      }
    }
  }

  // Columns of a tile meet its rows: the other half of a symmetric matrix.
  void feed_columns(const TileRange& t, const float* products) {
    std::vector<index_t> hits(t.n_cols());
    const float* thresholds = lists_.thresholds() + list_of(t.col_start);
    for (index_t i = t.row_start; i < t.row_stop; ++i) {
      const float* row = products + (i - t.row_start) * t.n_cols();
      const float lower = selection_.lower[i];
      const index_t n_hits = columns_reached(lower, row, thresholds, t.n_cols(), hits.data());
      for (index_t h = 0; h < n_hits; ++h) {
        const index_t j = t.col_start + hits[h];
        lists_.offer(list_of(j), i, lower - row[hits[h]], judge(j));
      }
    }
  }

  void multiply(const TileRange& t, float* products) const {
    const index_t d = X_.n_features;
    blas::gemm_nt(t.n_rows(), t.n_cols(), d, selection_.row(t.row_start), d,
                  selection_.row(t.col_start), d, products, t.n_cols());
  }

  index_t finish(index_t i, index_t* indices, double* distances) {
    const index_t evaluated = lists_.finish(list_of(i), judge(i), indices, distances);
    if (options_.distance == Distance::l2) {
      for (index_t s = 0; s < options_.k; ++s) distances[s] = std::sqrt(distances[s]);
    }
    return evaluated;
  }

 private:
  const Embedding& X_;
  const KnnExactOptions& options_;
  Selection selection_;
  CandidateLists lists_;
  std::vector<double> to_means_;
};

}  // namespace

index_t knn_exact(const Embedding& X, const KnnExactOptions& options, const Run& run,
                  index_t* indices, double* distances) {
  const index_t n = X.n_samples, tile = options.tile;
  assert(options.k >= 1 && options.k < n && n <= std::numeric_limits<std::int32_t>::max());
  assert(0 <= options.row_start && options.row_start < options.row_stop && options.row_stop <= n);

  Search search(X, options, run);
  std::vector<std::vector<float>> products(run.n_threads, std::vector<float>(tile * tile));

  if (options.row_stop - options.row_start == n) {
    tournament(n, tile, run, [&](const TileRange& t, index_t, int worker) {
      float* tile_products = products[worker].data();
      search.multiply(t, tile_products);
      search.feed_rows(t, tile_products);
      if (!t.diagonal()) search.feed_columns(t, tile_products);
    });
  } else {
    const index_t n_rows = options.row_stop - options.row_start;
    parallel_for((n_rows + tile - 1) / tile, run, [&](index_t block, int worker) {
      const index_t start = options.row_start + block * tile;
      const index_t stop = std::min(options.row_stop, start + tile);
      for (index_t column = 0; column < n; column += tile) {
        const TileRange t{start, stop, column, std::min(n, column + tile)};
        search.multiply(t, products[worker].data());
        search.feed_rows(t, products[worker].data());
      }
    });
  }

  constexpr index_t kRowsPerTask = 64;
  const index_t n_rows = options.row_stop - options.row_start;
  std::vector<index_t> evaluated((n_rows + kRowsPerTask - 1) / kRowsPerTask, 0);
  parallel_for(static_cast<index_t>(evaluated.size()), run, [&](index_t task, int) {
    const index_t stop = std::min(n_rows, (task + 1) * kRowsPerTask);
    for (index_t r = task * kRowsPerTask; r < stop; ++r) {
      evaluated[task] +=
          search.finish(options.row_start + r, indices + r * options.k, distances + r * options.k);
    }
  });
  index_t total = 0;
  for (const index_t count : evaluated) total += count;
  return total;
}

index_t knn_exact_bytes(index_t n_samples, index_t n_features, index_t n_rows, index_t k) {
  return n_samples * (4 * n_features + 28) + n_rows * (CandidateLists::bytes_per_row(k) + 16 * k);
}

}  // namespace consilience
