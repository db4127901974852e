// Every kernel, for whoever compiles them: nvcc (module.cu), CuPy, the emulator.
#pragma once

#include "common.cuh"
#include "exact.cuh"
#include "rows.cuh"

// Names by which they are launched. Their parameters are pointers, index_t and double alone.
#define CONSILIENCE_KERNELS(X) \
  X(column_sums)               \
  X(exact_keys)
