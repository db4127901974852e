#pragma once

#include <vector>

#include "common/parallel.hpp"
#include "common/types.hpp"

namespace consilience {

// Whose ranks are asked for. `rows` are the samples that row 0, 1, ... of every list belongs to:
// all of them in their order, or some. `ks` ascends and does not exceed any list's k; no list
// holds its own sample.
struct RankQueries {
  const std::vector<NeighborLists>& lists;
  const std::vector<index_t>& ks;
  const std::vector<index_t>& rows;

  index_t n_rows() const { return static_cast<index_t>(rows.size()); }
};

// For each list s, row i and count ks[q]:
//   rank_sums[s, i, q] = sum over the first ks[q] entries j of list s of rows[i] of rank(rows[i],
//   j), rank(i, j) = 1 + #{l != i : d(i, l) < d(i, j)} + 1/2 #{l != i, j : d(i, l) = d(i, j)},
// d the Euclidean distance in X, as float64 differences give it. Full ranks: no largest one.
// rank_sums: (n_lists, n_rows, n_ks), row-major.
void rank_counts(const Embedding& X, const RankQueries& queries, const Run& run, double* rank_sums);

// Of the matrix of ranks itself, 0 on its diagonal, what a null of such sums asks for:
//   columns[j] = sum_i rank(i, j);  squares[i] = sum_j rank(i, j)^2                  (n) each
//   block[s, t] = rank(sample[s], sample[t])                                (n_sample, n_sample)
// Exact up to 2,048 samples. Above, samples that a row sees about equally far (in one of n/2 to
// n classes of distance, or within a float32 error) share their mean rank in these; not in the
// sums.
struct RankMoments {
  const std::vector<index_t>& sample;
  double* columns;
  double* squares;
  double* block;
};

// The same sums, and these; `queries.rows` are all samples in their order.
void rank_counts(const Embedding& X, const RankQueries& queries, const Run& run, double* rank_sums,
                 const RankMoments& moments);

// Memory beyond the arguments.
index_t rank_counts_bytes(index_t n_samples, index_t n_features, int n_threads);

}  // namespace consilience
