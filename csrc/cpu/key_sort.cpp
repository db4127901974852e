// About 40 bytes moved per entry.

#include "cpu/key_sort.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace consilience {
namespace {

constexpr index_t kFew = 48;             // entries up to which std::sort is as fast
constexpr index_t kBucketsPerEntry = 2;  // the nearest are few where most of them are far
constexpr std::int32_t kCrowd = 24;      // entries of a bucket up to which insertion is as fast

}  // namespace

void KeySort::sort(std::vector<KeyedSample>& entries) {
  const auto n = static_cast<index_t>(entries.size());
  if (n <= kFew) return std::sort(entries.begin(), entries.end());
  double low = entries[0].key, high = low;
  for (const KeyedSample& entry : entries) {
    low = std::min(low, entry.key);
    high = std::max(high, entry.key);
  }
  const auto n_buckets =
      kBucketsPerEntry * static_cast<index_t>(std::bit_ceil(static_cast<std::uint64_t>(n)));
  const double per_key = static_cast<double>(n_buckets - 1) / (high - low);
  if (!(per_key > 0.0) || !std::isfinite(per_key)) return std::sort(entries.begin(), entries.end());

  bucket_.resize(n), sorted_.resize(n);
  starts_.assign(n_buckets, 0);
  for (index_t e = 0; e < n; ++e) {
    bucket_[e] = static_cast<std::int32_t>((entries[e].key - low) * per_key);
    ++starts_[bucket_[e]];
  }
  std::int32_t before = 0, most = 0;
  for (std::int32_t& start : starts_) {
    const std::int32_t count = start;
    start = before;
    before += count;
    most = std::max(most, count);
  }
  if (most > kCrowd) return std::sort(entries.begin(), entries.end());
  for (index_t e = 0; e < n; ++e) sorted_[starts_[bucket_[e]]++] = entries[e];
  // No entry is further from its place than its bucket is long.
  for (index_t e = 1; e < n; ++e) {
    const KeyedSample entry = sorted_[e];
    index_t at = e;
    for (; at > 0 && entry < sorted_[at - 1]; --at) sorted_[at] = sorted_[at - 1];
    sorted_[at] = entry;
  }
  entries.swap(sorted_);
}

}  // namespace consilience
