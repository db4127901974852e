// A stack of its own to run on, and the way there and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#ifndef __x86_64__
#define CONSILIENCE_UCONTEXT
#include <ucontext.h>
#endif

namespace emulated {

constexpr std::size_t kStackBytes = 96 << 10;

#ifdef CONSILIENCE_UCONTEXT

class Fiber {
 public:
  // To be entered at `body`, which must not return.
  void prepare(void (*body)()) {
    if (!stack_) stack_ = std::make_unique<unsigned char[]>(kStackBytes);
    getcontext(&own_);
    own_.uc_stack.ss_sp = stack_.get();
    own_.uc_stack.ss_size = kStackBytes;
    own_.uc_link = nullptr;
    makecontext(&own_, body, 0);
  }
  void enter() { swapcontext(&outside_, &own_); }
  void leave() { swapcontext(&own_, &outside_); }

 private:
  std::unique_ptr<unsigned char[]> stack_;
  ucontext_t own_, outside_;
};

#else

// Saves what a function must keep on the stack, that stack in *from, and goes on with `to`.
// swapcontext does the same and two system calls.
extern "C" void consilience_emulated_switch(void** from, void* to);

class Fiber {
 public:
  void prepare(void (*body)()) {
    if (!stack_) stack_ = std::make_unique<unsigned char[]>(kStackBytes);
    auto top = reinterpret_cast<std::uintptr_t>(stack_.get() + kStackBytes) & ~std::uintptr_t{15};
    // Six registers, where to return to, and no caller beyond.
    void* frame[8] = {};
    frame[6] = reinterpret_cast<void*>(body);
    own_ = reinterpret_cast<void*>(top - sizeof(frame));
    std::memcpy(own_, frame, sizeof(frame));
  }
  void enter() { consilience_emulated_switch(&outside_, own_); }
  void leave() { consilience_emulated_switch(&own_, outside_); }

 private:
  std::unique_ptr<unsigned char[]> stack_;
  void *own_ = nullptr, *outside_ = nullptr;
};

#endif

}  // namespace emulated
