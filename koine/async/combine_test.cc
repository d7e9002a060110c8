#include "koine/async/combine.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "koine/async/channel.h"
#include "koine/async/event.h"
#include "koine/async/sleep.h"
#include "koine/async/story_test.h"
#include "koine/async/within.h"

namespace koine {
namespace {

Io<int> number(int value, Duration delay) {
  const Counted counted;
  if (delay != Duration()) co_await sleep(delay);
  if (value < 0) co_return fail(Fault::reset, "count", std::to_string(value));
  co_return value;
}

Task<std::unique_ptr<int>> boxed(int value, Duration delay) {
  const Counted counted;
  if (delay != Duration()) co_await sleep(delay);
  co_return std::make_unique<int>(value);
}

Io<void> check(bool fine, Duration delay) {
  const Counted counted;
  if (delay != Duration()) co_await sleep(delay);
  if (!fine) co_return fail(Fault::denied, "check");
  co_return {};
}

Io<int> throws(Duration delay) {
  const Counted counted;
  if (delay != Duration()) co_await sleep(delay);
  throw std::runtime_error("out of cheese");
}

/// Goes on for ever and counts how often it was started.
Task<void> forever(int& started) {
  const Counted counted;
  ++started;
  co_await sleep(Duration::max());
}

TEST(All, GivesTheValuesInOrderWhoeverIsFirst) {
  for (const auto& [one, two] : {std::pair(20ms, 10ms), std::pair(10ms, 20ms), std::pair(0ms, 0ms),
                                 std::pair(0ms, 10ms), std::pair(10ms, 0ms)}) {
    VirtualTime time;
    auto over = time.finish(all(number(1, one), number(2, two)));
    ASSERT_TRUE(over && over->has_value());
    EXPECT_EQ(**over, std::tuple(1, 2));
    EXPECT_EQ(time.now(), Instant(std::max(one, two))) << "side by side";
  }
}

TEST(All, TakesOperationsOfEveryKind) {
  VirtualTime time;
  Event event;
  auto story = [](Event& waited) -> Io<std::string> {
    auto both = all(sleep(1ms), yield());
    auto [none, five, box, fine, inner, limited] =
        co_await attempt(all(waited.wait(), number(5, 1ms), boxed(6, 0ms), check(true, 2ms),
                             std::move(both), within(1s, sleep(1ms))));
    static_assert(std::is_same_v<decltype(none), std::monostate>);
    static_assert(std::is_same_v<decltype(fine), std::monostate>);
    static_assert(std::is_same_v<decltype(inner), std::tuple<std::monostate, std::monostate>>);
    co_return std::to_string(five) + std::to_string(*box);
  };
  auto set_later = [](Event& waited) -> Task<void> {
    co_await sleep(3ms);
    waited.set();
  };
  Started setter(time.loop(), set_later(event));
  EXPECT_EQ(**time.finish(story(event)), "56");
  EXPECT_EQ(time.now(), Instant(3ms));
  expect_nothing_left(time);
}

TEST(All, OfOneOrNoneIsOverWhenThatIs) {
  VirtualTime time;
  EXPECT_EQ(**time.finish(all(number(1, 1ms))), std::tuple(1));
  EXPECT_EQ(std::get<0>(std::get<0>(**time.finish(all(all(number(1, 1ms)))))), 1);
  EXPECT_TRUE(time.finish(all())->has_value());
}

TEST(All, TheFirstErrorCancelsTheRestAtOnce) {
  for (const Duration delay : {Duration(0), Duration(10ms)}) {
    VirtualTime time;
    int started = 0;
    auto story = [](Duration wait, int& count) -> Task<std::string> {
      auto over = co_await all(forever(count), number(-1, wait), number(-2, wait), forever(count));
      EXPECT_EQ(Counted::alive, 0);
      co_return to_string(over.error());
    };
    EXPECT_EQ(time.finish(story(delay, started)), "count -1: connection reset");
    EXPECT_EQ(time.now(), Instant(delay));
    EXPECT_EQ(started, delay == Duration() ? 1 : 2) << "nobody starts once it is decided";
    expect_nothing_left(time);
  }
}

TEST(All, AnExceptionCancelsTheRestToo) {
  for (const Duration delay : {Duration(0), Duration(10ms)}) {
    VirtualTime time;
    int started = 0;
    auto story = [](Duration wait, int& count) -> Io<void> {
      co_await attempt(all(forever(count), within(1h, throws(wait)), number(-1, 1h)));
      co_return {};
    };
    EXPECT_THROW(time.finish(story(delay, started)), std::runtime_error);
    EXPECT_EQ(time.now(), Instant(delay));
    expect_nothing_left(time);
  }
}

TEST(FirstOf, CancelsTheOthers) {
  VirtualTime time;
  auto over = time.finish(first_of(number(1, 20ms), number(2, 10ms), boxed(3, 30ms)));
  ASSERT_TRUE(over);
  ASSERT_EQ(over->index(), 1U);
  EXPECT_EQ(*std::get<1>(*over), 2);
  EXPECT_EQ(time.now(), Instant(10ms));
  expect_nothing_left(time);
}

TEST(FirstOf, StartsNobodyOnceItIsDecided) {
  VirtualTime time;
  int started = 0;
  auto over = time.finish(first_of(forever(started), check(false, 0ms), forever(started)));
  ASSERT_EQ(over->index(), 1U);
  EXPECT_EQ(std::get<1>(*over).error(), Fault::denied) << "an error is first as well";
  EXPECT_EQ(started, 1);
  expect_nothing_left(time);
}

TEST(FirstOf, WhoIsSecondInTheSameMomentHasDoneNothing) {
  VirtualTime time;
  Channel<int> left(1), right(1);
  auto story = [](Channel<int>& one, Channel<int>& two) -> Task<std::size_t> {
    auto over = co_await first_of(one.receive(), two.receive());
    co_return over.index();
  };
  // Both are ready before it begins: only one item is taken.
  EXPECT_TRUE(time.finish(left.send(1))->has_value());
  EXPECT_TRUE(time.finish(right.send(2))->has_value());
  EXPECT_EQ(time.finish(story(left, right)), 0U);
  EXPECT_EQ(left.size(), 0U);
  EXPECT_EQ(right.size(), 1U);
  EXPECT_EQ(time.finish(story(left, right)), 1U);

  // Both become ready in the same round.
  auto send_both = [](Channel<int>& one, Channel<int>& two) -> Task<void> {
    EXPECT_TRUE(co_await two.send(2));
    EXPECT_TRUE(co_await one.send(1));
  };
  Started sender(time.loop(), send_both(left, right));
  Started receiver(time.loop(), story(left, right));
  time.run();
  ASSERT_TRUE(receiver.done());
  EXPECT_EQ(left.size() + right.size(), 1U);
  Started another(time.loop(), story(left, right));
  time.run();
  EXPECT_TRUE(another.done()) << "the item was kept for somebody who was destroyed";
}

TEST(FirstOf, RethrowsTheException) {
  for (const Duration delay : {Duration(0), Duration(10ms)}) {
    VirtualTime time;
    int started = 0;
    auto story = [](Duration wait, int& count) -> Task<void> {
      co_await first_of(forever(count), throws(wait));
    };
    EXPECT_THROW(time.finish(story(delay, started)), std::runtime_error);
    expect_nothing_left(time);
  }
}

TEST(FirstOf, AnExceptionInsideOfAllIsKnownOutside) {
  VirtualTime time;
  int started = 0;
  EXPECT_THROW(time.finish(all(first_of(all(throws(1ms))), forever(started))), std::runtime_error);
  EXPECT_EQ(time.now(), Instant(1ms));
  expect_nothing_left(time);
}

TEST(Combine, WhatTimesOutNamesAWaitThatIsNotOver) {
  VirtualTime time;
  Event event;
  auto over = time.finish(within(1s, all(sleep(1ms), event.wait(), sleep(1h))));
  EXPECT_EQ(to_string(over->error()), "wait for an event: timed out (after 1.0 s)");
}

TEST(Combine, CanBeCancelledAtEveryStep) {
  auto story = [](int last) -> Io<int> {
    const Counted counted;
    int started = 0;
    auto either = co_await first_of(number(1, 3ms), all(number(2, 1ms), boxed(3, 2ms)),
                                    forever(started), yield());
    auto some = co_await all(first_of(number(4, 2ms), forever(started)),
                             within(1ms, all(number(5, 2ms), yield(), forever(started))));
    auto [one, two] = co_await attempt(all(number(last, 1ms), number(7, 2ms)));
    co_return one + two + static_cast<int>(either.index());
  };
  for (const int last : {6, -6}) {
    EXPECT_GE(cancel_at_every_step([&] { return story(last); }), 6);
  }
}

}  // namespace
}  // namespace koine
