// What is known of a row whose neighbours are searched, and the lists of its candidates.
#pragma once

#include "common.cuh"

// Blocks of rows that meet the same columns while these are in L2.
constexpr int kGroup = 16;

// N, c, B, A of csrc/cuda/knn_exact.cuh.
struct __align__(16) Bounds {
  float norm, error, offset, reach;
};

// Candidate of a row: key and index, 8 bytes.
struct __align__(8) Candidate {
  float key;
  int index;
};

struct CandidateLists {
  Candidate* candidates;  // (rows, capacity)
  int* counts;
  index_t capacity;

  __device__ __forceinline__ void add(index_t row, float key, index_t index) const {
    const int place = atomicAdd(counts + row, 1);
    if (place < capacity) candidates[row * capacity + place] = {key, static_cast<int>(index)};
  }
};

// Rows X that look for neighbours among the rows Y. If `same`, X is Y and a pair is met once for
// both. ids: which of the rows Y each row X is.
struct Searched {
  const unsigned short* X;
  const Bounds* bounds_x;
  const index_t* ids;
  index_t n_x;
  const unsigned short* Y;
  const Bounds* bounds_y;
  index_t n_y, chunks;
  float s;
  bool same;

  // Whether a product is that of a pair, and this its turn.
  __device__ __forceinline__ bool meets(index_t i, index_t j) const {
    return i < n_x && j < n_y && (same ? i < j : ids[i] != j);
  }
};

// What s u_i.u_j may differ by from its product of halves.
__device__ __forceinline__ float error_of(const Bounds& x, const Bounds& y) {
  return fmaf(x.error, y.norm, x.norm * y.error);
}

// The most that s u_i.u_j can be.
__device__ __forceinline__ float most_of(float s, float value, const Bounds& x, const Bounds& y) {
  return fmaf(s, value, error_of(x, y));
}
