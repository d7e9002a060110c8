#include "koine/async/scope.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "koine/async/combine.h"
#include "koine/async/sleep.h"
#include "koine/async/virtual_time.h"
#include "koine/async/within.h"

namespace koine {
namespace {

Task<void> note_after(Duration delay, std::string word, std::vector<std::string>& words) {
  co_await sleep(delay);
  words.push_back(std::move(word));
}

Io<void> fail_after(Duration delay) {
  co_await sleep(delay);
  co_return fail(Fault::reset, "read", "peer");
}

TEST(Scope, RunsItsChildrenSideBySideAndWaitsForAll) {
  VirtualTime time;
  std::vector<std::string> words;
  auto story = [](std::vector<std::string>& into) -> Io<void> {
    Scope scope;
    scope.spawn(note_after, 20ms, "second", std::ref(into));
    scope.spawn(note_after, 10ms, "first", std::ref(into));
    co_return co_await scope.join();
  };
  auto over = time.finish(story(words));
  ASSERT_TRUE(over);
  EXPECT_TRUE(over->has_value());
  EXPECT_EQ(words, (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(time.now(), Instant(20ms));
}

TEST(Scope, TheFirstFailureCancelsTheRest) {
  VirtualTime time;
  std::vector<std::string> words;
  auto story = [](std::vector<std::string>& into) -> Io<void> {
    Scope scope;
    scope.spawn(note_after, 1h, "never", std::ref(into));
    scope.spawn(fail_after, 10ms);
    co_return co_await scope.join();
  };
  auto over = time.finish(story(words));
  ASSERT_TRUE(over);
  ASSERT_FALSE(over->has_value());
  EXPECT_EQ(to_string(over->error()), "read peer: connection reset");
  EXPECT_TRUE(words.empty());
  EXPECT_EQ(time.now(), Instant(10ms));
}

TEST(Within, SaysWhatItWasWaitingForWhenTheTimeWasUp) {
  VirtualTime time;
  auto story = []() -> Io<void> {
    co_await sleep(1h);
    co_return {};
  };
  auto over = time.finish(within(2s, story()));
  ASSERT_TRUE(over);
  EXPECT_EQ(to_string(over->error()), "sleep: timed out (after 2.0 s)");
  EXPECT_FALSE(time.step()) << "a timer was left behind";
}

TEST(Combine, AllGivesTheValuesInOrder) {
  VirtualTime time;
  auto number = [](int value, Duration delay) -> Io<int> {
    co_await sleep(delay);
    co_return value;
  };
  auto over = time.finish(all(number(1, 20ms), number(2, 10ms)));
  ASSERT_TRUE(over && over->has_value());
  EXPECT_EQ(**over, std::tuple(1, 2));
}

TEST(Combine, FirstOfCancelsTheOthers) {
  VirtualTime time;
  auto number = [](int value, Duration delay) -> Task<int> {
    co_await sleep(delay);
    co_return value;
  };
  auto over = time.finish(first_of(number(1, 20ms), number(2, 10ms)));
  ASSERT_TRUE(over);
  EXPECT_EQ(over->index(), 1U);
  EXPECT_FALSE(time.step());
  EXPECT_EQ(time.now(), Instant(10ms));
}

TEST(Loop, DumpsEachTaskWithWhatItAwaits) {
  VirtualTime time;
  std::vector<std::string> words;
  Started started(time.loop(), note_after(1h, "x", words));
  {
    const Loop::Entered entered(time.loop());
    time.loop().run_ready();
  }
  EXPECT_NE(time.loop().dump().find("note_after at scope_test.cc:"), std::string::npos)
      << time.loop().dump();
  EXPECT_NE(time.loop().dump().find("waits: sleep"), std::string::npos);
}

}  // namespace
}  // namespace koine
