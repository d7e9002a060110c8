#include <gtest/gtest.h>

#include "koine/stack/tcp/link_test.h"

namespace koine::stack::tcp {
namespace {

// Runs until the transfer has ended or `limit` of virtual time has gone.
bool run(TwoEnds& ends, Transfer& transfer, Duration limit) {
  const Instant until = ends.now() + limit;
  ends.connect();
  while (!transfer.ended()) {
    if (transfer.turn()) {
      ends.flush();
      continue;
    }
    if (!ends.step(until)) break;
  }
  return transfer.done();
}

TEST(Transfer, DeliversEverythingOverAPerfectPath) {
  TwoEnds ends(1, {});
  Transfer transfer(ends, 0, 3'000'000);
  EXPECT_TRUE(run(ends, transfer, 60s)) << transfer.read();
  EXPECT_EQ(ends.environment(0).counters.retransmitted, 0u);
}

enum class Order { first_to_last, last_to_first };

/// One transfer over a path that `seed` makes bad. `order` is that of the last three draws: two
/// families of stories.
void deliver(std::uint64_t seed, Order order) {
  Prng draw(seed);
  PathOptions path;
  path.delay =
      Duration(static_cast<Duration::rep>(draw.below(3) == 0 ? 0 : draw.below(50'000'000)));
  if (draw.chance(0.5)) path.loss = 0.2 * draw.unit();
  if (draw.chance(0.5)) path.duplicate = 0.2 * draw.unit();
  if (draw.chance(0.5)) path.reorder = 0.3 * draw.unit();
  path.reorder_by = Duration(static_cast<Duration::rep>(draw.below(10'000'000)));
  if (draw.chance(0.5)) path.bits_per_second = 1'000'000 + draw.below(100'000'000);
  if (draw.chance(0.3)) path.queue_bytes = 20'000;
  Profile profiles[2];
  for (Profile& profile : profiles) {
    profile = draw.chance(0.5) ? linux_profile() : strict_profile();
    profile.sack = draw.chance(0.7);
    profile.timestamps = draw.chance(0.7);
    profile.window_scale = draw.chance(0.7);
    if (draw.chance(0.3)) profile.congestion = CongestionControl::reno;
    if (draw.chance(0.3)) profile.receive_buffer_initial = profile.receive_buffer_max = 5'000;
    if (draw.chance(0.3)) profile.mss = static_cast<std::uint16_t>(100 + draw.below(1360));
  }
  std::uint64_t draws[3] = {2, 400'000, 20'000};
  for (int i = 0; i < 3; ++i) {
    std::uint64_t& drawn = draws[order == Order::first_to_last ? i : 2 - i];
    drawn = drawn == 2 ? (draw.chance(0.5) ? 0 : 1) : draw.below(drawn);
  }
  TwoEnds ends(seed, path, profiles[0], profiles[1]);
  Transfer transfer(ends, static_cast<int>(draws[0]), draws[1], 1 + draws[2]);
  EXPECT_TRUE(run(ends, transfer, 4h))
      << "seed " << seed << " read " << transfer.read() << " written " << transfer.written()
      << (transfer.wrong() ? " WRONG" : "") << " states " << to_string(ends.end(0).state()) << ' '
      << to_string(ends.end(1).state());
}

TEST(Transfer, DeliversEverythingInOrderOverABadPathForManySeeds) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) deliver(seed, Order::first_to_last);
}

// Without SACK, and with small segments on a path that loses a fifth: each lost ACK made the sender
// take its own waiting for a round trip, until it waited a minute for everything.
TEST(Transfer, DeliversOverAPathOnWhichManyAcksAreLost) { deliver(294, Order::last_to_first); }

TEST(Transfer, TheSameSeedTellsTheSameStory) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    std::uint64_t traces[2];
    for (std::uint64_t& trace : traces) {
      TwoEnds ends(seed, {.loss = 0.05, .duplicate = 0.02, .reorder = 0.1});
      Transfer transfer(ends, 0, 300'000);
      EXPECT_TRUE(run(ends, transfer, 1h));
      trace = ends.trace();
    }
    EXPECT_EQ(traces[0], traces[1]) << seed;
  }
}

struct Goodput {
  const char* name;
  CongestionControl congestion;
  double loss;
  double megabits_min;
};

class GoodputOf : public testing::TestWithParam<Goodput> {};

// 100 Mbit/s and a round trip of 20 ms; Mathis's bound for Reno is 22.4 Mbit/s at 0.1 %, 7.1 at 1
// %.
TEST_P(GoodputOf, UnderRandomLossComesNearTheBound) {
  double total = 0;
  constexpr int seeds = 3;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Profile profile = linux_profile();
    profile.congestion = GetParam().congestion;
    TwoEnds ends(seed,
                 {.delay = 10ms,
                  .bits_per_second = 100'000'000,
                  .queue_bytes = 250'000,
                  .loss = GetParam().loss},
                 profile, profile);
    Transfer transfer(ends, 0, 10'000'000);
    const Instant start = ends.now();
    ASSERT_TRUE(run(ends, transfer, 10min));
    total += 8.0 * 10e6 / std::chrono::duration<double>(ends.now() - start).count() / 1e6;
  }
  RecordProperty("megabits", std::to_string(total / seeds));
  EXPECT_GE(total / seeds, GetParam().megabits_min);
}

INSTANTIATE_TEST_SUITE_P(Loss, GoodputOf,
                         testing::Values(Goodput{"CubicNone", CongestionControl::cubic, 0, 80},
                                         Goodput{"Cubic01", CongestionControl::cubic, 0.001, 14},
                                         Goodput{"Cubic1", CongestionControl::cubic, 0.01, 4},
                                         Goodput{"Reno01", CongestionControl::reno, 0.001, 14},
                                         Goodput{"Reno1", CongestionControl::reno, 0.01, 4}),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace koine::stack::tcp
