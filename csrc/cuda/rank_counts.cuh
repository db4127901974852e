// rank_counts on a GPU; CPU twin: cpu/rank_rows.cpp. Up to 2,048 samples: a sort of each row's
// exact keys in shared memory. Above: a row's queries are sorted by their exact keys, and each
// entry of its tile, 8 bytes, is told apart from them by its bound, or else by differences.
#pragma once

#include "squares.cuh"

constexpr int kSortedRow = 2048;

// ranks[r, j] = 1 + number of smaller keys[r, :] + half of the equal others; 0 for the row itself,
// whose key is infinite. A block per row of at most 2,048.
extern "C" __global__ void __launch_bounds__(256)
    rank_rows(const double* keys, index_t n, float* ranks) {
  __shared__ double sorted[kSortedRow];
  __shared__ int places[kSortedRow];
  const int count = static_cast<int>(n), room = power_of_two_from(count);
  for (int t = threadIdx.x; t < room; t += blockDim.x) {
    sorted[t] = t < count ? keys[blockIdx.x * n + t] : infinity();
    places[t] = t;
  }
  bitonic_sort(sorted, places, room);
  for (int t = threadIdx.x; t < count; t += blockDim.x) {
    const int below = count_below(sorted, room, sorted[t]);
    const int ties = count_up_to(sorted, room, sorted[t]) - below - 1;
    const float rank = 1.0f + static_cast<float>(below) + 0.5f * static_cast<float>(ties);
    ranks[blockIdx.x * n + places[t]] = t == count - 1 ? 0.0f : rank;
  }
}

// Lists of neighbours: an address and a length each. Entry e of row r counts through the first k of
// each list.
struct Lists {
  const index_t* told;
  index_t n_lists, k;

  __device__ int total() const { return static_cast<int>(n_lists * k); }
  __device__ int sample(index_t row, int e) const {
    const index_t* list = told + 2 * (e / static_cast<int>(k));
    return static_cast<int>(
        reinterpret_cast<const index_t*>(list[0])[row * list[1] + e % static_cast<int>(k)]);
  }
};

// listed[r, e] = the doubled rank of entry e of row first + r, from all ranks.
extern "C" __global__ void __launch_bounds__(256)
    gather_ranks(const float* ranks, index_t n, const index_t* told, index_t n_lists, index_t k,
                 index_t first, int* listed) {
  const Lists lists = {told, n_lists, k};
  const index_t r = blockIdx.x;
  for (int e = threadIdx.x; e < lists.total(); e += blockDim.x) {
    const float rank = ranks[r * n + lists.sample(first + r, e)];
    listed[r * lists.total() + e] = static_cast<int>(2.0f * rank);
  }
}

constexpr int kQueries = 2048, kLog2Slots = 12, kSlots = 1 << kLog2Slots;

// Where a sample is in a table of those that differ, or a free slot.
__device__ __forceinline__ int slot_of(int sample) {
  return static_cast<int>(static_cast<unsigned>(sample) * 2654435761u >> (32 - kLog2Slots));
}
__device__ __forceinline__ int find_slot(const int* slots, int sample) {
  int slot = slot_of(sample);
  while (slots[slot] != sample && slots[slot] != -1) slot = (slot + 1) % kSlots;
  return slot;
}

// What products may be wrong by, given |x_i|^2 and the square they tell: (1.1 d + 40) 2^-53
// (|x_i|^2
// + |x_j|^2), rounding of differences included, as |x_j|^2 <= 2 |x_i|^2 + 2 |x_i - x_j|^2.
__device__ __forceinline__ double square_error(index_t d, double norm, double square) {
  const double share = (2.0 * static_cast<double>(d) + 128.0) * 1.1102230246251565e-16;
  return share * (3.0 * norm + 2.0 * fmax(square, 0.0));
}

// listed[r, e] = the doubled rank of entry e of row r of the stripe, samples[r] or first + r, from
// products[r, j] = -2 x_i.x_j. A block per row, 2,048 entries at a time: steps[q] counts those that
// come before query q and not before q - 1, ties at the first and after the last of equal ones.
// Bytes of shared memory: 16 for each entry at a time, 16 for their table of twice as many.
extern "C" __global__ void __launch_bounds__(256, 3)
    rank_listed(const double* products, const void* X, index_t n, index_t d, index_t is_double,
                const double* norms, const index_t* samples, index_t first, const index_t* told,
                index_t n_lists, index_t k, int* listed) {
  CONSILIENCE_DYNAMIC_SHARED(room);
  auto* keys = reinterpret_cast<double*>(room);
  auto* queries = reinterpret_cast<int*>(keys + kQueries);
  int *steps = queries + kQueries, *slots = steps + kQueries, *places = slots + kSlots;
  __shared__ int n_found, scratch[256 / kWarp];
  const Lists lists = {told, n_lists, k};
  const index_t r = blockIdx.x, i = samples ? samples[first + r] : first + r;
  const SquaresRow row = {X, d, is_double, norms, i};
  const double own_norm = norms[i];
  const int n_warps = blockDim.x / kWarp, n_threads = blockDim.x, thread = threadIdx.x;
  for (int start = 0; start < lists.total(); start += kQueries) {
    const int stop = min(start + kQueries, lists.total());
    __syncthreads();
    for (int t = thread; t < kSlots; t += n_threads) slots[t] = -1;
    for (int t = thread; t < kQueries; t += n_threads) {
      steps[t] = 0;
      keys[t] = infinity();
      queries[t] = static_cast<int>(n);
    }
    if (thread == 0) n_found = 0;
    __syncthreads();
    for (int e = start + thread; e < stop; e += n_threads) {
      const int j = lists.sample(first + r, e);
      for (int slot = slot_of(j);; slot = (slot + 1) % kSlots) {
        const int old = atomicCAS(&slots[slot], -1, j);
        if (old == -1) queries[atomicAdd(&n_found, 1)] = j;
        if (old == -1 || old == j) break;
      }
    }
    __syncthreads();
    const int count = n_found;
    for (int q = warp_index() * kWarp; q < count; q += n_warps * kWarp) {
      const int own = q + lane_index();
      const bool asks = own < count;
      const double key = judged_square(row, asks ? queries[own] : 0, 0.0, asks);
      if (asks) keys[own] = key;
    }
    bitonic_sort(keys, queries, power_of_two_from(count));
    for (int q = thread; q < count; q += n_threads) places[find_slot(slots, queries[q])] = q;
    __syncthreads();

    const double last = keys[count - 1];
    for (index_t base = 0; base < n; base += n_threads) {
      const index_t j = base + thread;
      const double square = j < n ? own_norm + norms[j] + products[r * n + j] : infinity();
      const double error = square_error(d, own_norm, square);
      // Whoever is beyond all queries is before none: the usual case.
      const bool before = j < n && j != i && square - error <= last;
      int low = 0, high = 0;
      double key = 0.0;
      bool open = false, asks = false;
      if (before) {
        low = count_below(keys, count, square - error);
        open = low < count && keys[low] <= square + error;
        high = low;
        if (open) {
          const int slot = find_slot(slots, static_cast<int>(j));
          asks = slots[slot] == -1;
          if (!asks) key = keys[places[slot]];
        }
      }
      if (!__any_sync(kAllLanes, before)) continue;
      key = judged_square(row, j, key, asks);
      if (open) {
        low = count_below(keys, count, key);
        high = count_up_to(keys, count, key);
      }
      if (before && low < count) atomicAdd(&steps[low], 1);
      if (before && high < count) atomicAdd(&steps[high], 1);
    }
    __syncthreads();

    constexpr int kEach = kQueries / 256;
    int sum = 0, all;
    for (int u = 0; u < kEach; ++u) sum += steps[thread * kEach + u];
    int until = block_prefix(sum, scratch, &all);
    for (int u = 0; u < kEach; ++u) {
      until += steps[thread * kEach + u];
      steps[thread * kEach + u] = until;
    }
    __syncthreads();
    // Twice those nearer, once those as near, the query itself being one.
    for (int e = start + thread; e < stop; e += n_threads) {
      const int place = places[find_slot(slots, lists.sample(first + r, e))];
      listed[r * lists.total() + e] = 1 + steps[place];
    }
  }
}

// sums[s, r, q] = the ranks of the first ks[q] entries of list s of row r. A thread per list.
extern "C" __global__ void __launch_bounds__(256)
    sum_listed(const int* listed, index_t n_lists, index_t k, index_t n_rows, const index_t* ks,
               index_t n_ks, double* sums) {
  const index_t at = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= n_lists * n_rows) return;
  const index_t r = at / n_lists, s = at % n_lists;
  index_t sum = 0, seen = 0;
  for (index_t q = 0; q < n_ks; ++q) {
    for (; seen < ks[q]; ++seen) sum += listed[at * k + seen];
    sums[(s * n_rows + r) * n_ks + q] = 0.5 * static_cast<double>(sum);
  }
}

constexpr int kSplitters = 1024, kClassParts = 16, kClassThreads = 512;
// The same odd number for each thread, so that their walks meet no bank twice.
constexpr int kClassesEach = 33, kClasses = kClassesEach * kClassThreads;
static_assert(kClasses >= (kSplitters + 1) * kClassParts, "every class has a place");

// Between which splitters a square lies, and in which of 16 equal parts from one to the next.
__device__ __forceinline__ int class_of(const double* splitters, double low, double high,
                                        double square) {
  const int above = count_up_to(splitters, kSplitters, square);
  const double from = above == 0 ? low : splitters[above - 1];
  const double next = above == kSplitters ? high : splitters[above], to = fmin(next, high);
  const double part = kClassParts * ((square - from) / (to - from));
  // A part that is no number is of an interval of no width.
  const int inner = part >= 0.0 ? static_cast<int>(fmin(part, kClassParts - 1.0)) : 0;
  return above * kClassParts + inner;
}

// ranks[r, j] = the mean rank of those in the class of j, 0 for the row itself. Classes lie between
// a sample of the row's squares, less what products may be wrong by: ties are in one.
// A block of 512 per row; bytes of shared memory: 12 for each splitter, 4 for each class.
extern "C" __global__ void __launch_bounds__(kClassThreads)
    rank_classes(const double* products, index_t n, index_t d, const double* norms, index_t first,
                 float* ranks) {
  CONSILIENCE_DYNAMIC_SHARED(room);
  auto* splitters = reinterpret_cast<double*>(room);
  auto* places = reinterpret_cast<int*>(splitters + kSplitters);
  int* counts = places + kSplitters;  // and then doubled mean ranks
  __shared__ double lowest[kClassThreads / kWarp], highest[kClassThreads / kWarp];
  __shared__ int scratch[kClassThreads / kWarp];
  const index_t i = first + blockIdx.x;
  const double own_norm = norms[i];
  const double* row = products + blockIdx.x * n;
  float* out = ranks + blockIdx.x * n;
  const int thread = threadIdx.x;
  const auto square_at = [&](index_t j) { return own_norm + norms[j] + row[j]; };

  for (int s = thread; s < kSplitters; s += kClassThreads) {
    // Anywhere in the s-th stretch of rows: rows may repeat with a period.
    const index_t within = static_cast<unsigned>(s) * 2654435761u >> 16;
    const index_t j = ((static_cast<index_t>(s) << 16) + within) * n / (kSplitters << 16);
    const double square = square_at(j);
    splitters[s] = j == i ? infinity() : square - 3.0 * square_error(d, own_norm, square);
    places[s] = s;
  }
  for (int c = thread; c < kClasses; c += kClassThreads) counts[c] = 0;
  double high = -infinity(), negative_low = -infinity();
  for (index_t j = thread; j < n; j += kClassThreads) {
    if (j == i) continue;
    const double square = square_at(j);
    high = fmax(high, square);
    negative_low = fmax(negative_low, -square);
  }
  high = warp_max(high);
  negative_low = warp_max(negative_low);
  if (lane_index() == 0) {
    highest[warp_index()] = high;
    lowest[warp_index()] = -negative_low;
  }
  bitonic_sort(splitters, places, kSplitters);
  double low = lowest[0];
  high = highest[0];
  for (int w = 1; w < kClassThreads / kWarp; ++w) {
    low = fmin(low, lowest[w]);
    high = fmax(high, highest[w]);
  }

  for (index_t j = thread; j < n; j += kClassThreads) {
    if (j == i) continue;
    const int own = class_of(splitters, low, high, square_at(j));
    atomicAdd(&counts[own], 1);
    out[j] = static_cast<float>(own);
  }
  __syncthreads();
  int sum = 0, all;
  for (int u = 0; u < kClassesEach; ++u) sum += counts[thread * kClassesEach + u];
  int before = block_prefix(sum, scratch, &all);
  for (int u = 0; u < kClassesEach; ++u) {
    const int count = counts[thread * kClassesEach + u];
    counts[thread * kClassesEach + u] = 2 * before + count + 1;
    before += count;
  }
  __syncthreads();
  for (index_t j = thread; j < n; j += kClassThreads) {
    out[j] = j == i ? 0.0f : 0.5f * static_cast<float>(counts[static_cast<int>(out[j])]);
  }
}

// columns[j] += sum_r ranks[r, j]; a thread per column.
extern "C" __global__ void __launch_bounds__(256)
    sum_rank_columns(const float* ranks, index_t n_rows, index_t n, double* columns) {
  const index_t j = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (j >= n) return;
  double sum = 0.0;
  for (index_t r = 0; r < n_rows; ++r) sum += static_cast<double>(ranks[r * n + j]);
  columns[j] += sum;
}

// squares[first + r] = sum_j ranks[r, j]^2; a block per row.
extern "C" __global__ void __launch_bounds__(256)
    sum_rank_squares(const float* ranks, index_t n, index_t first, double* squares) {
  __shared__ double scratch[256 / kWarp];
  double sum = 0.0;
  for (index_t j = threadIdx.x; j < n; j += blockDim.x) {
    const auto rank = static_cast<double>(ranks[blockIdx.x * n + j]);
    sum += rank * rank;
  }
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) squares[first + blockIdx.x] = sum;
}

// block[s, t] = ranks[sample[s] - first, sample[t]] for samples of this stripe; a block per s.
extern "C" __global__ void __launch_bounds__(256)
    sample_ranks(const float* ranks, index_t n_rows, index_t n, index_t first,
                 const index_t* sample, index_t n_sample, double* block) {
  const index_t r = sample[blockIdx.x] - first;
  if (r < 0 || r >= n_rows) return;  // with its whole block
  for (index_t t = threadIdx.x; t < n_sample; t += blockDim.x) {
    block[blockIdx.x * n_sample + t] = static_cast<double>(ranks[r * n + sample[t]]);
  }
}
