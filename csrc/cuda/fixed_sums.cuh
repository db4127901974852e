// Sums of many threads that have the same bits in any order: whole numbers, added by atomics.
#pragma once

#include "common.cuh"

// A sum is kFixedParts integers, each 2^bits times finer than the one before. Three hold a double
// of a 2^-60th of the largest to its last bit, and most values need no more than two atomics.
constexpr int kFixedParts = 3;

// |value| <= 1; unit = 2^bits, so small that the sum of all values times it stays below 2^62.
__device__ __forceinline__ void add_fixed(unsigned long long* parts, index_t stride, double value,
                                          double unit) {
  for (int part = 0; part < kFixedParts; ++part) {
    value *= unit;
    const long long whole = static_cast<long long>(value);
    if (whole != 0) atomicAdd(parts + part * stride, static_cast<unsigned long long>(whole));
    value -= static_cast<double>(whole);
  }
}
