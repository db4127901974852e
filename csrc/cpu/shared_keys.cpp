// 3 flops per feature of a pair, and a sixth of a read of X per 1,000 of its rows for each of ours.

#include "cpu/shared_keys.hpp"

#include <bit>
#include <cstring>

#include "common/simd.hpp"
#include "cpu/exact.hpp"

namespace consilience {
namespace {

constexpr index_t kTogether = 4;  // rows that meet a candidate at once
constexpr int kLog2Buckets = 14;

using Eight = double __attribute__((vector_size(64)));
constexpr index_t kEight = 8, kLanes = 32;  // as in exact.cpp: same sums, same bits

CONSILIENCE_INLINE void widen(const float* x, Eight& wide) {
  float __attribute__((vector_size(32))) some;
  std::memcpy(&some, x, sizeof some);
  wide = __builtin_convertvector(some, Eight);
}
CONSILIENCE_INLINE void widen(const double* x, Eight& wide) { std::memcpy(&wide, x, sizeof wide); }

template <index_t kRows, bool kProduct, class Real>
CONSILIENCE_INLINE void sums_of(const Real* x, const double* const* rows, index_t d, double* out) {
  Eight lanes[kRows][kLanes / kEight] = {};
  const index_t whole = d - d % kLanes;
  for (index_t f = 0; f < whole; f += kLanes) {
    for (index_t part = 0; part < kLanes / kEight; ++part) {
      Eight at;
      widen(x + f + part * kEight, at);
      for (index_t r = 0; r < kRows; ++r) {
        Eight other;
        std::memcpy(&other, rows[r] + f + part * kEight, sizeof other);
        const Eight difference = at - other;
        lanes[r][part] += kProduct ? at * other : difference * difference;
      }
    }
  }
  for (index_t r = 0; r < kRows; ++r) {
    double sums[kLanes];
    std::memcpy(sums, lanes[r], sizeof sums);
    for (index_t f = whole; f < d; ++f) {
      const double own = static_cast<double>(x[f]), other = rows[r][f];
      sums[f - whole] += kProduct ? own * other : (own - other) * (own - other);
    }
    for (index_t half = kLanes / 2; half > 0; half /= 2) {
      for (index_t l = 0; l < half; ++l) sums[l] += sums[l + half];
    }
    out[r] = kProduct ? -sums[0] : sums[0];
  }
}

template <bool kProduct, class Real>
CONSILIENCE_INLINE void some_sums(const Real* x, const double* const* rows, index_t n_rows,
                                  index_t d, double* out) {
  switch (n_rows) {
    case 1:
      return sums_of<1, kProduct>(x, rows, d, out);
    case 2:
      return sums_of<2, kProduct>(x, rows, d, out);
    case 3:
      return sums_of<3, kProduct>(x, rows, d, out);
    default:
      return sums_of<kTogether, kProduct>(x, rows, d, out);
  }
}

CONSILIENCE_SIMD void sums(const float* x, const double* const* rows, index_t n_rows, index_t d,
                           bool products, double* out) {
  if (products) return some_sums<true>(x, rows, n_rows, d, out);
  some_sums<false>(x, rows, n_rows, d, out);
}
CONSILIENCE_SIMD void sums(const double* x, const double* const* rows, index_t n_rows, index_t d,
                           bool products, double* out) {
  if (products) return some_sums<true>(x, rows, n_rows, d, out);
  some_sums<false>(x, rows, n_rows, d, out);
}

}  // namespace

void SharedKeys::arrange(index_t n_samples, const std::vector<KeysWanted>& rows) {
  const auto log2_n = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(n_samples)));
  const int shift = log2_n > kLog2Buckets ? log2_n - kLog2Buckets : 0;
  starts_.assign((n_samples >> shift) + 2, 0);
  std::int32_t* cursor = starts_.data() + 1;
  index_t total = 0;
  for (const KeysWanted& row : rows) {
    total += row.count;
    for (index_t c = 0; c < row.count; ++c) ++cursor[row.candidates[c] >> shift];
  }
  // Each count becomes where its bucket starts, and the scatter moves it to where the next does.
  std::int32_t before = 0;
  for (index_t b = 0; b <= n_samples >> shift; ++b) {
    const std::int32_t count = cursor[b];
    cursor[b] = before;
    before += count;
  }
  entries_.resize(total);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (index_t c = 0; c < rows[r].count; ++c) {
      const std::int32_t sample = rows[r].candidates[c];
      entries_[cursor[sample >> shift]++] = {sample, static_cast<std::int32_t>(r),
                                             static_cast<std::int32_t>(c)};
    }
  }
}

void SharedKeys::fill(const Embedding& X, bool inner_product, const std::vector<KeysWanted>& rows) {
  constexpr index_t kAhead = 12;
  const index_t d = X.n_features;
  arrange(X.n_samples, rows);
  wide_.resize(static_cast<index_t>(rows.size()) * d);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    widened_row(X, rows[r].sample, wide_.data() + static_cast<index_t>(r) * d);
  }
  const auto total = static_cast<index_t>(entries_.size());
  for (index_t start = 0, stop; start < total; start = stop) {
    const double* wanted[kTogether];
    const index_t sample = entries_[start].sample;
    for (stop = start; stop < total && stop < start + kTogether; ++stop) {
      if (entries_[stop].sample != sample) break;
      wanted[stop - start] = wide_.data() + entries_[stop].row * d;
    }
    if (start + kAhead < total) prefetch_row(X, entries_[start + kAhead].sample);
    double found[kTogether];
    const index_t count = stop - start;
    if (X.is_double) {
      sums(X.double_row(sample), wanted, count, d, inner_product, found);
    } else {
      sums(X.float_row(sample), wanted, count, d, inner_product, found);
    }
    for (index_t e = start; e < stop; ++e) {
      rows[entries_[e].row].keys[entries_[e].at] = found[e - start];
    }
  }
}

}  // namespace consilience
