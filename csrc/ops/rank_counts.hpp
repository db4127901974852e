#pragma once

#include <vector>

#include "common/parallel.hpp"
#include "common/types.hpp"

namespace consilience {

// For each list source s, row i and count ks[q]:
//   rank_sums[s, i, q] = sum over the first ks[q] entries j of sources[s].row(i) of rank(i, j),
//   rank(i, j) = 1 + #{l != i : d(i, l) < d(i, j)} + 1/2 #{l != i, j : d(i, l) = d(i, j)},
// d the Euclidean distance in X, as float64 differences give it. Full ranks: no largest one.
// rank_sums: (n_sources, n, n_ks), row-major; `ks` ascends and does not exceed any source's k.
// Of the matrix of ranks itself, 0 on its diagonal, what a null of such sums asks for:
//   columns[j] = sum_i rank(i, j);  squares[i] = sum_j rank(i, j)^2                  (n) each
//   block[s, t] = rank(sample[s], sample[t])                                (n_sample, n_sample)
// Memory beyond the arguments: 8 bytes per entry of X and about 20 MiB per thread.
struct RankTerms {
  double* rank_sums;
  double* columns;
  double* squares;
  double* block;
};
void rank_counts(const Embedding& X, const std::vector<NeighborLists>& sources,
                 const std::vector<index_t>& ks, const std::vector<index_t>& sample, const Run& run,
                 const RankTerms& out);

index_t rank_counts_bytes(index_t n_samples, index_t n_features, int n_threads);

}  // namespace consilience
