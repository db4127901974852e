#pragma once

#include <vector>

#include "common/parallel.hpp"
#include "common/types.hpp"

namespace consilience {

enum class PairFunction { distance, squared, rbf };

// One symmetric function of pairs of rows about given offsets,
//   f(i, j) = g(|x_i - x_j|) - u_i - u_j,   g(r) = r, r^2 or exp(-gamma r^2).
// Centred statistics do not see the offsets. Near half the mean of row i, u_i keeps products small
// where g hardly varies or one row lies far out: digits that would cancel later are never lost.
struct Channel {
  Embedding X;
  PairFunction function = PairFunction::distance;
  double gamma = 0.0;
  const double* offsets = nullptr;  // u, (n_samples)
};

// For channels f_1 ... f_C over the same n samples:
//   row_sums[c, i] = sum_{j != i} f_c(i, j)                    (C, n)
//   products[c, e] = sum_{i != j} f_c(i, j) f_e(i, j)          (C, C), symmetric
struct PairTerms {
  std::vector<double> row_sums;
  std::vector<double> products;
};

struct PairTermsOptions {
  index_t tile = 256;
  bool double_tiles = true;  // else float32 tiles, near pairs recomputed from differences
};

// Each channel's tile is made once, for all pairs of channels.
// Memory beyond the arguments: the working copy, 4 or 8 bytes per entry of every X.
PairTerms pair_terms(const std::vector<Channel>& channels, const PairTermsOptions& options,
                     const Run& run);

index_t pair_terms_bytes(index_t n_samples, index_t total_features, index_t n_channels,
                         const PairTermsOptions& options, int n_threads);

}  // namespace consilience
