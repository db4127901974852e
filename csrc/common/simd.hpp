#pragma once

// One wheel serves any x86-64: GCC makes a version per instruction set and the loader picks.
// Elsewhere (arm64, Clang, MSVC) the build's own target is used. Sanitizers cannot run
// ifunc resolvers, so they get the plain version.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(CONSILIENCE_NO_CLONES)
#define CONSILIENCE_SIMD \
  __attribute__((target_clones("default", "arch=haswell", "arch=skylake-avx512")))
#else
#define CONSILIENCE_SIMD
#endif
