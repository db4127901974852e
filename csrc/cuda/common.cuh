// What all kernels use. No header of CUDA or of the standard library is read, so that a compiler at
// run time needs none.
#pragma once

#include "ptx.cuh"

using index_t = long long;

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// Rows of floats or doubles, as a user's array holds them.
__device__ __forceinline__ double entry(const void* X, index_t at, index_t is_double) {
  return is_double ? static_cast<const double*>(X)[at]
                   : static_cast<double>(static_cast<const float*>(X)[at]);
}

__device__ __forceinline__ const void* row_of(const void* X, index_t i, index_t d,
                                              index_t is_double) {
  return static_cast<const char*>(X) + i * d * (is_double ? 8 : 4);
}

__device__ __forceinline__ double infinity() { return __longlong_as_double(0x7ff0000000000000ll); }
__device__ __forceinline__ float infinity_float() { return __int_as_float(0x7f800000); }

// 2^-e.
__device__ __forceinline__ double ldexp_negative(int e) {
  return __longlong_as_double((1023ll - e) << 52);
}

__device__ __forceinline__ int lane_index() { return threadIdx.x % kWarp; }
__device__ __forceinline__ int warp_index() { return threadIdx.x / kWarp; }

// Lane l holds l + 16, then l + 8, ...: the order of sums in csrc/cpu/exact.cpp. For lane 0, as is
// the largest.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  for (int half = kWarp / 2; half > 0; half /= 2) {
    value += __shfl_down_sync(kAllLanes, value, half);
  }
  return value;
}

template <class T>
__device__ __forceinline__ T warp_max(T value) {
  for (int half = kWarp / 2; half > 0; half /= 2) {
    const T other = __shfl_down_sync(kAllLanes, value, half);
    value = other > value ? other : value;
  }
  return value;
}

// Sum over the block in a fixed order, for all threads; `scratch` holds one value per warp.
template <class T>
__device__ __forceinline__ T block_sum(T value, T* scratch) {
  value = warp_sum(value);
  __syncthreads();
  if (lane_index() == 0) scratch[warp_index()] = value;
  __syncthreads();
  T total = T(0);
  for (unsigned w = 0; w < blockDim.x / kWarp; ++w) total += scratch[w];
  return total;
}

// Exclusive prefix sum over the block and its total; `scratch` as above.
__device__ __forceinline__ int block_prefix(int value, int* scratch, int* total) {
  int inclusive = value;
  for (int step = 1; step < kWarp; step *= 2) {
    const int other = __shfl_up_sync(kAllLanes, inclusive, step);
    if (lane_index() >= step) inclusive += other;
  }
  __syncthreads();
  if (lane_index() == kWarp - 1) scratch[warp_index()] = inclusive;
  __syncthreads();
  int before = 0, all = 0;
  for (unsigned w = 0; w < blockDim.x / kWarp; ++w) {
    if (w < static_cast<unsigned>(warp_index())) before += scratch[w];
    all += scratch[w];
  }
  *total = all;
  return before + inclusive - value;
}

// Integers in the order of floats, NaN left out.
__device__ __forceinline__ unsigned ordered(float value) {
  const unsigned bits = __float_as_uint(value);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float unordered(unsigned bits) {
  return __uint_as_float(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}
__device__ __forceinline__ unsigned long long ordered(double value) {
  const auto bits = static_cast<unsigned long long>(__double_as_longlong(value));
  return bits >> 63 ? ~bits : bits | (1ull << 63);
}
__device__ __forceinline__ double unordered(unsigned long long bits) {
  return __longlong_as_double(static_cast<long long>(bits >> 63 ? bits ^ (1ull << 63) : ~bits));
}

// Sorts by (key, index), ascending; count is a power of two. Called by the whole block.
__device__ __forceinline__ void bitonic_sort(double* keys, int* indices, int count) {
  for (int size = 2; size <= count; size *= 2) {
    for (int stride = size / 2; stride > 0; stride /= 2) {
      __syncthreads();
      for (int t = threadIdx.x; t < count / 2; t += blockDim.x) {
        const int a = 2 * t - (t & (stride - 1)), b = a + stride;
        const bool up = (a & size) == 0;
        const bool later = keys[a] > keys[b] || (keys[a] == keys[b] && indices[a] > indices[b]);
        if (later == up) {
          const double key = keys[a];
          const int index = indices[a];
          keys[a] = keys[b];
          indices[a] = indices[b];
          keys[b] = key;
          indices[b] = index;
        }
      }
    }
  }
  __syncthreads();
}

// How many of ascending keys are below a value, or not above it.
__device__ __forceinline__ int count_below(const double* keys, int count, double value) {
  int low = 0;
  for (int left = count; left > 0; left /= 2) {
    const int middle = low + left / 2;
    if (keys[middle] < value) {
      low = middle + 1;
      --left;
    }
  }
  return low;
}
__device__ __forceinline__ int count_up_to(const double* keys, int count, double value) {
  int low = 0;
  for (int left = count; left > 0; left /= 2) {
    const int middle = low + left / 2;
    if (keys[middle] <= value) {
      low = middle + 1;
      --left;
    }
  }
  return low;
}

__device__ __forceinline__ int power_of_two_from(int count) {
  int power = 1;
  while (power < count) power *= 2;
  return power;
}
