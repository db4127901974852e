// The micro-kernel for one instruction set: included by micro_kernel.cpp with LANES, ROWS, VECTORS
// and AT_LEAST_ONE(s, a, b), whose bit l is s[l] >= a[l] or s[l] >= b[l]. ROWS x VECTORS sums stay
// in registers.

using Vector = float __attribute__((vector_size(4 * LANES)));

static bool reached(const float* left, const float* right, index_t depth, const MicroBounds& bounds,
                    float* products, std::uint64_t* masks) {
  constexpr int kCols = LANES * VECTORS;
  Vector sums[ROWS][VECTORS] = {};
  for (index_t f = 0; f < depth; ++f, left += kCols, right += kCols) {
    Vector columns[VECTORS];
    for (int v = 0; v < VECTORS; ++v) std::memcpy(&columns[v], right + v * LANES, sizeof(Vector));
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
      const Vector row = left[i] - Vector{};
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; ++v) sums[i][v] += row * columns[v];
    }
  }
  Vector lower[VECTORS], thresholds[VECTORS];
  for (int v = 0; v < VECTORS; ++v) {
    std::memcpy(&lower[v], bounds.column_lower + v * LANES, sizeof(Vector));
    std::memcpy(&thresholds[v], bounds.column_thresholds + v * LANES, sizeof(Vector));
  }
  std::uint64_t any = 0;
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
    std::uint64_t mask = 0;
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
      const Vector of_row = lower[v] - bounds.row_thresholds[i];
      const Vector of_column = bounds.row_lower[i] - thresholds[v];
      mask |= static_cast<std::uint64_t>(AT_LEAST_ONE(sums[i][v], of_row, of_column))
              << (LANES * v);
    }
    masks[i] = mask;
    any |= mask;
  }
  if (any == 0) return false;
  for (int i = 0; i < ROWS; ++i) {
    for (int v = 0; v < VECTORS; ++v) {
      std::memcpy(products + i * kCols + v * LANES, &sums[i][v], sizeof(Vector));
    }
  }
  return true;
}
