// VirtualTime: the smallest driver of a Loop. Its clock moves only when nothing else is left to do.
//
// Made for tests of everything that needs no network: an hour of timers takes no time.
#pragma once

#include "koine/async/started.h"

namespace koine {

class VirtualTime {
 public:
  explicit VirtualTime(std::uint64_t seed = 1) : loop_(Instant(), seed) {}

  Loop& loop() { return loop_; }
  Instant now() const { return loop_.now(); }

  /// One turn: does what can be done now, or else moves to the next deadline and does what can be
  /// done then. False if nothing is left.
  bool step() {
    const Loop::Entered entered(loop_);
    loop_.advance(now());
    if (loop_.idle()) {
      const auto next = loop_.next_deadline();
      if (!next) return false;
      loop_.advance(*next);
    }
    loop_.run_ready();
    return true;
  }

  /// Steps until nothing is left to happen.
  void run() {
    while (step()) {
    }
  }

  /// Runs `op` to its end; null if nothing is left to happen and it is not over.
  template <Operation Op>
  std::optional<AnswerOf<Op>> finish(Op op)
    requires(!std::is_void_v<AnswerOf<Op>>)
  {
    Started<Op> started(loop_, std::move(op));
    while (!started.done() && step()) {
    }
    if (!started.done()) return std::nullopt;
    return started.take();
  }

  /// The same for an operation that answers nothing: true if it came to its end.
  template <Operation Op>
  bool finish(Op op)
    requires(std::is_void_v<AnswerOf<Op>>)
  {
    Started<Op> started(loop_, std::move(op));
    while (!started.done() && step()) {
    }
    if (started.done()) started.take();
    return started.done();
  }

 private:
  Loop loop_;
};

}  // namespace koine
