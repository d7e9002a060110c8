#include "koine/journey/clock_offset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "koine/base/random.h"
#include "koine/journey/made_test.h"

namespace koine::journey {
namespace {

/// A world in which the truth is known: the server's clock is ahead by so much, and drifts.
class TwoClocks {
 public:
  TwoClocks(std::int64_t ahead_ns, std::int64_t drift_ppm) : ahead_ns_(ahead_ns), ppm_(drift_ppm) {}

  std::int64_t theta(std::int64_t client_ns) const {
    return ahead_ns_ + (client_ns - made_at) / 1'000'000 * ppm_;
  }

  /// A journey that begins at `begun` and spends these times on the network.
  Journey journey(std::int64_t begun, std::int64_t there_ns, std::int64_t back_ns) const {
    const auto client = [&](std::int64_t ns) { return Stamp::exactly(begun + ns); };
    const auto server = [&](std::int64_t ns) {
      return Stamp::exactly(begun + ns + theta(begun + ns));
    };
    Journey journey;
    journey.request.write_in = client(0);
    journey.request.snd = {client(2000)};
    journey.request.rx = server(2000 + there_ns);
    journey.request.recv_out = server(22'000 + there_ns);
    journey.reply.write_in = server(25'000 + there_ns);
    journey.reply.snd = {server(27'000 + there_ns)};
    journey.reply.rx = client(27'000 + there_ns + back_ns);
    journey.reply.recv_out = client(47'000 + there_ns + back_ns);
    return journey;
  }

 private:
  std::int64_t ahead_ns_;
  std::int64_t ppm_;
};

TEST(ClockOffset, KnowsNothingBeforeItWasTold) {
  EXPECT_EQ(ClockOffset().at(made_at).method, Offset::Method::unknown);
}

// The standing test: the truth is within the bounds each time, for any delays and any drift that
// two clocks under NTP can have.
TEST(ClockOffset, TheTruthNeverLeavesTheBounds) {
  Prng chance(5);
  int told = 0;
  for (const std::int64_t ppm : {0, 50, -50, 99, -99}) {
    for (const std::int64_t ahead : {0LL, 1'230'000'000LL, -86'400'000'000'000LL}) {
      const TwoClocks world(ahead, ppm);
      ClockOffset clocks;
      std::int64_t at = made_at;
      for (int i = 0; i < 1000; ++i) {
        at += static_cast<std::int64_t>(chance.below(20'000'000));
        const auto delay = [&] {
          return static_cast<std::int64_t>(900 +
                                           chance.below(chance.below(10) == 0 ? 6'000'000 : 3000));
        };
        const Journey journey = world.journey(at, delay(), delay());
        clocks.learn(journey);
        const std::int64_t later =
            journey.reply.recv_out.ns + static_cast<std::int64_t>(chance.below(50'000'000));
        const Offset offset = clocks.at(later);
        const std::int64_t error = offset.theta_ns - world.theta(later);
        ASSERT_EQ(offset.method, Offset::Method::bounds);
        ASSERT_LE(std::abs(error), offset.half_ns) << "journey " << i << ", " << ppm << " ppm";
        ++told;
      }
      EXPECT_EQ(clocks.resets(), 0U);
    }
  }
  EXPECT_EQ(told, 15'000);
}

// Of a message that was lost and sent again, the moments that its bounds are of lie far apart.
TEST(ClockOffset, TheBoundsOfAJourneyHoldFromItsBeginningToItsEnd) {
  Prng chance(7);
  for (const std::int64_t ppm : {0, 50, -50, 99, -99}) {
    const TwoClocks world(1'230'000'000, ppm);
    ClockOffset clocks;
    std::int64_t at = made_at;
    for (int i = 0; i < 1000; ++i) {
      const auto delay = [&] {
        return static_cast<std::int64_t>(900 +
                                         chance.below(chance.below(10) == 0 ? 900'000'000 : 3000));
      };
      const Journey journey = world.journey(at, delay(), delay());
      const Offset offset = clocks.of(journey, false);
      ASSERT_EQ(offset.method, Offset::Method::bounds);
      for (const std::int64_t ns : {journey.request.write_in.ns, journey.reply.recv_out.ns})
        ASSERT_LE(std::abs(offset.theta_ns - world.theta(ns)), offset.half_ns)
            << "journey " << i << ", " << ppm << " ppm";
      at += static_cast<std::int64_t>(chance.below(2'000'000'000));  // others may be under way
    }
    EXPECT_EQ(clocks.resets(), 0U);
  }
}

TEST(ClockOffset, BoundsAreAsNarrowAsTheFastestWayThereAndBackAllows) {
  const TwoClocks world(1'230'000'000, 0);
  ClockOffset clocks;
  clocks.learn(world.journey(made_at, 900'000, 1000));
  clocks.learn(world.journey(made_at + 1'000'000, 1000, 900'000));
  // 1 us there, 1 us back, and what 100 ppm of a few milliseconds add.
  const Offset offset = clocks.at(made_at + 2'000'000);
  EXPECT_LE(offset.half_ns, 1000 + 2 * 200 + 10);
  EXPECT_GE(offset.half_ns, 1000);
}

// The usual "half the round trip" would say that the clocks agree to a microsecond, and be wrong by
// three milliseconds.
TEST(ClockOffset, AQueueOnOneSideMakesTheBoundsWideAndNotWrong) {
  const TwoClocks world(0, 0);
  ClockOffset clocks;
  for (int i = 0; i < 100; ++i)
    clocks.learn(world.journey(made_at + i * 1'000'000, 6'000'000, 1000));
  const Offset offset = clocks.at(made_at + 200'000'000);
  EXPECT_GE(offset.half_ns, 2'900'000);
  EXPECT_LE(std::abs(offset.theta_ns), offset.half_ns);
}

TEST(ClockOffset, ALateStampOfSendingIsNoBound) {
  const TwoClocks world(0, 0);
  Journey journey = world.journey(made_at, 1000, 1000);
  journey.request.snd = {{journey.request.snd[0].ns + 500'000, Quality::at_most}};
  ClockOffset clocks;
  clocks.learn(journey);
  const Offset offset = clocks.at(made_at + 1'000'000);
  EXPECT_LE(std::abs(offset.theta_ns), offset.half_ns);
}

TEST(ClockOffset, AClockThatWasSetMakesItForgetWhatItKnew) {
  ClockOffset clocks;
  clocks.learn(TwoClocks(0, 0).journey(made_at, 1000, 1000));
  const TwoClocks stepped(5'000'000'000, 0);
  clocks.learn(stepped.journey(made_at + 1'000'000'000, 1000, 1000));
  EXPECT_EQ(clocks.resets(), 1U);
  const Offset offset = clocks.at(made_at + 1'000'100'000);
  EXPECT_LE(std::abs(offset.theta_ns - 5'000'000'000), offset.half_ns);
}

}  // namespace
}  // namespace koine::journey
