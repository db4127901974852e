#pragma once

#include <utility>
#include <vector>

#include "common/parallel.hpp"
#include "common/types.hpp"

namespace consilience {

// The samples whose neighbours are wanted, ascending, among all; null: those of all.
struct JointRows {
  const index_t* rows = nullptr;
  index_t n_rows = 0;
};

// In the joint space of models a and b, |(x_i, y_i) - (x_j, y_j)|^2 = |x_i - x_j|^2 + |y_i -
// y_j|^2: every pair's joint neighbours come out of the models' own tiles, each made once.
// distances[p, r, :] are the two smallest joint distances of row r, for pair p = (a, b);
// (n_pairs, n_rows, 2), row-major, exactly as float64 differences give them.
// `words`: whether rows are rounded to words of 16 bits before they are multiplied; the answer does
// not depend on it.
// Memory beyond the arguments: 4 bytes per entry of every X, once more for the widest while it is
// made, 4 bytes per entry of the rows if they are some, and n_pairs * n_rows * 140 bytes.
void joint_nearest(const std::vector<Embedding>& sets,
                   const std::vector<std::pair<index_t, index_t>>& pairs, const JointRows& rows,
                   index_t tile, bool words, const Run& run, double* distances);

index_t joint_nearest_bytes(index_t n_samples, index_t n_rows, index_t total_features,
                            index_t most_features, index_t n_sets, index_t n_pairs, int n_threads);

}  // namespace consilience
