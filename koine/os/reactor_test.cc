#include "koine/os/reactor.h"

#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/os/each_multiplexer_test.h"
#include "koine/os/fault_of.h"

namespace koine::os {
namespace {

using ReactorTest = OnEachMultiplexer;

INSTANTIATE_TEST_SUITE_P(, ReactorTest, each_multiplexer, multiplexer_name);

Io<int> answer(int number) { co_return number; }

Io<int> answer_after(Duration delay, int number) {
  co_await sleep(delay);
  co_return number;
}

TEST_P(ReactorTest, ReturnsAtOnceFromWhatNeedsNoNews) {
  EXPECT_EQ(reactor().run(answer(7)), 7);
  EXPECT_EQ(reactor().run(answer_after(0ms, 8)), 8);
}

TEST_P(ReactorTest, NeverFiresATimerEarly) {
  const Instant before = monotonic_now();
  EXPECT_EQ(reactor().run(answer_after(30ms, 9)), 9);
  EXPECT_GE(monotonic_now() - before, 30ms);
}

TEST_P(ReactorTest, FiresTimersInTheOrderOfTheirDeadlines) {
  auto note = [](Duration delay, int number, std::vector<int>& into) -> Task<void> {
    co_await sleep(delay);
    into.push_back(number);
  };
  auto story = [&note](std::vector<int>& into) -> Io<void> {
    Scope scope;
    for (const int ms : {9, 1, 20, 0, 4}) scope.spawn(note(ms * 1ms, ms, into));
    co_return co_await scope.join();
  };
  std::vector<int> order;
  EXPECT_TRUE(reactor().run(story(order)));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 4, 9, 20}));
}

TEST_P(ReactorTest, ADeadlineEndsAWaitThatNoNewsWouldEnd) {
  Event never;
  auto story = [](Event& event) -> Io<void> {
    co_await event.wait();
    co_return {};
  };
  const auto ended = reactor().run(within(5ms, story(never)));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error(), Fault::timed_out);
}

TEST_P(ReactorTest, DumpsWhatItsTasksWaitFor) {
  Event never;
  auto stuck = [](Event& event) -> Task<void> { co_await event.wait(); };
  auto story = [&stuck](Event& event, Loop& loop) -> Io<std::string> {
    Scope scope;
    scope.spawn(stuck(event));
    co_await sleep(1ms);
    co_return loop.dump();
  };
  const auto dump = reactor().run(story(never, reactor().loop()));
  ASSERT_TRUE(dump);
  EXPECT_NE(dump->find("reactor_test.cc:"), std::string::npos) << *dump;
  EXPECT_NE(dump->find("wait for an event"), std::string::npos) << *dump;
}

// Other threads.

Io<void> wait_for(Event& event) {
  co_await event.wait();
  co_return {};
}

TEST_P(ReactorTest, APostWakesAReactorThatSleeps) {
  Event rung;
  for (int round = 0; round < 50; ++round) {
    rung.reset();
    std::thread other([&] { reactor().post([&] { rung.set(); }); });
    EXPECT_TRUE(reactor().run(within(60s, wait_for(rung))));
    other.join();
  }
}

TEST_P(ReactorTest, APostFromItsOwnThreadRunsInTheNextTurn) {
  auto story = [](Reactor& self) -> Io<bool> {
    Event rung;
    bool ran = false;
    self.post([&] {
      ran = true;
      rung.set();
    });
    const bool ran_at_once = ran;
    co_await rung.wait();
    co_return !ran_at_once && ran;
  };
  EXPECT_EQ(reactor().run(story(reactor())), true);
}

TEST_P(ReactorTest, LosesNoPostAndKeepsTheOrderOfEachThread) {
  constexpr std::size_t threads = 4;
  constexpr int posts = 5'000;
  std::vector<std::vector<int>> heard(threads);
  std::size_t left = threads * posts;
  Event all;

  std::vector<std::thread> others;
  for (std::size_t thread = 0; thread < threads; ++thread) {
    others.emplace_back([&, thread] {
      for (int number = 0; number < posts; ++number) {
        reactor().post([&, thread, number] {
          heard[thread].push_back(number);
          if (--left == 0) all.set();
        });
        if (number % 64 == 0)
          std::this_thread::yield();  // let the reactor fall asleep now and then
      }
    });
  }
  const auto over = reactor().run(within(60s, wait_for(all)));
  for (std::thread& other : others) other.join();

  EXPECT_TRUE(over) << to_string(over.error());
  for (const std::vector<int>& numbers : heard) {
    ASSERT_EQ(numbers.size(), std::size_t{posts});
    for (int number = 0; number < posts; ++number)
      ASSERT_EQ(numbers[static_cast<std::size_t>(number)], number);
  }
}

TEST_P(ReactorTest, DestroysWhatWasPostedAndNeverRun) {
  auto held = std::make_shared<int>(1);
  {
    auto mine = Reactor::make({.multiplexer = GetParam(), .busy_poll = {}});
    ASSERT_TRUE(mine);
    (*mine)->post([held] { ADD_FAILURE() << "nobody ran this reactor"; });
    EXPECT_EQ(held.use_count(), 2);
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST_P(ReactorTest, HearsPostsAndTimersWhileItBusyPolls) {
  auto busy = Reactor::make({.multiplexer = GetParam(), .busy_poll = 1h});
  ASSERT_TRUE(busy);
  Event rung;
  std::thread other([&] { (*busy)->post([&] { rung.set(); }); });
  EXPECT_TRUE((*busy)->run(within(60s, wait_for(rung))));
  other.join();
  EXPECT_EQ((*busy)->run(answer_after(2ms, 3)), 3);
}

TEST_P(ReactorTest, FallsAsleepWhenBusyPollingWasInVain) {
  auto busy = Reactor::make({.multiplexer = GetParam(), .busy_poll = 1us});
  ASSERT_TRUE(busy);
  Event rung;
  std::thread other([&] {
    std::this_thread::yield();
    (*busy)->post([&] { rung.set(); });
  });
  EXPECT_TRUE((*busy)->run(within(60s, wait_for(rung))));
  other.join();
}

TEST(ReactorOnSelect, NeedsNoAlarmAndSaysWhenItCannotBeWoken) {
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  if (files.rlim_cur < FD_SETSIZE + 16)
    GTEST_SKIP() << "the limit on open files is too low to have a descriptor that does not fit";
  std::vector<Fd> taken;
  do {
    taken.emplace_back(::dup(STDERR_FILENO));
    ASSERT_TRUE(taken.back());
  } while (taken.back().get() < FD_SETSIZE - 2);
  {
    // Its bell is the last descriptor that fits, so its alarm is one that does not.
    const auto made = Reactor::make({.multiplexer = "select", .busy_poll = {}});
    ASSERT_TRUE(made) << to_string(made.error());
    EXPECT_EQ((*made)->run(answer_after(150ms, 4)), 4) << "a deadline that the alarm would have";
    Event rung;
    std::thread other([&] { (*made)->post([&] { rung.set(); }); });
    EXPECT_TRUE((*made)->run(within(60s, wait_for(rung))));
    other.join();
  }
  taken.emplace_back(::dup(STDERR_FILENO));
  const auto none = Reactor::make({.multiplexer = "select", .busy_poll = {}});
  ASSERT_FALSE(none);
  EXPECT_EQ(to_string(none.error()),
            "watch: over the limit: select cannot watch descriptor 1024: it takes only those below "
            "1024; choose poll, epoll or io_uring");
}

TEST(ReactorOfNoName, SaysWhichMultiplexersThereAre) {
  const auto made = Reactor::make({.multiplexer = "kqueue", .busy_poll = {}});
  ASSERT_FALSE(made);
  EXPECT_EQ(to_string(made.error()),
            "choose multiplexer kqueue: malformed: expected io_uring, epoll, poll or select");
}

}  // namespace
}  // namespace koine::os
