#include "koine/async/task.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "koine/async/sleep.h"
#include "koine/async/story_test.h"

namespace koine {
namespace {

Task<int> number(int value) { co_return value; }

Task<int> late_number(int value) {
  co_await sleep(1ms);
  co_return value;
}

Task<void> note(std::vector<std::string>& words, std::string word) {
  words.push_back(std::move(word));
  co_return;
}

/// Says when it dies.
struct Farewell {
  std::vector<std::string>& words;
  std::string word;
  ~Farewell() { words.push_back(word); }
};

TEST(Task, DoesNothingBeforeItIsAwaited) {
  std::vector<std::string> words;
  {
    auto task = note(words, "never");
  }
  EXPECT_TRUE(words.empty());
}

TEST(Task, AnswersAValueThatOnlyMoves) {
  VirtualTime time;
  auto make = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(7); };
  auto pass_on = [](Task<std::unique_ptr<int>> inner) -> Task<std::unique_ptr<int>> {
    auto value = co_await std::move(inner);
    ++*value;
    co_return value;
  };
  auto answer = time.finish(pass_on(make()));
  ASSERT_TRUE(answer && *answer);
  EXPECT_EQ(**answer, 8);
}

TEST(Task, AnswersAValueWithoutADefault) {
  struct Plain {
    explicit Plain(int given) : value(given) {}
    int value;
  };
  VirtualTime time;
  auto make = [](int value) -> Task<Plain> {
    co_await sleep(1ms);
    co_return Plain(value);
  };
  EXPECT_EQ(time.finish(make(3))->value, 3);
}

TEST(Task, CanBeAwaitedByNameOrMovedThere) {
  VirtualTime time;
  auto story = []() -> Task<int> {
    auto named = late_number(1);
    const int first = co_await named;
    auto moved = late_number(2);
    const int second = co_await std::move(moved);
    co_return first * 100 + second * 10 + co_await late_number(3);
  };
  EXPECT_EQ(time.finish(story()), 123);
}

TEST(Task, AssigningOverOneCancelsIt) {
  VirtualTime time;
  std::vector<std::string> words;
  auto hold = [](std::vector<std::string>& into, std::string word) -> Task<void> {
    const Farewell farewell{into, std::move(word)};
    co_await sleep(1h);
  };
  auto story = [](auto held, std::vector<std::string>& into) -> Task<void> {
    auto task = held(into, "first");
    task.start({[](void*) noexcept -> std::coroutine_handle<> { return std::noop_coroutine(); },
                nullptr})
        .resume();
    auto other = held(into, "never started");
    task = std::move(other);
    into.push_back("assigned");
    co_return;
  };
  EXPECT_TRUE(time.finish(story(hold, words)));
  EXPECT_EQ(words, (std::vector<std::string>{"first", "assigned"}));
}

TEST(Task, LetsGoOfAllItHeldWhenItsAnswerIsTaken) {
  VirtualTime time;
  std::vector<std::string> words;
  auto leave = [](std::vector<std::string>& into) -> Io<void> {
    const Farewell farewell{into, "left"};
    co_await sleep(1ms);
    co_await attempt(Result<void>(fail(Fault::reset)));
    co_return {};
  };
  auto story = [](auto inner, std::vector<std::string>& into) -> Task<void> {
    auto task = inner(into);
    auto answer = co_await task;
    into.push_back(to_string(answer.error()));  // the task still has a name, and nothing else
  };
  EXPECT_TRUE(time.finish(story(leave, words)));
  EXPECT_EQ(words, (std::vector<std::string>{"left", "connection reset"}));
}

// Where a compiler calls the next coroutine instead of jumping to it, this fills the stack.
TEST(Task, MayAwaitAMillionTasksThatNeverWait) {
  VirtualTime time;
  auto tried = [](int value) -> Io<int> { co_return co_await attempt(Result<int>(value)); };
  auto story = [](auto inner) -> Io<long> {
    long sum = 0;
    for (int i = 0; i < 500'000; ++i) {
      sum += co_await number(1);
      sum += co_await attempt(inner(1));
    }
    co_return sum;
  };
  EXPECT_EQ(**time.finish(story(tried)), 1'000'000);
}

// A coroutine of somebody else's, with a promise that knows nothing of koine.
struct Foreign {
  struct promise_type {
    Foreign get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Foreign foreign(int& sum) {
  for (int i = 0; i < 1'000; ++i) sum += co_await number(1);
  sum += co_await late_number(1);
}

TEST(Task, CanBeAwaitedByACoroutineOfSomebodyElses) {
  VirtualTime time;
  int sum = 0;
  {
    const Loop::Entered entered(time.loop());
    foreign(sum);
  }
  EXPECT_EQ(sum, 1'000);
  time.run();
  EXPECT_EQ(sum, 1'001);
}

Task<int> thrower(bool at_once) {
  const Counted counted;
  if (!at_once) co_await sleep(1ms);
  throw std::runtime_error("out of cheese");
}

Task<int> between(bool at_once) {
  const Counted counted;
  co_return 1 + co_await thrower(at_once);
}

TEST(Task, RethrowsWhereItIsAwaited) {
  for (const bool at_once : {true, false}) {
    VirtualTime time;
    auto story = [](bool immediately) -> Task<std::string> {
      try {
        co_return std::to_string(co_await between(immediately));
      } catch (const std::runtime_error& error) {
        co_return error.what();
      }
    };
    EXPECT_EQ(time.finish(story(at_once)), "out of cheese");
    expect_nothing_left(time);
  }
}

TEST(Task, RethrowsToWhoRunsItFromOutside) {
  VirtualTime time;
  EXPECT_THROW(time.finish(between(false)), std::runtime_error);
  expect_nothing_left(time);
}

TEST(Task, CanBeCancelledAtEveryStep) {
  auto inner = [](int depth, auto self) -> Task<int> {
    const Counted counted;
    co_await sleep(1ms);
    int sum = 1;
    if (depth > 0) {
      auto deeper = self(depth - 1, self);
      sum += co_await deeper;
      sum += co_await self(depth - 1, self);
    }
    co_await yield();
    co_return sum;
  };
  EXPECT_GT(cancel_at_every_step([&] { return inner(3, inner); }), 15 * 2);
}

}  // namespace
}  // namespace koine
