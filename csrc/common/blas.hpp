#pragma once

#include "common/types.hpp"

// The matrix product, borrowed at run time from SciPy's BLAS: no second BLAS in the process.
namespace consilience::blas {

using Sgemm = void(char*, char*, int*, int*, int*, float*, float*, int*, float*, int*, float*,
                   float*, int*);
using Dgemm = void(char*, char*, int*, int*, int*, double*, double*, int*, double*, int*, double*,
                   double*, int*);

void install(Sgemm* sgemm, Dgemm* dgemm);
bool installed();

// All matrices are row-major; `ld` is the distance between rows.
// C (m, n) = A (m, k) B (n, k)^T
void gemm_nt(index_t m, index_t n, index_t k, const float* A, index_t lda, const float* B,
             index_t ldb, float* C, index_t ldc);
void gemm_nt(index_t m, index_t n, index_t k, const double* A, index_t lda, const double* B,
             index_t ldb, double* C, index_t ldc);
// C (m, n) += A (k, m)^T B (k, n)
void add_gemm_tn(index_t m, index_t n, index_t k, const double* A, index_t lda, const double* B,
                 index_t ldb, double* C, index_t ldc);

}  // namespace consilience::blas
