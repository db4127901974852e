// The k nearest rows. Products of rows rounded to halves leave few candidates a row, inside a bound
// that is proven; differences in float64 judge those. CPU twin: cpu/knn_exact.cpp,
// cpu/candidates.hpp.
//
// With u = scale (x - mean), a pair's key is, up to a constant of row i,
//   kappa_ij = beta_j - s u_i.u_j;   l2: s = 2, beta_j = |u_j|^2;   ip: s = 1, beta_j = -M.u_j, M =
// scale mean. A row is described by four floats,
//   (N_i, c_i, B_i, A_i):  |s h_i.h_j - s u_i.u_j| <= c_i N_j + N_i c_j, h what is multiplied;
//   B_j <= beta_j;  A_i: all j whose kappa_ij <= A_i are to be listed (docs/gpu.md).
// n^2 d / 2 products, 7 flops an entry, no entry leaves the chip.
#pragma once

#include "halves.cuh"
#include "key_groups.cuh"
#include "knn_groups.cuh"
#include "knn_lists.cuh"

constexpr int kTileRows = 128;     // of a block of 8 warps, 2 x 4
constexpr int kTileColumns = 128;  // two blocks a multiprocessor, one multiplies as the other lists
constexpr int kChunk = 32;         // features multiplied at a time, 64 bytes
constexpr int kStages = 4;         // chunks on their way
constexpr int kSharedBytes = kStages * (kTileRows + kTileColumns) * kChunk * 2;
static_assert(kTileRows == kBrickRows && kTileColumns == kBrickRows, "tiles are of whole bricks");

// Where 16 bytes of a row of a chunk lie, so that eight rows are read without bank conflicts.
__device__ __forceinline__ int swizzled(int row, int piece) {
  return row * kChunk + (piece ^ ((row >> 1) & 3)) * 8;
}

struct Tile {
  index_t row, column;  // of its first entry
};

// Rows in groups, so that blocks which run together share what they read.
__device__ __forceinline__ Tile tile_of(index_t block, index_t n_columns) {
  const index_t across = (n_columns + kTileColumns - 1) / kTileColumns;
  const index_t group = block / (across * kGroup), inside = block % (across * kGroup);
  return {(group * kGroup + inside % kGroup) * kTileRows, inside / kGroup * kTileColumns};
}

// Products of kTileRows rows of X and kTileColumns of Y, in fragments. kTerms = 1: h.h'. kTerms =
// 3: rows are [high | low], and low.high' + high.low' + high.high' are summed a chunk at a time,
// which keeps the error of sums below that of the rest.
template <int kTerms>
struct Product {
  static constexpr int kAcross = kTileColumns / 4 / 8;  // fragments of a warp, of 16 x 8
  float sums[4][kAcross][4];

  static constexpr int kStageHalves = (kTileRows + kTileColumns) * kChunk;

  __device__ __forceinline__ void load(unsigned short* stage, const unsigned short* X,
                                       const unsigned short* Y, index_t chunks, Tile tile,
                                       int chunk, int per_term) {
    const int term = kTerms == 1 ? 0 : chunk / per_term;
    const int at = kTerms == 1 ? chunk : chunk % per_term;
    const int at_x = at + (kTerms == 3 && term == 0 ? per_term : 0);
    const int at_y = at + (kTerms == 3 && term == 1 ? per_term : 0);
    const int piece = threadIdx.x % 4;
#pragma unroll
    for (int pass = 0; pass < (kTileRows + kTileColumns) / 64; ++pass) {
      const bool of_x = pass < kTileRows / 64;
      const int row = pass * 64 + threadIdx.x / 4, own = of_x ? row : row - kTileRows;
      const int part = of_x ? at_x : at_y;  // half a brick
      const index_t block = (of_x ? tile.row : tile.column) / kBrickRows;
      const unsigned short* brick = (of_x ? X : Y) + (block * chunks + part / 2) * kBrick;
      copy_async(stage + swizzled(row, piece), brick + in_brick(own, part % 2 * 4 + piece));
    }
  }

  __device__ __forceinline__ void multiply(const unsigned short* stage,
                                           float (&into)[4][kAcross][4]) {
    const int lane = lane_index();
    const int rows = warp_index() / 4 * 64,
              columns = kTileRows + warp_index() % 4 * (kTileColumns / 4);
#pragma unroll
    for (int step = 0; step < kChunk / 16; ++step) {
      unsigned a[4][4], b[kAcross / 2][4];
#pragma unroll
      for (int m = 0; m < 4; ++m) {
        load_matrices(a[m], stage + swizzled(rows + 16 * m + lane % 16, 2 * step + lane / 16));
      }
#pragma unroll
      for (int m = 0; m < kAcross / 2; ++m) {
        load_matrices(b[m], stage + swizzled(columns + 16 * m + lane / 16 * 8 + lane % 8,
                                             2 * step + lane / 8 % 2));
      }
#pragma unroll
      for (int m = 0; m < 4; ++m) {
#pragma unroll
        for (int p = 0; p < kAcross; ++p) {
          multiply_add(into[m][p], a[m], b[p / 2][p % 2 * 2], b[p / 2][p % 2 * 2 + 1]);
        }
      }
    }
  }

  __device__ __forceinline__ void run(unsigned short* shared, const unsigned short* X,
                                      const unsigned short* Y, index_t chunks, Tile tile) {
    const int halves = static_cast<int>(chunks) * (kBrickFeatures / kChunk);
    const int per_term = kTerms == 1 ? halves : halves / 2;
    const int n_chunks = per_term * kTerms;
#pragma unroll
    for (int m = 0; m < 4; ++m) {
#pragma unroll
      for (int p = 0; p < kAcross; ++p) {
#pragma unroll
        for (int r = 0; r < 4; ++r) sums[m][p][r] = 0.0f;
      }
    }
#pragma unroll
    for (int chunk = 0; chunk < kStages - 1; ++chunk) {
      if (chunk < n_chunks) {
        load(shared + chunk * kStageHalves, X, Y, chunks, tile, chunk, per_term);
      }
      copy_commit();
    }
    for (int chunk = 0; chunk < n_chunks; ++chunk) {
      copy_wait<kStages - 2>();
      __syncthreads();
      const int next = chunk + kStages - 1;
      if (next < n_chunks) {
        load(shared + next % kStages * kStageHalves, X, Y, chunks, tile, next, per_term);
      }
      copy_commit();
      const unsigned short* stage = shared + chunk % kStages * kStageHalves;
      if constexpr (kTerms == 1) {
        multiply(stage, sums);
      } else {
        float part[4][kAcross][4] = {};
        multiply(stage, part);
#pragma unroll
        for (int m = 0; m < 4; ++m) {
#pragma unroll
          for (int p = 0; p < kAcross; ++p) {
#pragma unroll
            for (int r = 0; r < 4; ++r) sums[m][p][r] += part[m][p][r];
          }
        }
      }
    }
  }

  // Where this thread's entries lie in the tile: entry (m, half, p, odd) is sums[m][p][2 half +
  // odd].
  __device__ __forceinline__ static int row(int m, int half) {
    return warp_index() / 4 * 64 + lane_index() / 4 + 16 * m + 8 * half;
  }
  __device__ __forceinline__ static int column(int p, int odd) {
    return warp_index() % 4 * (kTileColumns / 4) + lane_index() % 4 * 2 + 8 * p + odd;
  }
};

// CandidateLists the candidates of a tile.
template <int kTerms>
__device__ __forceinline__ void sweep(const Searched& of, const CandidateLists& lists) {
  unsigned char* raw = dynamic_shared();
  __shared__ Bounds rows[kTileRows], columns[kTileColumns];
  const Tile tile = tile_of(blockIdx.x, of.n_y);
  // The whole block ends where all of its pairs are met in another.
  if (tile.row >= of.n_x || (of.same && tile.column + kTileColumns - 1 <= tile.row)) return;
  const Bounds nobody = {0.0f, 0.0f, infinity_float(), -infinity_float()};
  for (int t = threadIdx.x; t < kTileRows + kTileColumns; t += blockDim.x) {
    if (t < kTileRows) {
      rows[t] = tile.row + t < of.n_x ? of.bounds_x[tile.row + t] : nobody;
    } else {
      const index_t j = tile.column + t - kTileRows;
      columns[t - kTileRows] = j < of.n_y ? of.bounds_y[j] : nobody;
    }
  }
  Product<kTerms> product;
  product.run(reinterpret_cast<unsigned short*>(raw), of.X, of.Y, of.chunks, tile);
  __syncthreads();  // no stage is read any more: each thread keeps a row's products there
  auto* kept = reinterpret_cast<float*>(raw) + threadIdx.x;
  constexpr int kOfRow = 2 * Product<kTerms>::kAcross;
#pragma unroll
  for (int m = 0; m < 4; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int r = product.row(m, half);
      const Bounds x = rows[r];
      unsigned for_x = 0, for_y = 0;
#pragma unroll
      for (int e = 0; e < kOfRow; ++e) {
        const Bounds y = columns[product.column(e / 2, e % 2)];
        const float most = most_of(of.s, product.sums[m][e / 2][2 * half + e % 2], x, y);
        if (most + x.reach >= y.offset) for_x |= 1u << e;
        if (of.same && most + y.reach >= x.offset) for_y |= 1u << e;
      }
      unsigned hits = for_x | for_y;
      if (hits == 0) continue;
#pragma unroll
      for (int e = 0; e < kOfRow; ++e) {
        kept[e * blockDim.x] = product.sums[m][e / 2][2 * half + e % 2];
      }
      for (; hits != 0; hits &= hits - 1) {
        const int e = __ffs(static_cast<int>(hits)) - 1;
        const int c = product.column(e / 2, e % 2);
        const index_t i = tile.row + r, j = tile.column + c;
        if (!of.meets(i, j)) continue;
        const float value = of.s * kept[e * blockDim.x];
        if (for_x >> e & 1u) lists.add(i, columns[c].offset - value, j);
        if (for_y >> e & 1u) lists.add(j, x.offset - value, i);
      }
    }
  }
}

extern "C" __global__ void __launch_bounds__(kWarpgroups ? kGroupThreads : 256, kWarpgroups ? 1 : 2)
    knn_sweep(const unsigned short* X, const Bounds* bounds_x, const index_t* ids, index_t n_x,
              const unsigned short* Y, const Bounds* bounds_y, index_t n_y, index_t chunks,
              double s, index_t same, Candidate* lists, int* counts, index_t capacity) {
  const Searched of = {
      X, bounds_x, ids, n_x, Y, bounds_y, n_y, chunks, static_cast<float>(s), same != 0};
  if (kWarpgroups) {
    sweep_by_groups(of, {lists, counts, capacity});
  } else {
    sweep<1>(of, {lists, counts, capacity});
  }
}

// How this device's knn_sweep and knn_keys want to be launched: threads, bytes of shared memory,
// and whether a block a multiprocessor takes one tile after another.
extern "C" __global__ void __launch_bounds__(32) knn_geometry(index_t* found) {
  static_assert(sizeof(KeyShared) <= sizeof(SweepShared), "the sweep's memory is enough for both");
  if (threadIdx.x != 0) return;
  found[0] = kWarpgroups ? kGroupThreads : 256;
  found[1] = kWarpgroups ? kGroupBytes<SweepShared> : kSharedBytes;
  found[2] = kWarpgroups;
}

extern "C" __global__ void __launch_bounds__(256, 1)
    knn_sweep_fine(const unsigned short* X, const Bounds* bounds_x, const index_t* ids, index_t n_x,
                   const unsigned short* Y, const Bounds* bounds_y, index_t n_y, index_t chunks,
                   double s, index_t same, Candidate* lists, int* counts, index_t capacity) {
  sweep<3>({X, bounds_x, ids, n_x, Y, bounds_y, n_y, chunks, static_cast<float>(s), same != 0},
           {lists, counts, capacity});
}

// keys[i, j] = B_j - s h_i.h_j of all pairs of X and Y, infinite for a row itself. (n_x, width),
// width >= n_y a multiple of eight: sectors of memory are written whole.
template <int kTerms>
__device__ __forceinline__ void write_keys(const Searched& of, const index_t* ids_y, float* keys,
                                           index_t width) {
  unsigned char* raw = dynamic_shared();
  const Tile tile = tile_of(blockIdx.x, of.n_y);
  if (tile.row >= of.n_x) return;
  Product<kTerms> product;
  product.run(reinterpret_cast<unsigned short*>(raw), of.X, of.Y, of.chunks, tile);
#pragma unroll
  for (int m = 0; m < 4; ++m) {
#pragma unroll
    for (int e = 0; e < 4 * Product<kTerms>::kAcross; ++e) {
      const index_t i = tile.row + product.row(m, e / 2 % 2);
      const index_t j = tile.column + product.column(e / 4, e % 2);
      if (i < of.n_x && j < of.n_y) {
        const bool itself = of.ids[i] == ids_y[j];
        const float value = of.bounds_y[j].offset - of.s * product.sums[m][e / 4][e % 4];
        keys[i * width + j] = itself ? infinity_float() : value;
      }
    }
  }
}

extern "C" __global__ void __launch_bounds__(kWarpgroups ? kGroupThreads : 256, kWarpgroups ? 1 : 2)
    knn_keys(const unsigned short* X, const index_t* ids_x, index_t n_x, const unsigned short* Y,
             const Bounds* bounds_y, const index_t* ids_y, index_t n_y, index_t chunks, double s,
             float* keys, index_t width) {
  const Searched of = {X,    nullptr, ids_x, n_x, Y, bounds_y, n_y, chunks, static_cast<float>(s),
                       false};
  if (kWarpgroups) {
    write_keys_by_groups(of, ids_y, keys, width);
  } else {
    write_keys<1>(of, ids_y, keys, width);
  }
}

extern "C" __global__ void __launch_bounds__(256, 1)
    knn_keys_fine(const unsigned short* X, const index_t* ids_x, index_t n_x,
                  const unsigned short* Y, const Bounds* bounds_y, const index_t* ids_y,
                  index_t n_y, index_t chunks, double s, float* keys, index_t width) {
  write_keys<3>({X, nullptr, ids_x, n_x, Y, bounds_y, n_y, chunks, static_cast<float>(s), false},
                ids_y, keys, width);
}

// The rank-th smallest (from 0) of what `get` gives, for all threads. In each pass the values left
// are counted in bins of equal width, so that they spread whatever their magnitude.
constexpr int kBins = 1024;

struct Selection {
  int counts[kBins];
  int scratch[kWarp];
  unsigned low, high;
  int left;
};

template <class Get>
__device__ __forceinline__ float nth_smallest(Get get, index_t count, int rank, Selection& shared) {
  if (threadIdx.x == 0) {
    shared.low = ~0u;
    shared.high = 0;
    shared.left = rank;
  }
  __syncthreads();
  unsigned low = ~0u, high = 0;
  for (index_t t = threadIdx.x; t < count; t += blockDim.x) {
    const unsigned bits = ordered(get(t));
    low = min(low, bits);
    if (bits != ordered(infinity_float())) high = max(high, bits);
  }
  low = ~warp_max(~low);
  high = warp_max(high);
  if (lane_index() == 0) {
    atomicMin(&shared.low, low);
    atomicMax(&shared.high, high);
  }
  __syncthreads();
  low = shared.low;
  int shift = 0;
  while (shared.high > low && (shared.high - low) >> shift >= kBins - 1u) ++shift;
  while (true) {
    for (int b = threadIdx.x; b < kBins; b += blockDim.x) shared.counts[b] = 0;
    __syncthreads();
    for (index_t t = threadIdx.x; t < count; t += blockDim.x) {
      const unsigned bits = ordered(get(t));
      // What lies beyond is in no bin, nor is infinity in the first pass.
      if (bits >= low) {
        const unsigned bin = (bits - low) >> shift;
        if (bin < kBins) atomicAdd(shared.counts + bin, 1);
      }
    }
    __syncthreads();
    const int own = kBins / static_cast<int>(blockDim.x) + (kBins % blockDim.x != 0);
    int sum = 0, total = 0;
    const int first = own * static_cast<int>(threadIdx.x);
    for (int b = first; b < min(first + own, kBins); ++b) sum += shared.counts[b];
    int before = block_prefix(sum, shared.scratch, &total);
    const int left = shared.left;
    __syncthreads();
    if (total <= left) return infinity_float();  // nothing else is left
    if (before <= left && left < before + sum) {
      int b = first;
      while (before + shared.counts[b] <= left) before += shared.counts[b++];
      shared.low = low + (static_cast<unsigned>(b) << shift);
      shared.left = left - before;
    }
    __syncthreads();
    low = shared.low;
    if (shift == 0) return unordered(low);
    shift = max(0, shift - 10);
  }
}

// A_i = the rank-th smallest key of row i; and how many keys lie within twice its error of that,
// which is about as many as a sweep would list. A block a row, whose keys are kept on the chip.
extern "C" __global__ void __launch_bounds__(1024)
    knn_reaches(const float* keys, index_t width, index_t n_keys, index_t rank, Bounds* bounds,
                int* within) {
  CONSILIENCE_DYNAMIC_SHARED(raw);
  __shared__ Selection selection;
  auto* own = reinterpret_cast<float*>(raw);
  for (index_t t = threadIdx.x; t < n_keys; t += blockDim.x) own[t] = keys[blockIdx.x * width + t];
  __syncthreads();
  const float reach =
      nth_smallest([&](index_t t) { return own[t]; }, n_keys, static_cast<int>(rank), selection);
  const Bounds of = bounds[blockIdx.x];
  const float blurred = reach + 2.0f * of.error * of.norm;
  int inside = 0;
  for (index_t t = threadIdx.x; t < n_keys; t += blockDim.x) inside += own[t] <= blurred;
  const int total = block_sum(inside, selection.scratch);
  if (threadIdx.x == 0) {
    bounds[blockIdx.x].reach = reach;
    within[blockIdx.x] = total;
  }
}

// Up to so many values, looking at all for each is faster than bins and than sorting.
constexpr int kLooked = 512;

// The place of value t among `count` in order, those of equal ones by what `before` says.
template <class Before>
__device__ __forceinline__ int place_of(int t, int count, Before before) {
  int place = 0;
  for (int other = 0; other < count; ++other) place += before(other, t);
  return place;
}

// What became of a row.
constexpr int kDone = 0, kTooMany = 1, kTooFew = 2;

// Judges the candidates of a row each: those that can be among the k nearest in float64. A row
// whose list ran over gets the reach that its listed ones prove; one whose reach was too short is
// told.
extern "C" __global__ void __launch_bounds__(128)
    knn_finish(const void* X, index_t d, index_t is_double, index_t products, double scale,
               const index_t* ids, Bounds* bounds_x, const Bounds* bounds_y, const float* slack,
               const double* constants, const Candidate* lists, const int* counts, index_t capacity,
               index_t k, index_t* indices, double* distances, int* states, int* judged) {
  unsigned char* raw = dynamic_shared();
  __shared__ Selection selection;
  __shared__ int survivors;
  __shared__ float kth_upper;
  auto* keys = reinterpret_cast<double*>(raw);  // (capacity), and with them
  auto* chosen = reinterpret_cast<int*>(keys + capacity);
  auto* upper = reinterpret_cast<float*>(chosen + capacity);
  const index_t q = blockIdx.x, i = ids[q];
  const Candidate* own = lists + q * capacity;
  const Bounds x = bounds_x[q];
  const int listed = counts[q];
  const int count = static_cast<int>(min(static_cast<index_t>(listed), capacity));
  if (threadIdx.x == 0) {
    states[q] = count < k ? kTooFew : listed > capacity ? kTooMany : kDone;
    judged[q] = 0;
    survivors = 0;
  }
  if (count < k) return;  // the whole block
  for (int t = threadIdx.x; t < count; t += blockDim.x) {
    const Bounds y = bounds_y[own[t].index];
    const float error = fmaf(x.error, y.norm, x.norm * y.error);
    upper[t] =
        own[t].key + 1.0001f * (error + 2.0f * slack[own[t].index]) + 4e-7f * fabsf(own[t].key);
  }
  __syncthreads();
  if (count <= kLooked) {
    for (int t = threadIdx.x; t < count; t += blockDim.x) {
      const int place = place_of(t, count, [&](int a, int b) {
        return upper[a] < upper[b] || (upper[a] == upper[b] && a < b);
      });
      if (place == k - 1) kth_upper = upper[t];
    }
    __syncthreads();
  }
  const float kth = count <= kLooked ? kth_upper
                                     : nth_smallest([&](index_t t) { return upper[t]; }, count,
                                                    static_cast<int>(k) - 1, selection);
  if (listed > capacity) {
    if (threadIdx.x == 0) bounds_x[q].reach = kth;
    return;  // the whole block
  }
  for (int t = threadIdx.x; t < count; t += blockDim.x) {
    const Candidate c = own[t];
    const Bounds y = bounds_y[c.index];
    const float error = fmaf(x.error, y.norm, x.norm * y.error);
    if (c.key - 1.0001f * error - 4e-7f * fabsf(c.key) <= kth) {
      chosen[atomicAdd(&survivors, 1)] = c.index;
    }
  }
  __syncthreads();
  const int n_chosen = survivors;
  for (int t = warp_index(); t < n_chosen; t += blockDim.x / kWarp) {
    const double key = exact_key(X, i, X, chosen[t], d, is_double, products);
    if (lane_index() == 0) keys[t] = key;
  }
  const auto settle = [&](int t, int place) {
    if (place >= k) return;
    indices[q * k + place] = chosen[t];
    distances[q * k + place] = products ? keys[t] : sqrt(keys[t]);
    if (place < k - 1) return;
    judged[q] = n_chosen;
    const double scaled = scale * scale * keys[t];
    const double rounding = 1e-12 * (fabs(scaled) + fabs(constants[i]));
    if (scaled + constants[i] + rounding > x.reach) states[q] = kTooFew;
  };
  __syncthreads();
  if (n_chosen <= kLooked) {
    for (int t = threadIdx.x; t < n_chosen; t += blockDim.x) {
      settle(t, place_of(t, n_chosen, [&](int a, int b) {
               return keys[a] < keys[b] || (keys[a] == keys[b] && chosen[a] < chosen[b]);
             }));
    }
    return;  // the whole block
  }
  int padded = 1;
  while (padded < n_chosen) padded *= 2;
  for (int t = n_chosen + threadIdx.x; t < padded; t += blockDim.x) {
    keys[t] = infinity();
    chosen[t] = 0x7fffffff;
  }
  bitonic_sort(keys, chosen, padded);
  for (int t = threadIdx.x; t < k; t += blockDim.x) settle(t, t);
}

// The k smallest of each row of keys in order, ties by index. A block a row, 12 bytes of shared
// memory for each of k rounded up to a power of two.
extern "C" __global__ void __launch_bounds__(256)
    nearest_of_keys(const double* keys, index_t n, index_t k, index_t products, index_t* indices,
                    double* distances) {
  unsigned char* raw = dynamic_shared();
  __shared__ int counts[256];
  __shared__ int scratch[8];
  __shared__ unsigned long long prefix;
  __shared__ index_t left;
  __shared__ int taken;
  const double* own = keys + blockIdx.x * n;
  if (threadIdx.x == 0) {
    prefix = 0;
    left = k - 1;
    taken = 0;
  }
  for (int shift = 56; shift >= 0; shift -= 8) {
    for (int b = threadIdx.x; b < 256; b += blockDim.x) counts[b] = 0;
    __syncthreads();
    const unsigned long long above = prefix;
    for (index_t t = threadIdx.x; t < n; t += blockDim.x) {
      const unsigned long long bits = ordered(own[t]);
      const bool inside = shift == 56 || (bits >> (shift + 8)) == (above >> (shift + 8));
      if (inside) atomicAdd(counts + ((bits >> shift) & 255u), 1);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      index_t before = 0;
      unsigned long long b = 0;
      while (b < 255 && before + counts[b] <= left) before += counts[b++];
      prefix |= b << shift;
      left -= before;
    }
    __syncthreads();
  }
  int padded = 1;
  while (padded < k) padded *= 2;
  auto* nearest = reinterpret_cast<double*>(raw);
  auto* who = reinterpret_cast<int*>(nearest + padded);
  const unsigned long long last = prefix;
  const int ties = static_cast<int>(left) + 1;  // of the last key, those of the lowest indices
  int seen = 0;
  for (index_t start = 0; start < n; start += blockDim.x) {
    const index_t t = start + threadIdx.x;
    const unsigned long long bits = t < n ? ordered(own[t]) : ~0ull;
    const bool tied = t < n && bits == last;
    int in_chunk = 0;
    const int before = block_prefix(tied, scratch, &in_chunk);
    if (t < n && (bits < last || (tied && seen + before < ties))) {
      const int place = atomicAdd(&taken, 1);
      nearest[place] = own[t];
      who[place] = static_cast<int>(t);
    }
    seen += in_chunk;
  }
  for (int t = static_cast<int>(k) + threadIdx.x; t < padded; t += blockDim.x) {
    nearest[t] = infinity();
    who[t] = 0x7fffffff;
  }
  bitonic_sort(nearest, who, padded);
  for (int t = threadIdx.x; t < k; t += blockDim.x) {
    indices[blockIdx.x * k + t] = who[t];
    distances[blockIdx.x * k + t] = products ? nearest[t] : sqrt(nearest[t]);
  }
}
