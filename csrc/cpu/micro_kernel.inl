// The micro-kernel for one instruction set: included by micro_kernel.cpp with LANES, ROWS, VECTORS
// and AT_LEAST_ONE(s, a, b), whose bit l is s[l] >= a[l] or s[l] >= b[l]. ROWS x VECTORS sums stay
// in registers.

using Vector = float __attribute__((vector_size(4 * LANES)));
constexpr int kCols = LANES * VECTORS;

static inline __attribute__((always_inline)) void add_products(const float* left,
                                                               const float* right, index_t depth,
                                                               Vector (&sums)[ROWS][VECTORS]) {
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
}

static void multiply(const float* left, const float* right, index_t depth, bool add,
                     float* products, index_t ld) {
  Vector sums[ROWS][VECTORS] = {};
  add_products(left, right, depth, sums);
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
      float* to = products + i * ld + v * LANES;
      if (add) {
        Vector before;
        std::memcpy(&before, to, sizeof(Vector));
        sums[i][v] += before;
      }
      std::memcpy(to, &sums[i][v], sizeof(Vector));
    }
  }
}

static inline __attribute__((always_inline)) bool compare(const Vector (&sums)[ROWS][VECTORS],
                                                          const MicroBounds& bounds,
                                                          std::uint64_t* masks) {
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
  return any != 0;
}

static bool reached(const float* left, const float* right, index_t depth, const MicroBounds& bounds,
                    float* products, std::uint64_t* masks) {
  Vector sums[ROWS][VECTORS] = {};
  add_products(left, right, depth, sums);
  if (!compare(sums, bounds, masks)) return false;
  for (int i = 0; i < ROWS; ++i) {
    for (int v = 0; v < VECTORS; ++v) {
      std::memcpy(products + i * kCols + v * LANES, &sums[i][v], sizeof(Vector));
    }
  }
  return true;
}

static bool joint_reached(const float* a, const float* b, const MicroBounds& bounds,
                          std::uint64_t* masks) {
  Vector sums[ROWS][VECTORS];
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
      Vector of_a, of_b;
      std::memcpy(&of_a, a + i * kCols + v * LANES, sizeof(Vector));
      std::memcpy(&of_b, b + i * kCols + v * LANES, sizeof(Vector));
      sums[i][v] = of_a + of_b;
    }
  }
  return compare(sums, bounds, masks);
}
