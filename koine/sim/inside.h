// Inside: this thread is telling a part of a world's story.
//
// Nothing in a story may come from outside of the world: neither the real time nor real chance, no
// other thread and no socket of the kernel. What links koine_sim_strict (strict.cc) is stopped when
// simulated code reaches for these; Inside tells it whose code that is.
#pragma once

#include <cstdint>

namespace koine {
class Loop;
}

namespace koine::sim {

class Inside {
 public:
  /// While it lives, what runs on this thread is `who`: the name of a host, or null for the world's
  /// own doings. `loop` has its tasks, or is null.
  Inside(std::uint64_t seed, const char* who, const Loop* loop)
      : seed_(seed), who_(who), loop_(loop), around_(current_) {
    current_ = this;
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() { current_ = around_; }

  /// Null most of the time: no world runs on this thread.
  static const Inside* current() { return current_; }

  /// For whoever has to say something about it and reaches outside to do so.
  static void leave() { current_ = nullptr; }

  std::uint64_t seed() const { return seed_; }
  const char* who() const { return who_; }
  const Loop* loop() const { return loop_; }

 private:
  static thread_local constinit const Inside* current_;

  std::uint64_t seed_;
  const char* who_;
  const Loop* loop_;
  const Inside* around_;
};

}  // namespace koine::sim
