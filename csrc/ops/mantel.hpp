#pragma once

#include "common/parallel.hpp"
#include "common/types.hpp"

namespace consilience {

// What the permutation distribution of T = sum_{i != j} A_ij B_{p(i) p(j)} needs to know of A, a
// graph with edge values e (1 where none are given), up to its second moment.
struct MantelTerms {
  double sum = 0.0;          // sum A_ij
  double squares = 0.0;      // sum A_ij^2
  double reciprocal = 0.0;   // sum A_ij A_ji
  double row_squares = 0.0;  // sum_i r_i^2, r the row sums
  double col_squares = 0.0;  // sum_j c_j^2, c the column sums
  double row_col = 0.0;      // sum_i r_i c_i
};
MantelTerms mantel_terms(const NeighborLists& graph, const double* e, const Run& run);

// T for given relabellings: draws[p] = sum over edges (i, j) of graph_x with (q(i), q(j)) an edge
// of graph_y of e_ij f_{q(i) q(j)}, q = permutations row p. O(n k) a draw; nothing is rebuilt.
void mantel_draws(const NeighborLists& graph_x, const NeighborLists& graph_y, const double* e,
                  const double* f, const index_t* permutations, index_t n_draws, const Run& run,
                  double* draws);

}  // namespace consilience
