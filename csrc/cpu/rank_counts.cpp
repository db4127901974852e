// rank_counts on the CPU: the choice between its two ways (bench/ladder/rank_counts.md).

#include "ops/rank_counts.hpp"

#include <algorithm>
#include <cassert>

#include "cpu/rank_rows.hpp"
#include "cpu/rank_tiles.hpp"

namespace consilience {
namespace {

// Different queries of a row up to which tiles are the faster way: they save half a product of d
// features and the layout of a row, and each query costs as much as some seven features.
index_t tile_queries(index_t n_features) { return 26 + n_features / 14; }

}  // namespace

void rank_counts(const Embedding& X, const RankQueries& queries, const Run& run,
                 double* rank_sums) {
  assert(!queries.ks.empty() && std::is_sorted(queries.ks.begin(), queries.ks.end()));
  const bool few = asks_at_most(tile_queries(X.n_features), queries);
  if (few && count_in_tiles(X, queries, run, rank_sums)) return;
  count_in_rows(X, queries, run, rank_sums, nullptr);
}

void rank_counts(const Embedding& X, const RankQueries& queries, const Run& run, double* rank_sums,
                 const RankMoments& moments) {
  assert(queries.n_rows() == X.n_samples);
  count_in_rows(X, queries, run, rank_sums, &moments);
}

index_t rank_counts_bytes(index_t n_samples, index_t n_features, int n_threads) {
  return std::max(count_in_rows_bytes(n_samples, n_features, n_threads),
                  count_in_tiles_bytes(n_samples, n_features, tile_queries(n_features)));
}

}  // namespace consilience
