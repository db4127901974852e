// 2 d flops per entry, about 30 bytes moved per entry for its class, and a walk through one class
// per query; then float64 differences for those whose keys are too near to tell.

#include "cpu/rank_rows.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/simd.hpp"
#include "cpu/exact.hpp"
#include "cpu/row_classes.hpp"
#include "cpu/row_keys.hpp"
#include "cpu/row_order.hpp"

namespace consilience {
namespace {

// Float64 keys, and so exact sums of all ranks, up to here.
constexpr index_t kExactSamples = 2048;
constexpr index_t kProbes = 8;  // rows that say which precision pays

// columns += row; returns the row's sum of squares, in lanes that do not wait for each other.
CONSILIENCE_SIMD double add_row(const std::int32_t* row, index_t n, index_t* columns) {
  constexpr index_t kLanes = 16;
  double squares[kLanes] = {};
  const auto enter = [&](index_t l, index_t lane) {
    columns[l] += row[l];
    squares[lane] += static_cast<double>(row[l]) * static_cast<double>(row[l]);
  };
  const index_t whole = n - n % kLanes;
  for (index_t l = 0; l < whole; l += kLanes) {
    for (index_t lane = 0; lane < kLanes; ++lane) enter(l + lane, lane);
  }
  for (index_t l = whole; l < n; ++l) enter(l, l - whole);
  return std::accumulate(squares, squares + kLanes, 0.0);
}

CONSILIENCE_SIMD void add_classes(const std::int32_t* classes, const std::int32_t* ranks, index_t n,
                                  index_t* columns) {
  for (index_t l = 0; l < n; ++l) columns[l] += ranks[classes[l]];
}

// A value that holds for one row.
template <class Value>
struct Known {
  std::int32_t row = -1;
  Value value;
};

template <class Real>
struct Worker {
  Worker(const RowKeys<Real>& keys, index_t n)
      : room(keys.room()),
        products(keys.rows_at_a_time() * keys.stride()),
        classes(n),
        ranks(n),
        known_ranks(n),
        known_distances(n),
        columns(n, 0) {}

  std::vector<Real> room, products;
  RowClasses<Real> classes;
  std::unique_ptr<RowOrder> order;  // for rows that crowd into few classes
  std::vector<double> wide;
  // Doubled ranks, as ties count half: of a whole row, or of single samples.
  std::vector<std::int32_t> ranks;
  std::vector<Known<std::int32_t>> known_ranks;
  std::vector<Known<double>> known_distances;
  std::vector<index_t> columns;  // sums over this worker's rows: integers, in any order
  std::vector<index_t> near;
  std::vector<std::pair<double, index_t>> undecided;
};

template <class Real>
class RowCounter {
 public:
  RowCounter(const Embedding& X, const RankQueries& queries, const Run& run, double* rank_sums,
             const RankMoments* moments)
      : X_(X), queries_(queries), run_(run), sums_(rank_sums), moments_(moments), keys_(X, run) {
    if (!moments) return;
    sampled_.assign(X.n_samples, -1);
    for (std::size_t s = 0; s < moments->sample.size(); ++s) {
      sampled_[moments->sample[s]] = static_cast<index_t>(s);
    }
  }

  void run() const {
    const index_t n = X_.n_samples, n_rows = queries_.n_rows(), block = keys_.rows_at_a_time();
    std::vector<std::unique_ptr<Worker<Real>>> workers(run_.n_threads);
    parallel_for((n_rows + block - 1) / block, run_, [&](index_t task, int worker_id) {
      auto& worker = workers[worker_id];
      if (!worker) worker = std::make_unique<Worker<Real>>(keys_, n);
      const index_t start = task * block, stop = std::min(n_rows, start + block);
      keys_.multiply(queries_.rows.data() + start, stop - start, worker->room.data(),
                     worker->products.data());
      for (index_t r = start; r < stop; ++r) {
        count(r, worker->products.data() + (r - start) * keys_.stride(), *worker);
      }
    });
    for (index_t j = 0; moments_ && j < n; ++j) {
      index_t total = 0;
      for (const auto& worker : workers) total += worker ? worker->columns[j] : 0;
      moments_->columns[j] = 0.5 * static_cast<double>(total);
    }
  }

  // How many float64 differences a row takes, from a few rows.
  double differences() const {
    Worker<Real> worker(keys_, X_.n_samples);
    const index_t n_probes = std::min(kProbes, queries_.n_rows());
    double found = 0.0;
    for (index_t probe = 0; probe < n_probes; ++probe) {
      const index_t r = probe * queries_.n_rows() / n_probes, i = queries_.rows[r];
      keys_.multiply(queries_.rows.data() + r, 1, worker.room.data(), worker.products.data());
      Real low, high;
      keys_.finish(i, worker.products.data(), &low, &high);
      const double gap = keys_.gap(i);
      if (!worker.classes.assign(worker.products.data(), low, high, gap, i)) {
        found += static_cast<double>(X_.n_samples);
        continue;
      }
      for (const NeighborLists& list : queries_.lists) {
        for (index_t q = 0; q < queries_.ks.back(); ++q) {
          const index_t j = list.row(r)[q];
          if (std::exchange(worker.known_ranks[j].row, static_cast<std::int32_t>(probe)) == probe) {
            continue;
          }
          below(j, gap, worker);
          if (!worker.near.empty()) found += static_cast<double>(worker.near.size()) + 1.0;
        }
      }
    }
    return found / static_cast<double>(std::max<index_t>(n_probes, 1));
  }

 private:
  // Float64 keys are for the many queries that float32 ones cannot decide: more than walks pay for.
  static constexpr bool kSorts = std::is_same_v<Real, double>;

  void count(index_t r, Real* row, Worker<Real>& worker) const {
    const index_t n = X_.n_samples, i = queries_.rows[r];
    Real low, high;
    keys_.finish(i, row, &low, &high);
    const double gap = keys_.gap(i);
    if (kSorts || !worker.classes.assign(row, low, high, gap, i)) {
      rank_row(i, row, low, high, worker);
      add_sums(r, [&](index_t j) { return worker.ranks[j]; });
      if (!moments_) return;
      moments_->squares[i] = 0.25 * add_row(worker.ranks.data(), n, worker.columns.data());
      add_block(i, [&](index_t j) { return worker.ranks[j]; });
      return;
    }
    add_sums(r, [&](index_t j) { return rank_one(r, j, gap, worker); });
    if (!moments_) return;
    const std::int32_t* ranks = worker.classes.mean_ranks();
    const std::int32_t* classes = worker.classes.classes();
    moments_->squares[i] = worker.classes.squares();
    add_classes(classes, ranks, n, worker.columns.data());
    worker.columns[i] -= ranks[classes[i]];
    add_block(i, [&](index_t j) { return ranks[classes[j]]; });
  }

  template <class Rank>
  void add_sums(index_t r, Rank&& rank) const {
    const auto n_ks = static_cast<index_t>(queries_.ks.size());
    for (std::size_t s = 0; s < queries_.lists.size(); ++s) {
      const index_t* neighbors = queries_.lists[s].row(r);
      double* sums = sums_ + (static_cast<index_t>(s) * queries_.n_rows() + r) * n_ks;
      index_t sum = 0, seen = 0;
      for (index_t q = 0; q < n_ks; ++q) {
        for (; seen < queries_.ks[q]; ++seen) sum += rank(neighbors[seen]);
        sums[q] = 0.5 * static_cast<double>(sum);
      }
    }
  }

  template <class Rank>
  void add_block(index_t i, Rank&& rank) const {
    if (sampled_[i] < 0) return;
    const auto n_sample = static_cast<index_t>(moments_->sample.size());
    double* to = moments_->block + sampled_[i] * n_sample;
    for (index_t t = 0; t < n_sample; ++t) {
      const index_t j = moments_->sample[t];
      to[t] = j == i ? 0.0 : 0.5 * static_cast<double>(rank(j));
    }
  }

  // Samples certainly nearer than j is; those that may be, in `worker.near`.
  index_t below(index_t j, double gap, Worker<Real>& worker) const {
    worker.near.clear();
    const double key = worker.classes.key(j);
    return worker.classes.below(key - gap, key + gap, [&](index_t l) {
      if (l != j) worker.near.push_back(l);
    });
  }

  std::int32_t rank_one(index_t r, index_t j, double gap, Worker<Real>& worker) const {
    const auto row = static_cast<std::int32_t>(r);
    Known<std::int32_t>& known = worker.known_ranks[j];
    if (known.row == row) return known.value;
    index_t doubled = 2 + 2 * below(j, gap, worker);
    if (!worker.near.empty()) doubled += among(r, j, worker);
    known = {row, static_cast<std::int32_t>(doubled)};
    return known.value;
  }

  // Twice how many of `worker.near` are nearer than j, ties once: by float64 differences.
  index_t among(index_t r, index_t j, Worker<Real>& worker) const {
    const auto row = static_cast<std::int32_t>(r);
    const index_t i = queries_.rows[r];
    const auto distance = [&](index_t l) {
      Known<double>& known = worker.known_distances[l];
      if (known.row != row) known = {row, squared_distance(X_, i, l)};
      return known.value;
    };
    for (const index_t l : worker.near) prefetch_row(X_, l);
    const double own = distance(j);
    index_t doubled = 0;
    for (const index_t l : worker.near) {
      const double other = distance(l);
      doubled += other < own ? 2 : (other == own ? 1 : 0);
    }
    return doubled;
  }

  // The ranks of all samples, by a sort: what no class is small enough for.
  void rank_row(index_t i, const Real* row, Real low, Real high, Worker<Real>& worker) const {
    const index_t n = X_.n_samples;
    if (!worker.order) worker.order = std::make_unique<RowOrder>(n);
    worker.wide.assign(row, row + n);
    RowOrder& order = *worker.order;
    order.assign(worker.wide.data(), static_cast<double>(low), static_cast<double>(high), i);
    const double gap = keys_.gap(i);
    for (index_t start = 0, stop; start < n - 1; start = stop) {
      stop = start + 1;
      while (stop < n - 1 && order.key(stop) - order.key(stop - 1) <= gap) ++stop;
      if (stop == start + 1) {
        worker.ranks[order.sample(start)] = static_cast<std::int32_t>(2 * stop);
      } else {
        decide(i, start, stop, worker);
      }
    }
    worker.ranks[i] = 0;
  }

  // Ranks the samples in places [start, stop) by float64 differences.
  void decide(index_t i, index_t start, index_t stop, Worker<Real>& worker) const {
    auto& entries = worker.undecided;
    entries.clear();
    for (index_t place = start; place < stop; ++place) {
      const index_t l = worker.order->sample(place);
      entries.emplace_back(squared_distance(X_, i, l), l);
    }
    std::sort(entries.begin(), entries.end());
    const index_t count = stop - start;
    for (index_t first = 0, last; first < count; first = last) {
      last = first + 1;
      while (last < count && entries[last].first == entries[first].first) ++last;
      const index_t less = start + first, ties = last - first - 1;
      for (index_t c = first; c < last; ++c) {
        worker.ranks[entries[c].second] = static_cast<std::int32_t>(2 * (1 + less) + ties);
      }
    }
  }

  const Embedding& X_;
  const RankQueries& queries_;
  const Run& run_;
  double* sums_;
  const RankMoments* moments_;
  RowKeys<Real> keys_;
  std::vector<index_t> sampled_;
};

}  // namespace

void count_in_rows(const Embedding& X, const RankQueries& queries, const Run& run,
                   double* rank_sums, const RankMoments* moments) {
  if (X.n_samples > kExactSamples) {
    const RowCounter<float> quick(X, queries, run, rank_sums, moments);
    const auto n = static_cast<double>(X.n_samples), d = static_cast<double>(X.n_features);
    // A difference costs as much as this many products of its length in float32.
    constexpr double kPerDifference = 10.0, kOverhead = 200.0;
    if (quick.differences() * (kPerDifference * d + kOverhead) <= n * d) {
      quick.run();
      return;
    }
  }
  RowCounter<double>(X, queries, run, rank_sums, moments).run();
}

index_t count_in_rows_bytes(index_t n_samples, index_t n_features, int n_threads) {
  constexpr index_t kProducts = 16 << 20, kLeastRows = 8, kPerSample = 140, kRoom = 128 * 8;
  const index_t products = std::max(kProducts, kLeastRows * 8 * n_samples);
  return n_samples * (n_features * 8 + 20) +
         n_threads * (products + kPerSample * n_samples + kRoom * n_features);
}

}  // namespace consilience
