#include "koine/async/loop.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "koine/async/event.h"
#include "koine/async/sleep.h"
#include "koine/async/story_test.h"
#include "koine/async/task.h"

namespace koine {
namespace {

/// Notes its name when it runs, then does what it was told.
template <class Then>
class Step final : public Runnable {
 public:
  Step(std::string name, std::vector<std::string>& names, Then then)
      : name_(std::move(name)), names_(names), then_(std::move(then)) {}
  void run() override {
    names_.push_back(name_);
    then_(*this);
  }

 private:
  std::string name_;
  std::vector<std::string>& names_;
  Then then_;
};

constexpr auto nothing = [](Runnable&) {};

class LoopTest : public testing::Test {
 public:
  Loop loop{Instant(), 1};
  std::vector<std::string> names;
};

TEST_F(LoopTest, RunsInTheOrderOfScheduling) {
  Step first("first", names, nothing), third("third", names, nothing);
  Step second("second", names, [&](Runnable&) { loop.schedule(first); });
  loop.schedule(second);
  loop.schedule(third);
  EXPECT_FALSE(loop.idle());
  EXPECT_FALSE(loop.run_ready());
  EXPECT_EQ(names, (std::vector<std::string>{"second", "third", "first"}));
  EXPECT_TRUE(loop.idle());
}

TEST_F(LoopTest, SchedulingTwiceRunsOnce) {
  Step first("first", names, nothing), second("second", names, nothing);
  loop.schedule(first);
  loop.schedule(second);
  loop.schedule(first);
  loop.run_ready();
  EXPECT_EQ(names, (std::vector<std::string>{"second", "first"}));
}

TEST_F(LoopTest, WhatDiesBeforeItsTurnNeverRuns) {
  Step late("late", names, nothing);
  {
    Step dead("dead", names, nothing);
    loop.schedule(dead);
    loop.schedule(late);
  }
  loop.run_ready();
  EXPECT_EQ(names, std::vector<std::string>{"late"});
}

TEST_F(LoopTest, RunsTheEndOfATurnWhenNothingElseIsReady) {
  Step end("end", names, nothing), second("second", names, nothing);
  Step first("first", names, [&](Runnable&) {
    loop.at_end_of_turn(end);
    loop.schedule(second);
  });
  loop.schedule(first);
  loop.run_ready();
  EXPECT_EQ(names, (std::vector<std::string>{"first", "second", "end"}));
}

TEST_F(LoopTest, TheEndOfATurnComesEvenIfSomethingIsAlwaysReady) {
  Step end("end", names, nothing);
  Step restless("restless", names, [&](Runnable& self) { loop.schedule(self); });
  loop.schedule(restless);
  loop.at_end_of_turn(end);
  EXPECT_TRUE(loop.run_ready()) << "more is ready, but the outside has its turn now";
  EXPECT_LE(names.size(), 100U);
  EXPECT_EQ(names.back(), "end");
}

TEST_F(LoopTest, RunsOneAtATimeForATest) {
  Step end("end", names, nothing);
  Step second("second", names, nothing);
  Step first("first", names, [&](Runnable&) { loop.schedule(second); });
  loop.schedule(first);
  loop.at_end_of_turn(end);
  EXPECT_TRUE(loop.run_one());
  EXPECT_EQ(names.back(), "first");
  EXPECT_TRUE(loop.run_one());
  EXPECT_EQ(names.back(), "second");
  EXPECT_TRUE(loop.run_one());
  EXPECT_EQ(names.back(), "end");
  EXPECT_FALSE(loop.run_one());
}

TEST_F(LoopTest, ItsTimeNeverGoesBack) {
  loop.advance(Instant(2s));
  loop.advance(Instant(1s));
  EXPECT_EQ(loop.now(), Instant(2s));
  loop.tick(Instant(1s));
  EXPECT_EQ(loop.now(), Instant(2s));
  loop.tick(Instant(3s));
  EXPECT_EQ(loop.now(), Instant(3s));
}

TEST_F(LoopTest, IsCurrentWhileItIsEntered) {
  EXPECT_FALSE(Loop::has_current());
  EXPECT_DEATH(Loop::current(), "no loop runs on this thread");
  Loop other(Instant(), 2);
  const Loop::Entered entered(loop);
  {
    const Loop::Entered inner(other);
    EXPECT_EQ(&Loop::current(), &other);
  }
  EXPECT_EQ(&Loop::current(), &loop);
}

// The event is set, so waiting for it never has to wait; only the budget makes it.
Task<void> gulp(Event& always, long& gulps, const bool& stop) {
  while (!stop) {
    co_await always.wait();
    ++gulps;
  }
}

Task<void> stop_after(int turns, bool& stop, long& gulps, long& most_in_a_row) {
  while (turns-- > 0) {
    const long before = gulps;
    co_await yield();
    most_in_a_row = std::max(most_in_a_row, gulps - before);
  }
  stop = true;
}

TEST(LoopBudget, ATaskThatNeverWaitsDoesNotStarveAnother) {
  VirtualTime time;
  Event always;
  {
    const Loop::Entered entered(time.loop());
    always.set();
  }
  bool stop = false;
  long gulps = 0;
  long most_in_a_row = 0;
  Started greedy(time.loop(), gulp(always, gulps, stop));
  EXPECT_TRUE(time.finish(stop_after(10, stop, gulps, most_in_a_row)));
  time.run();
  EXPECT_TRUE(greedy.done());
  EXPECT_GE(most_in_a_row, 32) << "a budget so small costs more than it protects";
  EXPECT_LE(most_in_a_row, 256);
}

TEST(VirtualTimeTest, MovesOnlyWhenNothingElseIsLeft) {
  VirtualTime time;
  auto story = []() -> Task<Instant> {
    for (int i = 0; i < 1000; ++i) co_await yield();
    const Instant before = Loop::current().now();
    co_await sleep(1h);
    EXPECT_EQ(before, Instant());
    co_return Loop::current().now();
  };
  EXPECT_EQ(time.finish(story()), Instant(1h));
  EXPECT_FALSE(time.step());
}

TEST(VirtualTimeTest, SaysWhenAStoryCanNotEnd) {
  VirtualTime time;
  Event never;
  EXPECT_FALSE(time.finish(never.wait()));
  auto story = [](Event& event) -> Task<int> {
    co_await event.wait();
    co_return 1;
  };
  EXPECT_EQ(time.finish(story(never)), std::nullopt);
  expect_nothing_left(time);
}

TEST(Sleep, LastsAsLongAsItSays) {
  VirtualTime time;
  auto story = []() -> Task<std::vector<Duration>> {
    std::vector<Duration> lasted;
    for (const Duration nap : {Duration(1), Duration(1us), Duration(20ms), Duration(1h)}) {
      const Instant before = Loop::current().now();
      co_await sleep(nap);
      lasted.push_back(Loop::current().now() - before);
    }
    co_await sleep_until(Instant(5h));
    lasted.push_back(Loop::current().now() - Instant());
    co_return lasted;
  };
  EXPECT_EQ(time.finish(story()), (std::vector<Duration>{1ns, 1us, 20ms, 1h, 5h}));
}

TEST(Sleep, OfNothingOrLessLetsOthersGoFirst) {
  for (const Duration nap : {Duration(0), Duration(-1h), Duration::min()}) {
    VirtualTime time;
    std::vector<int> order;
    auto story = [](Duration duration, int number, std::vector<int>& numbers) -> Task<void> {
      co_await sleep(duration);
      numbers.push_back(number);
    };
    auto other = [](std::vector<int>& numbers) -> Task<void> {
      numbers.push_back(1);
      co_return;
    };
    Started sleeper(time.loop(), story(nap, 2, order));
    EXPECT_TRUE(time.finish(other(order)));
    time.run();
    EXPECT_EQ(order, (std::vector<int>{1, 2}));
    EXPECT_EQ(time.now(), Instant());
  }
}

TEST(Sleep, OfNothingEndsEvenIfSomebodyIsAlwaysReady) {
  VirtualTime time;
  auto restless = []() -> Task<void> {
    for (;;) co_await yield();
  };
  auto story = []() -> Task<int> {
    co_await sleep(0s);
    co_return 1;
  };
  const Started always(time.loop(), restless());
  EXPECT_EQ(time.finish(story()), 1);
}

TEST(Sleep, ForEverIsNotAMomentInThePast) {
  VirtualTime time;
  auto story = []() -> Task<void> {
    co_await sleep(1s);  // so that adding overflows
    co_await sleep(Duration::max());
  };
  Started sleeper(time.loop(), story());
  while (time.now() < Instant(1s)) ASSERT_TRUE(time.step());
  const Loop::Entered entered(time.loop());
  time.loop().advance(Instant(24h * 365 * 250));
  time.loop().run_ready();
  EXPECT_FALSE(sleeper.done());
}

TEST(Sleep, ThoseOfTheSameLengthEndInTheOrderInWhichTheyBegan) {
  VirtualTime time;
  std::vector<int> order;
  auto story = [](int number, std::vector<int>& numbers) -> Task<void> {
    co_await sleep(1s);
    numbers.push_back(number);
  };
  Started one(time.loop(), story(1, order));
  Started two(time.loop(), story(2, order));
  Started three(time.loop(), story(3, order));
  time.run();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

}  // namespace
}  // namespace koine
