// Every kernel, for whoever compiles them: nvcc (module.cu), CuPy, the emulator.
#pragma once

#include "common.cuh"
#include "exact.cuh"
#include "graph_terms.cuh"
#include "group_tiles.cuh"
#include "halves.cuh"
#include "joint_nearest.cuh"
#include "key_groups.cuh"
#include "knn_exact.cuh"
#include "knn_groups.cuh"
#include "knn_judge.cuh"
#include "knn_lists.cuh"
#include "mantel.cuh"
#include "moments.cuh"
#include "pair_rows.cuh"
#include "pair_terms.cuh"
#include "rank_counts.cuh"
#include "rows.cuh"
#include "squares.cuh"

// Names by which they are launched. Their parameters are pointers, index_t and double alone.
#define CONSILIENCE_KERNELS(X) \
  X(add_parts)                 \
  X(augment_rows)              \
  X(centered_rows)             \
  X(column_sums)               \
  X(complete_squares)          \
  X(edge_values)               \
  X(exact_keys)                \
  X(gather_halves)             \
  X(gather_ranks)              \
  X(gather_rows)               \
  X(graph_terms)               \
  X(halve_rows)                \
  X(invert_permutations)       \
  X(joint_candidates)          \
  X(joint_distances)           \
  X(knn_finish)                \
  X(knn_geometry)              \
  X(knn_keys)                  \
  X(knn_keys_fine)             \
  X(knn_reaches)               \
  X(knn_sweep)                 \
  X(knn_sweep_fine)            \
  X(largest_deviations)        \
  X(mantel_draws)              \
  X(nearest_of_keys)           \
  X(overlap_terms)             \
  X(overlap_within)            \
  X(pair_distances)            \
  X(pair_values)               \
  X(rank_classes)              \
  X(rank_listed)               \
  X(rank_rows)                 \
  X(reference_means)           \
  X(row_products)              \
  X(row_values)                \
  X(sample_ranks)              \
  X(sort_lists)                \
  X(sum_listed)                \
  X(sum_rank_columns)          \
  X(sum_rank_squares)          \
  X(typical_point)             \
  X(unite_lists)               \
  X(usual_squares)
