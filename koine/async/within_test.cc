#include "koine/async/within.h"

#include <stdexcept>
#include <string>

#include "koine/async/event.h"
#include "koine/async/sleep.h"
#include "koine/async/story_test.h"
#include "koine/async/task.h"

namespace koine {
namespace {

Io<int> number_after(Duration delay) {
  const Counted counted;
  if (delay != Duration()) co_await sleep(delay);
  co_return 5;
}

Io<int> fail_after(Duration delay) {
  co_await sleep(delay);
  co_return fail(Fault::cancelled, "call off");
}

TEST(Within, SaysWhatItWasWaitingForWhenTheTimeWasUp) {
  VirtualTime time;
  auto over = time.finish(within(2s, number_after(1h)));
  ASSERT_TRUE(over);
  EXPECT_EQ(to_string(over->error()), "sleep: timed out (after 2.0 s)");
  EXPECT_EQ(time.now(), Instant(2s));
  expect_nothing_left(time);
}

TEST(Within, AnswersAsTheOperationDoesIfThatIsOverInTime) {
  VirtualTime time;
  EXPECT_EQ(**time.finish(within(2s, number_after(1s))), 5);
  EXPECT_EQ(**time.finish(within(2s, number_after(0s))), 5);
  EXPECT_EQ(time.finish(within(2s, fail_after(1s)))->error(), Fault::cancelled)
      << "timed out and cancelled are different faults";
  auto plain = []() -> Task<std::string> { co_return "plain"; };
  EXPECT_EQ(time.finish(within(1s, plain())), "plain");
  auto nothing = []() -> Task<void> { co_return; };
  EXPECT_TRUE(time.finish(within(1s, nothing()))->has_value());
  expect_nothing_left(time);
}

TEST(Within, DestroysWhatItCutsOffBeforeItAnswers) {
  VirtualTime time;
  auto story = []() -> Task<int> {
    auto answer = co_await within(1s, number_after(1h));
    EXPECT_FALSE(answer);
    co_return Counted::alive;
  };
  EXPECT_EQ(time.finish(story()), 0);
}

TEST(Within, TheNearestDeadlineCounts) {
  struct Case {
    Duration outer, inner, over_at;
    const char* error;
  };
  for (const Case& expected : {Case{1s, 5s, 1s, "sleep: timed out (after 1.0 s)"},
                               Case{5s, 1s, 1s, "sleep: timed out (after 1.0 s)"},
                               Case{2s, 2s, 2s, "sleep: timed out (after 2.0 s)"}}) {
    VirtualTime time;
    auto over = time.finish(within(expected.outer, within(expected.inner, number_after(1h))));
    EXPECT_EQ(to_string(over->error()), expected.error);
    EXPECT_EQ(time.now(), Instant(expected.over_at));
    expect_nothing_left(time);
  }
}

TEST(Within, ADeadlineIsInheritedByWhatIsAwaitedBelowIt) {
  VirtualTime time;
  auto below = []() -> Io<int> {
    int sum = 0;
    for (int i = 0; i < 5; ++i) sum += co_await attempt(within(600ms, number_after(500ms)));
    co_return sum;
  };
  auto over = time.finish(within(2s, below()));
  EXPECT_EQ(over->error(), Fault::timed_out);
  EXPECT_EQ(time.now(), Instant(2s)) << "2.5 s of naps, each within its own limit";
  expect_nothing_left(time);
}

TEST(Within, NothingOrLessTimesOutUnlessItIsReadyAtOnce) {
  for (const Duration limit : {Duration(0), Duration(-1s), Duration::min()}) {
    VirtualTime time;
    EXPECT_EQ(**time.finish(within(limit, number_after(0s))), 5);
    EXPECT_EQ(time.finish(within(limit, number_after(1ns)))->error(), Fault::timed_out);
    EXPECT_EQ(time.now(), Instant());
    Event event;
    EXPECT_EQ(time.finish(within(limit, event.wait()))->error(), Fault::timed_out);
    const Loop::Entered entered(time.loop());
    event.set();
    EXPECT_TRUE(time.finish(within(limit, event.wait()))->has_value());
  }
}

TEST(Within, ALimitOfForEverNeverComes) {
  VirtualTime time;
  EXPECT_TRUE(time.finish(sleep_until(Instant(1h))));  // so that adding overflows
  EXPECT_EQ(**time.finish(within(Duration::max(), number_after(24h * 365))), 5);
}

// Both are made ready by the same move of the clock: who was armed first runs first.
TEST(Within, WhatIsOverInTheSameMomentTimesOut) {
  VirtualTime time;
  EXPECT_EQ(time.finish(within(1s, number_after(1s)))->error(), Fault::timed_out);
  EXPECT_EQ(**time.finish(within(1s + 1ns, number_after(1s))), 5);
  expect_nothing_left(time);
}

TEST(Within, NamesTheInnermostWait) {
  VirtualTime time;
  Event event;
  auto inner = [](Event& waited) -> Io<void> {
    co_await waited.wait();
    co_return {};
  };
  auto outer = [](auto below, Event& waited) -> Io<void> {
    co_await attempt(within(1h, below(waited)));
    co_return {};
  };
  auto over = time.finish(within(10ms, outer(inner, event)));
  EXPECT_EQ(to_string(over->error()), "wait for an event: timed out (after 10.0 ms)");
}

TEST(Within, LetsAnExceptionPassThrough) {
  for (const Duration delay : {Duration(0), Duration(1ms)}) {
    VirtualTime time;
    auto thrower = [](Duration wait) -> Io<int> {
      co_await sleep(wait);
      throw std::runtime_error("out of cheese");
    };
    auto story = [](auto task) -> Io<int> {
      co_return co_await attempt(within(1s, std::move(task)));
    };
    EXPECT_THROW(time.finish(story(thrower(delay))), std::runtime_error);
    expect_nothing_left(time);
  }
}

TEST(Within, CanBeCancelledAtEveryStep) {
  for (const Duration limit : {Duration(0), Duration(500us), Duration(1ms), Duration(5ms)}) {
    auto story = [](Duration time) -> Io<void> {
      const Counted counted;
      auto quick = co_await within(time, number_after(1ms));
      auto nested = co_await within(time, within(1ms, number_after(2ms)));
      co_await yield();
      co_await attempt(within(time, number_after(3ms)));
      co_return {};
    };
    EXPECT_GT(cancel_at_every_step([&] { return story(limit); }), 4);
  }
}

}  // namespace
}  // namespace koine
