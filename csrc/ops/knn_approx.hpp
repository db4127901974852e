#pragma once

#include <cstdint>

#include "ops/knn_exact.hpp"

namespace consilience {

struct KnnApproxOptions {
  index_t k = 1;
  Distance distance = Distance::l2;
  std::uint64_t seed = 0;
  index_t cell = 640;  // rows in a cell, on average
  index_t fanout = 8;  // cells that a row is in
  // If positive, rows meet rounded to bytes of so much a step, in the units of X.
  double step = 0.0;
};

// k near other rows of each row, ordered by (distance, index), with distances as in knn_exact: most
// of the k nearest, though not certainly all. Rows of one cell meet each other; then those do that
// list, or are listed by, one row. The same lists for any number of threads.
// indices and distances: (n_samples, k), row-major.
void knn_approx(const Embedding& X, const KnnApproxOptions& options, const Run& run,
                index_t* indices, double* distances);

constexpr index_t kMostCoarseFeatures = 65'536;  // whose products of bytes are summed in 32 bits

index_t knn_approx_bytes(index_t n_samples, index_t n_features, const KnnApproxOptions& options,
                         int n_threads);

// Whether this processor multiplies bytes faster than floats.
bool fast_bytes();

}  // namespace consilience
