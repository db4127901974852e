#pragma once

#include "ops/rank_counts.hpp"

namespace consilience {

// Ranks from whole rows of keys: the way for many queries, and for sums of all ranks. `moments`
// may be null.
void count_in_rows(const Embedding& X, const RankQueries& queries, const Run& run,
                   double* rank_sums, const RankMoments* moments);

index_t count_in_rows_bytes(index_t n_samples, index_t n_features, int n_threads);

}  // namespace consilience
