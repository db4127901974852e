// coarse_rows: d log2 d additions per row.

#include "cpu/coarse_rows.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>

#include "common/simd.hpp"

namespace consilience {
namespace {

constexpr index_t kRowsPerTask = 256;

bool flipped(index_t feature) {
  return std::popcount(static_cast<std::uint64_t>(feature + 1) * 0x9e3779b97f4a7c15u) % 2 == 1;
}

// Hadamard's transform in place, not scaled; the size is a power of two.
CONSILIENCE_SIMD void transform(float* x, index_t size) {
  for (index_t half = 1; half < size; half *= 2) {
    for (index_t start = 0; start < size; start += 2 * half) {
      for (index_t f = start; f < start + half; ++f) {
        const float sum = x[f] + x[f + half], difference = x[f] - x[f + half];
        x[f] = sum;
        x[f + half] = difference;
      }
    }
  }
}

// An orthogonal map: the transform of the first features and then of the last, of as large a power
// of two, with signs at random before.
void turn(float* x, index_t d, const std::vector<float>& signs) {
  const auto size = static_cast<index_t>(std::bit_floor(static_cast<std::uint64_t>(d)));
  for (const index_t start : {index_t{0}, d - size}) {
    for (index_t f = 0; f < size; ++f) x[start + f] *= signs[start + f];
    transform(x + start, size);
    if (size == d) break;
  }
}

CONSILIENCE_SIMD void round(const float* x, index_t d, float inverse, std::int8_t* bytes) {
  for (index_t f = 0; f < d; ++f) {
    const float steps = std::min(127.0f, std::max(-127.0f, x[f] * inverse));
    bytes[f] = static_cast<std::int8_t>(static_cast<std::int32_t>(steps + 127.5f) - 127);
  }
}

}  // namespace

CoarseRows coarse_rows(const Centered<float>& set, double step, const Run& run) {
  const index_t n = set.n_samples, d = set.n_features;
  assert(step > 0.0);
  const index_t depth = (d + 3) / 4;
  CoarseRows out{n, depth, std::vector<float>(n * depth), std::vector<std::int32_t>(n),
                 std::vector<float>(n)};
  const auto size = std::bit_floor(static_cast<std::uint64_t>(d));
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(size)));
  std::vector<float> signs(d);
  for (index_t f = 0; f < d; ++f) signs[f] = flipped(f) ? -scale : scale;
  const auto inverse = static_cast<float>(1.0 / step);
  parallel_for((n + kRowsPerTask - 1) / kRowsPerTask, run, [&](index_t task, int) {
    std::vector<float> turned(d);
    std::vector<std::int8_t> bytes(4 * depth, 0);
    for (index_t i = task * kRowsPerTask; i < std::min(n, (task + 1) * kRowsPerTask); ++i) {
      std::copy_n(set.row(i), d, turned.data());
      turn(turned.data(), d, signs);
      round(turned.data(), d, inverse, bytes.data());
      std::memcpy(out.rows.data() + i * depth, bytes.data(), bytes.size());
      std::int64_t squares = 0;
      for (const std::int8_t b : bytes) {
        out.sums[i] += b;
        squares += b * b;
      }
      out.halves[i] = 0.5f * static_cast<float>(squares);
    }
  });
  return out;
}

CoarseRows reordered(const CoarseRows& rows, const std::vector<std::int32_t>& order) {
  const auto n = static_cast<index_t>(order.size());
  CoarseRows out{n, rows.depth, std::vector<float>(n * rows.depth), std::vector<std::int32_t>(n),
                 std::vector<float>(n)};
  for (index_t i = 0; i < n; ++i) {
    std::memcpy(out.rows.data() + i * rows.depth, rows.row(order[i]), 4 * rows.depth);
    out.sums[i] = rows.sums[order[i]];
    out.halves[i] = rows.halves[order[i]];
  }
  return out;
}

}  // namespace consilience
