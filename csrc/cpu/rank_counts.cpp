// rank_counts on the CPU: float64 GEMM rows (2 d flops per entry), then a bucket sort of the row
// (about 30 bytes moved per entry); a rank is a prefix count plus a look into one or two buckets.
// Float64 tiles, because a float32 one leaves about one entry per query undecided, and each of
// those costs d float64 differences.

#include "ops/rank_counts.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>
#include <memory>

#include "common/blas.hpp"
#include "cpu/centered.hpp"
#include "cpu/exact.hpp"

namespace consilience {
namespace {

constexpr index_t kRowBytes = 8 << 20;  // of products held at a time by one worker
constexpr index_t kSortedBucket = 48;   // larger buckets are sorted once and searched

index_t rows_at_a_time(index_t n) { return std::clamp<index_t>(kRowBytes / (8 * n), 1, 64); }

// The keys of one row, in buckets of ascending value.
class RowOrder {
 public:
  explicit RowOrder(index_t n)
      : n_(n),
        n_buckets_(static_cast<index_t>(std::bit_ceil(static_cast<std::uint64_t>(n)) / 2 + 1)),
        bucket_(n),
        starts_(n_buckets_ + 1),
        order_(n),
        sorted_(n_buckets_) {}

  // Buckets all keys but that of `self`.
  void assign(const double* keys, index_t self) {
    keys_ = keys;
    double high = -std::numeric_limits<double>::infinity();
    low_ = std::numeric_limits<double>::infinity();
    for (index_t l = 0; l < n_; ++l) {
      if (l == self) continue;
      low_ = std::min(low_, keys[l]);
      high = std::max(high, keys[l]);
    }
    per_key_ = high > low_ ? static_cast<double>(n_buckets_ - 1) / (high - low_) : 0.0;
    std::fill(starts_.begin(), starts_.end(), 0);
    std::fill(sorted_.begin(), sorted_.end(), false);
    for (index_t l = 0; l < n_; ++l) {
      if (l == self) continue;
      bucket_[l] = static_cast<std::int32_t>(bucket_of(keys[l]));
      ++starts_[bucket_[l] + 1];
    }
    for (index_t b = 0; b < n_buckets_; ++b) starts_[b + 1] += starts_[b];
    cursor_.assign(starts_.begin(), starts_.end());
    for (index_t l = 0; l < n_; ++l) {
      if (l != self) order_[cursor_[bucket_[l]]++] = static_cast<std::int32_t>(l);
    }
  }

  // How many keys are below `low`, then visit(l) for those in [low, high].
  template <class Visit>
  index_t below(double low, double high, Visit&& visit) {
    const index_t first = bucket_of(low), last = bucket_of(high);
    index_t count = starts_[first];
    for (index_t b = first; b <= last; ++b) {
      auto entry = order_.begin() + starts_[b];
      const auto end = order_.begin() + starts_[b + 1];
      if (end - entry > kSortedBucket) {
        sort(b);
        const auto from = std::lower_bound(
            entry, end, low, [&](std::int32_t l, double key) { return keys_[l] < key; });
        count += from - entry;
        for (entry = from; entry != end && keys_[*entry] <= high; ++entry) visit(*entry);
        continue;
      }
      for (; entry != end; ++entry) {
        if (keys_[*entry] < low) {
          ++count;
        } else if (keys_[*entry] <= high) {
          visit(*entry);
        }
      }
    }
    return count;
  }

 private:
  index_t bucket_of(double key) const {
    const double place = (key - low_) * per_key_;
    if (!(place > 0.0)) return 0;
    return std::min(n_buckets_ - 1, static_cast<index_t>(std::min(place, 9e15)));
  }

  void sort(index_t b) {
    if (sorted_[b]) return;
    std::sort(order_.begin() + starts_[b], order_.begin() + starts_[b + 1],
              [&](std::int32_t l, std::int32_t m) { return keys_[l] < keys_[m]; });
    sorted_[b] = true;
  }

  index_t n_, n_buckets_;
  const double* keys_ = nullptr;
  double low_ = 0.0, per_key_ = 0.0;
  std::vector<std::int32_t> bucket_;
  std::vector<std::int32_t> starts_, cursor_;
  std::vector<std::int32_t> order_;
  std::vector<char> sorted_;
};

// Values per sample that live for one row: forgotten all at once by naming the next row.
class RowCache {
 public:
  explicit RowCache(index_t n) : values_(n), row_of_(n, -1) {}
  void begin(index_t row) { row_ = row; }

  template <class Make>
  double get(index_t l, Make&& make) {
    if (row_of_[l] != row_) {
      values_[l] = make();
      row_of_[l] = row_;
    }
    return values_[l];
  }

 private:
  index_t row_ = -1;
  std::vector<double> values_;
  std::vector<index_t> row_of_;
};

struct Worker {
  explicit Worker(index_t n) : products(rows_at_a_time(n) * n), order(n), ranks(n), distances(n) {}
  std::vector<double> products;
  RowOrder order;
  RowCache ranks, distances;
};

class Counter {
 public:
  Counter(const Embedding& X, const Run& run)
      : X_(X), set_(centered<double>(X, run)), error_(product_error<double>(X.n_features)) {
    largest_norm2_ = *std::max_element(set_.squared_norms.begin(), set_.squared_norms.end());
  }

  void multiply(index_t start, index_t stop, double* products) const {
    const index_t d = X_.n_features, n = X_.n_samples;
    blas::gemm_nt(stop - start, n, d, set_.row(start), d, set_.row(0), d, products, n);
  }

  // From products a_i.a_l to keys |a_l|^2 / 2 - a_i.a_l, which order l as the distances do.
  void start_row(index_t i, double* products, Worker& worker) const {
    for (index_t l = 0; l < X_.n_samples; ++l) {
      products[l] = 0.5 * set_.squared_norms[l] - products[l];
    }
    worker.order.assign(products, i);
    worker.ranks.begin(i);
    worker.distances.begin(i);
  }

  double rank(index_t i, index_t j, const double* keys, Worker& worker) const {
    return worker.ranks.get(j, [&] {
      // Keys further apart than this are in the order of the distances, whose own rounding it
      // covers too: they are summed in eight lanes (exact.cpp), not in one chain of d.
      const double reach = 2.0 * error_ * (largest_norm2_ + set_.squared_norms[i]);
      index_t less = 0, ties = 0;
      less += worker.order.below(keys[j] - reach, keys[j] + reach, [&](index_t l) {
        if (l == j) return;
        const double to_l = distance(i, l, worker), to_j = distance(i, j, worker);
        less += to_l < to_j;
        ties += to_l == to_j;
      });
      return 1.0 + static_cast<double>(less) + 0.5 * static_cast<double>(ties);
    });
  }

 private:
  double distance(index_t i, index_t l, Worker& worker) const {
    return worker.distances.get(l, [&] { return squared_distance(X_, i, l); });
  }

  const Embedding& X_;
  Centered<double> set_;
  double error_, largest_norm2_;
};

}  // namespace

void rank_counts(const Embedding& X, const std::vector<NeighborLists>& sources,
                 const std::vector<index_t>& ks, const Run& run, double* rank_sums) {
  const index_t n = X.n_samples, n_ks = static_cast<index_t>(ks.size());
  assert(n_ks > 0 && std::is_sorted(ks.begin(), ks.end()));
  const Counter counter(X, run);
  const index_t block = rows_at_a_time(n);
  std::vector<std::unique_ptr<Worker>> workers(run.n_threads);

  parallel_for((n + block - 1) / block, run, [&](index_t task, int worker_id) {
    auto& worker = workers[worker_id];
    if (!worker) worker = std::make_unique<Worker>(n);
    const index_t start = task * block, stop = std::min(n, start + block);
    counter.multiply(start, stop, worker->products.data());
    for (index_t i = start; i < stop; ++i) {
      double* keys = worker->products.data() + (i - start) * n;
      counter.start_row(i, keys, *worker);
      for (std::size_t s = 0; s < sources.size(); ++s) {
        const index_t* neighbors = sources[s].row(i);
        double* out = rank_sums + (static_cast<index_t>(s) * n + i) * n_ks;
        double sum = 0.0;
        index_t seen = 0;
        for (index_t q = 0; q < n_ks; ++q) {
          for (; seen < ks[q]; ++seen) sum += counter.rank(i, neighbors[seen], keys, *worker);
          out[q] = sum;
        }
      }
    }
  });
}

index_t rank_counts_bytes(index_t n_samples, index_t n_features, int n_threads) {
  const index_t row = rows_at_a_time(n_samples) * 8 + 4 * 5 + 32;
  return n_samples * (n_features * 8 + 8) + n_threads * n_samples * row;
}

}  // namespace consilience
