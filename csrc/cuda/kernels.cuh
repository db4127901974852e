// Every kernel, for whoever compiles them: nvcc (module.cu), CuPy, the emulator.
#pragma once

#include "common.cuh"
#include "exact.cuh"
#include "graph_terms.cuh"
#include "mantel.cuh"
#include "rows.cuh"

// Names by which they are launched. Their parameters are pointers, index_t and double alone.
#define CONSILIENCE_KERNELS(X) \
  X(column_sums)               \
  X(edge_values)               \
  X(exact_keys)                \
  X(graph_terms)               \
  X(invert_permutations)       \
  X(mantel_draws)              \
  X(overlap_terms)             \
  X(overlap_within)            \
  X(pair_distances)            \
  X(sort_lists)                \
  X(unite_lists)
