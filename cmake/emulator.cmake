# The extension `_emulated`: the CUDA kernels compiled for a CPU, each CUDA thread a fiber.
pybind11_add_module(_emulated MODULE NO_EXTRAS csrc/emulated/cuda.cpp csrc/emulated/module.cpp)
target_include_directories(_emulated PRIVATE csrc csrc/cuda)
# In headers, kernels that a unit does not launch are unused.
target_compile_options(_emulated PRIVATE -O2 -g1 -Wall -Wextra -Wno-unused-function -Wno-unknown-pragmas)
if(CONSILIENCE_WERROR)
  target_compile_options(_emulated PRIVATE -Werror)
endif()
consilience_sanitize(_emulated)
install(TARGETS _emulated DESTINATION consilience)
