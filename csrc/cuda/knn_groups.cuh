// The sweep of knn_exact.cuh by warpgroups (sm_90a): a block a multiprocessor takes one tile after
// another. One thread brings bricks, also those of the next tile. Two warpgroups multiply them,
// each half of a tile, and while one looks for near pairs the other has the tensor cores. Three
// warps judge and list what is found, so that nobody waits for the lists' memory.
#pragma once

#include "halves.cuh"
#include "knn_lists.cuh"

constexpr int kGroupRows = 128, kGroupColumns = 256;  // of a tile
constexpr int kGroupStages = 4;                       // chunks on their way
constexpr int kStageBricks = 3;                       // one of rows, two of columns
constexpr int kMultiplying = 256;                     // threads, two warpgroups
constexpr int kSweepThreads = kMultiplying + 128;
constexpr int kMultiplyingWarps = kMultiplying / kWarp;
constexpr int kListingWarps = 3;
constexpr int kPairs = kGroupColumns / 2;
constexpr int kQueue = 256;       // pairs that a warp found and that are not yet judged
constexpr int kStep = 4 * kWarp;  // the most that it finds before it makes room

// -offset and reach of two columns, which are compared with what a row needs.
struct __align__(16) ColumnPair {
  float negated[2], reach[2];
};

// The largest norm, error, |offset| and |reach| of some columns.
struct __align__(16) Largest {
  float norm, error, offset, reach;
};

// Pairs that may be near enough and the sums of their products, as a warp finds them: those before
// `tail` are there, those before `head` are judged.
struct Queue {
  int rows[kQueue], columns[kQueue];
  float sums[kQueue];
  int head, tail, ended;
};

struct GroupShared {
  Queue queues[kMultiplyingWarps];
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

// A pair is judged as csrc/cuda/knn_exact.cuh says.
__device__ __forceinline__ void judge_pair(const Searched& of, const CandidateLists& lists, int i,
                                           int j, float sum) {
  if (!of.meets(i, j)) return;
  const Bounds x = of.bounds_x[i], y = of.bounds_y[j];
  const float most = most_of(of.s, sum, x, y), value = of.s * sum;
  if (most + x.reach >= y.offset) lists.add(i, y.offset - value, j);
  if (of.same && most + y.reach >= x.offset) lists.add(j, x.offset - value, i);
}

// One of the warps that judge what others found, 32 at a time.
__device__ __forceinline__ void judge(const Searched& of, const CandidateLists& lists,
                                      GroupShared& shared, int which) {
  constexpr int kQueues = (kMultiplyingWarps + kListingWarps - 1) / kListingWarps;
  const int lane = lane_index();
  int heads[kQueues] = {};
  bool open = true;
  for (int vain = 0; open; ++vain) {
    if (vain > 0 && lane == 0) relax(vain);
    open = false;
#pragma unroll
    for (int q = 0; q < kQueues; ++q) {
      const int warp = which + q * kListingWarps;
      if (warp >= kMultiplyingWarps) continue;
      Queue& queue = shared.queues[warp];
      // In this order: what was found before the end is seen.
      const bool ended = __shfl_sync(kAllLanes, observe(queue.ended), 0) != 0;
      const int left = __shfl_sync(kAllLanes, observe(queue.tail), 0) - heads[q];
      const int count = min(left, kWarp);
      if (!ended || left > count) open = true;
      if (count == 0 || (count < kWarp && !ended)) continue;
      if (lane < count) {
        const unsigned at = (heads[q] + lane) % static_cast<unsigned>(kQueue);
        judge_pair(of, lists, queue.rows[at], queue.columns[at], queue.sums[at]);
      }
      heads[q] += count;
      __syncwarp();
      if (lane == 0) publish(queue.head, heads[q]);
      vain = -1;
    }
  }
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

// Returns where the queue begins, once a step of a warp fits behind `tail`.
__device__ __forceinline__ int wait_for_room(Queue& queue, int tail) {
  __syncwarp();
  if (lane_index() == 0) publish(queue.tail, tail);
  for (int vain = 0;; ++vain) {
    const int head = __shfl_sync(kAllLanes, observe(queue.head), 0);
    if (tail + kStep - head <= kQueue) return head;
    if (lane_index() == 0) relax(vain);
  }
}

// One warpgroup's half of all tiles.
__device__ __forceinline__ void multiply_tiles(const Searched& of, const unsigned short* stages,
                                               GroupShared& shared) {
  const int group = warp_index() / 4, lane = lane_index(), member = threadIdx.x % 128;
  const int n_chunks = static_cast<int>(of.chunks);
  const Bounds nobody = {0.0f, 0.0f, infinity_float(), -infinity_float()};
  Queue& queue = shared.queues[warp_index()];
  int head = 0, tail = 0;
  const unsigned before = (1u << lane) - 1u;  // the lanes
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
    const int first_row = static_cast<int>(row);
    const int first_column = static_cast<int>(walk.column()) + lane % 4 * 2;
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
      if (tail + kStep - head > kQueue) head = wait_for_room(queue, tail);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const unsigned found = __ballot_sync(kAllLanes, near[e]);
        if (near[e]) {
          const unsigned at = (tail + __popc(found & before)) % static_cast<unsigned>(kQueue);
          queue.rows[at] = first_row + e / 2 * 8;
          queue.columns[at] = first_column + 8 * j + e % 2;
          queue.sums[at] = sums[4 * j + e];
        }
        tail += __popc(found);
      }
    }
    __syncwarp();
    if (lane == 0) publish(queue.tail, tail);
  }
  if (lane == 0) publish(queue.ended, 1);
}

// Candidates of all rows X among the rows Y.
__device__ __forceinline__ void sweep_by_groups(const Searched& of, const CandidateLists& lists) {
  unsigned char* raw = dynamic_shared();
  auto* stages = aligned_shared<unsigned short, 1024>(raw);
  auto& shared = *reinterpret_cast<GroupShared*>(stages + kGroupStages * kStageBricks * kBrick);
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kGroupStages; ++stage) {
      phase_start(shared.full[stage], 1);
      phase_start(shared.empty[stage], kMultiplyingWarps);
    }
    phase_fence();
  }
  if (threadIdx.x < kMultiplyingWarps) {
    Queue& queue = shared.queues[threadIdx.x];
    queue.head = queue.tail = queue.ended = 0;
  }
  __syncthreads();
  if (threadIdx.x < kMultiplying) {
    more_registers<224>();
    multiply_tiles(of, stages, shared);
  } else {
    fewer_registers<56>();
    const int which = warp_index() - kMultiplyingWarps;
    if (which < kListingWarps) {
      judge(of, lists, shared, which);
    } else if (lane_index() == 0) {
      bring(of, stages, shared);
    }
  }
}
