// Per entry about 5 flops and a square root or 9 flops of an exponential, then 3 additions and a
// multiply-add per pair of channels; all from the first cache.

#include "cpu/pair_functions.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numbers>
#include <type_traits>

#include "common/simd.hpp"

namespace consilience {
namespace {

constexpr index_t kRowGroup = 8;
constexpr index_t kProductGroup = 48 * kBlockLanes;

template <class Real>
struct Lanes {
  typedef Real Vector __attribute__((vector_size(kBlockLanes * sizeof(Real))));
  Vector v = {};

  CONSILIENCE_INLINE static Lanes at(const Real* from) {
    Lanes out;
    std::memcpy(&out.v, from, sizeof out.v);
    return out;
  }
  CONSILIENCE_INLINE double sum() const {
    double sums[kBlockLanes];
    for (index_t l = 0; l < kBlockLanes; ++l) sums[l] = static_cast<double>(v[l]);
    for (index_t half = kBlockLanes / 2; half > 0; half /= 2) {
      for (index_t l = 0; l < half; ++l) sums[l] += sums[l + half];
    }
    return sums[0];
  }
};

template <class Real>
CONSILIENCE_INLINE bool squared_distances_of(const Block<Real>& block, const Real* row_norms,
                                             const Real* col_norms) {
  int near = 0;
  for (index_t i = 0; i < block.n_rows; ++i) {
    Real* row = block.row(i);
    const Real row_norm = row_norms[i];
    for (index_t j = 0; j < block.n_cols; ++j) {
      const Real norms = row_norm + col_norms[j];
      row[j] = norms - 2 * row[j];
      near |= row[j] < near_share<Real>() * norms;
    }
  }
  return near != 0;
}

template <class Real>
struct Distance {
  Real unscale;
  CONSILIENCE_INLINE Real operator()(Real square) const { return unscale * std::sqrt(square); }
};

template <class Real>
struct Square {
  Real unscale2;
  CONSILIENCE_INLINE Real operator()(Real square) const { return unscale2 * square; }
};

// 2^(factor square) for factor <= 0. Adding 1.5 * 2^23 rounds to a whole k, which then stands in
// the last bits; the polynomial is the minimax one of 2^r on |r| <= 1/2 with value 1 at 0, off by
// 2e-9, so that rounding to float32 (1e-7 in all) is what remains.
struct FloatExponential {
  float factor;
  CONSILIENCE_INLINE float operator()(float square) const {
    constexpr float kRound = 0x1.8p23f;
    const float x = std::max(factor * square, -125.0f);
    const float rounded = x + kRound;
    const float r = x - (rounded - kRound);
    float p = 1.53533620639e-4f;
    p = p * r + 1.339887455724e-3f;
    p = p * r + 9.618437358231e-3f;
    p = p * r + 5.550332470783e-2f;
    p = p * r + 2.402264791362e-1f;
    p = p * r + 6.931472028552e-1f;
    p = p * r + 1.0f;
    const auto k = std::bit_cast<std::uint32_t>(rounded) << 23;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(p) + k);
  }
};

// The same in float64: Taylor's polynomial, whose first left-out term is below the round-off.
struct DoubleExponential {
  double factor;
  CONSILIENCE_INLINE double operator()(double square) const {
    constexpr double kRound = 0x1.8p52;
    const double x = std::max(factor * square, -1021.0);
    const double rounded = x + kRound;
    const double r = std::numbers::ln2 * (x - (rounded - kRound));
    double p = 1.0 / 6227020800;
    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    const auto k = std::bit_cast<std::uint64_t>(rounded) << 52;
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(p) + k);
  }
};

template <class Real>
using Exponential =
    std::conditional_t<std::is_same_v<Real, float>, FloatExponential, DoubleExponential>;

template <class Real, class Function>
CONSILIENCE_INLINE void apply(Function g, const Block<Real>& squares, const Real* u, const Real* v,
                              Real* values) {
  for (index_t i = 0; i < squares.n_rows; ++i) {
    const Real* from = squares.row(i);
    Real* to = values + i * squares.stride;
    const Real u_i = u[i];
#pragma GCC ivdep
    for (index_t j = 0; j < squares.n_cols; ++j) to[j] = (g(from[j]) - u_i) - v[j];
    for (index_t j = squares.n_cols; j < squares.stride; ++j) to[j] = 0;
  }
}

template <class Real>
CONSILIENCE_INLINE void values_of(PairFunction function, const Block<Real>& squares, double unscale,
                                  double gamma, const Real* u, const Real* v, Real* values) {
  const double unscale2 = unscale * unscale;
  switch (function) {
    case PairFunction::distance:
      return apply(Distance<Real>{static_cast<Real>(unscale)}, squares, u, v, values);
    case PairFunction::squared:
      return apply(Square<Real>{static_cast<Real>(unscale2)}, squares, u, v, values);
    case PairFunction::rbf:
      const double factor = -gamma * unscale2 * std::numbers::log2e;
      return apply(Exponential<Real>{static_cast<Real>(factor)}, squares, u, v, values);
  }
}

template <class Real>
CONSILIENCE_INLINE void add_sums_of(const Block<Real>& block, double* row_sums, double* col_sums) {
  for (index_t i = 0; i < block.n_rows; ++i) {
    Lanes<Real> sum;
    for (index_t j = 0; j < block.stride; j += kBlockLanes) {
      sum.v += Lanes<Real>::at(block.row(i) + j).v;
    }
    row_sums[i] += sum.sum();
  }
  if (col_sums == nullptr) return;
  for (index_t first = 0; first < block.n_rows; first += kRowGroup) {
    const index_t last = std::min(block.n_rows, first + kRowGroup);
    for (index_t j = 0; j < block.n_cols; j += kBlockLanes) {
      Lanes<Real> sum;
      for (index_t i = first; i < last; ++i) sum.v += Lanes<Real>::at(block.row(i) + j).v;
      const index_t there = std::min(kBlockLanes, block.n_cols - j);
      if (there == kBlockLanes) {
        for (index_t l = 0; l < kBlockLanes; ++l) col_sums[j + l] += static_cast<double>(sum.v[l]);
      } else {
        for (index_t l = 0; l < there; ++l) col_sums[j + l] += static_cast<double>(sum.v[l]);
      }
    }
  }
}

template <class Real>
CONSILIENCE_INLINE void add_products_of(const Real* channels, index_t n_channels, index_t area,
                                        index_t n_entries, double weight, double* products) {
  for (index_t first = 0; first < n_entries; first += kProductGroup) {
    const index_t last = std::min(n_entries, first + kProductGroup);
    // Two channels by two: four sums for four loads. An odd last one meets itself twice.
    for (index_t a = 0; a < n_channels; a += 2) {
      const index_t a1 = std::min(a + 1, n_channels - 1);
      for (index_t b = a; b < n_channels; b += 2) {
        const index_t b1 = std::min(b + 1, n_channels - 1);
        Lanes<Real> s00, s01, s10, s11;
        for (index_t s = first; s < last; s += kBlockLanes) {
          const auto x0 = Lanes<Real>::at(channels + a * area + s);
          const auto x1 = Lanes<Real>::at(channels + a1 * area + s);
          const auto y0 = Lanes<Real>::at(channels + b * area + s);
          const auto y1 = Lanes<Real>::at(channels + b1 * area + s);
          s00.v += x0.v * y0.v;
          s01.v += x0.v * y1.v;
          s10.v += x1.v * y0.v;
          s11.v += x1.v * y1.v;
        }
        products[a * n_channels + b] += weight * s00.sum();
        if (b1 > b) products[a * n_channels + b1] += weight * s01.sum();
        if (a1 > a && b > a) products[a1 * n_channels + b] += weight * s10.sum();
        if (a1 > a && b1 > b) products[a1 * n_channels + b1] += weight * s11.sum();
      }
    }
  }
}

template <class Real>
CONSILIENCE_INLINE void add_row_products_of(const Block<Real>& a, const Real* b, double* sums) {
  constexpr index_t kRows = 4;  // sums that do not wait for each other
  const index_t stop = (a.n_cols + kBlockLanes - 1) / kBlockLanes * kBlockLanes;
  for (index_t first = 0; first < a.n_rows; first += kRows) {
    Lanes<Real> found[kRows];
    index_t at[kRows];
    for (index_t r = 0; r < kRows; ++r) at[r] = std::min(first + r, a.n_rows - 1) * a.stride;
    for (index_t j = 0; j < stop; j += kBlockLanes) {
      for (index_t r = 0; r < kRows; ++r) {
        found[r].v += Lanes<Real>::at(a.entries + at[r] + j).v * Lanes<Real>::at(b + at[r] + j).v;
      }
    }
    const index_t there = std::min(kRows, a.n_rows - first);
    for (index_t r = 0; r < there; ++r) sums[first + r] += found[r].sum();
  }
}

}  // namespace

CONSILIENCE_SIMD bool squared_distances(const Block<float>& block, const float* row_norms,
                                        const float* col_norms) {
  return squared_distances_of(block, row_norms, col_norms);
}
CONSILIENCE_SIMD bool squared_distances(const Block<double>& block, const double* row_norms,
                                        const double* col_norms) {
  return squared_distances_of(block, row_norms, col_norms);
}

CONSILIENCE_SIMD void values_about(PairFunction function, const Block<float>& squares,
                                   double unscale, double gamma, const float* u, const float* v,
                                   float* values) {
  values_of(function, squares, unscale, gamma, u, v, values);
}
CONSILIENCE_SIMD void values_about(PairFunction function, const Block<double>& squares,
                                   double unscale, double gamma, const double* u, const double* v,
                                   double* values) {
  values_of(function, squares, unscale, gamma, u, v, values);
}

CONSILIENCE_SIMD void add_sums(const Block<float>& block, double* row_sums, double* col_sums) {
  add_sums_of(block, row_sums, col_sums);
}
CONSILIENCE_SIMD void add_sums(const Block<double>& block, double* row_sums, double* col_sums) {
  add_sums_of(block, row_sums, col_sums);
}

CONSILIENCE_SIMD void add_products(const float* channels, index_t n_channels, index_t area,
                                   index_t n_entries, double weight, double* products) {
  add_products_of(channels, n_channels, area, n_entries, weight, products);
}
CONSILIENCE_SIMD void add_products(const double* channels, index_t n_channels, index_t area,
                                   index_t n_entries, double weight, double* products) {
  add_products_of(channels, n_channels, area, n_entries, weight, products);
}

CONSILIENCE_SIMD void add_row_products(const Block<float>& a, const float* b, double* sums) {
  add_row_products_of(a, b, sums);
}
CONSILIENCE_SIMD void add_row_products(const Block<double>& a, const double* b, double* sums) {
  add_row_products_of(a, b, sums);
}

}  // namespace consilience
