#include <memory>
#include <stdexcept>
#include <string>

#include "koine/async/sleep.h"
#include "koine/async/story_test.h"
#include "koine/async/task.h"
#include "koine/async/within.h"

namespace koine {
namespace {

Io<std::unique_ptr<int>> boxed(int value, Duration delay) {
  if (delay != Duration()) co_await sleep(delay);
  if (value < 0) co_return fail(Fault::over_limit, "count", "sheep");
  co_return std::make_unique<int>(value);
}

Io<void> check(bool fine, Duration delay) {
  if (delay != Duration()) co_await sleep(delay);
  if (!fine) co_return fail(Fault::reset, "read", "peer");
  co_return {};
}

Io<int> sum(int first, int second, Duration delay) {
  const Counted counted;
  auto one = co_await attempt(boxed(first, delay));
  co_await attempt(check(true, delay));
  auto two = co_await attempt(boxed(second, delay));
  co_return *one + *two;
}

/// A task that throws, whatever its type says about errors.
Io<int> throws(Duration delay) {
  if (delay != Duration()) co_await sleep(delay);
  throw std::runtime_error("out of cheese");
}

// Each story once where nothing waits, once where everything does.
class Attempts : public testing::TestWithParam<Duration> {
 public:
  Duration delay() const { return GetParam(); }
  VirtualTime time;
};

TEST_P(Attempts, GivesTheValueOrLeavesWithTheError) {
  EXPECT_EQ(**time.finish(sum(1, 2, delay())), 3);
  for (const auto& [first, second] : {std::pair(-1, 2), std::pair(1, -2)}) {
    auto answer = time.finish(sum(first, second, delay()));
    ASSERT_TRUE(answer);
    ASSERT_FALSE(answer->has_value());
    EXPECT_EQ(to_string(answer->error()), "count sheep: over the limit");
  }
  expect_nothing_left(time);
}

TEST_P(Attempts, OfNothingSaysOnlyWhetherItWentWell) {
  auto story = [](bool fine, Duration wait) -> Io<std::string> {
    co_await attempt(check(fine, wait));
    co_return "went on";
  };
  EXPECT_EQ(**time.finish(story(true, delay())), "went on");
  EXPECT_EQ(time.finish(story(false, delay()))->error().fault(), Fault::reset);
}

Io<int> deep(int levels, int value, Duration delay) {
  const Counted counted;
  if (levels == 0) co_return *co_await attempt(boxed(value, delay));
  co_return 1 + co_await attempt(deep(levels - 1, value, delay));
}

TEST_P(Attempts, CarriesAnErrorThroughManyLevels) {
  EXPECT_EQ(**time.finish(deep(1000, 1, delay())), 1001);
  auto answer = time.finish(deep(1000, -1, delay()));
  ASSERT_TRUE(answer);
  EXPECT_EQ(to_string(answer->error()), "count sheep: over the limit");
  expect_nothing_left(time);
}

TEST_P(Attempts, LetsAnExceptionPassThrough) {
  auto story = [](Duration wait) -> Io<int> {
    const Counted counted;
    co_return co_await attempt(throws(wait));
  };
  EXPECT_THROW(time.finish(story(delay())), std::runtime_error);
  expect_nothing_left(time);
}

TEST_P(Attempts, TakesAResultThatIsThereAlready) {
  auto story = [](Result<std::unique_ptr<int>> given, Duration wait) -> Io<int> {
    if (wait != Duration()) co_await sleep(wait);
    auto value = co_await attempt(std::move(given));
    co_await attempt(Result<void>());
    co_return *value;
  };
  EXPECT_EQ(**time.finish(story(std::make_unique<int>(4), delay())), 4);
  EXPECT_EQ(time.finish(story(fail(Fault::denied), delay()))->error(), Fault::denied);
}

TEST_P(Attempts, WorksInLoopsAndConditions) {
  auto countdown = [](int& left, Duration wait) -> Io<int> {
    if (wait != Duration()) co_await sleep(wait);
    if (left == 0) co_return fail(Fault::ended, "count down");
    co_return left--;
  };
  auto story = [](auto next, int& total, Duration wait) -> Io<void> {
    int left = 100;
    while (const int value = co_await attempt(next(left, wait))) {
      if (co_await attempt(boxed(value, wait)) != nullptr) total += value;
    }
    co_return {};
  };
  int total = 0;
  auto answer = time.finish(story(countdown, total, delay()));
  EXPECT_EQ(to_string(answer->error()), "count down: ended too early");
  EXPECT_EQ(total, 5050);
}

TEST_P(Attempts, TakesATaskByName) {
  auto story = [](Duration wait) -> Io<int> {
    auto named = sum(1, -1, wait);
    co_return co_await attempt(std::move(named));
  };
  EXPECT_EQ(time.finish(story(delay()))->error(), Fault::over_limit);
  expect_nothing_left(time);
}

TEST_P(Attempts, OfAnAttemptThatTimesOutSaysWhereItWaited) {
  auto story = [](Duration wait) -> Io<void> {
    co_await attempt(check(true, wait));
    co_await attempt(within(1s, check(true, 1h)));
    co_return {};
  };
  auto answer = time.finish(story(delay()));
  EXPECT_EQ(to_string(answer->error()), "sleep: timed out (after 1.0 s)");
  EXPECT_EQ(time.now(), Instant(1s + delay()));
  expect_nothing_left(time);
}

TEST_P(Attempts, CanBeCancelledAtEveryStep) {
  for (const int last : {3, -3}) {
    auto story = [](int value, Duration wait) -> Io<int> {
      auto left = co_await sum(1, -2, wait);
      co_await yield();
      auto box = co_await attempt(boxed(2, wait));
      const int more = co_await attempt(deep(5, value, wait));
      co_return left ? *box : more;
    };
    EXPECT_GE(cancel_at_every_step([&] { return story(last, delay()); }), 2);
  }
}

INSTANTIATE_TEST_SUITE_P(AtOnceAndLater, Attempts, testing::Values(0ms, 1ms),
                         [](const auto& about) { return about.param == 0ms ? "AtOnce" : "Later"; });

}  // namespace
}  // namespace koine
