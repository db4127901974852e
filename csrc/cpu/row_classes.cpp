// About 25 bytes moved per entry: counted, summed and scattered; a query reads 16 keys.

#include "cpu/row_classes.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "common/simd.hpp"

namespace consilience {
namespace {

constexpr index_t kCrowd = 16;
// Samples to a class, of those that are a power of two.
constexpr int kShare = 2;
// Fewer than a float32 tells apart.
constexpr std::uint64_t kMostClasses = 1 << 20;

// Classes lie in so many stripes, [step][stripe], that all of them are summed up side by side.
constexpr int kLog2Stripes = 4;
constexpr index_t kStripes = 1 << kLog2Stripes;
using Lanes = std::int32_t __attribute__((vector_size(4 * kStripes)));
using HalfLanes = std::int32_t __attribute__((vector_size(2 * kStripes)));
using WideLanes = double __attribute__((vector_size(4 * kStripes)));  // of half the stripes

CONSILIENCE_INLINE std::int32_t slot_of(std::int32_t a_class, int log2_steps) {
  const std::int32_t step = a_class & ((1 << log2_steps) - 1);
  return (step << kLog2Stripes) + (a_class >> log2_steps);
}

template <class Real>
CONSILIENCE_INLINE void classify(const Real* keys, index_t n, Real low, Real per_key,
                                 std::int32_t* classes) {
  for (index_t l = 0; l < n; ++l) {
    classes[l] = static_cast<std::int32_t>((keys[l] - low) * per_key);
  }
}

template <class Real>
CONSILIENCE_INLINE void place(const Real* keys, index_t n, Real low, Real per_key, int log2_steps,
                              std::int32_t* slots) {
  for (index_t l = 0; l < n; ++l) {
    slots[l] = slot_of(static_cast<std::int32_t>((keys[l] - low) * per_key), log2_steps);
  }
}

CONSILIENCE_SIMD void to_slots(const float* keys, index_t n, float low, float per_key,
                               int log2_steps, std::int32_t* slots) {
  place(keys, n, low, per_key, log2_steps, slots);
}
CONSILIENCE_SIMD void to_slots(const double* keys, index_t n, double low, double per_key,
                               int log2_steps, std::int32_t* slots) {
  place(keys, n, low, per_key, log2_steps, slots);
}

struct Powers {
  double squares, cubes;
};

// From counts to how many come before, and twice the mean ranks if asked for. Sums of powers of the
// counts.
CONSILIENCE_SIMD Powers to_starts(std::int32_t* slots, index_t n_steps, std::int32_t* doubled) {
  Lanes before = {};
  WideLanes squares[2] = {}, cubes[2] = {};
  for (index_t step = 0; step < n_steps; ++step) {
    std::int32_t* at = slots + step * kStripes;
    Lanes counts;
    std::memcpy(&counts, at, sizeof counts);
    std::memcpy(at, &before, sizeof before);
    if (doubled) {
      const Lanes mean = 2 * before + counts + 1;
      std::memcpy(doubled + step * kStripes, &mean, sizeof mean);
    }
    before += counts;
    for (int half = 0; half < 2; ++half) {
      HalfLanes some;
      std::memcpy(&some, reinterpret_cast<char*>(&counts) + half * sizeof some, sizeof some);
      const WideLanes wide = __builtin_convertvector(some, WideLanes), squared = wide * wide;
      squares[half] += squared;
      cubes[half] += squared * wide;
    }
  }
  Lanes offset = {};
  Powers powers{0.0, 0.0};
  std::int32_t total = 0;
  for (index_t stripe = 0; stripe < kStripes; ++stripe) {
    offset[stripe] = total;
    total += before[stripe];
    powers.squares += squares[stripe / (kStripes / 2)][stripe % (kStripes / 2)];
    powers.cubes += cubes[stripe / (kStripes / 2)][stripe % (kStripes / 2)];
  }
  for (index_t step = 0; step < n_steps; ++step) {
    std::int32_t* at = slots + step * kStripes;
    Lanes value;
    std::memcpy(&value, at, sizeof value);
    value += offset;
    std::memcpy(at, &value, sizeof value);
  }
  for (index_t step = 0; doubled && step < n_steps; ++step) {
    std::int32_t* at = doubled + step * kStripes;
    Lanes value;
    std::memcpy(&value, at, sizeof value);
    value += 2 * offset;
    std::memcpy(at, &value, sizeof value);
  }
  return powers;
}

CONSILIENCE_SIMD void add_by_slot(const std::int32_t* slots, const std::int32_t* values, index_t n,
                                  std::uint32_t* sums) {
  for (index_t l = 0; l < n; ++l) sums[l] += static_cast<std::uint32_t>(values[slots[l]]);
}

// One register of keys, and what comparisons of them are.
template <class Real>
struct KeyLanes;
template <>
struct KeyLanes<float> {
  using Keys = float __attribute__((vector_size(64)));
  using Counts = std::int32_t __attribute__((vector_size(64)));
};
template <>
struct KeyLanes<double> {
  using Keys = double __attribute__((vector_size(64)));
  using Counts = std::int64_t __attribute__((vector_size(64)));
};

// From keys and samples in turn.
CONSILIENCE_INLINE void take_keys(const KeyLanes<float>::Keys (&pairs)[2],
                                  KeyLanes<float>::Keys& keys) {
  keys = __builtin_shufflevector(pairs[0], pairs[1], 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24,
                                 26, 28, 30);
}
CONSILIENCE_INLINE void take_keys(const KeyLanes<double>::Keys (&pairs)[2],
                                  KeyLanes<double>::Keys& keys) {
  keys = __builtin_shufflevector(pairs[0], pairs[1], 0, 2, 4, 6, 8, 10, 12, 14);
}

CONSILIENCE_INLINE index_t sum_of(const KeyLanes<double>::Counts& lanes) {
  using Four = std::int64_t __attribute__((vector_size(32)));
  const Four four = __builtin_shufflevector(lanes, lanes, 0, 1, 2, 3) +
                    __builtin_shufflevector(lanes, lanes, 4, 5, 6, 7);
  const Four two = four + __builtin_shufflevector(four, four, 2, 3, 0, 1);
  return two[0] + two[1];
}
CONSILIENCE_INLINE index_t sum_of(const KeyLanes<float>::Counts& lanes) {
  using Eight = std::int32_t __attribute__((vector_size(32)));
  using Four = std::int32_t __attribute__((vector_size(16)));
  const Eight eight = __builtin_shufflevector(lanes, lanes, 0, 1, 2, 3, 4, 5, 6, 7) +
                      __builtin_shufflevector(lanes, lanes, 8, 9, 10, 11, 12, 13, 14, 15);
  const Four four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) +
                    __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
  const Four two = four + __builtin_shufflevector(four, four, 2, 3, 0, 1);
  return two[0] + two[1];
}

template <class Real>
struct Layout {
  const Real* keys;           // by sample
  const KeyOf<Real>* sorted;  // by place; infinite ones follow
  const std::int32_t* stops;  // by slot
  Real low, high, per_key, margin;
  int log2_steps;
};

template <class Real>
CONSILIENCE_INLINE index_t look_through(const Layout<Real>& row, const std::int32_t* samples,
                                        index_t n_samples, std::int32_t* doubled, OpenRank* open) {
  using Keys = typename KeyLanes<Real>::Keys;
  using Counts = typename KeyLanes<Real>::Counts;
  constexpr auto kAtOnce = static_cast<index_t>(sizeof(Keys) / sizeof(Real));
  index_t n_open = 0;
  const auto class_at = [&](Real key) {
    return static_cast<std::int32_t>((key - row.low) * row.per_key);
  };
  for (index_t s = 0; s < n_samples; ++s) {
    const std::int32_t j = samples[s];
    const Real from = row.keys[j] - row.margin, to = row.keys[j] + row.margin;
    const std::int32_t first = class_at(std::max(from, row.low));
    const std::int32_t last = class_at(std::min(to, row.high));
    const std::int32_t start = first > 0 ? row.stops[slot_of(first - 1, row.log2_steps)] : 0;
    const std::int32_t stop = row.stops[slot_of(last, row.log2_steps)];
    // Those after the last class are above: no harm in looking at them.
    index_t below = 0, within = 0;
    for (index_t at = start; at < stop; at += kAtOnce) {
      Keys pairs[2], keys;
      static_assert(sizeof pairs == kAtOnce * sizeof(KeyOf<Real>));
      std::memcpy(pairs, row.sorted + at, sizeof pairs);
      take_keys(pairs, keys);
      const Counts is_below = keys < from, is_not_above = keys <= to;
      const index_t both = -sum_of(is_below + (is_not_above << 8));
      below += both & 0xff;
      within += (both >> 8) - (both & 0xff);
    }
    doubled[j] = static_cast<std::int32_t>(2 * (1 + start + below));
    open[n_open] = {j, start, stop};
    n_open += within > 1;
  }
  return n_open;
}

CONSILIENCE_SIMD index_t look_up_all(const Layout<float>& row, const std::int32_t* samples,
                                     index_t n_samples, std::int32_t* doubled, OpenRank* open) {
  return look_through(row, samples, n_samples, doubled, open);
}
CONSILIENCE_SIMD index_t look_up_all(const Layout<double>& row, const std::int32_t* samples,
                                     index_t n_samples, std::int32_t* doubled, OpenRank* open) {
  return look_through(row, samples, n_samples, doubled, open);
}

}  // namespace

CONSILIENCE_SIMD void to_classes(const float* keys, index_t n, float low, float per_key,
                                 std::int32_t* classes) {
  classify(keys, n, low, per_key, classes);
}
CONSILIENCE_SIMD void to_classes(const double* keys, index_t n, double low, double per_key,
                                 std::int32_t* classes) {
  classify(keys, n, low, per_key, classes);
}

template <class Real>
RowClasses<Real>::RowClasses(index_t n)
    : n_(n),
      log2_steps_(
          std::countr_zero(std::clamp<std::uint64_t>(
              std::bit_ceil(static_cast<std::uint64_t>(n)) / kShare, kStripes, kMostClasses)) -
          kLog2Stripes),
      slot_of_(n),
      slots_(kStripes << log2_steps_),
      doubled_(slots_.size()),
      sorted_(n + kStripes, {std::numeric_limits<Real>::infinity(), -1}) {}

template <class Real>
bool RowClasses<Real>::assign(Real* keys, Real low, Real high, double gap, index_t self,
                              bool with_means) {
  keys_ = keys, low_ = low, high_ = high;
  const double range = static_cast<double>(high) - static_cast<double>(low);
  if (!(range > gap)) return false;
  const auto last = static_cast<index_t>(slots_.size()) - 1;
  per_key_ = static_cast<Real>(static_cast<double>(last) / range);
  if (!std::isfinite(per_key_)) return false;
  to_slots(keys, n_, low, per_key_, log2_steps_, slot_of_.data());
  slot_of_[self] = static_cast<std::int32_t>(last);
  std::fill(slots_.begin(), slots_.end(), 0);
  for (index_t l = 0; l < n_; ++l) ++slots_[slot_of_[l]];
  // Self is not counted: its class is the last one.
  --slots_[last];
  const auto n_steps = index_t{1} << log2_steps_;
  const Powers powers = to_starts(slots_.data(), n_steps, with_means ? doubled_.data() : nullptr);
  cubes_ = powers.cubes;
  if (powers.squares > static_cast<double>(kCrowd * n_)) return false;
  keys[self] = std::numeric_limits<Real>::infinity();
  for (index_t l = 0; l < n_; ++l) {
    const std::int32_t at = slots_[slot_of_[l]]++;
    sorted_[at] = {keys[l], static_cast<std::int32_t>(l)};
  }
  return true;
}

template <class Real>
Real RowClasses<Real>::margin_of(double gap) const {
  const auto epsilon = static_cast<double>(std::numeric_limits<Real>::epsilon());
  const double largest =
      std::max(std::abs(static_cast<double>(low_)), std::abs(static_cast<double>(high_)));
  return static_cast<Real>((gap + epsilon * largest) * (1.0 + 4.0 * epsilon));
}

template <class Real>
index_t RowClasses<Real>::look_up(const std::int32_t* samples, index_t n_samples, double gap,
                                  std::int32_t* doubled, OpenRank* open) const {
  const Layout<Real> row{keys_, sorted_.data(), slots_.data(),  low_,
                         high_, per_key_,       margin_of(gap), log2_steps_};
  return look_up_all(row, samples, n_samples, doubled, open);
}

template <class Real>
void RowClasses<Real>::add_mean_ranks(std::uint32_t* columns) const {
  add_by_slot(slot_of_.data(), doubled_.data(), n_, columns);
}

template class RowClasses<float>;
template class RowClasses<double>;

}  // namespace consilience
