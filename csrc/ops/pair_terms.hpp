#pragma once

#include <vector>

#include "common/parallel.hpp"
#include "common/types.hpp"

namespace consilience {

enum class PairFunction { distance, squared, rbf };

// One symmetric function of pairs of rows about offsets,
//   f(i, j) = g(|x_i - x_j|) - u_i - u_j,   g(r) = r, r^2 or exp(-gamma r^2).
// Centred statistics do not see the offsets. About half of what is usual in row i, u_i keeps
// products small where g hardly varies or one row lies far out: digits that would cancel later are
// never lost.
struct Channel {
  Embedding X;
  PairFunction function = PairFunction::distance;
  double gamma = 0.0;
};

// For channels f_1 ... f_C over the same n samples:
//   row_sums[c, i] = sum_{j != i} f_c(i, j)                    (C, n)
//   products[c, e] = sum_{i != j} f_c(i, j) f_e(i, j)          (C, C), symmetric
// and the u that were chosen. Of a stripe of rows, the sums over the pairs whose first row is in it
// alone, i in [first, stop) and j > i, each for both of its sides: those of all stripes add up.
struct PairTerms {
  std::vector<double> offsets;  // (C, n)
  std::vector<double> row_sums;
  std::vector<double> products;
};

// Stripes begin and end at multiples of this, or at the end: float32 sums then have one grouping.
constexpr index_t kPairStep = 48;

struct PairTermsOptions {
  index_t tile = 256;            // rows and columns of what a worker does at a time
  bool double_tiles = true;      // else float32 tiles, near pairs recomputed from differences
  index_t first = 0, stop = -1;  // of the stripe; -1: to the last row
};

// Each block of products is made once for all channels of one X, and all pairs of channels.
// Memory beyond the arguments: the working copy, 4 or 8 bytes per entry of every X, and while they
// are made once more those of the widest.
PairTerms pair_terms(const std::vector<Channel>& channels, const PairTermsOptions& options,
                     const Run& run);

// total_features counts each X once.
index_t pair_terms_bytes(index_t n_samples, index_t total_features, index_t most_features,
                         index_t n_channels, const PairTermsOptions& options, int n_threads);

// distances[p] = |x_i[p] - x_j[p]|, from differences: 8 bytes and 3 flops per feature and pair.
void pair_distances(const Embedding& X, const index_t* i, const index_t* j, index_t n_pairs,
                    const Run& run, double* distances);

}  // namespace consilience
