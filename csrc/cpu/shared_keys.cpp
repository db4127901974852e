// 3 flops and 8 bytes of the second cache per feature of a key; X is read once per call.

#include "cpu/shared_keys.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "common/simd.hpp"
#include "cpu/exact.hpp"

namespace consilience {
namespace {

constexpr index_t kTogether = 4;  // rows that meet a candidate at once
constexpr int kLog2Buckets = 14;

using Eight = double __attribute__((vector_size(64)));
constexpr index_t kEight = 8, kLanes = 32;  // as in exact.cpp: same sums, same bits

using Four = double __attribute__((vector_size(32)));
using Two = double __attribute__((vector_size(16)));

// Both padded with zeros to whole lanes, which add nothing.
template <index_t kRows, bool kProduct>
CONSILIENCE_INLINE void sums_of(const double* x, const double* const* rows, index_t padded,
                                double* out) {
  constexpr index_t kParts = kLanes / kEight;
  Eight lanes[kRows][kParts];
  for (index_t r = 0; r < kRows; ++r) {
    for (index_t part = 0; part < kParts; ++part) lanes[r][part] = Eight{};
  }
  for (index_t f = 0; f < padded; f += kLanes) {
    for (index_t part = 0; part < kParts; ++part) {
      Eight own;
      std::memcpy(&own, x + f + part * kEight, sizeof own);
      for (index_t r = 0; r < kRows; ++r) {
        Eight other;
        std::memcpy(&other, rows[r] + f + part * kEight, sizeof other);
        const Eight difference = own - other;
        lanes[r][part] += kProduct ? own * other : difference * difference;
      }
    }
  }
  for (index_t r = 0; r < kRows; ++r) {
    const Eight eight = (lanes[r][0] + lanes[r][2]) + (lanes[r][1] + lanes[r][3]);
    const Four four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) +
                      __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
    const Two two =
        __builtin_shufflevector(four, four, 0, 1) + __builtin_shufflevector(four, four, 2, 3);
    out[r] = kProduct ? -(two[0] + two[1]) : two[0] + two[1];
  }
}

template <bool kProduct>
CONSILIENCE_INLINE void some_sums(const double* x, const double* const* rows, index_t n_rows,
                                  index_t padded, double* out) {
  switch (n_rows) {
    case 1:
      return sums_of<1, kProduct>(x, rows, padded, out);
    case 2:
      return sums_of<2, kProduct>(x, rows, padded, out);
    case 3:
      return sums_of<3, kProduct>(x, rows, padded, out);
    default:
      return sums_of<kTogether, kProduct>(x, rows, padded, out);
  }
}

CONSILIENCE_SIMD void differences(const double* x, const double* const* rows, index_t n_rows,
                                  index_t padded, double* out) {
  some_sums<false>(x, rows, n_rows, padded, out);
}
CONSILIENCE_SIMD void products(const double* x, const double* const* rows, index_t n_rows,
                               index_t padded, double* out) {
  some_sums<true>(x, rows, n_rows, padded, out);
}

CONSILIENCE_SIMD void widen(const float* x, index_t d, double* wide) {
  for (index_t f = 0; f < d; ++f) wide[f] = static_cast<double>(x[f]);
}

// The row in whole lanes of float64: itself, or a copy in `room`, which is padded with zeros.
const double* whole_lanes(const Embedding& X, index_t i, double* room) {
  if (X.is_double && X.n_features % kLanes == 0) return X.double_row(i);
  if (X.is_double) {
    std::copy_n(X.double_row(i), X.n_features, room);
  } else {
    widen(X.float_row(i), X.n_features, room);
  }
  return room;
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
  const index_t padded = (X.n_features + kLanes - 1) / kLanes * kLanes;
  const auto n_rows = static_cast<index_t>(rows.size());
  arrange(X.n_samples, rows);
  wide_.assign((n_rows + 1) * padded, 0.0);
  std::vector<const double*> wide(n_rows);
  for (index_t r = 0; r < n_rows; ++r) {
    wide[r] = whole_lanes(X, rows[r].sample, wide_.data() + r * padded);
  }
  const double* own = nullptr;
  const auto total = static_cast<index_t>(entries_.size());
  index_t last = -1;
  for (index_t start = 0, stop; start < total; start = stop) {
    const double* wanted[kTogether];
    const index_t sample = entries_[start].sample;
    for (stop = start; stop < total && stop < start + kTogether; ++stop) {
      if (entries_[stop].sample != sample) break;
      wanted[stop - start] = wide[entries_[stop].row];
    }
    if (start + kAhead < total) prefetch_row(X, entries_[start + kAhead].sample);
    if (std::exchange(last, sample) != sample) {
      own = whole_lanes(X, sample, wide_.data() + n_rows * padded);
    }
    double found[kTogether];
    (inner_product ? products : differences)(own, wanted, stop - start, padded, found);
    for (index_t e = start; e < stop; ++e) {
      rows[entries_[e].row].keys[entries_[e].at] = found[e - start];
    }
  }
}

}  // namespace consilience
