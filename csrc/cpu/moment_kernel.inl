// The kernel for one instruction set: included by moment_kernel.cpp with GROUP, the columns of a
// group. GROUP x 3 vectors of sums stay in registers where there are 32 of them.

using Vector = double __attribute__((vector_size(8 * GROUP)));

static inline void widen(const float* from, Vector& to) {
  float __attribute__((vector_size(4 * GROUP))) narrow;
  std::memcpy(&narrow, from, sizeof(narrow));
  to = __builtin_convertvector(narrow, Vector);
}

static inline void widen(const double* from, Vector& to) { std::memcpy(&to, from, sizeof(to)); }

template <class Real>
static void pack(const Real* rows, index_t d, index_t count, const double* shift, index_t stride,
                 double* packed) {
  // A few rows at a time, so that one group's lines are written together.
  constexpr index_t kRows = 16;
  const index_t whole = d - d % GROUP, width = (d + 2 + GROUP - 1) / GROUP * GROUP;
  for (index_t first = 0; first < count; first += kRows) {
    const index_t n_rows = std::min(kRows, count - first);
    Vector squares[kRows] = {};
    const Real* from = rows + first * d;
    double* to = packed + first * GROUP;
    for (index_t f = 0; f < whole; f += GROUP, to += stride) {
      Vector origin;
      std::memcpy(&origin, shift + f, sizeof(Vector));
      for (index_t r = 0; r < n_rows; ++r) {
        Vector u;
        __builtin_prefetch(from + (r + kRows) * d + f);
        widen(from + r * d + f, u);
        u -= origin;
        std::memcpy(to + r * GROUP, &u, sizeof(Vector));
        squares[r] += u * u;
      }
    }
    for (index_t r = 0; r < n_rows; ++r) {
      double last[2 * GROUP] = {};
      for (index_t f = whole; f < d; ++f) {
        last[f - whole] = static_cast<double>(from[r * d + f]) - shift[f];
        squares[r][f - whole] += last[f - whole] * last[f - whole];
      }
      double norm = 0.0;
      for (index_t l = 0; l < GROUP; ++l) norm += squares[r][l];
      last[d - whole] = norm;
      last[d - whole + 1] = 1.0;
      for (index_t f = whole; f < width; f += GROUP) {
        std::memcpy(to + (f - whole) / GROUP * stride + r * GROUP, last + (f - whole),
                    sizeof(Vector));
      }
    }
  }
}

template <int kLeft, int kRight>
static void tile(const double* left, int n_left, const double* right, index_t n_columns,
                 index_t depth, index_t stride, double* out, index_t ld) {
  Vector sums[kLeft][kRight] = {};
  for (index_t r = 0; r < depth; ++r, left += GROUP, right += GROUP) {
    Vector columns[kRight];
    for (int v = 0; v < kRight; ++v) {
      std::memcpy(&columns[v], right + v * stride, sizeof(Vector));
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLeft; ++i) {
      const Vector row = left[i] - Vector{};
#pragma GCC unroll 4
      for (int v = 0; v < kRight; ++v) sums[i][v] += row * columns[v];
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kLeft; ++i) {
    if (i >= n_left) return;
    double* to = out + i * ld;
    if (n_columns == kRight * GROUP) {
#pragma GCC unroll 4
      for (int v = 0; v < kRight; ++v) {
        Vector sum;
        std::memcpy(&sum, to + v * GROUP, sizeof(Vector));
        sum += sums[i][v];
        std::memcpy(to + v * GROUP, &sum, sizeof(Vector));
      }
    } else {
      double row[kRight * GROUP];
      std::memcpy(row, sums[i], sizeof(row));
      for (index_t c = 0; c < n_columns; ++c) to[c] += row[c];
    }
  }
}

template <int kLeft>
static void tiles(const double* left, int n_left, const double* right, index_t n_columns,
                  index_t depth, index_t stride, double* out, index_t ld) {
  if (n_columns > 2 * GROUP) {
    tile<kLeft, 3>(left, n_left, right, n_columns, depth, stride, out, ld);
  } else if (n_columns > GROUP) {
    tile<kLeft, 2>(left, n_left, right, n_columns, depth, stride, out, ld);
  } else {
    tile<kLeft, 1>(left, n_left, right, n_columns, depth, stride, out, ld);
  }
}

static void product(const double* left, int n_left, const double* right, index_t n_columns,
                    index_t depth, index_t stride, double* out, index_t ld) {
  if (n_left > GROUP / 2) {
    tiles<GROUP>(left, n_left, right, n_columns, depth, stride, out, ld);
  } else {
    tiles<GROUP / 2>(left, n_left, right, n_columns, depth, stride, out, ld);
  }
}

static constexpr MomentKernel kernel(const char* name) {
  return {GROUP, pack<float>, pack<double>, product, name};
}
