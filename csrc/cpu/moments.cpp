// moments on the CPU: n (d_x + 2) (d_y + 2) multiply-adds in float64 for two sets, about half of
// it for a set with itself; rows are read and widened once, 8 KiB of them per feature at a time.

#include "ops/moments.hpp"

#include <algorithm>
#include <cassert>

#include "cpu/moment_kernel.hpp"

namespace consilience {
namespace {

constexpr index_t kDepth = 512;               // rows per product, packed together
constexpr index_t kBlocks = 2;                // packed at a time
constexpr index_t kLeft = 128, kRight = 192;  // columns of the result per task
constexpr index_t kLine = 8;                  // numbers of a cache line

struct alignas(64) Line {
  double values[kLine];
};

struct Panels {
  index_t n_columns, n_groups, first;  // `first`: where the set's groups begin, in groups
};

// A part of the result of one pair, in groups.
struct Region {
  index_t pair, left, left_stop, right, right_stop;
};

index_t depth_of(index_t n_samples) { return std::min(n_samples, kDepth); }

// One line more than the rows need: groups a power of two apart would share their cache sets.
index_t stride_of(index_t n_samples) {
  const index_t lines = (depth_of(n_samples) * moment_kernel().group + kLine - 1) / kLine;
  return (lines + 1) * kLine;
}

index_t blocks_of(index_t n_samples) {
  return std::min(kBlocks, (n_samples + kDepth - 1) / kDepth);
}

index_t groups_of(index_t n_features) {
  return (n_features + 2 + moment_kernel().group - 1) / moment_kernel().group;
}

std::vector<Region> regions_of(const std::vector<Panels>& panels,
                               const std::vector<std::pair<index_t, index_t>>& pairs) {
  const index_t left_step = kLeft / moment_kernel().group,
                right_step = kRight / moment_kernel().group;
  std::vector<Region> regions;
  for (index_t p = 0; p < static_cast<index_t>(pairs.size()); ++p) {
    const auto [a, b] = pairs[p];
    for (index_t i = 0; i < panels[a].n_groups; i += left_step) {
      const index_t left_stop = std::min(panels[a].n_groups, i + left_step);
      // A set with itself: the lower triangle, as the short last group is cheap on the left.
      const index_t end = a == b ? left_stop : panels[b].n_groups;
      for (index_t j = 0; j < end; j += right_step) {
        regions.push_back({p, i, left_stop, j, std::min(end, j + right_step)});
      }
    }
  }
  return regions;
}

void mirror(double* out, index_t width) {
  for (index_t i = 0; i < width; ++i) {
    for (index_t j = i + 1; j < width; ++j) out[i * width + j] = out[j * width + i];
  }
}

}  // namespace

std::size_t moments_bytes(index_t n_samples, index_t n_features, index_t n_sets) {
  // A group more than the features fill, for each set.
  const index_t groups = n_features / moment_kernel().group + 3 * n_sets;
  return static_cast<std::size_t>(groups * blocks_of(n_samples) * stride_of(n_samples)) * 8;
}

void moments(const std::vector<Embedding>& sets, const std::vector<const double*>& shifts,
             const std::vector<std::pair<index_t, index_t>>& pairs, const Run& run,
             const std::vector<double*>& out) {
  assert(sets.size() == shifts.size() && pairs.size() == out.size());
  const MomentKernel& kernel = moment_kernel();
  const index_t n_samples = sets.front().n_samples, n_sets = static_cast<index_t>(sets.size());
  const index_t group = kernel.group, stride = stride_of(n_samples);

  std::vector<Panels> panels;
  index_t n_groups = 0;
  for (const Embedding& X : sets) {
    panels.push_back({X.n_features + 2, groups_of(X.n_features), n_groups});
    n_groups += panels.back().n_groups;
  }
  std::vector<Line> storage(n_groups * blocks_of(n_samples) * stride / kLine);
  double* const packed = storage.front().values;
  const auto groups_at = [&](index_t block, index_t set) {
    return packed + (block * n_groups + panels[set].first) * stride;
  };
  for (std::size_t p = 0; p < pairs.size(); ++p) {
    const auto [a, b] = pairs[p];
    std::fill(out[p], out[p] + panels[a].n_columns * panels[b].n_columns, 0.0);
  }
  const std::vector<Region> regions = regions_of(panels, pairs);

  for (index_t start = 0; start < n_samples; start += kBlocks * kDepth) {
    const index_t stop = std::min(n_samples, start + kBlocks * kDepth);
    const index_t n_blocks = (stop - start + kDepth - 1) / kDepth;
    const auto rows_in = [&](index_t block) {
      return std::min(kDepth, stop - start - block * kDepth);
    };
    parallel_for(n_blocks * n_sets, run, [&](index_t task, int) {
      const index_t block = task / n_sets, set = task % n_sets, row = start + block * kDepth;
      const Embedding& X = sets[set];
      double* to = groups_at(block, set);
      if (X.is_double) {
        kernel.pack_doubles(X.double_row(row), X.n_features, rows_in(block), shifts[set], stride,
                            to);
      } else {
        kernel.pack_floats(X.float_row(row), X.n_features, rows_in(block), shifts[set], stride, to);
      }
    });
    // One task owns a region of the result, so its sums grow in the order of the blocks.
    parallel_for(static_cast<index_t>(regions.size()), run, [&](index_t task, int) {
      const Region& region = regions[task];
      const auto [a, b] = pairs[region.pair];
      const index_t height = panels[a].n_columns, width = panels[b].n_columns;
      for (index_t block = 0; block < n_blocks; ++block) {
        const double *left = groups_at(block, a), *right = groups_at(block, b);
        for (index_t j = region.right; j < region.right_stop; j += kMostRight) {
          const index_t first = a == b ? std::max(region.left, j) : region.left;
          for (index_t i = first; i < region.left_stop; ++i) {
            const index_t end = a == b ? std::min(region.right_stop, i + 1) : region.right_stop;
            const index_t columns = std::min(std::min<index_t>(j + kMostRight, end) * group, width);
            kernel.product(left + i * stride, static_cast<int>(std::min(group, height - i * group)),
                           right + j * stride, columns - j * group, rows_in(block), stride,
                           out[region.pair] + i * group * width + j * group, width);
          }
        }
      }
    });
  }
  for (std::size_t p = 0; p < pairs.size(); ++p) {
    const auto [a, b] = pairs[p];
    if (a == b) mirror(out[p], panels[a].n_columns);
  }
}

}  // namespace consilience
