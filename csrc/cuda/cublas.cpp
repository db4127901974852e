#include "cuda/cublas.hpp"

#include <dlfcn.h>

#include <limits>
#include <map>
#include <stdexcept>

namespace consilience {
namespace {

// cublas_api.h, as far as it is used.
using Handle = struct cublasContext*;
enum Operation { kAsStored = 0, kTransposed = 1 };
using Create = int (*)(Handle*);
using SetStream = int (*)(Handle, cudaStream_t);
using StatusString = const char* (*)(int);
using Multiply = int (*)(Handle, Operation, Operation, int m, int n, int k, const double* alpha,
                         const double* A, int lda, long long stride_a, const double* B, int ldb,
                         long long stride_b, const double* beta, double* C, int ldc,
                         long long stride_c, int batch);

struct Library {
  std::string path;
  Create create = nullptr;
  SetStream set_stream = nullptr;
  StatusString status_string = nullptr;
  Multiply multiply = nullptr;
  std::map<int, Handle> handles;  // by device, kept until the process ends
};

Library library;

template <class Function>
bool find(void* opened, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(opened, name));
  return function != nullptr;
}

bool take(void* opened, const std::string& path) {
  Library found;
  if (!find(opened, "cublasCreate_v2", found.create) ||
      !find(opened, "cublasSetStream_v2", found.set_stream) ||
      !find(opened, "cublasGetStatusString", found.status_string) ||
      !find(opened, "cublasDgemmStridedBatched", found.multiply)) {
    return false;
  }
  found.path = path;
  library = found;
  return true;
}

void check(int status, const char* call) {
  if (status == 0) return;
  throw std::runtime_error(std::string("cuBLAS: ") + call + ": " + library.status_string(status));
}

int narrow(std::int64_t size) {
  if (size < 0 || size > std::numeric_limits<int>::max()) {
    throw std::runtime_error("cuBLAS: a matrix has " + std::to_string(size) +
                             " rows or columns, at most 2,147,483,647 can be multiplied");
  }
  return static_cast<int>(size);
}

}  // namespace

std::string load_cublas(const std::vector<std::string>& paths, std::string& reason) {
  if (library.multiply) return library.path;
  for (const int loaded_only : {RTLD_NOLOAD, 0}) {
    for (const std::string& path : paths) {
      void* opened = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | loaded_only);
      if (opened && take(opened, path)) return path;
      if (!loaded_only && reason.empty()) reason = opened ? path + " is no cuBLAS" : dlerror();
    }
  }
  return "";
}

void multiply(const double* A, const double* B, double* C, const Product& product,
              cudaStream_t stream) {
  if (!library.multiply) throw std::runtime_error("cuBLAS is not loaded");
  int device = 0;
  cudaGetDevice(&device);
  Handle& handle = library.handles[device];
  if (!handle) check(library.create(&handle), "cublasCreate");
  check(library.set_stream(handle, stream), "cublasSetStream");
  // cuBLAS is column-major, in which a row-major matrix is its transpose: C' = op(B)' op(A)'.
  const auto stored = [](bool transpose) { return transpose ? kTransposed : kAsStored; };
  check(library.multiply(handle, stored(product.transpose_b), stored(product.transpose_a),
                         narrow(product.n), narrow(product.m), narrow(product.k), &product.alpha, B,
                         narrow(product.ldb), product.stride_b, A, narrow(product.lda),
                         product.stride_a, &product.beta, C, narrow(product.ldc), product.stride_c,
                         narrow(product.batch)),
        "cublasDgemmStridedBatched");
}

}  // namespace consilience
