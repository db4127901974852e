// The rank-th smallest of many values, and the places of few.
#pragma once

#include "common.cuh"

// The rank-th smallest (from 0) of what `get` gives, for all threads. In each pass the values left
// are counted in bins of equal width, so that they spread whatever their magnitude.
constexpr int kBins = 1024;

struct Selection {
  int counts[kBins];
  int scratch[kWarp];
  unsigned low, high;
  int left;
};

template <class Get>
__device__ __forceinline__ float nth_smallest(Get get, index_t count, int rank, Selection& shared) {
  if (threadIdx.x == 0) {
    shared.low = ~0u;
    shared.high = 0;
    shared.left = rank;
  }
  __syncthreads();
  unsigned low = ~0u, high = 0;
  for (index_t t = threadIdx.x; t < count; t += blockDim.x) {
    const unsigned bits = ordered(get(t));
    low = min(low, bits);
    if (bits != ordered(infinity_float())) high = max(high, bits);
  }
  low = ~warp_max(~low);
  high = warp_max(high);
  if (lane_index() == 0) {
    atomicMin(&shared.low, low);
    atomicMax(&shared.high, high);
  }
  __syncthreads();
  low = shared.low;
  int shift = 0;
  while (shared.high > low && (shared.high - low) >> shift >= kBins - 1u) ++shift;
  while (true) {
    for (int b = threadIdx.x; b < kBins; b += blockDim.x) shared.counts[b] = 0;
    __syncthreads();
    for (index_t t = threadIdx.x; t < count; t += blockDim.x) {
      const unsigned bits = ordered(get(t));
      // What lies beyond is in no bin, nor is infinity in the first pass.
      if (bits >= low) {
        const unsigned bin = (bits - low) >> shift;
        if (bin < kBins) atomicAdd(shared.counts + bin, 1);
      }
    }
    __syncthreads();
    const int own = kBins / static_cast<int>(blockDim.x) + (kBins % blockDim.x != 0);
    int sum = 0, total = 0;
    const int first = own * static_cast<int>(threadIdx.x);
    for (int b = first; b < min(first + own, kBins); ++b) sum += shared.counts[b];
    int before = block_prefix(sum, shared.scratch, &total);
    const int left = shared.left;
    __syncthreads();
    if (total <= left) return infinity_float();  // nothing else is left
    if (before <= left && left < before + sum) {
      int b = first;
      while (before + shared.counts[b] <= left) before += shared.counts[b++];
      shared.low = low + (static_cast<unsigned>(b) << shift);
      shared.left = left - before;
    }
    __syncthreads();
    low = shared.low;
    if (shift == 0) return unordered(low);
    shift = max(0, shift - 10);
  }
}

// Up to so many values, looking at all for each is faster than bins and than sorting.
constexpr int kLooked = 512;

// The place of value t among `count` in order, those of equal ones by what `before` says.
template <class Before>
__device__ __forceinline__ int place_of(int t, int count, Before before) {
  int place = 0;
  for (int other = 0; other < count; ++other) place += before(other, t);
  return place;
}
