// The emulator as a Python module, for tests: launch(name, grid, block, shared, arguments), gemm.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <string>
#include <utility>

// clang-format off: what the kernels are made of, then they
#include "emulated/cuda.hpp"
#include "cuda/kernels.cuh"
// clang-format on

namespace py = pybind11;

namespace {

using Invoke = std::function<void(const std::vector<std::uint64_t>&)>;

template <class T>
T argument(std::uint64_t bits) {
  static_assert(sizeof(T) == 8, "parameters of kernels are pointers, index_t and double");
  return bits_of<T>(bits);
}

template <class... Parameters, std::size_t... At>
Invoke invoker(void (*kernel)(Parameters...), std::index_sequence<At...>) {
  return [kernel](const std::vector<std::uint64_t>& values) {
    if (values.size() != sizeof...(Parameters)) {
      throw std::invalid_argument("the kernel has " + std::to_string(sizeof...(Parameters)) +
                                  " parameters, got " + std::to_string(values.size()));
    }
    kernel(argument<Parameters>(values[At])...);
  };
}

template <class... Parameters>
Invoke invoker(void (*kernel)(Parameters...)) {
  return invoker(kernel, std::index_sequence_for<Parameters...>{});
}

const std::map<std::string, Invoke>& kernels() {
#define CONSILIENCE_ENTRY(name) {#name, invoker(&name)},
  static const std::map<std::string, Invoke> all = {CONSILIENCE_KERNELS(CONSILIENCE_ENTRY)};
#undef CONSILIENCE_ENTRY
  return all;
}

dim3 extent(const std::vector<unsigned>& sizes) {
  return {sizes.at(0), sizes.size() > 1 ? sizes[1] : 1, sizes.size() > 2 ? sizes[2] : 1};
}

void launch(const std::string& name, const std::vector<unsigned>& grid, unsigned block,
            std::size_t shared, const std::vector<std::uint64_t>& values) {
  const auto found = kernels().find(name);
  if (found == kernels().end()) throw std::invalid_argument("no kernel is called " + name);
  emulated::run(extent(grid), {block, 1, 1}, shared, [&] { found->second(values); });
}

void gemm(std::uint64_t a, std::uint64_t b, std::uint64_t c, long m, long n, long k,
          bool transpose_a, bool transpose_b, long lda, long ldb, long ldc, double alpha,
          double beta, long batch, const std::vector<long>& strides) {
  for (long t = 0; t < batch; ++t) {
    const auto* A = bits_of<const double*>(a) + t * strides[0];
    const auto* B = bits_of<const double*>(b) + t * strides[1];
    auto* C = bits_of<double*>(c) + t * strides[2];
    for (long i = 0; i < m; ++i) {
      for (long j = 0; j < n; ++j) {
        double sum = 0.0;
        for (long l = 0; l < k; ++l) {
          sum += (transpose_a ? A[l * lda + i] : A[i * lda + l]) *
                 (transpose_b ? B[j * ldb + l] : B[l * ldb + j]);
        }
        double& out = C[i * ldc + j];
        out = alpha * sum + (beta == 0.0 ? 0.0 : beta * out);
      }
    }
  }
}

}  // namespace

PYBIND11_MODULE(_emulated, m) {
  m.def("launch", &launch);
  m.def("gemm", &gemm);
  m.def("use_warpgroups", [](bool use) { kWarpgroups = use; });
  m.def("kernels", [] {
    std::vector<std::string> names;
    for (const auto& [name, invoke] : kernels()) names.push_back(name);
    return names;
  });
}
