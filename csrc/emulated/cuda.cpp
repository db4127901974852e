#include "emulated/cuda.hpp"

#ifndef CONSILIENCE_UCONTEXT
asm(R"(
  .text
  .globl consilience_emulated_switch
  .hidden consilience_emulated_switch
  .type consilience_emulated_switch, @function
consilience_emulated_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size consilience_emulated_switch, .-consilience_emulated_switch
)");
#endif

namespace emulated {

dim3 block_index, block_dim, grid_dim;
Thread* running = nullptr;

namespace {

struct Block {
  std::vector<std::unique_ptr<Thread>> threads;
  std::vector<Warp> warps;
  Barrier barrier;
  Barrier some[16];
  std::vector<unsigned char> shared;
  const std::function<void()>* kernel = nullptr;
};

Block block;

void leave(Barrier& barrier) {
  --barrier.expected;
  if (barrier.expected > 0 && barrier.arrived == barrier.expected) {
    barrier.arrived = 0;
    ++barrier.turn;
  }
}

void body() {
  (*block.kernel)();
  current().ended = true;
  leave(warp().barrier);
  leave(block.barrier);
  current().fiber.leave();
}

void run_block(unsigned n_threads) {
  block.barrier = {n_threads, 0, 0};
  for (Barrier& barrier : block.some) barrier = {};
  block.warps.assign((n_threads + 31) / 32, Warp{});
  for (unsigned t = 0; t < n_threads; ++t) {
    Thread& thread = *block.threads[t];
    thread.ended = false;
    thread.awaited = nullptr;
    thread.idle = false;
    thread.flat = t;
    thread.warp = &block.warps[t / 32];
    thread.index = {t % block_dim.x, t / block_dim.x % block_dim.y,
                    t / (block_dim.x * block_dim.y)};
    ++thread.warp->barrier.expected;
    thread.fiber.prepare(body);
  }
  for (unsigned left = n_threads; left > 0;) {
    bool moved = false;
    for (unsigned t = 0; t < n_threads; ++t) {
      Thread& thread = *block.threads[t];
      if (thread.ended || (thread.awaited && thread.awaited->turn == thread.turn)) continue;
      running = &thread;
      thread.fiber.enter();
      moved = moved || !thread.idle;
      left -= thread.ended;
    }
    if (!moved) throw std::runtime_error("threads of a block wait for each other in vain");
  }
}

}  // namespace

unsigned char* dynamic_shared() { return block.shared.data(); }

void wait(Barrier& barrier) {
  if (++barrier.arrived == barrier.expected) {
    barrier.arrived = 0;
    ++barrier.turn;
    return;
  }
  Thread& own = current();
  own.awaited = &barrier;
  own.turn = barrier.turn;
  own.fiber.leave();
  own.awaited = nullptr;
}

void wait_block() { wait(block.barrier); }

void wait_some(unsigned which, unsigned threads) {
  block.some[which].expected = threads;
  wait(block.some[which]);
}

void run(dim3 grid, dim3 threads, std::size_t shared_bytes, const std::function<void()>& kernel) {
  const unsigned n_threads = threads.x * threads.y * threads.z;
  if (n_threads == 0 || n_threads > 1024) throw std::runtime_error("too many threads in a block");
  if (shared_bytes > 227 << 10) throw std::runtime_error("too much shared memory");
  while (block.threads.size() < n_threads) block.threads.push_back(std::make_unique<Thread>());
  grid_dim = grid;
  block_dim = threads;
  block.kernel = &kernel;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        block_index = {x, y, z};
        // What is not written must not be read: a block finds rubbish.
        block.shared.assign(shared_bytes + 16, 0xa5);
        run_block(n_threads);
      }
    }
  }
}

}  // namespace emulated
