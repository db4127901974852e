#include "emulated/cuda.hpp"

namespace emulated {

dim3 block_index, block_dim, grid_dim;

namespace {

constexpr std::size_t kStackBytes = 96 << 10;

struct Block {
  ucontext_t scheduler;
  std::vector<std::unique_ptr<Thread>> threads;
  std::vector<Warp> warps;
  Barrier barrier;
  Thread* running = nullptr;
  std::vector<unsigned char> shared;
  const std::function<void()>* kernel = nullptr;
  std::size_t moves = 0;  // what has happened, so that nothing happening is noticed
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
  Thread& own = current();
  (*block.kernel)();
  own.ended = true;
  ++block.moves;
  leave(warp().barrier);
  leave(block.barrier);
  swapcontext(&own.context, &block.scheduler);
}

void run_block(unsigned n_threads) {
  block.barrier = {n_threads, 0, 0};
  block.warps.assign((n_threads + 31) / 32, Warp{});
  for (unsigned t = 0; t < n_threads; ++t) {
    Thread& thread = *block.threads[t];
    thread.ended = false;
    thread.flat = t;
    thread.index = {t % block_dim.x, t / block_dim.x % block_dim.y,
                    t / (block_dim.x * block_dim.y)};
    ++block.warps[t / 32].barrier.expected;
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.data();
    thread.context.uc_stack.ss_size = thread.stack.size();
    thread.context.uc_link = nullptr;
    makecontext(&thread.context, body, 0);
  }
  for (bool running = true; running;) {
    running = false;
    const std::size_t before = block.moves;
    for (unsigned t = 0; t < n_threads; ++t) {
      if (block.threads[t]->ended) continue;
      running = true;
      block.running = block.threads[t].get();
      swapcontext(&block.scheduler, &block.running->context);
    }
    if (running && block.moves == before) {
      throw std::runtime_error("threads of a block wait for each other in vain");
    }
  }
}

}  // namespace

unsigned char* dynamic_shared() { return block.shared.data(); }
Thread& current() { return *block.running; }
Warp& warp() { return block.warps[current().flat / 32]; }

void wait(Barrier& barrier) {
  Thread& own = current();
  const unsigned turn = barrier.turn;
  ++block.moves;
  if (++barrier.arrived == barrier.expected) {
    barrier.arrived = 0;
    ++barrier.turn;
    return;
  }
  while (barrier.turn == turn) swapcontext(&own.context, &block.scheduler);
}

void wait_block() { wait(block.barrier); }

void run(dim3 grid, dim3 threads, std::size_t shared_bytes, const std::function<void()>& kernel) {
  const unsigned n_threads = threads.x * threads.y * threads.z;
  if (n_threads == 0 || n_threads > 1024) throw std::runtime_error("too many threads in a block");
  if (shared_bytes > 227 << 10) throw std::runtime_error("too much shared memory");
  while (block.threads.size() < n_threads) {
    block.threads.push_back(std::make_unique<Thread>());
    block.threads.back()->stack.resize(kStackBytes);
  }
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
