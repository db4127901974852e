#pragma once

// One wheel serves any x86-64: GCC makes a version per instruction set and the loader picks.
// Levels, not processors: "arch=haswell" would be taken by that one processor and no later one.
// Elsewhere (arm64, Clang, MSVC) the build's own target is used. Sanitizers cannot run
// ifunc resolvers, so they get the plain version of these, and the kernels below as they are.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && \
    !defined(CONSILIENCE_NO_CLONES)
#define CONSILIENCE_SIMD \
  __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define CONSILIENCE_SIMD
#endif

// For what such versions are made of: it must become part of each.
#define CONSILIENCE_INLINE inline __attribute__((always_inline))

// Whether kernels are compiled for several instruction sets by hand, and one chosen at run time.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define CONSILIENCE_X86_KERNELS
#endif
