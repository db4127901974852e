#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "common/types.hpp"

namespace consilience {

// How to run: threads, and what to call between tasks so that the caller can interrupt.
struct Run {
  int n_threads = 1;
  std::function<void()> poll = [] {};  // called by the calling thread only; throws to stop
};

// Calls body(task, worker) once for every task in [0, n_tasks). Threads live for one call: a
// start costs about 20 us, and nothing is left behind for fork() to break or another runtime to
// meet. The first exception thrown by any worker stops the others and is thrown here.
template <class Body>
void parallel_for(index_t n_tasks, const Run& run, Body&& body) {
  std::atomic<index_t> next{0};
  std::atomic<bool> stop{false};
  std::exception_ptr error;
  std::mutex error_mutex;

  const auto work = [&](int worker) noexcept {
    try {
      while (!stop.load(std::memory_order_relaxed)) {
        const index_t task = next.fetch_add(1);
        if (task >= n_tasks) break;
        if (worker == 0) run.poll();
        body(task, worker);
      }
    } catch (...) {
      const std::lock_guard lock(error_mutex);
      if (!error) error = std::current_exception();
      stop = true;
    }
  };

  const index_t n_workers = std::min<index_t>(run.n_threads, n_tasks);
  std::vector<std::thread> threads;
  threads.reserve(n_workers);  // a thread that runs must not meet an exception here
  for (int worker = 1; worker < n_workers; ++worker) {
    try {
      threads.emplace_back(work, worker);
    } catch (const std::exception&) {
      break;  // no more threads or memory to be had: those that started do all the tasks
    }
  }
  work(0);
  for (std::thread& thread : threads) thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace consilience
