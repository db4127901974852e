#pragma once

#include "common/types.hpp"

namespace consilience {

// Columns with lower[j] - products[j] <= threshold, written to `hits` (room for n); returns their
// number. Nearly always there are none: two loads, a subtraction and a compare per entry is what
// the top-k costs.
index_t columns_below(const float* lower, const float* products, index_t n, float threshold,
                      index_t* hits);

// The same seen from the columns: lower - products[j] <= thresholds[j].
index_t columns_reached(float lower, const float* products, const float* thresholds, index_t n,
                        index_t* hits);

// A number that at least k and about at most `enough` of n values do not exceed: a threshold for
// the k smallest. Counting vectorises, where selecting branches on every value.
float bound_of_smallest(const float* values, index_t n, index_t k, index_t enough);

}  // namespace consilience
