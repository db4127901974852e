// Every kernel, for whoever compiles them: nvcc (module.cu), CuPy, the emulator.
#pragma once

#include "common.cuh"
#include "exact.cuh"
#include "joint_nearest.cuh"
#include "pair_terms.cuh"
#include "rows.cuh"
#include "squares.cuh"

// Names by which they are launched. Their parameters are pointers, index_t and double alone.
#define CONSILIENCE_KERNELS(X) \
  X(add_parts)                 \
  X(centered_rows)             \
  X(column_sums)               \
  X(complete_squares)          \
  X(exact_keys)                \
  X(joint_candidates)          \
  X(joint_distances)           \
  X(pair_values)               \
  X(typical_point)             \
  X(usual_squares)
