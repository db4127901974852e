#pragma once

#include <utility>
#include <vector>

#include "common/parallel.hpp"
#include "common/types.hpp"
#include "ops/pair_terms.hpp"

namespace consilience {

// What pair_terms sums over all pairs, of some rows alone and kept apart. For channels f_c over the
// same n samples and rows S among them, with
//   a_c(i, j) = f_c(i, j) - u_c(i) - u_c(j),
//   u_c(j) = mean_r f_c(r, j) - half the mean over pairs of f_c(r, r'),  r, r' in `references`,
// which f_c(i, i) is part of:
//   row_sums[c, s] = sum_{j != i} a_c(i, j)                    (C, m), i the s-th of the rows
//   products[p, s] = sum_{j != i} a_c(i, j) a_e(i, j)          (P, m), (c, e) the p-th of the pairs
// and u_c(i). What is estimated from such sums depends on u, so that its definition is exact.
struct PairRowsTerms {
  std::vector<double> offsets;  // (C, m)
  std::vector<double> row_sums;
  std::vector<double> products;
};

struct PairRowsRequest {
  const index_t* rows;  // ascending
  index_t n_rows;
  const index_t* references;
  index_t n_references;
  std::vector<std::pair<index_t, index_t>> pairs;  // of channels
  bool double_tiles = true;                        // as of pair_terms
};

// Every X is read once, in order, some columns at a time.
// Memory beyond the arguments and the result: 4 or 8 bytes per entry of the rows and the references
// of every X, of 960 of its other samples, and a block per channel and thread.
// Throws std::overflow_error where float32 tiles cannot hold how far apart rows are.
PairRowsTerms pair_rows(const std::vector<Channel>& channels, const PairRowsRequest& request,
                        const Run& run);

// total_features counts each X once.
index_t pair_rows_bytes(index_t n_rows, index_t n_references, index_t total_features,
                        index_t n_sets, index_t n_channels, index_t n_pairs, bool double_tiles,
                        int n_threads);

}  // namespace consilience
