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

// What samples that come block by block add to ranks in all of them. Row r of `rows` is sample
// selves[r] of the block, or none of it; its thresholds ascend.
struct RankThresholds {
  Embedding rows;
  const index_t* selves;  // (n_rows)
  const double* squares;  // (n_rows, n_squares)
  index_t n_squares;
  const double* origin;  // (n_features), best near the mean of all samples
};

// doubled[r, q] = 2 #{l : |y_r - x_l|^2 < t_rq} + #{l : |y_r - x_l|^2 = t_rq}, over the samples l
// of the block X but the row itself, as float64 differences give the squares; (n_rows, n_squares).
// Blocks add up: rank(i, j) is 1/2 + half of what all of them give at the square of (i, j).
void count_nearer(const Embedding& X, const RankThresholds& asked, const Run& run,
                  index_t* doubled);

// Memory beyond the arguments.
index_t count_nearer_bytes(index_t n_samples, index_t n_features, index_t n_squares, int n_threads);

// squares[p] = |y_i - x_j|^2 of pair p = (i, j) of rows of Y and X, by float64 differences.
void squares_between(const Embedding& Y, const Embedding& X, const index_t* i, const index_t* j,
                     index_t n_pairs, const Run& run, double* squares);

}  // namespace consilience
