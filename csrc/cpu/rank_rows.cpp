// 2 d flops per entry, about 30 bytes moved per entry for its class, and a walk through one class
// per query; then float64 differences for those whose keys are too near to tell.

#include "cpu/rank_rows.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
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

template <class Real>
struct Worker {
  Worker(const RowKeys<Real>& keys, index_t n, index_t d)
      : room(keys.room()),
        lines(keys.rows_at_a_time() * keys.stride() + kLine),
        products(aligned(lines)),
        classes(n),
        ranks(n),
        asked(n, -1),
        measured(n, -1),
        different(n + 1),
        near(n),
        open(n + 1),
        distances(n),
        own(d),
        columns(n, 0),
        row_sums(n, 0) {}

  // On a cache line, as the micro-kernel's stores take whole ones.
  static constexpr auto kLine = static_cast<index_t>(64 / sizeof(Real));
  static Real* aligned(std::vector<Real>& lines) {
    const auto at = reinterpret_cast<std::uintptr_t>(lines.data());
    return lines.data() + (64 - at % 64) % 64 / sizeof(Real);
  }

  // columns += row_sums, before those could overflow.
  void flush() {
    for (std::size_t l = 0; l < columns.size(); ++l) columns[l] += row_sums[l];
    std::fill(row_sums.begin(), row_sums.end(), 0);
    n_summed = 0;
  }

  std::vector<Real> room, lines;
  Real* products;
  RowClasses<Real> classes;
  std::unique_ptr<RowOrder> order;  // for rows that crowd into few classes
  std::vector<double> wide;
  // Doubled ranks, as ties count half: of a whole row, or of those asked for.
  std::vector<std::int32_t> ranks;
  // The last row that asked for a sample, and the last one that measured its distance.
  std::vector<std::int32_t> asked, measured;
  std::vector<std::int32_t> different, wanted, near;
  std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
  std::vector<OpenRank> open;
  std::vector<double> distances, own;
  // Sums over this worker's rows, integers in any order: of all, and of the last ones.
  std::vector<index_t> columns;
  std::vector<std::uint32_t> row_sums;
  index_t n_summed = 0;
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
      if (!worker) worker = std::make_unique<Worker<Real>>(keys_, n, X_.n_features);
      const index_t start = task * block, stop = std::min(n_rows, start + block);
      keys_.multiply(queries_.rows.data() + start, stop - start, worker->room.data(),
                     worker->products);
      for (index_t r = start; r < stop; ++r) {
        count(r, worker->products + (r - start) * keys_.stride(), *worker);
      }
    });
    for (index_t j = 0; moments_ && j < n; ++j) {
      index_t total = 0;
      for (const auto& worker : workers) {
        if (worker) total += worker->columns[j] + worker->row_sums[j];
      }
      moments_->columns[j] = 0.5 * static_cast<double>(total);
    }
  }

  // How many float64 differences a row takes, from a few rows.
  double differences() const {
    Worker<Real> worker(keys_, X_.n_samples, X_.n_features);
    const index_t n_probes = std::min(kProbes, queries_.n_rows());
    double found = 0.0;
    for (index_t probe = 0; probe < n_probes; ++probe) {
      const index_t r = probe * queries_.n_rows() / n_probes, i = queries_.rows[r];
      keys_.multiply(queries_.rows.data() + r, 1, worker.room.data(), worker.products);
      Real low, high;
      keys_.finish(i, worker.products, &low, &high);
      const double gap = keys_.gap(i);
      if (!worker.classes.assign(worker.products, low, high, gap, i, false)) {
        found += static_cast<double>(X_.n_samples);
        continue;
      }
      const index_t n_open = look_up(r, gap, worker);
      want(r, n_open, gap, worker);
      found += static_cast<double>(n_open) + static_cast<double>(worker.wanted.size());
    }
    return found / static_cast<double>(std::max<index_t>(n_probes, 1));
  }

 private:
  void count(index_t r, Real* row, Worker<Real>& worker) const {
    const index_t n = X_.n_samples, i = queries_.rows[r];
    Real low, high;
    keys_.finish(i, row, &low, &high);
    const double gap = keys_.gap(i);
    const bool with_means = moments_ != nullptr;
    if (n <= kExactSamples || !worker.classes.assign(row, low, high, gap, i, with_means)) {
      rank_row(i, row, low, high, worker);
      add_sums(r, worker);
      if (!moments_) return;
      moments_->squares[i] = 0.25 * add_row(worker.ranks.data(), n, worker.columns.data());
      add_block(i, [&](index_t j) { return worker.ranks[j]; });
      return;
    }
    const index_t n_open = look_up(r, gap, worker);
    if (n_open > 0) {
      want(r, n_open, gap, worker);
      measure(i, worker);
      close(worker);
    }
    add_sums(r, worker);
    if (!moments_) return;
    moments_->squares[i] = worker.classes.squares();
    const RowClasses<Real>& classes = worker.classes;
    if (worker.n_summed == std::numeric_limits<std::uint32_t>::max() / (2 * n)) worker.flush();
    classes.add_mean_ranks(worker.row_sums.data());
    ++worker.n_summed;
    worker.columns[i] -= classes.mean_rank(i);
    add_block(i, [&](index_t j) { return classes.mean_rank(j); });
  }

  void add_sums(index_t r, const Worker<Real>& worker) const {
    const auto n_ks = static_cast<index_t>(queries_.ks.size());
    for (std::size_t s = 0; s < queries_.lists.size(); ++s) {
      const index_t* neighbors = queries_.lists[s].row(r);
      double* sums = sums_ + (static_cast<index_t>(s) * queries_.n_rows() + r) * n_ks;
      index_t sum = 0, seen = 0;
      for (index_t q = 0; q < n_ks; ++q) {
        for (; seen < queries_.ks[q]; ++seen) sum += worker.ranks[neighbors[seen]];
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

  // The ranks of all that row r asks for, up to those left open: their number.
  index_t look_up(index_t r, double gap, Worker<Real>& worker) const {
    const auto row = static_cast<std::int32_t>(r);
    std::int32_t *asked = worker.asked.data(), *different = worker.different.data();
    index_t n_different = 0;
    for (const NeighborLists& list : queries_.lists) {
      const index_t* neighbors = list.row(r);
      for (index_t q = 0; q < queries_.ks.back(); ++q) {
        // The next row's, of which hardware knows nothing: lists are about a page apart.
        if (q % 8 == 0) prefetch(neighbors + list.k + q);
        const index_t j = neighbors[q];
        different[n_different] = static_cast<std::int32_t>(j);
        n_different += asked[j] != row;  // no branch: a matter of chance
        asked[j] = row;
      }
    }
    return worker.classes.look_up(different, n_different, gap, worker.ranks.data(),
                                  worker.open.data());
  }

  // Settles what the errors of the two keys allow; the pairs it leaves, and whose distances they
  // take.
  void want(index_t r, index_t n_open, double gap, Worker<Real>& worker) const {
    const auto row = static_cast<std::int32_t>(r);
    const index_t i = queries_.rows[r];
    worker.wanted.clear(), worker.pairs.clear();
    const auto enter = [&](std::int32_t l) {
      if (std::exchange(worker.measured[l], row) != row) worker.wanted.push_back(l);
    };
    for (index_t o = 0; o < n_open; ++o) {
      const std::int32_t j = worker.open[o].sample;
      const double key = worker.classes.key(j), error = keys_.error(i, j);
      const index_t n_near = worker.classes.near(worker.open[o], gap, worker.near.data());
      for (index_t t = 0; t < n_near; ++t) {
        const std::int32_t l = worker.near[t];
        const double above = worker.classes.key(l) - key;
        if (std::abs(above) > error + keys_.error(i, l)) {
          worker.ranks[j] += above < 0.0 ? 2 : 0;
          continue;
        }
        worker.pairs.emplace_back(j, l);
        enter(j), enter(l);
      }
    }
  }

  void measure(index_t i, Worker<Real>& worker) const {
    constexpr std::size_t kAhead = 4;
    widened_row(X_, i, worker.own.data());
    const std::vector<std::int32_t>& wanted = worker.wanted;
    for (std::size_t w = 0; w < wanted.size(); ++w) {
      if (w + kAhead < wanted.size()) prefetch_row(X_, wanted[w + kAhead]);
      worker.distances[wanted[w]] = squared_distance_to(X_, wanted[w], worker.own.data());
    }
  }

  // Adds those nearer, ties once.
  void close(Worker<Real>& worker) const {
    for (const auto& [j, l] : worker.pairs) {
      const double own = worker.distances[j], other = worker.distances[l];
      worker.ranks[j] += (other < own) + (other <= own);
    }
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
  constexpr index_t kProducts = 16 << 20, kLeastRows = 8, kMostRows = 128, kPerSample = 160;
  constexpr index_t kRoom = kMostRows * 8, kPadding = 64;
  const index_t row = 8 * (n_samples + kPadding);
  const index_t products = std::max(std::min(kProducts, kMostRows * row), kLeastRows * row);
  return n_samples * (n_features * 8 + 20) +
         n_threads * (products + kPerSample * n_samples + kRoom * n_features);
}

}  // namespace consilience
