// cells: 2 d flops per row and pivot.

#include "cpu/cells.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>

#include "common/blas.hpp"
#include "cpu/micro_kernel.hpp"
#include "cpu/panels.hpp"
#include "cpu/smallest.hpp"

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

// Keys |p|^2 / 2 - a.p of blocks of rows a and all pivots p.
class PivotKeys {
 public:
  PivotKeys(const Centered<float>& set, const Members& pivots)
      : set_(set), n_pivots_(static_cast<index_t>(pivots.size())) {
    for (const std::int32_t i : pivots) {
      pivots_.insert(pivots_.end(), set.row(i), set.row(i) + set.n_features);
      halves_.push_back(static_cast<float>(0.5 * set.squared_norms[i]));
    }
  }
  index_t width() const { return n_pivots_; }

  void operator()(index_t start, index_t count, float* keys) const {
    const index_t d = set_.n_features;
    blas::gemm_nt(count, n_pivots_, d, set_.row(start), d, pivots_.data(), d, keys, n_pivots_);
    for (index_t i = 0; i < count; ++i, keys += n_pivots_) {
      for (index_t c = 0; c < n_pivots_; ++c) keys[c] = halves_[c] - keys[c];
    }
  }

 private:
  const Centered<float>& set_;
  index_t n_pivots_;
  std::vector<float> pivots_, halves_;
};

constexpr std::array<float, kMostCols> filled(float value) {
  std::array<float, kMostCols> out{};
  out.fill(value);
  return out;
}
constexpr auto kZeros = filled(0.0f);
constexpr auto kInfinities = filled(std::numeric_limits<float>::infinity());

// The same of bytes.
class CoarsePivotKeys {
 public:
  CoarsePivotKeys(const CoarseRows& rows, const Members& pivots)
      : rows_(rows), pivots_(static_cast<index_t>(pivots.size()), rows.depth) {
    for (index_t c = 0; c < pivots_.n_rows(); ++c) {
      pivots_.set_row(c, rows.row(pivots[c]), rows.depth);
      halves_.push_back(rows.halves[pivots[c]]);
    }
  }
  index_t width() const { return pivots_.n_rows(); }

  void operator()(index_t start, index_t count, float* keys) const {
    Panels panels(count, rows_.depth);
    std::vector<std::int32_t> sums(panels.n_panels() * kernel_.cols, 0);
    for (index_t i = 0; i < count; i += 4) {
      const float* four[4];
      for (index_t r = 0; r < 4; ++r) four[r] = rows_.row(start + std::min(i + r, count - 1));
      panels.set_four(i, four);
    }
    std::copy_n(rows_.sums.begin() + start, count, sums.begin());
    const MicroBounds all{kZeros.data(), kInfinities.data(), kZeros.data(), kInfinities.data()};
    float products[kMostRows * kMostCols];
    std::uint64_t masks[kMostRows];
    for (index_t c = 0; c < width(); c += kernel_.cols) {
      const index_t n_cols = std::min<index_t>(kernel_.cols, width() - c);
      for (index_t i = 0; i < count; i += kernel_.rows) {
        kernel_.bytes_reached(panels.row(i), pivots_.row(c), rows_.depth, sums.data() + i, all,
                              products, masks);
        for (index_t r = 0; r < std::min<index_t>(kernel_.rows, count - i); ++r) {
          float* to = keys + (i + r) * width() + c;
          for (index_t j = 0; j < n_cols; ++j) {
            to[j] = halves_[c + j] - products[r * kernel_.cols + j];
          }
        }
      }
    }
  }

 private:
  const MicroKernel& kernel_ = micro_kernel();
  const CoarseRows& rows_;
  Panels pivots_;
  std::vector<float> halves_;
};

// The `fanout` nearest pivots of each row, the nearest first, (n_samples, fanout).
template <class Keys>
Members nearest_pivots(index_t n, const Keys& keys_of, index_t fanout, const Run& run) {
  const index_t p = keys_of.width();
  Members nearest(n * fanout);
  std::vector<std::vector<float>> of_worker(run.n_threads, std::vector<float>(kRowsPerTask * p));
  parallel_for((n + kRowsPerTask - 1) / kRowsPerTask, run, [&](index_t task, int worker) {
    const index_t start = task * kRowsPerTask, count = std::min(n - start, kRowsPerTask);
    std::vector<float>& products = of_worker[worker];
    std::vector<std::pair<float, std::int32_t>> keys;
    keys_of(start, count, products.data());
    for (index_t i = 0; i < count; ++i) {
      const float* to = products.data() + i * p;
      const float bound = bound_of_smallest(to, p, fanout, 2 * fanout);
      keys.clear();
      for (index_t c = 0; c < p; ++c) {
        if (to[c] <= bound) keys.emplace_back(to[c], static_cast<std::int32_t>(c));
      }
      std::nth_element(keys.begin(), keys.begin() + fanout - 1, keys.end());
      std::nth_element(keys.begin(), keys.begin(), keys.begin() + fanout);
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
  std::vector<const float*> rows;
  for (const std::int32_t i : members) rows.push_back(set.row(i));
  std::vector<float> products(count);
  micro_kernel().row_products(direction.data(), rows.data(), count, d, products.data());
  std::vector<std::pair<float, std::int32_t>> along;
  for (index_t m = 0; m < count; ++m) along.emplace_back(products[m], members[m]);
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

// A seeded draw of rows, near ones near each other.
Members pivots_of(const Centered<float>& set, index_t count, std::uint64_t seed) {
  const index_t n = set.n_samples;
  Members rows(n);
  std::iota(rows.begin(), rows.end(), 0);
  std::nth_element(rows.begin(), rows.begin() + count - 1, rows.end(), [&](auto i, auto j) {
    const std::uint64_t a = hashed(seed, i), b = hashed(seed, j);
    return a < b || (a == b && i < j);
  });
  rows.resize(count);
  std::sort(rows.begin(), rows.end());
  std::vector<Members> parts;
  part(set, std::move(rows), 4, seed, parts);
  Members out;
  for (const Members& members : parts) out.insert(out.end(), members.begin(), members.end());
  return out;
}

}  // namespace

index_t n_pivots(index_t n_samples, const CellOptions& options) {
  return std::clamp(n_samples * options.fanout / options.size, options.fanout, n_samples);
}

Cells cells(const Centered<float>& set, const CoarseRows* coarse, const CellOptions& options,
            const Run& run) {
  const index_t n = set.n_samples;
  const Members pivots = pivots_of(set, n_pivots(n, options), options.seed);
  const auto count = static_cast<index_t>(pivots.size());
  const Members nearest =
      coarse ? nearest_pivots(n, CoarsePivotKeys(*coarse, pivots), options.fanout, run)
             : nearest_pivots(n, PivotKeys(set, pivots), options.fanout, run);
  Cells out;
  std::vector<Members> first(count), groups(count);
  for (index_t i = 0; i < n; ++i) {
    const std::int32_t* of_row = nearest.data() + i * options.fanout;
    first[of_row[0]].push_back(static_cast<std::int32_t>(i));
    for (index_t s = 0; s < options.fanout; ++s) {
      groups[of_row[s]].push_back(static_cast<std::int32_t>(i));
    }
  }
  for (const Members& members : first) {
    out.order.insert(out.order.end(), members.begin(), members.end());
  }
  Members places(n);
  for (index_t p = 0; p < n; ++p) places[out.order[p]] = static_cast<std::int32_t>(p);
  std::vector<std::vector<Members>> parts(count);
  parallel_for(count, run, [&](index_t c, int) {
    part(set, std::move(groups[c]), kCrowded * options.size, hashed(options.seed, pivots[c]),
         parts[c]);
    for (Members& members : parts[c]) {
      for (std::int32_t& i : members) i = places[i];
      std::sort(members.begin(), members.end());
    }
  });
  for (std::vector<Members>& of_group : parts) {
    for (Members& members : of_group) out.groups.push_back(std::move(members));
  }
  return out;
}

}  // namespace consilience
