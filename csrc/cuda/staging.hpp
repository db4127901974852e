#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace consilience {

// Copies between a GPU and host memory of any kind, in order on a stream; returns when it is done.
// The driver copies pageable memory on one thread, which is several times slower than the bus: what
// is large goes in pieces through pinned memory, and threads fill or empty one piece while another
// is on its way.
cudaError_t copy_staged(cudaStream_t stream, void* to, const void* from, std::size_t bytes,
                        cudaMemcpyKind kind);

}  // namespace consilience
