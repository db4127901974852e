// The micro-kernel for one instruction set: included by micro_kernel.cpp with LANES, ROWS, VECTORS
// and what gives bit l: AT_LEAST_ONE(s, a, b), s[l] >= a[l] or s[l] >= b[l]; GREATER(s, a), s[l] >
// a[l]; AT_LEAST(s, a), s[l] >= a[l]; NEGATIVE(c), c[l] < 0. ROWS x VECTORS sums stay in registers.

using Vector = float __attribute__((vector_size(4 * LANES)));
using Counts = std::int32_t __attribute__((vector_size(4 * LANES)));
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

static bool count(const float* products, index_t ld, int n_rows, bool both,
                  const CountBounds& bounds, const TileCounts& counts) {
  Vector upper[VECTORS], lower[VECTORS], near[VECTORS], far[VECTORS];
  Counts nearer[VECTORS] = {};
  for (int v = 0; v < VECTORS; ++v) {
    std::memcpy(&upper[v], bounds.column_upper + v * LANES, sizeof(Vector));
    std::memcpy(&lower[v], bounds.column_lower + v * LANES, sizeof(Vector));
    std::memcpy(&near[v], bounds.column_near + v * LANES, sizeof(Vector));
    std::memcpy(&far[v], bounds.column_far + v * LANES, sizeof(Vector));
  }
  std::uint64_t any = 0;
  for (int i = 0; i < n_rows; ++i) {
    std::uint64_t is_near = 0, not_far = 0, of_columns = 0;
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
      Vector s;
      std::memcpy(&s, products + i * ld + v * LANES, sizeof(Vector));
      is_near |= static_cast<std::uint64_t>(GREATER(s, upper[v] - bounds.row_near[i]))
                 << (LANES * v);
      not_far |= static_cast<std::uint64_t>(AT_LEAST(s, lower[v] - bounds.row_far[i]))
                 << (LANES * v);
      if (!both) continue;
      const Counts seen_near = s > bounds.row_upper[i] - near[v];
      const Counts seen_not_far = s >= bounds.row_lower[i] - far[v];
      nearer[v] -= seen_near;
      of_columns |= static_cast<std::uint64_t>(NEGATIVE(seen_not_far & ~seen_near)) << (LANES * v);
    }
    counts.of_rows[i] += std::popcount(is_near);
    counts.row_undecided[i] = not_far & ~is_near;
    counts.column_undecided[i] = of_columns;
    any |= counts.row_undecided[i] | of_columns;
  }
  for (int v = 0; both && v < VECTORS; ++v) {
    Counts before;
    std::memcpy(&before, counts.of_columns + v * LANES, sizeof(Counts));
    nearer[v] += before;
    std::memcpy(counts.of_columns + v * LANES, &nearer[v], sizeof(Counts));
  }
  return any != 0;
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

// Any processor, four features of one byte where a float has its place.
static bool bytes_reached(const float* left, const float* right, index_t depth, const std::int32_t*,
                          const MicroBounds& bounds, float* products, std::uint64_t* masks) {
  Vector sums[ROWS][VECTORS];
  for (int i = 0; i < ROWS; ++i) {
    for (int j = 0; j < kCols; ++j) {
      std::int32_t sum = 0;
      for (index_t f = 0; f < depth; ++f) {
        std::int8_t of_row[4], of_column[4];
        std::memcpy(of_row, left + f * kCols + i, 4);
        std::memcpy(of_column, right + f * kCols + j, 4);
        for (int b = 0; b < 4; ++b) sum += of_row[b] * of_column[b];
      }
      products[i * kCols + j] = static_cast<float>(sum);
    }
    std::memcpy(sums[i], products + i * kCols, sizeof(sums[i]));
  }
  return compare(sums, bounds, masks);
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

// v with its lanes moved by `by`.
static inline __attribute__((always_inline)) Vector turned(Vector v, int by) {
  Counts from;
#pragma GCC unroll 16
  for (int l = 0; l < LANES; ++l) from[l] = (l + by) % LANES;
  return __builtin_shuffle(v, from);
}

template <int N>
static inline __attribute__((always_inline)) void products_of(const float* x,
                                                              const float* const* rows, index_t d,
                                                              float* out) {
  Vector sums[N] = {};
  const index_t whole = d - d % LANES;
  for (index_t f = 0; f < whole; f += LANES) {
    Vector of_x, of_row;
    std::memcpy(&of_x, x + f, sizeof(Vector));
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      std::memcpy(&of_row, rows[n] + f, sizeof(Vector));
      sums[n] += of_x * of_row;
    }
  }
#pragma GCC unroll 8
  for (int n = 0; n < N; ++n) {
#pragma GCC unroll 4
    for (int by = LANES / 2; by > 0; by /= 2) sums[n] += turned(sums[n], by);
    out[n] = sums[n][0];
    for (index_t f = whole; f < d; ++f) out[n] += x[f] * rows[n][f];
  }
}

static void row_products(const float* x, const float* const* rows, index_t count, index_t d,
                         float* out) {
  constexpr int kTogether = 4;  // sums that do not wait for each other
  index_t c = 0;
  for (; c + kTogether <= count; c += kTogether) products_of<kTogether>(x, rows + c, d, out + c);
  for (; c < count; ++c) products_of<1>(x, rows + c, d, out + c);
}
