#pragma once

#include "common/types.hpp"

namespace consilience {

// A number that at least k and about at most `enough` of n values do not exceed: a threshold for
// the k smallest. Counting vectorises, where selecting branches on every value.
float bound_of_smallest(const float* values, index_t n, index_t k, index_t enough);

}  // namespace consilience
