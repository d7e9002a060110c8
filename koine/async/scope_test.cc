#include "koine/async/scope.h"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "koine/async/combine.h"
#include "koine/async/event.h"
#include "koine/async/sleep.h"
#include "koine/async/story_test.h"
#include "koine/async/within.h"

namespace koine {
namespace {

using Words = std::vector<std::string>;

Task<void> note_after(Duration delay, std::string word, Words& words) {
  const Counted counted;
  if (delay != Duration()) co_await sleep(delay);
  words.push_back(std::move(word));
}

Io<void> fail_after(Duration delay, std::string peer) {
  const Counted counted;
  if (delay != Duration()) co_await sleep(delay);
  co_return fail(Fault::reset, "read", peer);
}

Task<int> throw_after(Duration delay) {
  const Counted counted;
  if (delay != Duration()) co_await sleep(delay);
  throw std::runtime_error("out of cheese");
}

class ScopeTest : public testing::Test {
 public:
  ~ScopeTest() override { expect_nothing_left(time); }
  VirtualTime time;
  Words words;
};

TEST_F(ScopeTest, RunsItsChildrenSideBySideAndWaitsForAll) {
  auto story = [](Words& into) -> Io<void> {
    Scope scope;
    scope.spawn(note_after, 20ms, "second", std::ref(into));
    scope.spawn(note_after, 10ms, "first", std::ref(into));
    scope.spawn(note_after, 0ms, "at once", std::ref(into));
    EXPECT_EQ(scope.running(), 3U);
    EXPECT_TRUE(into.empty()) << "a child is started by the loop";
    auto over = co_await scope.join();
    EXPECT_EQ(scope.running(), 0U);
    co_return over;
  };
  EXPECT_TRUE(time.finish(story(words))->has_value());
  EXPECT_EQ(words, (Words{"at once", "first", "second"}));
  EXPECT_EQ(time.now(), Instant(20ms));
}

TEST_F(ScopeTest, TheFirstFailureCancelsTheRest) {
  for (const Duration delay : {Duration(0), Duration(10ms)}) {
    auto story = [](Duration wait, Words& into) -> Io<void> {
      Scope scope;
      scope.spawn(note_after, 1h, "never", std::ref(into));
      scope.spawn(fail_after, wait, "first");
      scope.spawn(fail_after, wait, "second");
      co_return co_await scope.join();
    };
    const Instant before = time.now();
    EXPECT_EQ(to_string(time.finish(story(delay, words))->error()), "read first: connection reset");
    EXPECT_EQ(time.now(), before + delay);
  }
  EXPECT_TRUE(words.empty());
}

TEST_F(ScopeTest, LeavingItCancelsWhatStillRuns) {
  auto story = [](Words& into) -> Task<int> {
    {
      Scope scope;
      scope.spawn(note_after, 1h, "never", std::ref(into));
      scope.spawn(note_after, 1ms, "soon", std::ref(into));
      co_await sleep(2ms);
      scope.spawn(note_after, 0ms, "not even started", std::ref(into));
      EXPECT_EQ(Counted::alive, 1);
    }
    co_return Counted::alive;
  };
  EXPECT_EQ(time.finish(story(words)), 0);
  EXPECT_EQ(words, Words{"soon"});
}

TEST_F(ScopeTest, JoinOfNoChildrenIsReadyAtOnce) {
  auto story = []() -> Io<void> {
    Scope scope;
    co_await attempt(scope.join());
    co_return co_await within(0s, scope.join());
  };
  EXPECT_TRUE(time.finish(story())->has_value());
}

TEST_F(ScopeTest, AnExceptionThatLeftAChildIsRethrownByJoin) {
  for (const Duration delay : {Duration(0), Duration(10ms)}) {
    auto story = [](Duration wait, Words& into) -> Io<void> {
      Scope scope;
      scope.spawn(note_after, 1h, "never", std::ref(into));
      scope.spawn(throw_after, wait);
      scope.spawn(fail_after, wait, "later");
      try {
        co_await attempt(scope.join());
      } catch (const std::runtime_error& error) {
        into.push_back(error.what());
      }
      co_return co_await scope.join();  // said once
    };
    EXPECT_TRUE(time.finish(story(delay, words))->has_value());
    EXPECT_EQ(words.back(), "out of cheese");
  }
}

TEST_F(ScopeTest, AnExceptionIsKnownToWhoeverCombinesTheJoin) {
  auto story = []() -> Task<void> {
    Scope scope;
    scope.spawn(throw_after, 1ms);
    co_await all(scope.join(), sleep(1h));
  };
  EXPECT_THROW(time.finish(story()), std::runtime_error);
  EXPECT_EQ(time.now(), Instant(1ms));
}

TEST_F(ScopeTest, CancelEndsAllChildrenAndIsNoError) {
  auto story = [](Words& into) -> Io<void> {
    Scope scope;
    auto canceller = [](Scope& own, Words& heard) -> Task<void> {
      const Counted counted;
      co_await sleep(1ms);
      own.cancel();  // it is one of the children itself
      own.cancel();
      heard.push_back("cancelled");
      co_await sleep(1ms);
      heard.push_back("never");
    };
    scope.spawn(canceller, std::ref(scope), std::ref(into));
    scope.spawn(note_after, 1h, "never", std::ref(into));
    co_return co_await scope.join();
  };
  EXPECT_TRUE(time.finish(story(words))->has_value());
  EXPECT_EQ(words, Words{"cancelled"});
  EXPECT_EQ(time.now(), Instant(1ms));
}

TEST_F(ScopeTest, CanBeUsedAgainAfterAFailure) {
  auto story = [](Words& into) -> Io<void> {
    Scope scope;
    for (int round = 0; round < 3; ++round) {
      scope.spawn(fail_after, 1ms, std::to_string(round));
      scope.spawn(note_after, 1h, "never", std::ref(into));
      auto over = co_await scope.join();
      into.push_back(std::string(over.error().peer()));
    }
    scope.spawn(note_after, 1ms, "fine", std::ref(into));
    co_return co_await scope.join();
  };
  EXPECT_TRUE(time.finish(story(words))->has_value());
  EXPECT_EQ(words, (Words{"0", "1", "2", "fine"}));
}

// The failing child's order to cancel the others is still under way when the scope is empty, joined
// and filled again.
TEST_F(ScopeTest, AnOrderToCancelMeetsNobodyWhoCameLater) {
  auto story = [](Words& into) -> Io<void> {
    Scope scope;
    Event failing;
    auto fail_on = [](Event& sign) -> Io<void> {
      sign.set();
      co_return fail(Fault::reset);
    };
    scope.spawn(fail_on, std::ref(failing));
    co_await failing.wait();  // goes on in the round in which the scope would be cancelled
    auto over = co_await scope.join();
    EXPECT_FALSE(over);
    scope.spawn(note_after, 1ms, "retried", std::ref(into));
    co_return co_await scope.join();
  };
  EXPECT_TRUE(time.finish(story(words))->has_value());
  EXPECT_EQ(words, Words{"retried"});
}

TEST_F(ScopeTest, AFailureThatComesAfterAFailureCancelsAsWell) {
  auto story = [](Words& into) -> Io<void> {
    Scope scope;
    scope.spawn(fail_after, 1ms, "first");
    co_await sleep(2ms);
    scope.spawn(note_after, 1h, "never", std::ref(into));
    scope.spawn(fail_after, 1ms, "second");
    co_return co_await scope.join();
  };
  EXPECT_EQ(time.finish(story(words))->error().peer(), "first");
  EXPECT_EQ(time.now(), Instant(3ms));
}

TEST_F(ScopeTest, ChildrenMaySpawnSiblings) {
  auto story = [](Words& into) -> Io<void> {
    auto parent = [](Scope& own, Words& heard, int generation, auto self) -> Task<void> {
      co_await yield();
      heard.push_back(std::to_string(generation));
      if (generation < 3) own.spawn(self(own, heard, generation + 1, self));
    };
    Scope scope;
    scope.spawn(parent(scope, into, 0, parent));
    co_return co_await scope.join();
  };
  EXPECT_TRUE(time.finish(story(words))->has_value());
  EXPECT_EQ(words, (Words{"0", "1", "2", "3"}));
}

// What a child gets it owns, whatever its parameters look like.
Task<void> by_view(std::string_view text, Words& into) {
  co_await sleep(1ms);
  into.emplace_back(text);
}
Task<void> by_reference(const std::string& text, Words& into) {
  co_await sleep(1ms);
  into.push_back(text);
}
Task<void> by_rvalue(std::unique_ptr<std::string>&& text, Words& into) {
  co_await sleep(1ms);
  into.push_back(*text);
}
Task<void> by_value(std::unique_ptr<std::string> text, Words& into) {
  co_await sleep(1ms);
  into.push_back(*text);
}

TEST_F(ScopeTest, AChildOwnsItsArguments) {
  auto story = [](Words& into) -> Io<void> {
    Scope scope;
    const std::string far(100, 'v');  // too long to be kept inside a std::string
    {
      scope.spawn(by_view, std::string(far), std::ref(into));
      scope.spawn(by_reference, std::string(far), std::ref(into));
      scope.spawn(by_rvalue, std::make_unique<std::string>(far), std::ref(into));
      scope.spawn(by_value, std::make_unique<std::string>(far), std::ref(into));
      auto lambda = [captured = std::string(far)](Words& heard) -> Task<void> {
        co_await sleep(1ms);
        heard.push_back(captured);  // the scope keeps the lambda as well
      };
      scope.spawn(std::move(lambda), std::ref(into));
    }
    co_return co_await scope.join();
  };
  EXPECT_TRUE(time.finish(story(words))->has_value());
  EXPECT_EQ(words, Words(5, std::string(100, 'v')));
}

TEST_F(ScopeTest, CanBeDestroyedWhereNoLoopRuns) {
  Semaphore semaphore(0);
  std::optional<Scope> scope(std::in_place, time.loop());
  auto take_and_wait = [](Semaphore& shared) -> Task<void> {
    auto permit = co_await shared.acquire();
    co_await sleep(1h);
  };
  {
    Semaphore::Permit given(semaphore);  // one more than there are
  }
  scope->spawn(take_and_wait, std::ref(semaphore));
  scope->spawn(take_and_wait, std::ref(semaphore));
  time.step();
  EXPECT_EQ(semaphore.available(), 0U);
  scope.reset();  // the first one's permit goes to the second, which dies too
  EXPECT_EQ(semaphore.available(), 1U);
}

TEST(Scope, CanBeCancelledAtEveryStep) {
  for (const char* how : {"well", "with an error", "cancelled"}) {
    auto child = [](Duration delay, bool fails, auto self) -> Io<void> {
      const Counted counted;
      co_await sleep(delay);
      if (delay < 2ms) co_return {};
      Scope scope;
      scope.spawn(self, delay / 2, false, self);
      scope.spawn(self(delay / 2, fails, self));
      co_await yield();
      co_await attempt(scope.join());
      if (fails) co_return fail(Fault::reset);
      co_return {};
    };
    auto story = [](auto make, std::string_view end) -> Io<void> {
      Scope scope;
      for (int i = 1; i <= 3; ++i) scope.spawn(make(i * 2ms, end == "with an error", make));
      if (end == "cancelled") scope.cancel();
      co_await attempt(within(1h, scope.join()));
      scope.spawn(make(1ms, false, make));
      co_return co_await scope.join();
    };
    EXPECT_GT(cancel_at_every_step([&] { return story(child, how); }), 5);
  }
}

}  // namespace
}  // namespace koine
