#pragma once

namespace consilience {

// Why this build has no CUDA kernels, in one sentence; null if it has them.
const char* cuda_missing();

}  // namespace consilience
