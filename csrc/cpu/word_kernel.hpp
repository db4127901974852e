#pragma once

#include <cstdint>

#include "common/types.hpp"
#include "cpu/micro_kernel.hpp"

namespace consilience {

// Of one micro-tile: what the rows' steps are inverse to, and the columns' steps.
struct WordSteps {
  const float *row_inverse, *column;
};

// As MicroKernel::reached, for products of rows of words (WordPanels), two features at a time:
//   s_ij = row_step_i most_ij,    most_ij = column_step_j (sum of products of words).
// `most` (rows, cols) is written if any product is of interest; then bit j of of_rows[i] and
// of_columns[i] says whether to row i and to column j.
struct WordKernel {
  // products (rows, cols) themselves, with all steps.
  void (*multiply)(const std::int16_t* left, const std::int16_t* right, index_t pairs,
                   const float* row_steps, const float* column_steps, float* products);
  bool (*reached)(const std::int16_t* left, const std::int16_t* right, index_t pairs,
                  const WordSteps& steps, const MicroBounds& bounds, float* most,
                  std::uint64_t* of_rows, std::uint64_t* of_columns);
  bool fast;  // faster than products of floats
};

// The one that goes with micro_kernel().
const WordKernel& word_kernel();

}  // namespace consilience
