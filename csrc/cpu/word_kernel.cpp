// 2 operations per entry and feature, twice as many per instruction as of floats.

#include "cpu/word_kernel.hpp"

#include <algorithm>
#include <cstring>

#include "common/simd.hpp"

#ifdef CONSILIENCE_X86_KERNELS
#include <immintrin.h>
#endif

namespace consilience {
namespace {

// Thresholds are rounded once more before they are compared: 2^-21 of them is ample for it.
constexpr float kMore = 1.0f + 0x1p-21f, kLess = 1.0f - 0x1p-21f;

// Any processor, so that what words rule out is tested on all.
namespace anywhere {

std::int32_t product(const std::int16_t* left, const std::int16_t* right, index_t pairs) {
  const index_t cols = micro_kernel().cols;
  std::int32_t sum = 0;
  for (index_t p = 0; p < pairs; ++p, left += 2 * cols, right += 2 * cols) {
    for (int f = 0; f < 2; ++f) sum += left[f] * right[f];
  }
  return sum;
}

void multiply(const std::int16_t* left, const std::int16_t* right, index_t pairs,
              const float* row_steps, const float* column_steps, float* products) {
  const int rows = micro_kernel().rows, cols = micro_kernel().cols;
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < cols; ++j) {
      const std::int32_t sum = product(left + 2 * i, right + 2 * j, pairs);
      products[i * cols + j] = static_cast<float>(sum) * column_steps[j] * row_steps[i];
    }
  }
}

bool reached(const std::int16_t* left, const std::int16_t* right, index_t pairs,
             const WordSteps& steps, const MicroBounds& bounds, float* most, std::uint64_t* of_rows,
             std::uint64_t* of_columns) {
  const int rows = micro_kernel().rows, cols = micro_kernel().cols;
  std::uint64_t any = 0;
  for (int i = 0; i < rows; ++i) {
    of_rows[i] = of_columns[i] = 0;
    const float inverse = steps.row_inverse[i];
    for (int j = 0; j < cols; ++j) {
      const std::int32_t sum = product(left + 2 * i, right + 2 * j, pairs);
      const float in_steps = static_cast<float>(sum) * steps.column[j];
      most[i * cols + j] = in_steps;
      const float row = bounds.row_thresholds[i], column = bounds.column_thresholds[j];
      const float of_row = bounds.column_lower[j] - std::max(row * kMore, row * kLess);
      const float of_column = bounds.row_lower[i] - std::max(column * kMore, column * kLess);
      of_rows[i] |= static_cast<std::uint64_t>(in_steps >= of_row * inverse) << j;
      of_columns[i] |= static_cast<std::uint64_t>(in_steps >= of_column * inverse) << j;
    }
    any |= of_rows[i] | of_columns[i];
  }
  return any != 0;
}

}  // namespace anywhere

#ifdef CONSILIENCE_X86_KERNELS
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx512vnni,avx2,fma")
namespace vnni {
using Vector = float __attribute__((vector_size(64)));
using Integers = std::int32_t __attribute__((vector_size(64)));
constexpr int kRows = 8, kVectors = 3, kCols = 48;

inline std::uint64_t at_least(Vector a, Vector b) {
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ);
}

inline __attribute__((always_inline)) void add_products(const std::int16_t* left,
                                                        const std::int16_t* right, index_t pairs,
                                                        Integers (&sums)[kRows][kVectors]) {
  for (index_t p = 0; p < pairs; ++p, left += 2 * kCols, right += 2 * kCols) {
    Integers columns[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) std::memcpy(&columns[v], right + 32 * v, sizeof(Integers));
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      std::int32_t two;
      std::memcpy(&two, left + 2 * i, sizeof(two));
      const Integers row = two - Integers{};
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        // Written out: around the intrinsic GCC 12 moves every sum to and from memory.
        asm("vpdpwssd %2, %1, %0" : "+v"(sums[i][v]) : "v"(columns[v]), "v"(row));
      }
    }
  }
}

void multiply(const std::int16_t* left, const std::int16_t* right, index_t pairs,
              const float* row_steps, const float* column_steps, float* products) {
  Integers sums[kRows][kVectors] = {};
  add_products(left, right, pairs, sums);
  Vector step[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) std::memcpy(&step[v], column_steps + 16 * v, sizeof(Vector));
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const Vector product = __builtin_convertvector(sums[i][v], Vector) * step[v] * row_steps[i];
      std::memcpy(products + i * kCols + 16 * v, &product, sizeof(Vector));
    }
  }
}

bool reached(const std::int16_t* left, const std::int16_t* right, index_t pairs,
             const WordSteps& steps, const MicroBounds& bounds, float* most, std::uint64_t* of_rows,
             std::uint64_t* of_columns) {
  Integers sums[kRows][kVectors] = {};
  add_products(left, right, pairs, sums);
  Vector step[kVectors], lower[kVectors], thresholds[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    std::memcpy(&step[v], steps.column + 16 * v, sizeof(Vector));
    std::memcpy(&lower[v], bounds.column_lower + 16 * v, sizeof(Vector));
    Vector t;
    std::memcpy(&t, bounds.column_thresholds + 16 * v, sizeof(Vector));
    const Vector more = t * kMore, less = t * kLess;
    thresholds[v] = more > less ? more : less;
  }
  std::uint64_t any = 0;
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    const float inverse = steps.row_inverse[i], t = bounds.row_thresholds[i];
    const float own_threshold = std::max(t * kMore, t * kLess) * inverse;
    const float own_lower = bounds.row_lower[i] * inverse;
    std::uint64_t to_row = 0, to_columns = 0;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const Vector product = __builtin_convertvector(sums[i][v], Vector) * step[v];
      std::memcpy(most + i * kCols + 16 * v, &product, sizeof(Vector));
      to_row |= at_least(product, lower[v] * inverse - own_threshold) << (16 * v);
      to_columns |= at_least(product, own_lower - thresholds[v] * inverse) << (16 * v);
    }
    of_rows[i] = to_row;
    of_columns[i] = to_columns;
    any |= to_row | to_columns;
  }
  return any != 0;
}
}  // namespace vnni
#pragma GCC pop_options
#endif

WordKernel choose() {
#ifdef CONSILIENCE_X86_KERNELS
  if (micro_kernel().cols == vnni::kCols && __builtin_cpu_supports("avx512vnni")) {
    return {vnni::multiply, vnni::reached, true};
  }
#endif
  return {anywhere::multiply, anywhere::reached, false};
}

}  // namespace

const WordKernel& word_kernel() {
  static const WordKernel kernel = choose();
  return kernel;
}

}  // namespace consilience
