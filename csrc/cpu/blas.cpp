#include "common/blas.hpp"

#include <atomic>
#include <cassert>

namespace consilience::blas {
namespace {

// Several threads may install the same routines while others call them.
std::atomic<Sgemm*> installed_sgemm = nullptr;
std::atomic<Dgemm*> installed_dgemm = nullptr;

// Fortran's gemm reads our row-major matrices as their transposes: C^T = op(B) op(A).
template <class Real, class Gemm>
void call(Gemm* gemm, char op_b, char op_a, index_t m, index_t n, index_t k, const Real* A,
          index_t lda, const Real* B, index_t ldb, Real beta, Real* C, index_t ldc) {
  assert(gemm != nullptr);
  if (m == 0 || n == 0 || k == 0) return;
  int m32 = static_cast<int>(m), n32 = static_cast<int>(n), k32 = static_cast<int>(k);
  int lda32 = static_cast<int>(lda), ldb32 = static_cast<int>(ldb), ldc32 = static_cast<int>(ldc);
  Real one = 1;
  gemm(&op_b, &op_a, &n32, &m32, &k32, &one, const_cast<Real*>(B), &ldb32, const_cast<Real*>(A),
       &lda32, &beta, C, &ldc32);
}

}  // namespace

void install(Sgemm* sgemm, Dgemm* dgemm) {
  installed_sgemm = sgemm;
  installed_dgemm = dgemm;
}

bool installed() { return installed_sgemm != nullptr && installed_dgemm != nullptr; }

void gemm_nt(index_t m, index_t n, index_t k, const float* A, index_t lda, const float* B,
             index_t ldb, float* C, index_t ldc) {
  call(installed_sgemm.load(), 'T', 'N', m, n, k, A, lda, B, ldb, 0.0f, C, ldc);
}

void gemm_nt(index_t m, index_t n, index_t k, const double* A, index_t lda, const double* B,
             index_t ldb, double* C, index_t ldc) {
  call(installed_dgemm.load(), 'T', 'N', m, n, k, A, lda, B, ldb, 0.0, C, ldc);
}

void add_gemm_tn(index_t m, index_t n, index_t k, const double* A, index_t lda, const double* B,
                 index_t ldb, double* C, index_t ldc) {
  call(installed_dgemm.load(), 'N', 'T', m, n, k, A, lda, B, ldb, 1.0, C, ldc);
}

}  // namespace consilience::blas
