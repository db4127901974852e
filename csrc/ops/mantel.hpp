#pragma once

#include <span>
#include <vector>

#include "common/parallel.hpp"
#include "common/types.hpp"

namespace consilience {

// What the permutation distribution of T = sum_{i != j} A_ij B_{p(i) p(j)} needs to know of A, a
// graph with edge values e, up to its second moment.
struct MantelTerms {
  double sum = 0.0;          // sum A_ij
  double squares = 0.0;      // sum A_ij^2
  double reciprocal = 0.0;   // sum A_ij A_ji
  double row_squares = 0.0;  // sum_i r_i^2, r the row sums
  double col_squares = 0.0;  // sum_j c_j^2, c the column sums
  double row_col = 0.0;      // sum_i r_i c_i
};
MantelTerms mantel_terms(const NeighborLists& graph, const double* e, const Run& run);

// Those of the graphs of the first k neighbours, without values, for several ascending k at once.
std::vector<MantelTerms> mantel_counts(const NeighborLists& graph, std::span<const index_t> ks,
                                       const Run& run);

// A graph with edge values, (n, k); null: 1.
struct WeightedGraph {
  NeighborLists lists;
  const double* values;
};

// Which of several graphs.
struct GraphPair {
  index_t x, y;
};

// T for given relabellings, the same for all pairs of graphs: draws[pair, p] = sum over edges (i,
// j) of x with (q(i), q(j)) an edge of y of e_ij f_{q(i) q(j)}, q = permutations row p. O(n k) a
// draw; nothing is rebuilt, and a graph's edges are relabelled once for all its pairs.
void mantel_draws(std::span<const WeightedGraph> graphs, std::span<const GraphPair> pairs,
                  const index_t* permutations, index_t n_draws, const Run& run, double* draws);
// Bytes it uses for so many pairs at most.
index_t mantel_draws_bytes(index_t n_samples, index_t n_pairs);

}  // namespace consilience
