// Neighbours as float64 differences order them: of the candidates that a sweep has listed, or of
// all. CPU twin: cpu/exact.cpp, cpu/smallest.cpp.
#pragma once

#include "exact.cuh"
#include "knn_lists.cuh"
#include "selection.cuh"

// What became of a row.
constexpr int kDone = 0, kTooMany = 1, kTooFew = 2;

// Judges the candidates of a row each: those that can be among the k nearest in float64. A row
// whose list ran over gets the reach that its listed ones prove; one whose reach was too short is
// told.
extern "C" __global__ void __launch_bounds__(128)
    knn_finish(const void* X, index_t d, index_t is_double, index_t products, double scale,
               const index_t* ids, Bounds* bounds_x, const Bounds* bounds_y, const float* slack,
               const double* constants, const Candidate* lists, const int* counts, index_t capacity,
               index_t k, index_t* indices, double* distances, int* states, int* judged) {
  unsigned char* raw = dynamic_shared();
  __shared__ Selection selection;
  __shared__ int survivors;
  __shared__ float kth_upper;
  auto* keys = reinterpret_cast<double*>(raw);  // (capacity), and with them
  auto* chosen = reinterpret_cast<int*>(keys + capacity);
  auto* upper = reinterpret_cast<float*>(chosen + capacity);
  const index_t q = blockIdx.x, i = ids[q];
  const Candidate* own = lists + q * capacity;
  const Bounds x = bounds_x[q];
  const int listed = counts[q];
  const int count = static_cast<int>(min(static_cast<index_t>(listed), capacity));
  if (threadIdx.x == 0) {
    states[q] = count < k ? kTooFew : listed > capacity ? kTooMany : kDone;
    judged[q] = 0;
    survivors = 0;
  }
  if (count < k) return;  // the whole block
  for (int t = threadIdx.x; t < count; t += blockDim.x) {
    const Bounds y = bounds_y[own[t].index];
    const float error = error_of(x, y);
    upper[t] =
        own[t].key + 1.0001f * (error + 2.0f * slack[own[t].index]) + 4e-7f * fabsf(own[t].key);
  }
  __syncthreads();
  if (count <= kLooked) {
    for (int t = threadIdx.x; t < count; t += blockDim.x) {
      const int place = place_of(t, count, [&](int a, int b) {
        return upper[a] < upper[b] || (upper[a] == upper[b] && a < b);
      });
      if (place == k - 1) kth_upper = upper[t];
    }
    __syncthreads();
  }
  const float kth = count <= kLooked ? kth_upper
                                     : nth_smallest([&](index_t t) { return upper[t]; }, count,
                                                    static_cast<int>(k) - 1, selection);
  if (listed > capacity) {
    if (threadIdx.x == 0) bounds_x[q].reach = kth;
    return;  // the whole block
  }
  for (int t = threadIdx.x; t < count; t += blockDim.x) {
    const Candidate c = own[t];
    const Bounds y = bounds_y[c.index];
    const float error = error_of(x, y);
    if (c.key - 1.0001f * error - 4e-7f * fabsf(c.key) <= kth) {
      chosen[atomicAdd(&survivors, 1)] = c.index;
    }
  }
  __syncthreads();
  const int n_chosen = survivors;
  for (int t = warp_index(); t < n_chosen; t += blockDim.x / kWarp) {
    const double key = exact_key(X, i, X, chosen[t], d, is_double, products);
    if (lane_index() == 0) keys[t] = key;
  }
  const auto settle = [&](int t, int place) {
    if (place >= k) return;
    indices[q * k + place] = chosen[t];
    distances[q * k + place] = products ? keys[t] : sqrt(keys[t]);
    if (place < k - 1) return;
    judged[q] = n_chosen;
    const double scaled = scale * scale * keys[t];
    const double rounding = 1e-12 * (fabs(scaled) + fabs(constants[i]));
    if (scaled + constants[i] + rounding > x.reach) states[q] = kTooFew;
  };
  __syncthreads();
  if (n_chosen <= kLooked) {
    for (int t = threadIdx.x; t < n_chosen; t += blockDim.x) {
      settle(t, place_of(t, n_chosen, [&](int a, int b) {
               return keys[a] < keys[b] || (keys[a] == keys[b] && chosen[a] < chosen[b]);
             }));
    }
    return;  // the whole block
  }
  const int padded = power_of_two_from(n_chosen);
  for (int t = n_chosen + threadIdx.x; t < padded; t += blockDim.x) {
    keys[t] = infinity();
    chosen[t] = 0x7fffffff;
  }
  bitonic_sort(keys, chosen, padded);
  for (int t = threadIdx.x; t < k; t += blockDim.x) settle(t, t);
}

// The k smallest of each row of keys in order, ties by index. A block a row, 12 bytes of shared
// memory for each of k rounded up to a power of two.
extern "C" __global__ void __launch_bounds__(256)
    nearest_of_keys(const double* keys, index_t n, index_t k, index_t products, index_t* indices,
                    double* distances) {
  unsigned char* raw = dynamic_shared();
  __shared__ int counts[256];
  __shared__ int scratch[8];
  __shared__ unsigned long long prefix;
  __shared__ index_t left;
  __shared__ int taken;
  const double* own = keys + blockIdx.x * n;
  if (threadIdx.x == 0) {
    prefix = 0;
    left = k - 1;
    taken = 0;
  }
  for (int shift = 56; shift >= 0; shift -= 8) {
    for (int b = threadIdx.x; b < 256; b += blockDim.x) counts[b] = 0;
    __syncthreads();
    const unsigned long long above = prefix;
    for (index_t t = threadIdx.x; t < n; t += blockDim.x) {
      const unsigned long long bits = ordered(own[t]);
      const bool inside = shift == 56 || (bits >> (shift + 8)) == (above >> (shift + 8));
      if (inside) atomicAdd(counts + ((bits >> shift) & 255u), 1);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      index_t before = 0;
      unsigned long long b = 0;
      while (b < 255 && before + counts[b] <= left) before += counts[b++];
      prefix |= b << shift;
      left -= before;
    }
    __syncthreads();
  }
  const int padded = power_of_two_from(static_cast<int>(k));
  auto* nearest = reinterpret_cast<double*>(raw);
  auto* who = reinterpret_cast<int*>(nearest + padded);
  const unsigned long long last = prefix;
  const int ties = static_cast<int>(left) + 1;  // of the last key, those of the lowest indices
  int seen = 0;
  for (index_t start = 0; start < n; start += blockDim.x) {
    const index_t t = start + threadIdx.x;
    const unsigned long long bits = t < n ? ordered(own[t]) : ~0ull;
    const bool tied = t < n && bits == last;
    int in_chunk = 0;
    const int before = block_prefix(tied, scratch, &in_chunk);
    if (t < n && (bits < last || (tied && seen + before < ties))) {
      const int place = atomicAdd(&taken, 1);
      nearest[place] = own[t];
      who[place] = static_cast<int>(t);
    }
    seen += in_chunk;
  }
  for (int t = static_cast<int>(k) + threadIdx.x; t < padded; t += blockDim.x) {
    nearest[t] = infinity();
    who[t] = 0x7fffffff;
  }
  bitonic_sort(nearest, who, padded);
  for (int t = threadIdx.x; t < k; t += blockDim.x) {
    indices[blockIdx.x * k + t] = who[t];
    distances[blockIdx.x * k + t] = products ? nearest[t] : sqrt(nearest[t]);
  }
}
