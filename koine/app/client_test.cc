#include "koine/app/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "koine/transport/memory_test.h"

namespace koine {
namespace {

using testing::ElementsAre;

/// What became of it, and how long it took.
struct Outcome {
  Result<std::unique_ptr<Stream>> stream;
  Duration took;

  std::string error() const { return stream ? "connected" : to_string(stream.error()); }
};

struct World {
  World() : network(time.loop()) {
    const Loop::Entered entered(time.loop());
    listener = *network.listen(place, {});
  }

  Outcome dial(RetryOptions retry) {
    const Loop::Entered entered(time.loop());
    const Instant begun = time.now();
    auto stream = time.finish(dial_with_retry(network, place, std::move(retry)));
    return {std::move(*stream), time.now() - begun};
  }

  VirtualTime time;
  memory::MemoryNetwork network;
  Endpoint place = *parse_endpoint("tcp://127.0.0.1:4000");
  std::unique_ptr<Listener> listener;
};

RetryOptions without_jitter() {
  RetryOptions retry;
  retry.jitter = 0;
  return retry;
}

TEST(Client, ConnectsAtOnceWhenItCan) {
  World world;
  const auto outcome = world.dial({});
  EXPECT_EQ(outcome.error(), "connected");
  EXPECT_EQ(outcome.took, 0s);
  EXPECT_EQ(world.network.connects, 1);
}

TEST(Client, TriesAgainWithPausesThatDouble) {
  World world;
  world.network.connect_faults.assign(4, Fault::refused);
  const auto outcome = world.dial(without_jitter());
  EXPECT_EQ(outcome.error(), "connected");
  EXPECT_EQ(outcome.took, 50ms + 100ms + 200ms + 400ms);
  EXPECT_EQ(world.network.connects, 5);
}

TEST(Client, GivesUpAfterSoManyAttemptsAndSaysHowMany) {
  World world;
  world.network.connect_faults.assign(100, Fault::refused);
  RetryOptions retry;
  retry.attempts_max = 3;
  const auto outcome = world.dial(std::move(retry));
  EXPECT_EQ(outcome.error(), "connect tcp://127.0.0.1:4000: refused: 3 attempts");
  EXPECT_EQ(world.network.connects, 3);
}

TEST(Client, TriesOnceIfThatIsAllItMay) {
  World world;
  world.network.connect_faults.assign(100, Fault::refused);
  RetryOptions retry;
  retry.attempts_max = 1;
  EXPECT_EQ(world.dial(std::move(retry)).error(), "connect tcp://127.0.0.1:4000: refused");
}

TEST(Client, TellsWhatTheLastAttemptMetWhenTheTimeForAllIsUp) {
  World world;
  world.network.connect_faults.assign(100, Fault::unreachable);
  RetryOptions retry = without_jitter();
  retry.attempts_max = 100;
  retry.pause_max = 1s;
  retry.timeout = 4s;
  const auto outcome = world.dial(std::move(retry));
  EXPECT_EQ(outcome.took, 4s);
  // 50 + 100 + 200 + 400 + 800 + 1000 + 1000 ms of pauses, and in the eighth the time is up.
  EXPECT_EQ(outcome.error(),
            "connect tcp://127.0.0.1:4000: unreachable: 8 attempts, and no time for more");
}

TEST(Client, TellsThatTheTimeIsUpWhenNoAttemptCameToAnEnd) {
  World world;
  world.network.connect_takes = 1h;
  RetryOptions retry;
  retry.timeout = 3s;
  const auto outcome = world.dial(std::move(retry));
  EXPECT_EQ(outcome.took, 3s);
  EXPECT_EQ(outcome.stream, std::unexpected(Fault::timed_out));
  EXPECT_THAT(outcome.error(), testing::HasSubstr("tcp://127.0.0.1:4000"));
}

TEST(Client, TriesAgainWhenOneAttemptTakesTooLong) {
  World world;
  world.network.connect_takes = 1h;
  RetryOptions retry = without_jitter();
  retry.dial.timeout = 2s;
  retry.attempts_max = 3;
  const auto outcome = world.dial(std::move(retry));
  EXPECT_EQ(outcome.took, 2s + 50ms + 2s + 100ms + 2s);
  EXPECT_EQ(outcome.stream, std::unexpected(Fault::timed_out));
  EXPECT_THAT(outcome.error(), testing::HasSubstr("timed out: 3 attempts"));
}

TEST(Client, TriesAgainOnlyWhatMayPass) {
  const auto attempts = [](Fault fault) {
    World world;
    world.network.connect_faults = {fault};
    world.dial({});
    return world.network.connects;
  };
  for (const Fault fault : {Fault::refused, Fault::reset, Fault::unreachable, Fault::timed_out,
                            Fault::not_found, Fault::ended, Fault::exhausted})
    EXPECT_EQ(attempts(fault), 2) << to_string(fault);
  for (const Fault fault :
       {Fault::cancelled, Fault::closed, Fault::address_in_use, Fault::address_unavailable,
        Fault::denied, Fault::over_limit, Fault::malformed, Fault::unsupported, Fault::system})
    EXPECT_EQ(attempts(fault), 1) << to_string(fault);
}

TEST(Client, WaitsForANameToAppear) {
  World world;
  const Loop::Entered entered(world.time.loop());
  Started tries(world.time.loop(),
                dial_with_retry(world.network, *parse_endpoint("tcp://late.test:4000")));
  memory::pass(world.time, 1s);
  EXPECT_FALSE(tries.done());
  world.network.names["late.test"] = {loopback_v4};
  memory::pass(world.time, 2s);
  ASSERT_TRUE(tries.done());
  EXPECT_TRUE(tries.take());
}

TEST(Client, LeavesNothingBehindWhenItIsCalledOff) {
  World world;
  world.network.connect_faults.assign(100, Fault::refused);
  {
    Started tries(world.time.loop(), dial_with_retry(world.network, world.place));
    memory::pass(world.time, 1s);
    EXPECT_FALSE(tries.done());
  }
  EXPECT_FALSE(world.time.loop().next_deadline());
}

TEST(Client, HasOnePeer) {
  World world;
  const Loop::Entered entered(world.time.loop());
  Client client(world.network, world.place);
  EXPECT_EQ(client.peer(), world.place);
  EXPECT_TRUE(*world.time.finish(client.connect()));
  EXPECT_TRUE(*world.time.finish(client.connect()));
  EXPECT_EQ(world.network.connects, 2);
}

TEST(PauseAfter, GrowsByItsFactorUpToItsMaximum) {
  Prng chance(1);
  std::vector<Duration> pauses;
  for (int failures = 1; failures <= 9; ++failures)
    pauses.push_back(pause_after(failures, without_jitter(), chance));
  EXPECT_THAT(pauses, ElementsAre(50ms, 100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5s, 5s));
  EXPECT_EQ(pause_after(1'000'000, without_jitter(), chance), 5s);
}

TEST(PauseAfter, IsShortenedByUpToTheJitterAndSpreadsOut) {
  Prng chance(7);
  RetryOptions retry;
  retry.jitter = 0.5;
  Duration shortest = 1h;
  Duration longest{};
  Duration sum{};
  for (int i = 0; i < 10'000; ++i) {
    const Duration pause = pause_after(3, retry, chance);
    shortest = std::min(shortest, pause);
    longest = std::max(longest, pause);
    sum += pause;
  }
  EXPECT_GE(shortest, 100ms);
  EXPECT_LT(shortest, 101ms);
  EXPECT_LE(longest, 200ms);
  EXPECT_GT(longest, 199ms);
  // Uniform in 100 to 200 ms: the mean of 10000 has a standard deviation of 0.29 ms.
  EXPECT_NEAR(static_cast<double>((sum / 10'000).count()), 150e6, 1.5e6);
}

TEST(PauseAfter, StaysWithinReasonWhateverTheOptions) {
  Prng chance(1);
  EXPECT_EQ(pause_after(100'000, {.pause_max = Duration::max(), .jitter = 0}, chance), 1h);
  EXPECT_EQ(pause_after(5, {.factor = 1, .jitter = 0}, chance), 50ms);
  EXPECT_EQ(pause_after(5, {.factor = 0, .jitter = 0}, chance), 0s);
  EXPECT_GE(pause_after(5, {.jitter = 17}, chance), 0s);
  EXPECT_LE(pause_after(5, {.jitter = -17}, chance), 800ms);
  EXPECT_EQ(pause_after(5, {.pause_first = -1s}, chance), 0s);
}

TEST(PauseAfter, TellsTheSameStoryForTheSameSeed) {
  Prng one(42);
  Prng other(42);
  for (int failures = 1; failures < 20; ++failures)
    EXPECT_EQ(pause_after(failures, {}, one), pause_after(failures, {}, other));
}

}  // namespace
}  // namespace koine
