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

#include "key_groups.cuh"
#include "knn_groups.cuh"
#include "mma_tiles.cuh"
#include "selection.cuh"

// Lists the candidates of a tile.
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
