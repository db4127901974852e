#pragma once

#include "common/types.hpp"

namespace consilience {

inline constexpr index_t kFilterChunk = 64;

// Chunks of 64 columns in which some lower[j] - products[j] <= threshold. Writes their first
// columns to `hits` and returns their number. Nearly every chunk has none: two loads, a
// subtraction and a compare per entry is what the top-k costs.
index_t chunks_below(const float* lower, const float* products, index_t n, float threshold,
                     index_t* hits);

// The same seen from the columns: some lower - products[j] <= thresholds[j].
index_t chunks_below_columns(float lower, const float* products, const float* thresholds, index_t n,
                             index_t* hits);

// For the joint space of two models: some lower_a[j] + lower_b[j] - (a[j] + b[j]) <= threshold.
index_t joint_chunks_below(const float* lower_a, const float* lower_b, const float* a,
                           const float* b, index_t n, float threshold, index_t* hits);
index_t joint_chunks_below_columns(float lower, const float* a, const float* b,
                                   const float* thresholds, index_t n, index_t* hits);

}  // namespace consilience
