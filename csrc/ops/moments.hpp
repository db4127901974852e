#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "common/parallel.hpp"
#include "common/types.hpp"

namespace consilience {

// The augmented cross-moments of pairs of sets about given shifts, in float64:
//   Z = [u | |u|^2 | 1], u = x - shift;  out[p] = Z_a^T Z_b, (d_a + 2, d_b + 2), (a, b) = pairs[p].
// Additive over blocks of rows that share their shifts. One read of the rows serves all pairs; the
// moment of a set with itself is exactly symmetric, and that of (b, a) the transpose of (a, b)'s.
// Sums run over rows in a fixed order.
void moments(const std::vector<Embedding>& sets, const std::vector<const double*>& shifts,
             const std::vector<std::pair<index_t, index_t>>& pairs, const Run& run,
             const std::vector<double*>& out);

// Bytes beyond the arguments and the result.
std::size_t moments_bytes(index_t n_samples, index_t n_features, index_t n_sets);

}  // namespace consilience
