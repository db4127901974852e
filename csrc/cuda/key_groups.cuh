// The keys of knn_exact.cuh by warpgroups (sm_90a), written to memory.
#pragma once

#include "group_tiles.cuh"
#include "knn_lists.cuh"

// Offset and id of two columns.
struct __align__(16) NamedPair {
  float offset[2];
  int id[2];
};

// Neighbours in a row of keys.
struct __align__(8) KeyPair {
  float values[2];
};

struct KeyShared {
  NamedPair pairs[2][kGroupColumns / 2];
  Stages ring;
};

// What a thread that multiplies does with its products: keys, eight bytes at a time, of which four
// lanes fill a sector.
struct WrittenKeys {
  const Searched& of;
  const index_t* ids_y;
  float* keys;
  index_t width;
  KeyShared& shared;
  NamedPair own = {};  // of the columns that it tells the others of
  int ids[2] = {};     // of its rows

  __device__ __forceinline__ void expect(index_t row, index_t first) {
    const index_t column = first + 2 * (threadIdx.x % 128);
#pragma unroll
    for (int t = 0; t < 2; ++t) {
      const bool inside = column + t < of.n_y;
      own.offset[t] = inside ? of.bounds_y[column + t].offset : infinity_float();
      own.id[t] = inside ? static_cast<int>(ids_y[column + t]) : -1;
      ids[t] = row + 8 * t < of.n_x ? static_cast<int>(of.ids[row + 8 * t]) : -1;
    }
  }

  __device__ __forceinline__ void take(const float (&sums)[128], index_t row, index_t first) {
    const int group = warp_index() / 4, lane = lane_index();
    group_sync(group);  // nobody reads those of the tile before any more
    shared.pairs[group][threadIdx.x % 128] = own;
    group_sync(group);
    const index_t column = first + lane % 4 * 2;
    const int across = static_cast<int>(min(of.n_y - column, static_cast<index_t>(kGroupColumns)));
    float* to = keys + row * width + column;
    const int left[2] = {row < of.n_x ? across : 0, row + 8 < of.n_x ? across : 0};
#pragma unroll
    for (int j = 0; j < kGroupColumns / 8; ++j) {
      const NamedPair pair = shared.pairs[group][4 * j + lane % 4];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        KeyPair found;
#pragma unroll
        for (int odd = 0; odd < 2; ++odd) {
          const float key = pair.offset[odd] - of.s * sums[4 * j + 2 * half + odd];
          found.values[odd] = pair.id[odd] == ids[half] ? infinity_float() : key;
        }
        if (8 * j < left[half]) {
          *reinterpret_cast<KeyPair*>(to + half * 8 * width + 8 * j) = found;
        }
      }
    }
  }
};

// keys[i, j] of all rows X and Y, as csrc/cuda/knn_exact.cuh says; a row of them is `width` long.
__device__ __forceinline__ void write_keys_by_groups(const Searched& of, const index_t* ids_y,
                                                     float* keys, index_t width) {
  auto* bricks = aligned_shared<unsigned short, 1024>(dynamic_shared());
  auto& shared = behind<KeyShared>(bricks);
  if (threadIdx.x == 0) shared.ring.start();
  __syncthreads();
  if (threadIdx.x < kMultiplying) {
    more_registers<kRegistersMultiplying>();
    WrittenKeys written = {of, ids_y, keys, width, shared};
    multiply_tiles(of, bricks, shared.ring, written);
  } else {
    fewer_registers<kRegistersOthers>();
    if (threadIdx.x == kMultiplying) bring(of, bricks, shared.ring);
  }
}
