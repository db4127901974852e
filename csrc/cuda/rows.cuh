// What a user's rows are turned into before they are multiplied: sums of columns, rows about a
// mean in float64, halves of 16 bits.
#pragma once

#include "halves.cuh"

// sums[c, f] = sum of column f over rows [c * height, (c + 1) * height); 32 columns a block of 256.
extern "C" __global__ void __launch_bounds__(256)
    column_sums(const void* X, index_t n, index_t d, index_t is_double, index_t height,
                double* sums) {
  __shared__ double parts[8][kWarp];
  const index_t f = static_cast<index_t>(blockIdx.x) * kWarp + lane_index();
  const index_t first = static_cast<index_t>(blockIdx.y) * height;
  const index_t stop = min(n, first + height);
  double sum = 0.0;
  if (f < d) {
    for (index_t i = first + warp_index(); i < stop; i += 8) sum += entry(X, i * d + f, is_double);
  }
  parts[warp_index()][lane_index()] = sum;
  __syncthreads();
  if (warp_index() == 0 && f < d) {
    double total = 0.0;
    for (int w = 0; w < 8; ++w) total += parts[w][lane_index()];
    sums[blockIdx.y * d + f] = total;
  }
}

// largest[block] = the largest |x - mean| of some rows; rows are dealt to blocks in turn.
extern "C" __global__ void __launch_bounds__(256)
    largest_deviations(const void* X, index_t n, index_t d, index_t is_double, const double* mean,
                       double* largest) {
  __shared__ double scratch[8];
  double most = 0.0;
  for (index_t i = blockIdx.x * 8 + warp_index(); i < n; i += static_cast<index_t>(gridDim.x) * 8) {
    for (index_t f = lane_index(); f < d; f += kWarp) {
      most = fmax(most, fabs(entry(X, i * d + f, is_double) - mean[f]));
    }
  }
  most = warp_max(most);
  if (lane_index() == 0) scratch[warp_index()] = most;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int w = 1; w < 8; ++w) most = fmax(most, scratch[w]);
    largest[blockIdx.x] = most;
  }
}

// Rows about their mean, scaled and rounded to halves: [high] or, if `fine`, [high | low], each of
// `length` halves with zeros behind the d-th, in bricks (halves.cuh). What is known of each, in
// scaled units:
//   bounds (N, c, B, infinity) of csrc/cuda/knn_exact.cuh; slack >= beta - B;
//   constants[i]: kappa_ij = scale^2 key_ij + constants[i], key the float64 one. A warp a row.
extern "C" __global__ void __launch_bounds__(256)
    halve_rows(const void* X, index_t n, index_t d, index_t is_double, index_t products,
               const double* mean, double scale, index_t length, index_t fine, double rounding,
               unsigned short* halves, float* bounds, float* slack, double* constants) {
  const index_t i = static_cast<index_t>(blockIdx.x) * 8 + warp_index();
  const index_t chunks = length / kBrickFeatures * (fine ? 2 : 1);
  if (i >= n) {  // the whole warp
    if (i >= (n + kBrickRows - 1) / kBrickRows * kBrickRows) return;
    for (index_t f = lane_index(); f < chunks * kBrickFeatures; f += kWarp) {
      halves[half_at(i, f, chunks)] = 0;
    }
    return;
  }
  double squares = 0.0, lost = 0.0, lost_fine = 0.0, with_mean = 0.0, mean_squares = 0.0;
  for (index_t f = lane_index(); f < length; f += kWarp) {
    const double m = f < d ? mean[f] : 0.0;
    const double u = f < d ? scale * (entry(X, i * d + f, is_double) - m) : 0.0;
    const unsigned short high = half_of(static_cast<float>(u));
    const double rest = u - static_cast<double>(float_of(high));
    const unsigned short low = half_of(static_cast<float>(rest));
    const double rest_fine = rest - static_cast<double>(float_of(low));
    halves[half_at(i, f, chunks)] = high;
    if (fine) halves[half_at(i, length + f, chunks)] = low;
    squares += u * u;
    lost += rest * rest;
    lost_fine += rest_fine * rest_fine;
    with_mean += scale * m * u;
    mean_squares += scale * m * scale * m;
  }
  squares = warp_sum(squares);
  lost = sqrt(warp_sum(lost));
  lost_fine = sqrt(warp_sum(lost_fine));
  with_mean = warp_sum(with_mean);
  mean_squares = warp_sum(mean_squares);
  if (lane_index() != 0) return;
  const double s = products ? 1.0 : 2.0, offset = products ? -with_mean : squares;
  // Halves round to 2^-12 of an entry, or to 2^-25 where it is small.
  const double small = ldexp_negative(25) * sqrt(static_cast<double>(d));
  const double norm = sqrt(squares) * (1.0 + 1e-12) + lost;
  const double left = fine ? lost_fine + ldexp_negative(12) * lost : lost;
  const double give = ldexp_negative(22) * fabs(offset) + (fine ? s * lost * small : 0.0);
  bounds[4 * i] = __double2float_ru(norm);
  bounds[4 * i + 1] = __double2float_ru(1.0001 * s * (left + 0.5 * rounding * norm));
  bounds[4 * i + 2] = static_cast<float>(offset - give);
  bounds[4 * i + 3] = infinity_float();
  slack[i] = __double2float_ru(2.0 * give);
  constants[i] = products ? with_mean + mean_squares : -squares;
}

// Some rows of a table of 16-byte words. A warp a row.
extern "C" __global__ void __launch_bounds__(256)
    gather_rows(const float* table, index_t words, const index_t* ids, index_t count,
                float* gathered) {
  const index_t q = static_cast<index_t>(blockIdx.x) * 8 + warp_index();
  if (q >= count) return;
  for (index_t w = lane_index(); w < 4 * words; w += kWarp) {
    gathered[q * 4 * words + w] = table[ids[q] * 4 * words + w];
  }
}
