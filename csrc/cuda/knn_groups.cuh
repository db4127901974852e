// The sweep of knn_exact.cuh by warpgroups (sm_90a): a block a multiprocessor takes one tile after
// another. One thread brings bricks, also those of the next tile; two warpgroups multiply them, each
// half of a tile, and while one lists candidates the other has the tensor cores.
#pragma once

#include "halves.cuh"
#include "knn_lists.cuh"

constexpr int kGroupRows = 128, kGroupColumns = 256;  // of a tile
constexpr int kGroupStages = 4;                       // chunks on their way
constexpr int kStageBricks = 3;                       // one of rows, two of columns
constexpr int kMultiplying = 256;                     // threads, two warpgroups
constexpr int kSweepThreads = kMultiplying + 128;      // a third group, of which one thread works
constexpr int kPairs = kGroupColumns / 2;
constexpr int kQueue = 160;  // found by a warp: less than 32 that wait and 128 of one step

// A pair that may be near enough; the sum of its products.
struct __align__(16) Hit {
  int row, column;
  float value;
  int unused;
};

// -offset and reach of two columns, which are compared with what a row needs.
struct __align__(16) ColumnPair {
  float negated[2], reach[2];
};

// The largest norm, error, |offset| and |reach| of some columns.
struct __align__(16) Largest {
  float norm, error, offset, reach;
};

struct GroupShared {
  Hit hits[kMultiplying / kWarp][kQueue];
  ColumnPair pairs[2][kPairs];
  Largest largest[2][4];
  Phase full[kGroupStages], empty[kGroupStages];
};

constexpr int kSweepBytes =
    1024 + kGroupStages * kStageBricks * kBrick * 2 + static_cast<int>(sizeof(GroupShared));

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
__device__ __forceinline__ void bring(const Searched& of, unsigned short* stages,
                                      GroupShared& shared) {
  const index_t last = (of.n_y + kBrickRows - 1) / kBrickRows - 1;
  const int n_chunks = static_cast<int>(of.chunks);
  Ring at;
  for (Walk walk = walk_of(of); walk.settle(); walk.inside += gridDim.x) {
    const index_t block = walk.column() / kBrickRows;
    const unsigned short* bricks[kStageBricks] = {
        of.X + walk.row() / kBrickRows * of.chunks * kBrick, of.Y + block * of.chunks * kBrick,
        of.Y + min(block + 1, last) * of.chunks * kBrick};
    for (int chunk = 0; chunk < n_chunks; ++chunk) {
      phase_wait(shared.empty[at.stage], at.turn ^ 1);
      phase_expect(shared.full[at.stage], kStageBricks * kBrick * 2);
#pragma unroll
      for (int b = 0; b < kStageBricks; ++b) {
        copy_bulk(stages + (at.stage * kStageBricks + b) * kBrick, bricks[b] + chunk * kBrick,
                  kBrick * 2, shared.full[at.stage]);
      }
      at.advance();
    }
  }
}

// The last `count` hits of a warp, at most 32, are judged as csrc/cuda/knn_exact.cuh says.
__device__ __forceinline__ void judge_hits(const Searched& of, const Lists& lists, const Hit* hits,
                                           int count) {
  if (lane_index() >= count) return;
  const Hit hit = hits[lane_index()];
  if (!of.meets(hit.row, hit.column)) return;
  const Bounds x = of.bounds_x[hit.row], y = of.bounds_y[hit.column];
  const float most = most_of(of.s, hit.value, x, y), value = of.s * hit.value;
  if (most + x.reach >= y.offset) lists.add(hit.row, y.offset - value, hit.column);
  if (of.same && most + y.reach >= x.offset) lists.add(hit.column, x.offset - value, hit.row);
}

// What a row needs of s h_i.h_j less the offset of a column to list it, and with the reach of a
// column to be listed; both with the largest error of the columns, and what float32 rounds away.
struct Needs {
  float to_list, to_be_listed;
};

__device__ __forceinline__ Needs needs_of(const Bounds& x, const Largest& y, float s, bool same) {
  const float error = fmaf(x.error, y.norm, x.norm * y.error);
  const float sizes = fmaf(s * x.norm, y.norm, error);
  const float lost = 1e-6f * (sizes + fabsf(x.reach) + y.offset);
  const float lost_y = 1e-6f * (sizes + fabsf(x.offset) + y.reach);
  return {-(x.reach + error) - lost, same ? x.offset - error - lost_y : infinity_float()};
}

// One warpgroup's half of all tiles.
__device__ __forceinline__ void multiply_and_list(const Searched& of, const Lists& lists,
                                                  const unsigned short* stages,
                                                  GroupShared& shared) {
  const int group = warp_index() / 4, lane = lane_index(), member = threadIdx.x % 128;
  const int n_chunks = static_cast<int>(of.chunks);
  const Bounds nobody = {0.0f, 0.0f, infinity_float(), -infinity_float()};
  Hit* hits = shared.hits[warp_index()];
  int waiting = 0;
  Ring at;
  for (Walk walk = walk_of(of); walk.settle(); walk.inside += gridDim.x) {
    const index_t row = walk.row() + group * 64 + warp_index() % 4 * 16 + lane / 4;
    const index_t column = walk.column() + 2 * member;
    Bounds y[2], x[2];
#pragma unroll
    for (int t = 0; t < 2; ++t) {
      y[t] = column + t < of.n_y ? of.bounds_y[column + t] : nobody;
      x[t] = row + 8 * t < of.n_x ? of.bounds_x[row + 8 * t] : nobody;
    }

    float sums[128];
    for (int chunk = 0; chunk < n_chunks; ++chunk) {
      phase_wait(shared.full[at.stage], at.turn);
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
        if (lane == 0) phase_arrive(shared.empty[(at.stage + kGroupStages - 1) % kGroupStages]);
      }
      at.advance();
    }
    group_wait<0>(sums);
    if (lane == 0) phase_arrive(shared.empty[(at.stage + kGroupStages - 1) % kGroupStages]);

    ColumnPair own;
    Largest most = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
    for (int t = 0; t < 2; ++t) {
      own.negated[t] = -y[t].offset;
      own.reach[t] = of.same ? y[t].reach : -infinity_float();
      if (column + t >= of.n_y) continue;
      most.norm = fmaxf(most.norm, y[t].norm);
      most.error = fmaxf(most.error, y[t].error);
      most.offset = fmaxf(most.offset, fabsf(y[t].offset));
      most.reach = fmaxf(most.reach, fabsf(y[t].reach));
    }
    most = {warp_max(most.norm), warp_max(most.error), warp_max(most.offset), warp_max(most.reach)};
    group_sync(group);  // nobody reads those of the tile before any more
    shared.pairs[group][member] = own;
    if (lane == 0) shared.largest[group][warp_index() % 4] = most;
    group_sync(group);
    most = shared.largest[group][0];
#pragma unroll
    for (int w = 1; w < 4; ++w) {
      const Largest other = shared.largest[group][w];
      most = {fmaxf(most.norm, other.norm), fmaxf(most.error, other.error),
              fmaxf(most.offset, other.offset), fmaxf(most.reach, other.reach)};
    }
    const Needs needs[2] = {needs_of(x[0], most, of.s, of.same),
                            needs_of(x[1], most, of.s, of.same)};
#pragma unroll
    for (int j = 0; j < kGroupColumns / 8; ++j) {
      const ColumnPair pair = shared.pairs[group][4 * j + lane % 4];
      bool near[4];
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const float value = sums[4 * j + e];
        near[e] = fmaf(of.s, value, pair.negated[e % 2]) >= needs[e / 2].to_list ||
                  fmaf(of.s, value, pair.reach[e % 2]) >= needs[e / 2].to_be_listed;
      }
      if (!__any_sync(kAllLanes, near[0] || near[1] || near[2] || near[3])) continue;
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const unsigned found = __ballot_sync(kAllLanes, near[e]);
        if (near[e]) {
          hits[waiting + __popc(found & ((1u << lane) - 1u))] = {
              static_cast<int>(row) + e / 2 * 8,
              static_cast<int>(walk.column()) + 8 * j + lane % 4 * 2 + e % 2, sums[4 * j + e], 0};
        }
        waiting += __popc(found);
      }
      __syncwarp();
#pragma unroll 1
      while (waiting >= kWarp) {
        waiting -= kWarp;
        judge_hits(of, lists, hits + waiting, kWarp);
        __syncwarp();
      }
    }
  }
  judge_hits(of, lists, hits, waiting);
}

// Candidates of all rows X among the rows Y.
__device__ __forceinline__ void sweep_by_groups(const Searched& of, const Lists& lists) {
  unsigned char* raw = dynamic_shared();
  auto* stages = aligned_shared<unsigned short, 1024>(raw);
  auto& shared = *reinterpret_cast<GroupShared*>(stages + kGroupStages * kStageBricks * kBrick);
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kGroupStages; ++stage) {
      phase_start(shared.full[stage], 1);
      phase_start(shared.empty[stage], kMultiplying / kWarp);
    }
    phase_fence();
  }
  __syncthreads();
  if (threadIdx.x < kMultiplying) {
    more_registers<232>();
    multiply_and_list(of, lists, stages, shared);
  } else {
    fewer_registers<40>();
    if (threadIdx.x == kMultiplying) bring(of, stages, shared);
  }
}
