// Draws of all pairs of graphs at once on a GPU. A sample's lists in all graphs are united: its
// different entries, and the edges that lead to each. Under a draw the united list of i,
// relabelled, meets that of q(i): 4 bytes read in order, 4 gathered and a bit of shared memory
// probed per entry, whatever the number of pairs; only entries in both are looked up. CPU twin:
// cpu/mantel.cpp.
#pragma once

#include "common.cuh"
#include "fixed_sums.cuh"
#include "graph_terms.cuh"

// An edge of a united list: which graph's, and its place in the list there.
constexpr int kPlaceBits = 24;

// Ascending; size is a power of two. Called by the whole block.
__device__ __forceinline__ void sort_keys(unsigned long long* keys, int size) {
  for (int run = 2; run <= size; run *= 2) {
    for (int stride = run / 2; stride > 0; stride /= 2) {
      __syncthreads();
      for (int t = threadIdx.x; t < size / 2; t += blockDim.x) {
        const int a = 2 * t - (t & (stride - 1)), b = a + stride;
        const unsigned long long low = keys[a], high = keys[b];
        if ((low > high) == ((a & run) == 0)) {
          keys[a] = high;
          keys[b] = low;
        }
      }
    }
  }
  __syncthreads();
}

// A block unites the lists of row i: counts[i] entries, ascending, starts[i, u] where the edges of
// the u-th begin in edges[i]. lists, places: of each graph, as sort_lists leaves them; graph g's
// lists are firsts[g + 1] - firsts[g] long. (n, width), width = firsts[n_graphs] <= size.
extern "C" __global__ void __launch_bounds__(256)
    unite_lists(const int* const* lists, const int* const* places, const index_t* firsts,
                index_t n_graphs, index_t size, int* entries, int* starts, unsigned* edges,
                int* counts) {
  CONSILIENCE_DYNAMIC_SHARED(shared);
  __shared__ int scratch[8];
  auto* keys = reinterpret_cast<unsigned long long*>(shared);
  const index_t i = blockIdx.x;
  const int width = static_cast<int>(firsts[n_graphs]), threads = static_cast<int>(blockDim.x);
  for (index_t g = warp_index(); g < n_graphs; g += threads / kWarp) {
    const index_t k = firsts[g + 1] - firsts[g];
    for (index_t s = lane_index(); s < k; s += kWarp) {
      const auto entry = static_cast<unsigned long long>(lists[g][i * k + s]);
      const auto edge = static_cast<unsigned long long>(g << kPlaceBits | places[g][i * k + s]);
      keys[firsts[g] + s] = entry << 32 | edge;
    }
  }
  for (index_t t = width + static_cast<index_t>(threadIdx.x); t < size; t += threads) {
    keys[t] = ~0ull;
  }
  sort_keys(keys, static_cast<int>(size));
  int count = 0;
  for (int first = 0; first < width; first += threads) {
    const int t = first + static_cast<int>(threadIdx.x);
    const bool inside = t < width;
    const bool differs = inside && (t == 0 || keys[t] >> 32 != keys[t - 1] >> 32);
    int found;
    const int at = count + block_prefix(differs, scratch, &found);
    if (differs) {
      entries[i * width + at] = static_cast<int>(keys[t] >> 32);
      starts[i * width + at] = t;
    }
    if (inside) edges[i * width + t] = static_cast<unsigned>(keys[t]);
    count += found;
  }
  if (threadIdx.x == 0) counts[i] = count;
}

extern "C" __global__ void __launch_bounds__(256)
    invert_permutations(const int* q, index_t n, index_t n_draws, int* inverse) {
  const index_t at = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= n * n_draws) return;
  inverse[at - at % n + q[at]] = static_cast<int>(at % n);
}

struct UnitedLists {
  const int *entries, *starts;
  const unsigned* edges;
  const int* counts;
  index_t width;

  __device__ __forceinline__ int start(index_t row, int u) const {
    return u < counts[row] ? starts[row * width + u] : static_cast<int>(width);
  }
};

// What edges weigh: of each graph, values (null: 1), what scales them to 1 at most, and k.
struct EdgeWeights {
  const double* const* values;
  const double* scales;
  const index_t* firsts;

  __device__ __forceinline__ double operator()(index_t row, unsigned edge) const {
    const unsigned g = edge >> kPlaceBits, place = edge & ((1u << kPlaceBits) - 1);
    if (!values[g]) return 1.0;
    return values[g][row * (firsts[g + 1] - firsts[g]) + place] * scales[g];
  }
};

// An entry of row i whose relabelled one may be among those of q(i).
struct Met {
  int draw, entry, to;
};

constexpr int kMantelWarps = 8;
// Entries that a lane has under way at a time.
constexpr int kProbes = 4;

// sums: of each pair and draw, in fixed point, (kFixedParts, n_pairs, n_draws);
// pair_of: (n_graphs, n_graphs), -1 where a pair is not wanted. A block takes row r = q(i) for all
// draws, a warp each draw; its entries set bits of a filter of n_bits, a power of two.
extern "C" __global__ void __launch_bounds__(kMantelWarps* kWarp)
    mantel_draws(const int* entries, const int* starts, const unsigned* edges, const int* counts,
                 index_t n, index_t width, const int* q, const int* inverse, index_t n_draws,
                 const double* const* values, const double* scales, const index_t* firsts,
                 index_t n_graphs, const int* pair_of, index_t n_bits, double unit,
                 unsigned long long* sums, index_t n_sums) {
  CONSILIENCE_DYNAMIC_SHARED(shared);
  __shared__ Met queues[kMantelWarps][(kProbes + 1) * kWarp];
  auto* filter = reinterpret_cast<unsigned*>(shared);
  const UnitedLists lists = {entries, starts, edges, counts, width};
  const EdgeWeights weight = {values, scales, firsts};
  const index_t r = blockIdx.x;
  const int own_count = counts[r], lane = lane_index();
  const int* own = entries + r * width;
  const auto mask = static_cast<unsigned>(n_bits - 1);
  for (unsigned word = threadIdx.x; word < n_bits / 32; word += blockDim.x) filter[word] = 0;
  __syncthreads();
  for (int u = threadIdx.x; u < own_count; u += blockDim.x) {
    const unsigned bit = static_cast<unsigned>(own[u]) & mask;
    atomicOr(filter + bit / 32, 1u << bit % 32);
  }
  __syncthreads();

  const auto look_up = [&](const Met& met) {
    const int at = place_in(own, own_count, met.to);
    if (at < 0) return;
    const index_t i = inverse[met.draw * n + r];
    const int stop_x = lists.start(i, met.entry + 1), stop_y = lists.start(r, at + 1);
    for (int s = lists.start(i, met.entry); s < stop_x; ++s) {
      const unsigned edge_x = edges[i * width + s];
      const double e = weight(i, edge_x);
      for (int t = lists.start(r, at); t < stop_y; ++t) {
        const unsigned edge_y = edges[r * width + t];
        const int pair = pair_of[(edge_x >> kPlaceBits) * n_graphs + (edge_y >> kPlaceBits)];
        if (pair < 0) continue;
        add_fixed(sums + pair * n_draws + met.draw, n_sums, e * weight(r, edge_y), unit);
      }
    }
  };

  // What is met waits until a warp is full of it.
  Met* queue = queues[warp_index()];
  int waiting = 0;
  for (index_t p = warp_index(); p < n_draws; p += kMantelWarps) {
    const index_t i = inverse[p * n + r];
    const int* other = entries + i * width;
    const int *relabel = q + p * n, count = counts[i];
    for (int first = 0; first < count; first += kProbes * kWarp) {
      int to[kProbes];
#pragma unroll
      for (int c = 0; c < kProbes; ++c) {
        const int u = first + c * kWarp + lane;
        to[c] = u < count ? other[u] : -1;
      }
#pragma unroll
      for (int c = 0; c < kProbes; ++c) to[c] = to[c] >= 0 ? relabel[to[c]] : -1;
#pragma unroll
      for (int c = 0; c < kProbes; ++c) {
        if (first + c * kWarp >= count) break;
        const unsigned bit = static_cast<unsigned>(to[c]) & mask;
        const bool met = to[c] >= 0 && (filter[bit / 32] >> bit % 32 & 1);
        const unsigned votes = __ballot_sync(kAllLanes, met);
        if (met) {
          queue[waiting + __popc(votes & ((1u << lane) - 1))] = {static_cast<int>(p),
                                                                 first + c * kWarp + lane, to[c]};
        }
        waiting += __popc(votes);
      }
      __syncwarp();
      for (; waiting >= kWarp; waiting -= kWarp) look_up(queue[waiting - kWarp + lane]);
      __syncwarp();
    }
  }
  if (lane < waiting) look_up(queue[lane]);
}
