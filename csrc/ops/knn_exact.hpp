#pragma once

#include "common/parallel.hpp"
#include "common/types.hpp"

namespace consilience {

enum class Distance { l2, ip };

struct KnnExactOptions {
  index_t k = 1;
  Distance distance = Distance::l2;
  // Which rows want neighbours, ascending; null: all of them.
  const index_t* rows = nullptr;
  index_t n_rows = 0;
  index_t tile = 480;
  // Orthonormal axes (n_features, n_axes), row-major, along which near rows are told from far ones
  // before anything else; none: whole rows are multiplied. The answer does not depend on them.
  const double* axes = nullptr;
  index_t n_axes = 0;
  // The axes orthogonal to those (n_features, n_features - n_axes), or null: with them, a pair that
  // the first leave costs the product of the rest and not of whole rows.
  const double* rest_axes = nullptr;
  // Whether rows, or what axes show of them, are rounded to words of 16 bits before they are
  // multiplied. The answer does not depend on it.
  bool words = false;
};

// The k nearest other rows of each row, ordered by (distance, index), exactly as float64
// differences order them:
//   l2: sqrt(sum_f (x_if - x_jf)^2)        ip: -sum_f x_if x_jf
// indices and distances: (n_rows, k), row-major. Returns how many float64 distances were needed to
// certify the lists, k per row being the least possible.
// Memory beyond the arguments: at most 12 d + 52 bytes per sample,
// CandidateLists::bytes_per_row(k) per row, and 1.5 MB and 64 rows in float64 per thread.
index_t knn_exact(const Embedding& X, const KnnExactOptions& options, const Run& run,
                  index_t* indices, double* distances);

index_t knn_exact_bytes(index_t n_samples, index_t n_features, index_t n_axes, index_t n_rows,
                        index_t k);

// Whether this processor multiplies words faster than floats.
bool fast_words();

}  // namespace consilience
