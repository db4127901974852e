// cells: 2 d flops per row and pivot.

#include "cpu/cells.hpp"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>

#include "common/blas.hpp"
#include "cpu/micro_kernel.hpp"

namespace consilience {
namespace {

constexpr index_t kRowsPerTask = 192;
using Members = std::vector<std::int32_t>;

// splitmix64 of a counter.
std::uint64_t hashed(std::uint64_t seed, std::uint64_t counter) {
  std::uint64_t z = (seed + 1) * 0xd1342543de82ef95u + counter * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

Members pivots_of(index_t n, index_t count, std::uint64_t seed) {
  Members rows(n);
  std::iota(rows.begin(), rows.end(), 0);
  std::nth_element(rows.begin(), rows.begin() + count - 1, rows.end(), [&](auto i, auto j) {
    const std::uint64_t a = hashed(seed, i), b = hashed(seed, j);
    return a < b || (a == b && i < j);
  });
  rows.resize(count);
  std::sort(rows.begin(), rows.end());
  return rows;
}

// The `fanout` nearest pivots of each row, (n_samples, fanout).
Members nearest_pivots(const Centered<float>& set, const Members& rows, index_t fanout,
                       const Run& run) {
  const index_t n = set.n_samples, d = set.n_features, p = static_cast<index_t>(rows.size());
  std::vector<float> pivots(p * d), halves(p);
  for (index_t c = 0; c < p; ++c) {
    std::copy_n(set.row(rows[c]), d, pivots.data() + c * d);
    halves[c] = static_cast<float>(0.5 * set.squared_norms[rows[c]]);
  }
  Members nearest(n * fanout);
  parallel_for((n + kRowsPerTask - 1) / kRowsPerTask, run, [&](index_t task, int) {
    const index_t start = task * kRowsPerTask, count = std::min(n - start, kRowsPerTask);
    std::vector<float> products(count * p);
    std::vector<std::pair<float, std::int32_t>> keys(p);
    blas::gemm_nt(count, p, d, set.row(start), d, pivots.data(), d, products.data(), p);
    for (index_t i = 0; i < count; ++i) {
      for (index_t c = 0; c < p; ++c) {
        keys[c] = {halves[c] - products[i * p + c], static_cast<std::int32_t>(c)};
      }
      std::nth_element(keys.begin(), keys.begin() + fanout - 1, keys.end());
      for (index_t s = 0; s < fanout; ++s) nearest[(start + i) * fanout + s] = keys[s].second;
    }
  });
  return nearest;
}

// Halves a crowded cell, across the direction between two of its rows, until its parts are not.
void part(const Centered<float>& set, Members members, index_t most, std::uint64_t seed,
          std::vector<Members>& parts) {
  const auto count = static_cast<index_t>(members.size());
  if (count <= most) {
    parts.push_back(std::move(members));
    return;
  }
  const index_t d = set.n_features;
  const float* a = set.row(members[hashed(seed, 0) % count]);
  const float* b = set.row(members[hashed(seed, 1) % count]);
  std::vector<float> direction(d);
  for (index_t f = 0; f < d; ++f) direction[f] = a[f] - b[f];
  std::vector<std::pair<float, std::int32_t>> along;
  for (const std::int32_t i : members)
    along.emplace_back(product(set.row(i), direction.data(), d), i);
  const index_t middle = count / 2;
  std::nth_element(along.begin(), along.begin() + middle, along.end());
  members.clear();
  Members others;
  for (index_t m = 0; m < count; ++m) (m < middle ? members : others).push_back(along[m].second);
  // The order of rows in memory is the order they are best read in.
  std::sort(members.begin(), members.end());
  std::sort(others.begin(), others.end());
  part(set, std::move(members), most, hashed(seed, 2), parts);
  part(set, std::move(others), most, hashed(seed, 3), parts);
}

}  // namespace

index_t n_pivots(index_t n_samples, const CellOptions& options) {
  return std::clamp(n_samples * options.fanout / options.size, options.fanout, n_samples);
}

std::vector<Members> cells(const Centered<float>& set, const CellOptions& options, const Run& run) {
  const index_t n = set.n_samples;
  const Members pivots = pivots_of(n, n_pivots(n, options), options.seed);
  const auto count = static_cast<index_t>(pivots.size());
  const Members nearest = nearest_pivots(set, pivots, options.fanout, run);
  std::vector<Members> groups(count);
  for (index_t i = 0; i < n; ++i) {
    for (index_t s = 0; s < options.fanout; ++s) {
      groups[nearest[i * options.fanout + s]].push_back(static_cast<std::int32_t>(i));
    }
  }
  std::vector<std::vector<Members>> parts(count);
  parallel_for(count, run, [&](index_t c, int) {
    part(set, std::move(groups[c]), kCrowded * options.size, hashed(options.seed, pivots[c]),
         parts[c]);
  });
  std::vector<Members> out;
  for (std::vector<Members>& of_group : parts) {
    for (Members& members : of_group) out.push_back(std::move(members));
  }
  return out;
}

}  // namespace consilience
