// Tiles of products by warpgroups (sm_90a): a block a multiprocessor takes one tile after another.
// One thread brings bricks, also those of the next tile. Two warpgroups multiply them, each half
// of a tile, and while one uses its products the other has the tensor cores.
#pragma once

#include "halves.cuh"
#include "knn_lists.cuh"

constexpr int kGroupRows = 128, kGroupColumns = 256;  // of a tile
constexpr int kGroupStages = 4;                       // chunks on their way
constexpr int kStageBricks = 3;                       // one of rows, two of columns
constexpr int kMultiplying = 256;                     // threads, two warpgroups
constexpr int kGroupThreads = kMultiplying + 128;
constexpr int kMultiplyingWarps = kMultiplying / kWarp;
constexpr int kRegistersMultiplying = 224, kRegistersOthers = 56;  // of a thread

struct Stages {
  Phase full[kGroupStages], empty[kGroupStages];

  // By one thread, before all others go on.
  __device__ __forceinline__ void start() {
    for (int stage = 0; stage < kGroupStages; ++stage) {
      phase_start(full[stage], 1);
      phase_start(empty[stage], kMultiplyingWarps);
    }
    phase_fence();
  }
};

// Bytes of shared memory, with what else a kernel keeps there behind the bricks.
template <class Shared>
constexpr int kGroupBytes =
    1024 + kGroupStages * kStageBricks * kBrick * 2 + static_cast<int>(sizeof(Shared));

template <class Shared>
__device__ __forceinline__ Shared& behind(unsigned short* bricks) {
  return *reinterpret_cast<Shared*>(bricks + kGroupStages * kStageBricks * kBrick);
}

// The tiles of a block, in groups of rows, so that blocks which run together share what they read.
struct Walk {
  index_t n_rows, n_columns;  // in tiles
  bool same;
  index_t group = 0, inside;

  __device__ __forceinline__ index_t first_column() const {
    return same ? group * kGroup * kGroupRows / kGroupColumns : 0;
  }
  // Goes on to where there is a tile, if there is one.
  __device__ __forceinline__ bool settle() {
    while (group * kGroup < n_rows) {
      const index_t size = (n_columns - first_column()) * kGroup;
      if (inside < size) {
        const index_t last = (first_column() + inside / kGroup + 1) * kGroupColumns - 1;
        const index_t row = group * kGroup + inside % kGroup;
        if (row < n_rows && (!same || last > row * kGroupRows)) return true;
        inside += gridDim.x;
      } else {
        inside -= size;
        ++group;
      }
    }
    return false;
  }
  __device__ __forceinline__ index_t row() const {
    return (group * kGroup + inside % kGroup) * kGroupRows;
  }
  __device__ __forceinline__ index_t column() const {
    return (first_column() + inside / kGroup) * kGroupColumns;
  }
};

__device__ __forceinline__ Walk walk_of(const Searched& of) {
  return {(of.n_x + kGroupRows - 1) / kGroupRows, (of.n_y + kGroupColumns - 1) / kGroupColumns,
          of.same, 0, static_cast<index_t>(blockIdx.x)};
}

// Where in the ring of stages.
struct Ring {
  int stage = 0;
  unsigned turn = 0;
  __device__ __forceinline__ void advance() {
    if (++stage == kGroupStages) {
      stage = 0;
      turn ^= 1;
    }
  }
};

// One thread brings all bricks of all tiles.
__device__ __forceinline__ void bring(const Searched& of, unsigned short* stages, Stages& ring) {
  const index_t last = (of.n_y + kBrickRows - 1) / kBrickRows - 1;
  const int n_chunks = static_cast<int>(of.chunks);
  Ring at;
  for (Walk walk = walk_of(of); walk.settle(); walk.inside += gridDim.x) {
    const index_t block = walk.column() / kBrickRows;
    const unsigned short* bricks[kStageBricks] = {
        of.X + walk.row() / kBrickRows * of.chunks * kBrick, of.Y + block * of.chunks * kBrick,
        of.Y + min(block + 1, last) * of.chunks * kBrick};
    for (int chunk = 0; chunk < n_chunks; ++chunk) {
      phase_wait(ring.empty[at.stage], at.turn ^ 1);
      phase_expect(ring.full[at.stage], kStageBricks * kBrick * 2);
#pragma unroll
      for (int b = 0; b < kStageBricks; ++b) {
        copy_bulk(stages + (at.stage * kStageBricks + b) * kBrick, bricks[b] + chunk * kBrick,
                  kBrick * 2, ring.full[at.stage]);
      }
      at.advance();
    }
  }
}

// One warpgroup's half of all tiles. A thread has products of rows `row` and row + 8, sums[4 j + 2
// half + odd] with column `first` + 8 j + 2 (lane % 4) + odd; use.expect(row, first) comes before
// they are made, use.take(sums, row, first) after.
template <class Use>
__device__ __forceinline__ void multiply_tiles(const Searched& of, const unsigned short* stages,
                                               Stages& ring, Use& use) {
  const int group = warp_index() / 4, lane = lane_index();
  const int n_chunks = static_cast<int>(of.chunks);
  Ring at;
  for (Walk walk = walk_of(of); walk.settle(); walk.inside += gridDim.x) {
    const index_t row = walk.row() + group * 64 + warp_index() % 4 * 16 + lane / 4;
    use.expect(row, walk.column());
    float sums[128];
    for (int chunk = 0; chunk < n_chunks; ++chunk) {
      phase_wait(ring.full[at.stage], at.turn);
      const unsigned short* bricks = stages + at.stage * kStageBricks * kBrick;
      group_fence();
#pragma unroll
      for (int step = 0; step < kBrickFeatures / 16; ++step) {
        multiply_group(sums, bricks + group * 64 * kBrickFeatures + step * 16,
                       bricks + kBrick + step * 16, chunk + step > 0);
      }
      group_commit();
      if (chunk > 0) {
        group_wait<1>(sums);
        if (lane == 0) phase_arrive(ring.empty[(at.stage + kGroupStages - 1) % kGroupStages]);
      }
      at.advance();
    }
    group_wait<0>(sums);
    if (lane == 0) phase_arrive(ring.empty[(at.stage + kGroupStages - 1) % kGroupStages]);
    use.take(sums, row, walk.column());
  }
}
