// Stands in for the CUDA kernels.

#include "ops/cuda.hpp"

namespace consilience {

const char* cuda_missing() { return "this version has no CUDA kernels yet"; }

}  // namespace consilience
