#pragma once

#include <cstdint>

#include "common/parallel.hpp"
#include "common/types.hpp"

namespace consilience {

// Lists may be of some samples alone, the same in both graphs (NeighborLists::rows), but for what
// reads other rows than i: columns, reciprocal, cycle and all draws.

// A value for every edge of a neighbour graph, (n, k):
//   values[i, s] = sum_f x_if (x_jf - origin_f),  j = indices[i, s].
// With origin = the column means this is the row-centred kernel of CKNNA; with 0 the plain one.
// products: the plain one, if a search has left it behind, else null. What is then a difference is
// summed anew where too many digits cancel.
void edge_values(const Embedding& X, const NeighborLists& graph, const double* origin,
                 const double* products, const Run& run, double* values);

// Sums over the edges that two graphs share, edge (i, j) being shared if j is in both lists of i.
// With e, f the edge values of the two graphs (1 where none are given), all of shape (n):
struct GraphTerms {
  index_t* overlap;  // number of shared edges of row i
  double* products;  // sum_j e_ij f_ij
  double* rows_e;    // sum_j e_ij              rows_f alike
  double* rows_f;
  double* columns_e;  // sum_j e_ji              columns_f alike
  double* columns_f;
  double* reciprocal;  // sum_j e_ij f_ji over pairs shared in both directions
};
void graph_terms(const NeighborLists& graph_x, const NeighborLists& graph_y, const double* e,
                 const double* f, const Run& run, const GraphTerms& out);

// The first two of these alone: overlap (n) and products (n), summed in the order of graph_y.
void overlap_terms(const NeighborLists& graph_x, const NeighborLists& graph_y, const double* e,
                   const double* f, const Run& run, index_t* overlap, double* products);

// The first k entries of each list that are in the list's own group, group (n): their places in
// the list, (n, k), and -1 in the places left where there are fewer.
void lists_within(const NeighborLists& graph, const index_t* group, index_t k, const Run& run,
                  index_t* places);

// Several ways to split the samples in two, a bit each: bit t of halves[j] is j's half in split t.
using Splits = std::uint32_t;
constexpr int kMostSplits = 32;

// For each entry of each list, (n, k of the graph): the splits in which it is among the first k
// entries that are in the list's own half. Counters of all splits are kept as planes of bits.
void members_within(const NeighborLists& graph, const Splits* halves, index_t k, const Run& run,
                    Splits* members);

// overlap_terms of the members alone, for each split: products (n_splits, n), the overlap itself
// where no values are given. Lists are read once, and not once for each split.
void overlap_within(const NeighborLists& graph_x, const NeighborLists& graph_y,
                    const Splits* members_x, const Splits* members_y, const double* e,
                    const double* f, int n_splits, const Run& run, double* products);

// The order-th (from 1) of the members' values, for each split, (n_splits, n); the list's last
// value where there are fewer. values, members: (n, k).
void nth_within(const double* values, const Splits* members, index_t n, index_t k, index_t order,
                int n_splits, const Run& run, double* nth);

// Comparisons of ordered lists, of shape (n); a null output is not computed.
struct ListTerms {
  double* cycle;  // 1 if i is among the graph_x neighbours of its graph_y neighbours, else 0
  double* lcs;    // length of the longest common subsequence of the two lists of i
  double* edit;   // Levenshtein distance of the two lists of i
};
void list_terms(const NeighborLists& graph_x, const NeighborLists& graph_y, const Run& run,
                const ListTerms& out);

// The same comparisons, and Jaccard's |both| / |either|, summed over all samples, with graph_y
// relabelled: sample i has the list of sample q(i), its entries renamed back, q = permutations
// row p. Of shape (n_draws); a null output is not computed. O(n k) a draw, O(n k^2) for edit where
// lists share an entry; nothing is rebuilt.
struct ListDraws {
  double* jaccard;
  double* cycle;
  double* lcs;
  double* edit;
};
void list_draws(const NeighborLists& graph_x, const NeighborLists& graph_y,
                const index_t* permutations, index_t n_draws, const Run& run, const ListDraws& out);

}  // namespace consilience
