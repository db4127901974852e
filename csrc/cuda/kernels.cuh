// Every kernel, for whoever compiles them: nvcc (module.cu), CuPy, the emulator.
#pragma once

#include "common.cuh"
#include "exact.cuh"
#include "knn_exact.cuh"
#include "moments.cuh"
#include "rows.cuh"

// Names by which they are launched. Their parameters are pointers, index_t and double alone.
#define CONSILIENCE_KERNELS(X) \
  X(augment_rows)              \
  X(column_sums)               \
  X(exact_keys)                \
  X(gather_rows)               \
  X(halve_rows)                \
  X(knn_finish)                \
  X(knn_keys)                  \
  X(knn_keys_fine)             \
  X(knn_reaches)               \
  X(knn_sweep)                 \
  X(knn_sweep_fine)            \
  X(largest_deviations)        \
  X(nearest_of_keys)
