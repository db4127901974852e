// rank_counts on the CPU: float64 GEMM rows (2 d flops per entry), then a bucket sort of the row
// (about 40 bytes moved per entry), after which the rank of any neighbour is one look-up.
// Float64 tiles, because a float32 one leaves about one entry per query undecided, and each of
// those costs d float64 differences.

#include "ops/rank_counts.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <tuple>
#include <utility>

#include "common/blas.hpp"
#include "common/simd.hpp"
#include "cpu/centered.hpp"
#include "cpu/exact.hpp"
#include "cpu/rank_tiles.hpp"

namespace consilience {
namespace {

constexpr index_t kTileQueries = 64;
constexpr index_t kRowBytes = 16 << 20;  // of products held at a time by one worker
// Most buckets then hold one sample: a swap costs more than a count.
constexpr index_t kBucketsPerSample = 2;
constexpr index_t kInsertionSort = 24;  // entries up to which insertion is the faster sort

index_t rows_at_a_time(index_t n) { return std::clamp<index_t>(kRowBytes / (8 * n), 1, 128); }

// keys_l <- |a_l|^2 / 2 - products_l, in place, and their range.
CONSILIENCE_SIMD void to_keys(double* row, const double* squared_norms, index_t n, double* low,
                              double* high) {
  // Eight of each, as the compiler may not reorder comparisons itself.
  constexpr index_t kLanes = 8;
  double smallest[kLanes], largest[kLanes];
  std::fill(smallest, smallest + kLanes, std::numeric_limits<double>::infinity());
  std::fill(largest, largest + kLanes, -std::numeric_limits<double>::infinity());
  const auto enter = [&](index_t l, index_t lane) {
    row[l] = 0.5 * squared_norms[l] - row[l];
    smallest[lane] = row[l] < smallest[lane] ? row[l] : smallest[lane];
    largest[lane] = row[l] > largest[lane] ? row[l] : largest[lane];
  };
  const index_t whole = n - n % kLanes;
  for (index_t l = 0; l < whole; l += kLanes) {
    for (index_t lane = 0; lane < kLanes; ++lane) enter(l + lane, lane);
  }
  for (index_t l = whole; l < n; ++l) enter(l, l - whole);
  *low = *std::min_element(smallest, smallest + kLanes);
  *high = *std::max_element(largest, largest + kLanes);
}

CONSILIENCE_SIMD void to_buckets(const double* keys, index_t n, double low, double per_key,
                                 std::int32_t* buckets) {
  for (index_t l = 0; l < n; ++l) {
    buckets[l] = static_cast<std::int32_t>((keys[l] - low) * per_key);
  }
}

// columns += row; returns the row's sum of squares, exact up to 2^53.
CONSILIENCE_SIMD double add_row(const std::int32_t* row, index_t n, index_t* columns) {
  std::uint64_t squares = 0;
  for (index_t l = 0; l < n; ++l) {
    const auto rank = static_cast<std::int64_t>(row[l]);
    columns[l] += rank;
    squares += static_cast<std::uint64_t>(rank * rank);
  }
  return static_cast<double>(squares);
}

// The samples by ascending key: buckets of equal width, each sorted.
class RowOrder {
 public:
  explicit RowOrder(index_t n)
      : n_(n),
        n_buckets_(
            static_cast<index_t>(kBucketsPerSample * std::bit_ceil(static_cast<std::uint64_t>(n)))),
        bucket_(n),
        starts_(n_buckets_ + 2),
        keys_(n),
        samples_(n) {}

  // Range: of the keys. `self` comes last, as if it were infinitely far.
  void assign(const double* keys, double low, double high, index_t self) {
    const double per_key = high > low ? static_cast<double>(n_buckets_ - 1) / (high - low) : 0.0;
    to_buckets(keys, n_, low, per_key, bucket_.data());
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

  double key(index_t place) const { return keys_[place]; }
  index_t sample(index_t place) const { return samples_[place]; }

 private:
  void sort(index_t start, index_t stop) {
    std::vector<std::pair<double, std::int32_t>> entries(stop - start);
    for (index_t c = start; c < stop; ++c) entries[c - start] = {keys_[c], samples_[c]};
    std::sort(entries.begin(), entries.end());
    for (index_t c = start; c < stop; ++c) {
      std::tie(keys_[c], samples_[c]) = entries[c - start];
    }
  }

  // No entry is further from its place than its bucket is long.
  void finish_by_insertion() {
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

  index_t n_, n_buckets_;
  std::vector<std::int32_t> bucket_;
  std::vector<std::int32_t> starts_;
  std::vector<double> keys_;
  std::vector<std::int32_t> samples_;
};

struct Worker {
  Worker(index_t n, index_t d)
      : gathered(rows_at_a_time(n) * d),
        products(rows_at_a_time(n) * n),
        order(n),
        ranks(n),
        columns(n, 0) {}
  std::vector<double> gathered, products;
  RowOrder order;
  std::vector<std::int32_t> ranks;  // of all samples seen from one row, doubled: ties count half
  std::vector<index_t> columns;     // their sums over this worker's rows: integers, in any order
  std::vector<std::pair<double, index_t>> undecided;
};

class Counter {
 public:
  Counter(const Embedding& X, const Run& run)
      : X_(X), set_(centered<double>(X, run)), error_(product_error<double>(X.n_features)) {
    largest_norm2_ = *std::max_element(set_.squared_norms.begin(), set_.squared_norms.end());
  }

  // Products of some rows with all, `gathered` being room for those rows.
  void multiply(const index_t* rows, index_t n_rows, double* gathered, double* products) const {
    const index_t d = X_.n_features, n = X_.n_samples;
    for (index_t r = 0; r < n_rows; ++r) {
      std::copy_n(set_.row(rows[r]), d, gathered + r * d);
    }
    blas::gemm_nt(n_rows, n, d, gathered, d, set_.row(0), d, products, n);
  }

  // From products a_i.a_l to keys |a_l|^2 / 2 - a_i.a_l, which order l as the distances do, to
  // the ranks of all samples.
  void rank_row(index_t i, double* products, Worker& worker) const {
    // Self gets the key of another, so that it does not widen the range.
    const index_t n = X_.n_samples, other = i == 0 ? 1 : 0;
    const double* norms = set_.squared_norms.data();
    products[i] = 0.5 * norms[i] - (0.5 * norms[other] - products[other]);
    double low, high;
    to_keys(products, norms, n, &low, &high);
    const RowOrder& order = worker.order;
    worker.order.assign(products, low, high, i);

    // Keys further apart than this are in the order of the distances, whose own rounding it
    // covers too: they are summed in many lanes (exact.cpp), not in one chain of d.
    const double reach = 2.0 * error_ * (largest_norm2_ + norms[i]);
    for (index_t start = 0, stop; start < n - 1; start = stop) {
      stop = start + 1;
      while (stop < n - 1 && order.key(stop) - order.key(stop - 1) <= reach) ++stop;
      if (stop == start + 1) {
        worker.ranks[order.sample(start)] = static_cast<std::int32_t>(2 * stop);
      } else {
        decide(i, start, stop, worker);
      }
    }
  }

 private:
  // Ranks the samples in places [start, stop) by float64 differences.
  void decide(index_t i, index_t start, index_t stop, Worker& worker) const {
    auto& entries = worker.undecided;
    entries.clear();
    for (index_t place = start; place < stop; ++place) {
      const index_t l = worker.order.sample(place);
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
  Centered<double> set_;
  double error_, largest_norm2_;
};

void count(const Embedding& X, const RankQueries& queries, const Run& run, double* rank_sums,
           const RankMoments* moments) {
  const index_t n = X.n_samples, n_rows = queries.n_rows();
  const auto n_ks = static_cast<index_t>(queries.ks.size());
  const Counter counter(X, run);
  const index_t block = rows_at_a_time(n);
  std::vector<index_t> sampled(n, -1);
  const index_t n_sample = moments ? static_cast<index_t>(moments->sample.size()) : 0;
  for (index_t s = 0; s < n_sample; ++s) sampled[moments->sample[s]] = s;
  std::vector<std::unique_ptr<Worker>> workers(run.n_threads);

  parallel_for((n_rows + block - 1) / block, run, [&](index_t task, int worker_id) {
    auto& worker = workers[worker_id];
    if (!worker) worker = std::make_unique<Worker>(n, X.n_features);
    std::vector<std::int32_t>& ranks = worker->ranks;
    const index_t start = task * block, stop = std::min(n_rows, start + block);
    counter.multiply(queries.rows.data() + start, stop - start, worker->gathered.data(),
                     worker->products.data());
    for (index_t r = start; r < stop; ++r) {
      const index_t i = queries.rows[r];
      counter.rank_row(i, worker->products.data() + (r - start) * n, *worker);
      ranks[i] = 0;
      for (std::size_t s = 0; s < queries.lists.size(); ++s) {
        const index_t* neighbors = queries.lists[s].row(r);
        double* sums = rank_sums + (static_cast<index_t>(s) * n_rows + r) * n_ks;
        index_t sum = 0, seen = 0;
        for (index_t q = 0; q < n_ks; ++q) {
          for (; seen < queries.ks[q]; ++seen) sum += ranks[neighbors[seen]];
          sums[q] = 0.5 * static_cast<double>(sum);
        }
      }
      if (!moments) continue;
      moments->squares[i] = 0.25 * add_row(ranks.data(), n, worker->columns.data());
      if (sampled[i] < 0) continue;
      for (index_t t = 0; t < n_sample; ++t) {
        moments->block[sampled[i] * n_sample + t] =
            0.5 * static_cast<double>(ranks[moments->sample[t]]);
      }
    }
  });

  for (index_t j = 0; moments && j < n; ++j) {
    index_t total = 0;
    for (const auto& worker : workers) total += worker ? worker->columns[j] : 0;
    moments->columns[j] = 0.5 * static_cast<double>(total);
  }
}

}  // namespace

void rank_counts(const Embedding& X, const RankQueries& queries, const Run& run,
                 double* rank_sums) {
  if (most_queries(queries) <= kTileQueries) {
    count_in_tiles(X, queries, run, rank_sums);
  } else {
    count(X, queries, run, rank_sums, nullptr);
  }
}

void rank_counts(const Embedding& X, const RankQueries& queries, const Run& run, double* rank_sums,
                 const RankMoments& moments) {
  assert(queries.n_rows() == X.n_samples);
  count(X, queries, run, rank_sums, &moments);
}

index_t rank_counts_bytes(index_t n_samples, index_t n_features, int n_threads) {
  const index_t row = rows_at_a_time(n_samples) * 8 + 64;
  return n_samples * (n_features * 8 + 8) +
         n_threads * (n_samples * row + 8 * rows_at_a_time(n_samples) * n_features);
}

}  // namespace consilience
