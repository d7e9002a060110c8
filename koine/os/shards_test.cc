#include "koine/os/shards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "koine/async/combine.h"
#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/os/elsewhere_test.h"
#include "koine/os/few_descriptors_test.h"

namespace koine::os {
namespace {

std::unique_ptr<Shards> make(std::size_t count) {
  auto shards = Shards::make(count, {});
  EXPECT_TRUE(shards);
  return std::move(*shards);
}

TEST(Shards, RunTheStoryOnceOnEachAndEachOnAThreadOfItsOwn) {
  const auto shards = make(4);
  std::mutex mutex;
  std::set<std::thread::id> threads;
  std::multiset<std::size_t> numbers;
  const auto ended = shards->run([&](Shard& shard) -> Io<void> {
    EXPECT_EQ(&Loop::current(), &shard.reactor.loop());
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
    numbers.insert(shard.number);
    co_return {};
  });
  EXPECT_TRUE(ended);
  EXPECT_EQ(threads.size(), 4);
  EXPECT_EQ(numbers, (std::multiset<std::size_t>{0, 1, 2, 3}));
  EXPECT_TRUE(threads.contains(std::this_thread::get_id())) << "number 0 is the caller's";
}

TEST(Shards, PassMessagesInTheOrderInWhichTheyWerePosted) {
  constexpr int messages = 2000;
  const auto shards = make(3);
  std::array<int, 3> heard{};  // each used on its own shard only
  std::array<Event, 3> done;
  const auto ended = shards->run([&](Shard& shard) -> Io<void> {
    const std::size_t next = (shard.number + 1) % 3;
    for (int i = 0; i < messages; ++i) {
      shards->post(next, [&, next, i] {
        EXPECT_EQ(heard[next]++, i);
        if (i + 1 == messages) done[next].set();
      });
      if (i % 100 == 0) co_await sleep(0s);
    }
    co_return co_await within(patience, done[shard.number].wait());
  });
  EXPECT_TRUE(ended);
  EXPECT_EQ(heard, (std::array{messages, messages, messages}));
}

TEST(Shards, WakeASleepingShard) {
  // A token goes round: all but one always sleep.
  constexpr int rounds = 1000;
  const auto shards = make(3);
  std::array<Event, 3> over;
  int passed = 0;
  Function<void(std::size_t)> pass_on = [&](std::size_t number) {
    if (++passed == rounds) {
      for (std::size_t i = 0; i < over.size(); ++i) shards->post(i, [&, i] { over[i].set(); });
      return;
    }
    const std::size_t next = (number + 1) % 3;
    shards->post(next, [&, next] { pass_on(next); });
  };
  const auto ended = shards->run([&](Shard& shard) -> Io<void> {
    if (shard.number == 0) pass_on(0);
    co_return co_await within(patience, over[shard.number].wait());
  });
  EXPECT_TRUE(ended);
  EXPECT_EQ(passed, rounds);
}

TEST(Shards, HearWhatOtherThreadsPost) {
  const auto shards = make(2);
  std::array<int, 2> heard{};
  Event all_are_heard;
  std::thread other;
  const auto ended = shards->run([&](Shard& shard) -> Io<void> {
    if (shard.number == 0) {
      other = std::thread([&] {
        for (int i = 0; i < 1000; ++i) {
          shards->post(0, [&] {
            if (++heard[0] == 1000) all_are_heard.set();
          });
        }
      });
      co_return co_await within(patience, all_are_heard.wait());
    }
    co_return {};
  });
  other.join();
  EXPECT_TRUE(ended);
  EXPECT_EQ(heard[0], 1000);
}

TEST(Shards, KeepWhatIsPostedBeforeTheyRunAndDropWhatComesAfterwards) {
  const auto shards = make(2);
  std::array<bool, 2> early{};
  std::array<Event, 2> heard;
  for (std::size_t number = 0; number < 2; ++number) {
    shards->post(number, [&, number] {
      early[number] = true;
      heard[number].set();
    });
  }
  EXPECT_TRUE(shards->run([&](Shard& shard) -> Io<void> {
    co_return co_await within(patience, heard[shard.number].wait());
  }));
  EXPECT_TRUE(early[0]);
  EXPECT_TRUE(early[1]);
  EXPECT_EQ(shards->unheard(1), 0);
  EXPECT_FALSE(shards->post(1, [] { FAIL() << "there is no shard any more"; }));
  EXPECT_EQ(shards->unheard(1), 1);
}

TEST(Shards, CountWhatIsPostedToOneThatEndsMeanwhile) {
  const auto shards = make(2);
  std::size_t heard = 0;     // shard 1's
  std::size_t accepted = 0;  // shard 0's
  Event enough;
  const auto ended = shards->run([&](Shard& shard) -> Io<void> {
    if (shard.number == 1) co_return co_await within(patience, enough.wait());
    while (shards->post(1, [&] {
      if (++heard == 1000) enough.set();
    }))
      ++accepted;
    co_return {};
  });
  EXPECT_TRUE(ended);
  EXPECT_GE(heard, 1000);
  EXPECT_EQ(heard + shards->unheard(1), accepted + 1) << "one was refused";
}

TEST(Shards, CallEachOtherAndWaitForTheAnswer) {
  const auto shards = make(2);
  std::array<Event, 2> over;
  const auto ended = shards->run([&](Shard& shard) -> Io<void> {
    const std::size_t other = 1 - shard.number;
    int sum = 0;
    for (int i = 0; i < 500; ++i) {
      auto asking = shards->call(shard, other, [i, home = &shard.reactor.loop()] {
        EXPECT_NE(&Loop::current(), home);
        return i;
      });
      sum += co_await attempt(std::move(asking));
      EXPECT_EQ(&Loop::current(), &shard.reactor.loop());
    }
    EXPECT_EQ(sum, 500 * 499 / 2);

    auto failing = shards->call(shard, other, []() -> Result<int> { return fail(Fault::denied); });
    EXPECT_EQ((co_await failing).error(), Fault::denied);
    auto silent = shards->call(shard, other, [&, other] { over[other].set(); });
    co_await attempt(std::move(silent));
    co_return co_await within(patience, over[shard.number].wait());
  });
  EXPECT_TRUE(ended) << to_string(ended.error());
}

TEST(Shards, AnswerACallToOneThatHasEnded) {
  const auto shards = make(2);
  Event over;
  bool called = false;
  const auto ended = shards->run([&](Shard& shard) -> Io<void> {
    if (shard.number == 1) co_return co_await within(patience, over.wait());
    // Some are in its mailbox when it ends, and some come later: all are answered.
    const auto call = [&]() -> Io<void> {
      return [](Shards& all, Shard& here, bool& is_called) -> Io<void> {
        auto asking = all.call(here, 1, [&is_called] { is_called = true; });
        co_return co_await asking;
      }(*shards, shard, called);
    };
    shards->post(1, [&] { over.set(); });
    for (Result<void> answer; answer;) {
      auto both = all(call(), call());
      const auto answers = co_await within(patience, std::move(both));
      EXPECT_TRUE(answers || answers.error() == Fault::ended) << to_string(answers.error());
      if (!answers) answer = std::unexpected(answers.error());
    }
    auto late = call();
    const auto answer = co_await within(patience, std::move(late));
    EXPECT_EQ(to_string(answer.error()), "call a shard that has ended: ended too early");
    co_return {};
  });
  EXPECT_TRUE(ended) << to_string(ended.error());
}

TEST(Shards, ForgetACallWhoseCallerIsGone) {
  const auto shards = make(2);
  Event over;
  auto held = std::make_shared<int>(0);
  const auto ended = shards->run([&](Shard& shard) -> Io<void> {
    if (shard.number == 1) co_return co_await within(patience, over.wait());
    for (int i = 0; i < 200; ++i) {
      Scope scope;
      const auto call = [](Shards& all, Shard& here, std::shared_ptr<int> mine) -> Task<void> {
        auto asking = all.call(here, 1, [mine = std::move(mine)] { return *mine; });
        co_await asking;
      };
      for (int j = 0; j < 3; ++j) scope.spawn(call(*shards, shard, held));
      auto unstarted = shards->call(shard, 1, [held] { return *held; });
      if (i % 2 == 0) co_await yield();  // on its way; else it never was
    }
    shards->post(1, [&] { over.set(); });
    co_return {};
  });
  EXPECT_TRUE(ended) << to_string(ended.error());
  EXPECT_EQ(held.use_count(), 1) << "wherever they were, they are destroyed";
}

TEST(Shards, AnswerWithTheFirstErrorByNumber) {
  const auto shards = make(4);
  const auto ended = shards->run([](Shard& shard) -> Io<void> {
    if (shard.number == 0 || shard.number == 3) co_return {};
    co_return fail(shard.number == 1 ? Fault::refused : Fault::denied, "think");
  });
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error(), Fault::refused) << to_string(ended.error());
}

TEST(Shards, BeginOnlyIfAllCan) {
  if (sanitizer_needs_descriptors)
    GTEST_SKIP() << "UBSan opens a pipe to look at a type; builds without it run this test";
  // Not the best that works: poll(2) needs no descriptor.
  const auto shards = std::move(*Shards::make(8, {.multiplexer = "epoll", .busy_poll = {}}));
  std::atomic<int> begun = 0;
  Result<void> ended;
  {
    const FewDescriptors enough_for_some(4);
    ended = shards->run([&](Shard&) -> Io<void> {
      ++begun;
      co_return {};
    });
  }
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error(), Fault::exhausted) << to_string(ended.error());
  EXPECT_EQ(begun, 0);
}

TEST(Shards, ShareAPortAndTheConnectionsToIt) {
  constexpr std::size_t count = 3;
  constexpr int connections = 90;
  const auto shards = make(count);
  std::array<int, count> served{};
  std::array<Event, count> told;  // where to listen
  std::array<Event, count> over;
  std::optional<Endpoint> place;
  std::size_t listening = 0;  // shard 0's own
  Event all_listen;

  const auto serve = [&](Shard& shard, Listener& listener) -> Io<void> {
    for (;;) {
      const auto client = co_await attempt(accept(listener));
      ++served[shard.number];
      const std::string number = std::to_string(shard.number);
      co_await attempt(write_all(*client, number));
    }
  };
  const auto visit_all = [&](Shard& shard) -> Io<void> {
    int answered = 0;
    for (int i = 0; i < connections; ++i) {
      auto dialling = dial(shard.network, *place);
      const auto stream = co_await attempt(std::move(dialling));
      auto reading = read_to_end(*stream);
      if (!(co_await attempt(std::move(reading))).empty()) ++answered;
    }
    EXPECT_EQ(answered, connections);
    for (std::size_t i = 0; i < count; ++i) shards->post(i, [&, i] { over[i].set(); });
    co_return {};
  };

  const auto ended = shards->run([&](Shard& shard) -> Io<void> {
    const ListenOptions options{.shared = true};
    if (shard.number != 0) co_await told[shard.number].wait();
    const Endpoint where = shard.number == 0 ? Endpoint::tcp(loopback_v4, 0) : *place;
    const auto listener = co_await attempt(shard.network.listen(where, options));
    shards->post(0, [&] {
      if (++listening == count) all_listen.set();
    });
    Scope scope;
    scope.spawn(serve(shard, *listener));
    if (shard.number == 0) {
      place = listener->endpoint();
      for (std::size_t i = 1; i < count; ++i) shards->post(i, [&, i] { told[i].set(); });
      co_await attempt(within(patience, all_listen.wait()));
      scope.spawn(visit_all(shard));
    }
    co_return co_await within(patience, over[shard.number].wait());
  });
  EXPECT_TRUE(ended) << to_string(ended.error());
  // The kernel spreads them by a hash of their ports. That one shard of three gets none of 90 has
  // the chance 3 (2/3)^90 = 4e-16.
  for (std::size_t i = 0; i < count; ++i) EXPECT_GT(served[i], 0) << "shard " << i;
  EXPECT_EQ(served[0] + served[1] + served[2], connections);
}

}  // namespace
}  // namespace koine::os
