#pragma once

#include "ops/rank_counts.hpp"

namespace consilience {

// Ranks by counting who is nearer, in float32 products that serve both their rows. Each different
// query of a row costs a comparison per entry: the way for few of them, and for few rows. False,
// with `rank_sums` untouched, if float32 leaves too many pairs to float64 differences.
bool count_in_tiles(const Embedding& X, const RankQueries& queries, const Run& run,
                    double* rank_sums);

// Whether no row asks for more different neighbours than this.
bool asks_at_most(index_t limit, const RankQueries& queries);

index_t count_in_tiles_bytes(index_t n_samples, index_t n_features, index_t n_layers);

}  // namespace consilience
