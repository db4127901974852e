// The kernels by name, as the CUDA runtime knows them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace consilience {

struct Kernel {
  const char* name;
  const void* function;
  std::size_t n_parameters;  // of 8 bytes each
};

// Null if none is called so.
const Kernel* find_kernel(const std::string& name);
std::vector<std::string> kernel_names();

}  // namespace consilience
