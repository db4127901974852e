// One pass to count, one to scatter (about 40 bytes moved per entry), one to finish by insertion.

#include "cpu/row_order.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <tuple>
#include <utility>

#include "cpu/row_classes.hpp"

namespace consilience {
namespace {

// Most buckets then hold one sample: a swap costs more than a count.
constexpr index_t kBucketsPerSample = 2;
constexpr index_t kInsertionSort = 24;  // entries up to which insertion is the faster sort

}  // namespace

RowOrder::RowOrder(index_t n)
    : n_(n),
      n_buckets_(
          static_cast<index_t>(kBucketsPerSample * std::bit_ceil(static_cast<std::uint64_t>(n)))),
      bucket_(n),
      starts_(n_buckets_ + 2),
      samples_(n),
      keys_(n) {}

void RowOrder::assign(const double* keys, double low, double high, index_t self) {
  const double per_key = high > low ? static_cast<double>(n_buckets_ - 1) / (high - low) : 0.0;
  to_classes(keys, n_, low, per_key, bucket_.data());
  bucket_[self] = static_cast<std::int32_t>(n_buckets_ - 1);
  std::fill(starts_.begin(), starts_.end(), 0);
  // Counts two places on: the scatter then moves each start to where the next one was.
  std::int32_t* cursor = starts_.data() + 1;
  for (index_t l = 0; l < n_; ++l) ++cursor[bucket_[l] + 1];
  for (index_t b = 1; b <= n_buckets_; ++b) cursor[b] += cursor[b - 1];
  for (index_t l = 0; l < n_; ++l) {
    const std::int32_t at = cursor[bucket_[l]]++;
    keys_[at] = l == self ? std::numeric_limits<double>::infinity() : keys[l];
    samples_[at] = static_cast<std::int32_t>(l);
  }
  for (index_t b = 0; b < n_buckets_; ++b) {
    if (starts_[b + 1] - starts_[b] > kInsertionSort) sort(starts_[b], starts_[b + 1]);
  }
  finish_by_insertion();
}

void RowOrder::sort(index_t start, index_t stop) {
  std::vector<std::pair<double, std::int32_t>> entries(stop - start);
  for (index_t c = start; c < stop; ++c) entries[c - start] = {keys_[c], samples_[c]};
  std::sort(entries.begin(), entries.end());
  for (index_t c = start; c < stop; ++c) {
    std::tie(keys_[c], samples_[c]) = entries[c - start];
  }
}

// No entry is further from its place than its bucket is long.
void RowOrder::finish_by_insertion() {
  for (index_t c = 1; c < n_; ++c) {
    if (!(keys_[c - 1] > keys_[c])) continue;
    const double key = keys_[c];
    const std::int32_t sample = samples_[c];
    index_t at = c;
    for (; at > 0 && keys_[at - 1] > key; --at) {
      keys_[at] = keys_[at - 1];
      samples_[at] = samples_[at - 1];
    }
    keys_[at] = key;
    samples_[at] = sample;
  }
}

}  // namespace consilience
