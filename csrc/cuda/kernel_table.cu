#include "cuda/kernel_table.hpp"
#include "cuda/kernels.cuh"

namespace consilience {
namespace {

template <class... Parameters>
Kernel entry_of(const char* name, void (*kernel)(Parameters...)) {
  static_assert((... && (sizeof(Parameters) == 8)),
                "parameters of kernels are pointers, index_t and double");
  return {name, reinterpret_cast<const void*>(kernel), sizeof...(Parameters)};
}

const std::vector<Kernel>& kernels() {
#define CONSILIENCE_ENTRY(name) entry_of(#name, &name),
  static const std::vector<Kernel> all = {CONSILIENCE_KERNELS(CONSILIENCE_ENTRY)};
#undef CONSILIENCE_ENTRY
  return all;
}

}  // namespace

const Kernel* find_kernel(const std::string& name) {
  for (const Kernel& kernel : kernels()) {
    if (name == kernel.name) return &kernel;
  }
  return nullptr;
}

std::vector<std::string> kernel_names() {
  std::vector<std::string> names;
  for (const Kernel& kernel : kernels()) names.push_back(kernel.name);
  return names;
}

}  // namespace consilience
