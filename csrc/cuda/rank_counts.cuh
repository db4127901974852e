// rank_counts on a GPU; CPU twin: cpu/rank_rows.cpp. Up to 2,048 samples: a sort of each row's
// exact keys in shared memory. Above, from tiles of products: a few entries of a row are sorted by
// their exact keys and its samples told apart from them; for many, all are laid out in classes.
// Differences settle what bounds leave open.
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

// What products may be wrong by, given |x_i|^2 and the square they tell, rounding of differences
// included: (1.1 d + 40) 2^-53 (|x_i|^2 + |x_j|^2), |x_j|^2 <= 2 |x_i|^2 + 2 |x_i - x_j|^2.
__device__ __forceinline__ double square_error(index_t d, double norm, double square) {
  const double share = (2.0 * static_cast<double>(d) + 128.0) * 1.1102230246251565e-16;
  return share * (3.0 * norm + 2.0 * fmax(square, 0.0));
}

// listed[r, e] = the doubled rank of entry e of row r of the stripe, samples[r] or first + r, from
// products[r, j] = -2 x_i.x_j. A block per row, of at most 2,048 entries: steps[q] counts those
// that come before query q and not before q - 1, ties at the first and after the last of equal
// ones. Bytes of shared memory: 16 for each of 2,048, 16 for their table of twice as many.
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
  for (int t = thread; t < kSlots; t += n_threads) slots[t] = -1;
  for (int t = thread; t < kQueries; t += n_threads) {
    steps[t] = 0;
    keys[t] = infinity();
    queries[t] = static_cast<int>(n);
  }
  if (thread == 0) n_found = 0;
  __syncthreads();
  for (int e = thread; e < lists.total(); e += n_threads) {
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
  for (int e = thread; e < lists.total(); e += n_threads) {
    const int place = places[find_slot(slots, lists.sample(first + r, e))];
    listed[r * lists.total() + e] = 1 + steps[place];
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
static_assert(kClasses > (kSplitters + 1) * kClassParts, "a class has a place, and a next one");

// Classes of a row's squares: which bounds a square lies between, and in which of 16 equal parts
// from one to the next. No square is in an earlier class than a smaller one.
struct RowClasses {
  const double* bounds;  // an end, splitters, the other end

  __device__ __forceinline__ int splitters_up_to(double square) const {
    return count_up_to(bounds + 1, kSplitters, square);
  }
  __device__ __forceinline__ int after(int above, double square) const {
    const double from = bounds[above], to = bounds[above + 1];
    const double part = kClassParts * ((square - from) / (to - from));
    // A part that is no number is of an interval of no width.
    const int inner = part >= 0.0 ? static_cast<int>(fmin(part, kClassParts - 1.0)) : 0;
    return above * kClassParts + inner;
  }
  __device__ __forceinline__ int of(double square) const {
    return after(splitters_up_to(square), square);
  }
};

// Places [start, stop) of a row laid out by classes: those of classes first to last.
struct Reach {
  int first, last, start, stop;
};

// Whom products may not tell from a key, their own or that of differences: within 3 errors.
__device__ __forceinline__ Reach reach_of(const RowClasses& classes, const int* stops, double key,
                                          double error) {
  const double from = key - 5.0 * error, to = key + 5.0 * error;
  const int above = classes.splitters_up_to(from);
  const bool apart = above < kSplitters && classes.bounds[above + 1] <= to;
  const int first = classes.after(above, from);
  const int last = apart ? classes.of(to) : classes.after(above, to);
  return {first, last, first > 0 ? stops[first - 1] : 0, stops[last]};
}

// Splitters from a sample of the row's squares, less what products may be wrong by: ties are in one
// class. Ends, beyond which squares are in the first class or the last, are as far from the first
// and last splitter as the 16th from there. `places` has room for all. Called by the whole block.
template <class SquareAt>
__device__ __forceinline__ void bound_classes(const SquareAt& square_at, index_t n, index_t d,
                                              index_t i, double own_norm, double* bounds,
                                              int* places) {
  double* splitters = bounds + 1;
  for (int s = threadIdx.x; s < kSplitters; s += kClassThreads) {
    // Anywhere in the s-th stretch of rows: rows may repeat with a period.
    const index_t within = static_cast<unsigned>(s) * 2654435761u >> 16;
    const index_t j = ((static_cast<index_t>(s) << 16) + within) * n / (kSplitters << 16);
    const double square = square_at(j != i ? j : (j + 1) % n);
    splitters[s] = square - 3.0 * square_error(d, own_norm, square);
    places[s] = s;
  }
  bitonic_sort(splitters, places, kSplitters);
  if (threadIdx.x == 0) {
    bounds[0] = 2.0 * splitters[0] - splitters[16];
    bounds[kSplitters + 1] = 2.0 * splitters[kSplitters - 1] - splitters[kSplitters - 17];
  }
}

// A row laid out class by class: keys and samples by place, and places, or first classes, by
// sample. stops[c] = where class c ends
struct LaidOut {
  double* keys;
  index_t n;
  int* stops;

  __device__ __forceinline__ int* samples() const { return reinterpret_cast<int*>(keys + n); }
  __device__ __forceinline__ int* places() const { return samples() + n; }
};
constexpr int kTogether = 4;  // of a thread's samples: memory is far

// Classes into `places`, and how many samples each has into `stops`.
template <class SquareAt>
__device__ __forceinline__ void count_classes(const LaidOut& row, const RowClasses& classes,
                                              const SquareAt& square_at, index_t n, index_t i) {
  for (int base = threadIdx.x; base < n; base += kTogether * kClassThreads) {
    double squares[kTogether];
    for (int u = 0; u < kTogether; ++u) {
      const int j = base + u * kClassThreads;
      squares[u] = j < n ? square_at(j) : 0.0;
    }
    for (int u = 0; u < kTogether; ++u) {
      const int j = base + u * kClassThreads;
      if (j >= n || j == i) continue;
      const int own = classes.of(squares[u]);
      atomicAdd(&row.stops[own], 1);
      row.places()[j] = own;
    }
  }
}

// From classes in `places` and where each starts.
template <class SquareAt>
__device__ __forceinline__ void lay_out(const LaidOut& row, const SquareAt& square_at, index_t n,
                                        index_t i) {
  for (int base = threadIdx.x; base < n; base += kTogether * kClassThreads) {
    double squares[kTogether];
    int own[kTogether];
    for (int u = 0; u < kTogether; ++u) {
      const int j = base + u * kClassThreads;
      const bool there = j < n && j != i;
      squares[u] = there ? square_at(j) : 0.0;
      own[u] = there ? row.places()[j] : -1;
    }
    for (int u = 0; u < kTogether; ++u) {
      if (own[u] < 0) continue;
      const int j = base + u * kClassThreads;
      const int place = atomicAdd(&row.stops[own[u]], 1);
      row.keys[place] = squares[u];
      row.samples()[place] = j;
      row.places()[j] = place;
    }
  }
}

// Keys by differences for all samples of classes that have a bit in `open`; 32 samples of a class
// are a warp's turn.
__device__ __forceinline__ void judge_classes(const LaidOut& laid, const SquaresRow& row,
                                              const unsigned* open) {
  int turn = 0;
  for (int word = 0; word < kClasses / kWarp; ++word) {
    for (unsigned left = open[word]; left != 0; left &= left - 1) {
      const int own = word * kWarp + __ffs(static_cast<int>(left)) - 1;
      const int stop = laid.stops[own];
      for (int base = own > 0 ? laid.stops[own - 1] : 0; base < stop; base += kWarp) {
        if (turn++ % (kClassThreads / kWarp) != warp_index()) continue;
        const int at = base + lane_index();
        const double key =
            judged_square<3>(row, at < stop ? laid.samples()[at] : 0, 0.0, at < stop);
        if (at < stop) laid.keys[at] = key;
      }
    }
  }
}

// Lane by lane, keys whose ranks a warp has found: rows full of ties have few.
struct FoundRanks {
  double key;
  int doubled, next;
};

// Doubled ranks of lanes that ask, whose keys and those of all they might be confused with are of
// differences: the others may be compared as well. Called by whole warps.
__device__ __forceinline__ int rank_by_keys(const LaidOut& laid, double key, int start, int stop,
                                            bool asks, FoundRanks& found) {
  int doubled = 0;
  for (unsigned left = __ballot_sync(kAllLanes, asks); left != 0;) {
    const int leader = __ffs(static_cast<int>(left)) - 1;
    const double told = __shfl_sync(kAllLanes, key, leader);
    const unsigned knows = __ballot_sync(kAllLanes, found.key == told);
    int answer;
    if (knows != 0) {
      answer = __shfl_sync(kAllLanes, found.doubled, __ffs(static_cast<int>(knows)) - 1);
    } else {
      const int from = __shfl_sync(kAllLanes, start, leader);
      const int to = __shfl_sync(kAllLanes, stop, leader);
      int sum = 0;
      for (int at = from + lane_index(); at < to; at += kWarp) {
        const double other = laid.keys[at];
        sum += (other < told ? 1 : 0) + (other <= told ? 1 : 0);
      }
      answer = 1 + 2 * from + __shfl_sync(kAllLanes, warp_sum(sum), 0);
      if (lane_index() == found.next) {
        found.key = told;
        found.doubled = answer;
      }
      found.next = (found.next + 1) % kWarp;
    }
    const bool settled = asks && (key == told || lane_index() == leader);
    if (settled) doubled = answer;
    left &= ~__ballot_sync(kAllLanes, settled);
  }
  return doubled;
}

// listed[r, e] as in rank_listed, if there are lists; ranks[r, j], if wanted, the mean rank of
// those in the class of j, 0 for the row itself. From products[r, j] = -2 x_i.x_j; a block of 512
// per row. An entry is held against its class and those next to it that its error reaches, all of
// which are judged by differences if that does not tell. laid_out: (n_rows, n) of 16 bytes. Bytes
// of shared memory: 8 for each splitter and two more, 4 for each class and a bit.
extern "C" __global__ void __launch_bounds__(kClassThreads, 2)
    rank_classes(const double* products, const void* X, index_t n, index_t d, index_t is_double,
                 const double* norms, const index_t* samples, index_t first, const index_t* told,
                 index_t n_lists, index_t k, double* laid_out, int* listed, float* ranks) {
  CONSILIENCE_DYNAMIC_SHARED(room);
  auto* bounds = reinterpret_cast<double*>(room);
  auto* starts = reinterpret_cast<int*>(bounds + kSplitters + 2);
  auto* open = reinterpret_cast<unsigned*>(starts + kClasses);
  __shared__ int scratch[kClassThreads / kWarp], any_open;
  const index_t r = blockIdx.x, i = samples ? samples[first + r] : first + r;
  const double own_norm = norms[i];
  const double* own_products = products + r * n;
  const auto square_at = [&](index_t j) { return own_norm + norms[j] + own_products[j]; };
  const int thread = threadIdx.x;
  const LaidOut laid = {laid_out + 2 * r * n, n, starts};

  bound_classes(square_at, n, d, i, own_norm, bounds, starts);
  const RowClasses classes = {bounds};
  for (int c = thread; c < kClasses; c += kClassThreads) starts[c] = 0;
  for (int word = thread; word < kClasses / kWarp; word += kClassThreads) open[word] = 0;
  if (thread == 0) any_open = 0;
  __syncthreads();
  count_classes(laid, classes, square_at, n, i);
  __syncthreads();
  int sum = 0, all;
  for (int u = 0; u < kClassesEach; ++u) sum += starts[thread * kClassesEach + u];
  int before = block_prefix(sum, scratch, &all);
  for (int u = 0; u < kClassesEach; ++u) {
    const int count = starts[thread * kClassesEach + u];
    starts[thread * kClassesEach + u] = before;
    before += count;
  }
  __syncthreads();
  for (int j = thread; ranks && j < n; j += kClassThreads) {
    const int own = j == i ? 0 : laid.places()[j];
    const int doubled = starts[own] + 1 + starts[own + 1];
    ranks[r * n + j] = j == i ? 0.0f : 0.5f * static_cast<float>(doubled);
  }
  if (n_lists == 0) return;  // with its whole block
  __syncthreads();
  lay_out(laid, square_at, n, i);
  __syncthreads();

  const Lists lists = {told, n_lists, k};
  int* out = listed + r * lists.total();
  const int crowd = 64 + 16 * static_cast<int>(n / kClasses);
  for (int e = thread; e < lists.total(); e += kClassThreads) {
    const int j = lists.sample(first + r, e);
    int doubled = 0;
    if (j != i) {
      const double key = laid.keys[laid.places()[j]], error = square_error(d, own_norm, key);
      const Reach reach = reach_of(classes, starts, key, error);
      const double from = key - 3.0 * error, to = key + 3.0 * error;
      int below = 0, within = reach.stop - reach.start > crowd ? 2 : 0;
      for (int at = reach.start; at < reach.stop && within < 2; ++at) {
        const double other = laid.keys[at];
        below += other < from ? 1 : 0;
        within += other >= from && other <= to ? 1 : 0;
      }
      if (within == 1) {
        doubled = 2 * (1 + reach.start + below);
      } else {
        for (int c = reach.first; c <= reach.last; ++c) {
          atomicOr(&open[c / kWarp], 1u << c % kWarp);
        }
        any_open = 1;
      }
    }
    out[e] = doubled;
  }
  __syncthreads();
  if (any_open == 0) return;  // with its whole block

  const SquaresRow row = {X, d, is_double, norms, i};
  judge_classes(laid, row, open);
  __syncthreads();
  FoundRanks found = {-1.0, 0, 0};
  for (int base = 0; base < lists.total(); base += kClassThreads) {
    const int e = base + thread;
    const int j = e < lists.total() && out[e] == 0 ? lists.sample(first + r, e) : -1;
    const bool asks = j >= 0 && j != i;
    const double key = asks ? laid.keys[laid.places()[j]] : 0.0;
    const Reach reach = reach_of(classes, starts, key, square_error(d, own_norm, key));
    const int doubled = rank_by_keys(laid, key, reach.start, reach.stop, asks, found);
    if (asks) out[e] = doubled;
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
