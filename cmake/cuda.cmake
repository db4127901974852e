# The extension `_cuda`. cuBLAS is found at run time, CUDA's runtime is linked statically.
include(CheckLanguage)
if(NOT CMAKE_CUDA_COMPILER)
  find_program(CONSILIENCE_NVCC nvcc HINTS $ENV{CUDACXX} $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
  if(CONSILIENCE_NVCC)
    set(CMAKE_CUDA_COMPILER ${CONSILIENCE_NVCC})
  else()
    check_language(CUDA)
  endif()
endif()
if(NOT CMAKE_CUDA_COMPILER)
  if(CONSILIENCE_CUDA STREQUAL "AUTO")
    message(STATUS "CUDA kernels: not built, as no nvcc was found (set CUDACXX or CUDA_HOME)")
    return()
  endif()
  message(FATAL_ERROR "CONSILIENCE_CUDA=ON wants nvcc; set CUDACXX to it, or CUDA_HOME")
endif()

if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES OFF)  # said below, once the compiler has told what it knows
endif()
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)

if(NOT CONSILIENCE_CUDA_ARCHITECTURES)
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-arch
    OUTPUT_VARIABLE known COMMAND_ERROR_IS_FATAL ANY)
  # 90a has the warpgroups of Hopper, which no other architecture runs.
  foreach(architecture 80 90 100)
    if(known MATCHES "compute_${architecture}\n")
      string(REPLACE 90 90a real ${architecture})
      list(APPEND CONSILIENCE_CUDA_ARCHITECTURES ${real}-real)
      set(newest ${architecture})
    endif()
  endforeach()
  list(APPEND CONSILIENCE_CUDA_ARCHITECTURES ${newest}-virtual)
endif()
message(STATUS "CUDA kernels: nvcc ${CMAKE_CUDA_COMPILER_VERSION}, ${CONSILIENCE_CUDA_ARCHITECTURES}")

pybind11_add_module(_cuda MODULE NO_EXTRAS
  csrc/cuda/module.cpp csrc/cuda/cublas.cpp csrc/cuda/staging.cpp csrc/cuda/kernel_table.cu)
set_target_properties(_cuda PROPERTIES
  CUDA_ARCHITECTURES "${CONSILIENCE_CUDA_ARCHITECTURES}" CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON
  CUDA_RUNTIME_LIBRARY Static LINKER_LANGUAGE CXX)
target_include_directories(_cuda PRIVATE csrc)
if(NOT TARGET CUDA::cudart_static)
  message(FATAL_ERROR "${CUDAToolkit_LIBRARY_DIR} has no libcudart_static.a, which CUDA's runtime "
    "is linked from; install its development files, or set CONSILIENCE_CUDA=OFF")
endif()
target_link_libraries(_cuda PRIVATE CUDA::cudart_static Threads::Threads ${CMAKE_DL_LIBS})
target_compile_options(_cuda PRIVATE
  $<$<COMPILE_LANGUAGE:CXX>:-O2 -Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion>
  $<$<COMPILE_LANGUAGE:CUDA>:-O3 -lineinfo -Xcompiler=-Wall>)
if(CONSILIENCE_WERROR)
  target_compile_options(_cuda PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Werror>
    $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Werror -Werror=all-warnings>)
endif()
install(TARGETS _cuda DESTINATION consilience)
