// The CUDA runtime, the kernels and cuBLAS as a Python module. Loads without a GPU or a driver.
#include <cuda_runtime_api.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cuda/cublas.hpp"
#include "cuda/kernel_table.hpp"
#include "cuda/staging.hpp"

namespace py = pybind11;

namespace consilience {
namespace {

using Address = std::uint64_t;

// Beyond, a kernel is asked for more: it has 48 KiB unasked, of which it declares up to 32 itself.
constexpr int kUnaskedShared = 16 << 10;

template <class T>
T* pointer(Address address) {
  return reinterpret_cast<T*>(static_cast<std::uintptr_t>(address));
}
cudaStream_t stream_at(Address address) { return pointer<CUstream_st>(address); }

void check(cudaError_t status, const std::string& call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or the next launch would report it again
  throw std::runtime_error("CUDA: " + call + ": " + cudaGetErrorString(status));
}

[[noreturn]] void throw_out_of_memory(std::size_t bytes, int device) {
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  const std::string text = "GPU " + std::to_string(device) + " has no room for " +
                           std::to_string(bytes) + " bytes; " + std::to_string(free) + " of " +
                           std::to_string(total) + " are free. Lower max_memory, or free arrays";
  PyErr_SetString(PyExc_MemoryError, text.c_str());
  throw py::error_already_set();
}

// The device that is current while this lives.
class On {
 public:
  explicit On(int device) {
    check(cudaGetDevice(&before_), "cudaGetDevice");
    if (before_ == device) return;
    check(cudaSetDevice(device), "cudaSetDevice(" + std::to_string(device) + ")");
    changed_ = true;
  }
  ~On() {
    if (changed_) cudaSetDevice(before_);
  }
  On(const On&) = delete;
  On& operator=(const On&) = delete;

 private:
  int before_ = 0;
  bool changed_ = false;
};

// ---- memory ------------------------------------------------------------------------------

// The pool of the device, which keeps what it has been given; null where there are no pools.
cudaMemPool_t pool_of(int device) {
  static std::map<int, cudaMemPool_t> pools;
  const auto found = pools.find(device);
  if (found != pools.end()) return found->second;
  int supported = 0;
  cudaMemPool_t pool = nullptr;
  check(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, device),
        "cudaDeviceGetAttribute");
  void* trial = nullptr;
  if (supported && cudaDeviceGetDefaultMemPool(&pool, device) == cudaSuccess &&
      cudaMallocAsync(&trial, 256, nullptr) == cudaSuccess) {
    cudaFreeAsync(trial, nullptr);
    std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all),
          "cudaMemPoolSetAttribute");
  } else {
    cudaGetLastError();
    pool = nullptr;
  }
  return pools[device] = pool;
}

// Memory of the device, given back in the order of its stream.
class Memory {
 public:
  // `stream_owner` is kept as long as the memory.
  Memory(int device, Address stream, std::size_t bytes, py::object stream_owner)
      : device_(device), stream_(stream), stream_owner_(std::move(stream_owner)) {
    const On on(device);
    pool_ = pool_of(device);
    const std::size_t wanted = bytes ? bytes : 1;
    cudaError_t status = take(wanted);
    if (status == cudaErrorMemoryAllocation && pool_) {
      // What was freed on other streams is there once they have got so far.
      cudaGetLastError();
      {
        const py::gil_scoped_release others_run;
        cudaDeviceSynchronize();
        cudaMemPoolTrimTo(pool_, 0);
      }
      status = take(wanted);
    }
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw_out_of_memory(bytes, device);
    }
    check(status, pool_ ? "cudaMallocAsync" : "cudaMalloc");
  }
  ~Memory() {
    int before = 0;
    if (!address_ || cudaGetDevice(&before) != cudaSuccess) return;
    cudaSetDevice(device_);
    // Nobody can be told of errors here, as at the end of the process there are some.
    if (pool_) {
      cudaFreeAsync(address_, stream_at(stream_));
    } else {
      cudaFree(address_);
    }
    cudaGetLastError();
    cudaSetDevice(before);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  Address address() const { return reinterpret_cast<std::uintptr_t>(address_); }

 private:
  cudaError_t take(std::size_t bytes) {
    return pool_ ? cudaMallocAsync(&address_, bytes, stream_at(stream_))
                 : cudaMalloc(&address_, bytes);
  }

  int device_;
  Address stream_;
  py::object stream_owner_;
  cudaMemPool_t pool_ = nullptr;
  void* address_ = nullptr;
};

void fill_zero(int device, Address stream, Address to, std::size_t bytes) {
  const On on(device);
  check(cudaMemsetAsync(pointer<void>(to), 0, bytes, stream_at(stream)), "cudaMemsetAsync");
}

// From or to the host; ends when the bytes are there.
void copy(int device, Address stream, Address to, Address from, std::size_t bytes,
          cudaMemcpyKind kind) {
  const On on(device);
  cudaError_t status;
  {
    const py::gil_scoped_release others_run;
    status = copy_staged(stream_at(stream), pointer<void>(to), pointer<void>(from), bytes, kind);
  }
  check(status, kind == cudaMemcpyHostToDevice ? "copy to the device" : "copy to the host");
}

// What is free, and what the pool holds and nobody uses.
std::size_t free_bytes(int device) {
  const On on(device);
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  if (cudaMemPool_t pool = pool_of(device)) {
    std::uint64_t reserved = 0, used = 0;
    check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved),
          "cudaMemPoolGetAttribute");
    check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used),
          "cudaMemPoolGetAttribute");
    free += reserved - used;
  }
  return free;
}

// Gives back to the device what nobody uses.
void trim(int device) {
  const On on(device);
  if (cudaMemPool_t pool = pool_of(device)) {
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    check(cudaMemPoolTrimTo(pool, 0), "cudaMemPoolTrimTo");
  }
}

// The most bytes in use at a time since the last call with `reset`.
std::size_t peak_bytes(int device, bool reset) {
  const On on(device);
  cudaMemPool_t pool = pool_of(device);
  if (!pool) return 0;
  std::uint64_t peak = 0, none = 0;
  check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &peak),
        "cudaMemPoolGetAttribute");
  if (reset) {
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &none),
          "cudaMemPoolSetAttribute");
  }
  return peak;
}

// ---- launches ----------------------------------------------------------------------------

void allow_shared(const Kernel& kernel, int device, int bytes) {
  static std::map<std::pair<const void*, int>, int> allowed;
  int& most = allowed[{kernel.function, device}];
  if (bytes <= kUnaskedShared || bytes <= most) return;
  check(cudaFuncSetAttribute(kernel.function, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
        std::string(kernel.name) + " with " + std::to_string(bytes) + " bytes of shared memory");
  most = bytes;
}

void launch(int device, Address stream, const std::string& name, const std::vector<unsigned>& grid,
            unsigned block, int shared, std::vector<std::uint64_t> words) {
  const Kernel* kernel = find_kernel(name);
  if (!kernel) throw std::invalid_argument("no kernel is called " + name);
  if (words.size() != kernel->n_parameters) {
    throw std::invalid_argument(name + " has " + std::to_string(kernel->n_parameters) +
                                " parameters, got " + std::to_string(words.size()));
  }
  const On on(device);
  allow_shared(*kernel, device, shared);
  std::vector<void*> parameters;
  for (std::uint64_t& word : words) parameters.push_back(&word);
  const auto extent = [&](std::size_t axis) { return axis < grid.size() ? grid[axis] : 1u; };
  const cudaError_t status =
      cudaLaunchKernel(kernel->function, dim3(extent(0), extent(1), extent(2)), dim3(block),
                       parameters.data(), static_cast<std::size_t>(shared), stream_at(stream));
  if (status != cudaSuccess) {
    check(status, name + " on a grid of " + std::to_string(extent(0)) + " x " +
                      std::to_string(extent(1)) + " x " + std::to_string(extent(2)) +
                      " blocks of " + std::to_string(block) + " threads with " +
                      std::to_string(shared) + " bytes of shared memory");
  }
}

void gemm(int device, Address stream, Address a, Address b, Address c, std::int64_t m,
          std::int64_t n, std::int64_t k, bool transpose_a, bool transpose_b, std::int64_t lda,
          std::int64_t ldb, std::int64_t ldc, double alpha, double beta, std::int64_t batch,
          const std::vector<std::int64_t>& strides) {
  if (m == 0 || n == 0 || batch == 0) return;
  const On on(device);
  const Product product = {
      m,     n,           k,           lda,   ldb, ldc, strides.at(0), strides.at(1), strides.at(2),
      batch, transpose_a, transpose_b, alpha, beta};
  multiply(pointer<double>(a), pointer<double>(b), pointer<double>(c), product, stream_at(stream));
}

void synchronize(int device, Address stream) {
  const On on(device);
  cudaError_t status;
  {
    const py::gil_scoped_release others_run;
    status = cudaStreamSynchronize(stream_at(stream));
  }
  check(status, "what was launched before");
}

py::dict attributes(const std::string& name) {
  const Kernel* kernel = find_kernel(name);
  if (!kernel) throw std::invalid_argument("no kernel is called " + name);
  cudaFuncAttributes found;
  check(cudaFuncGetAttributes(&found, kernel->function), name);
  py::dict facts;
  facts["registers"] = found.numRegs;
  facts["spilled_bytes"] = found.localSizeBytes;
  facts["shared_bytes"] = found.sharedSizeBytes;
  facts["max_threads"] = found.maxThreadsPerBlock;
  facts["binary_version"] = found.binaryVersion;
  return facts;
}

// ---- devices and time --------------------------------------------------------------------

// How many devices there are, or why none can be used.
std::pair<int, std::string> devices() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess) return {count, count ? "" : "no CUDA device is visible"};
  cudaGetLastError();
  return {0, cudaGetErrorString(status)};
}

py::dict properties(int device) {
  cudaDeviceProp found;
  check(cudaGetDeviceProperties(&found, device), "cudaGetDeviceProperties");
  int driver = 0, runtime = 0;
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  py::dict facts;
  facts["name"] = std::string(found.name);
  facts["memory"] = found.totalGlobalMem;
  facts["compute_capability"] = py::make_tuple(found.major, found.minor);
  facts["multiprocessors"] = found.multiProcessorCount;
  facts["l2_bytes"] = found.l2CacheSize;
  facts["shared_bytes"] = found.sharedMemPerBlockOptin;
  facts["driver"] = driver;
  facts["runtime"] = runtime;
  return facts;
}

int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

// A moment on a stream.
class Event {
 public:
  Event(int device, Address stream) {
    const On on(device);
    check(cudaEventCreate(&event_), "cudaEventCreate");
    check(cudaEventRecord(event_, stream_at(stream)), "cudaEventRecord");
  }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Seconds since an earlier event, once both have come.
  double since(const Event& earlier) const {
    cudaError_t status;
    {
      const py::gil_scoped_release others_run;
      status = cudaEventSynchronize(event_);
    }
    check(status, "cudaEventSynchronize");
    float milliseconds = 0.0f;
    check(cudaEventElapsedTime(&milliseconds, earlier.event_, event_), "cudaEventElapsedTime");
    return static_cast<double>(milliseconds) / 1e3;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace
}  // namespace consilience

PYBIND11_MODULE(_cuda, m) {
  using namespace consilience;
  py::class_<Memory, std::shared_ptr<Memory>>(m, "Memory")
      .def(py::init<int, Address, std::size_t, py::object>(), py::arg("device"), py::arg("stream"),
           py::arg("nbytes"), py::arg("stream_owner"))
      .def_property_readonly("address", &Memory::address);
  py::class_<Event>(m, "Event")
      .def(py::init<int, Address>(), py::arg("device"), py::arg("stream"))
      .def("since", &Event::since, py::arg("earlier"));
  m.def("fill_zero", &fill_zero);
  m.def("to_device", [](int device, Address stream, Address to, Address from, std::size_t bytes) {
    copy(device, stream, to, from, bytes, cudaMemcpyHostToDevice);
  });
  m.def("to_host", [](int device, Address stream, Address to, Address from, std::size_t bytes) {
    copy(device, stream, to, from, bytes, cudaMemcpyDeviceToHost);
  });
  m.def("free_bytes", &free_bytes);
  m.def("trim", &trim);
  m.def("peak_bytes", &peak_bytes);
  m.def("launch", &launch);
  m.def("gemm", &gemm);
  m.def("synchronize", &synchronize);
  m.def("load_cublas", [](const std::vector<std::string>& paths) {
    std::string reason;
    const std::string path = load_cublas(paths, reason);
    return std::make_pair(path, reason);
  });
  m.def("kernels", &kernel_names);
  m.def("attributes", &attributes);
  m.def("devices", &devices);
  m.def("properties", &properties);
  m.def("current_device", &current_device);
  m.def("set_device", [](int device) { check(cudaSetDevice(device), "cudaSetDevice"); });
}
