// cuBLAS, found at run time: whatever brought arrays to the GPU has brought it along, and neither
// its headers nor its hundreds of megabytes are needed to build.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>
#include <vector>

namespace consilience {

struct Product {
  std::int64_t m, n, k, lda, ldb, ldc, stride_a, stride_b, stride_c, batch;
  bool transpose_a, transpose_b;
  double alpha, beta;
};

// Opens the first of these libraries that is there, those in the process before all others.
// Returns where it was found; empty, and says why in `reason`, if nowhere.
std::string load_cublas(const std::vector<std::string>& paths, std::string& reason);

// C = alpha op(A) op(B) + beta C, row-major, on the current device; throws std::runtime_error.
void multiply(const double* A, const double* B, double* C, const Product& product,
              cudaStream_t stream);

}  // namespace consilience
