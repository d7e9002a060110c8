// Telling a story step by step, and cancelling it at each of its steps: for tests of anything that
// waits.
//
// A step is one Runnable run by the loop, or one move of the clock. Between any two of them a task
// can be destroyed, also when what it waits for has been made ready and has not run yet.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "koine/async/task.h"
#include "koine/async/virtual_time.h"

namespace koine {

/// Counts how many of its kind are alive: put one wherever something must not be left behind.
class Counted {
 public:
  Counted() { ++alive; }
  Counted(const Counted&) { ++alive; }
  Counted(Counted&&) noexcept { ++alive; }
  Counted& operator=(const Counted&) = default;
  Counted& operator=(Counted&&) = default;
  ~Counted() { --alive; }

  static inline int alive = 0;
};

/// One step. False if nothing is left to happen.
inline bool small_step(VirtualTime& time) {
  Loop& loop = time.loop();
  const Loop::Entered entered(loop);
  loop.advance(loop.now());
  if (loop.run_one()) return true;
  const auto next = loop.next_deadline();
  if (next) loop.advance(*next);
  return next.has_value();
}

/// Nothing is ready, no timer is armed, no task runs, and no Counted lives.
inline void expect_nothing_left(VirtualTime& time) {
  EXPECT_TRUE(time.loop().idle()) << "something was left in the loop";
  EXPECT_FALSE(time.loop().next_deadline()) << "a timer was left behind";
  EXPECT_EQ(time.loop().dump(), "no tasks\n");
  EXPECT_EQ(Counted::alive, 0);
}

/// Runs the operation `tell(world)` to its end, then once more for each of its steps, and destroys
/// it there. After each run nothing may be left, and `expect_unharmed(world)` is asked. Answers how
/// many steps the story has.
template <class World, class Tell, class Check>
int cancel_at_every_step(Tell tell, Check expect_unharmed) {
  int steps = 0;
  for (int cancelled_at = -1; cancelled_at < steps; ++cancelled_at) {
    SCOPED_TRACE("cancelled at step " + std::to_string(cancelled_at) + " (-1: never)");
    VirtualTime time;
    {
      World world;
      {
        Started started(time.loop(), tell(world));
        if (cancelled_at < 0) {
          while (!started.done() && small_step(time)) ++steps;
          EXPECT_TRUE(started.done()) << time.loop().dump();
        } else {
          for (int step = 0; step < cancelled_at; ++step) small_step(time);
          EXPECT_FALSE(started.done());
        }
      }
      expect_unharmed(world);
    }
    expect_nothing_left(time);
    if (testing::Test::HasFailure()) break;
  }
  return steps;
}

struct NoWorld {};

template <class Tell>
int cancel_at_every_step(Tell tell) {
  return cancel_at_every_step<NoWorld>([&](NoWorld&) { return tell(); }, [](NoWorld&) {});
}

/// Runs the tasks that `begin(world)` makes side by side until nothing is left to happen, once
/// undisturbed, then with each of them destroyed at each step, and asks `check(world)` each time.
template <class World, class Begin, class Check>
void cancel_each_at_every_step(Begin begin, Check check) {
  int steps = 0;
  for (int cancelled_at = -1; cancelled_at < steps; ++cancelled_at) {
    for (std::size_t victim = 0;; ++victim) {
      SCOPED_TRACE("task " + std::to_string(victim) + " cancelled at step " +
                   std::to_string(cancelled_at) + " (-1: never)");
      VirtualTime time;
      std::size_t parties = 0;
      {
        World world;
        std::vector<std::unique_ptr<Started<Task<void>>>> started;
        for (Task<void>& task : begin(world))
          started.push_back(std::make_unique<Started<Task<void>>>(time.loop(), std::move(task)));
        parties = started.size();
        for (int step = 0; step < cancelled_at; ++step) small_step(time);
        if (cancelled_at >= 0) started[victim].reset();
        while (small_step(time)) steps += cancelled_at < 0 ? 1 : 0;
        const Loop::Entered entered(time.loop());
        check(world);
      }
      expect_nothing_left(time);
      if (testing::Test::HasFailure()) return;
      if (cancelled_at < 0 || victim + 1 == parties) break;
    }
  }
}

}  // namespace koine
