# Builds a target with the sanitizers that CONSILIENCE_SANITIZE names. -O1 comes after what the
# target has asked for: it builds and runs faster than -O3 or -O0, and traces stay readable.
if(CONSILIENCE_SANITIZE)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION OFF)  # else pybind11 asks for it
endif()

function(consilience_sanitize target)
  if(CONSILIENCE_SANITIZE STREQUAL "thread")
    set(sanitizers -fsanitize=thread)
  elseif(CONSILIENCE_SANITIZE STREQUAL "address")
    set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=undefined)
  elseif(CONSILIENCE_SANITIZE)
    message(FATAL_ERROR "CONSILIENCE_SANITIZE is address, thread or OFF: ${CONSILIENCE_SANITIZE}")
  else()
    return()
  endif()
  target_compile_options(${target} PRIVATE ${sanitizers} -O1 -g1 -fno-omit-frame-pointer -UNDEBUG)
  # Resolvers of clones run before the sanitizers do.
  target_compile_definitions(${target} PRIVATE CONSILIENCE_NO_CLONES)
  target_link_options(${target} PRIVATE ${sanitizers})
  # The headers of pybind11 cost more than the bindings: once is enough.
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources EXCLUDE REGEX "/bindings/")
  set_source_files_properties(${sources} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
endfunction()
