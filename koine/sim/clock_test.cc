#include "koine/sim/clock.h"

#include <gtest/gtest.h>

#include "koine/base/random.h"

namespace koine::sim {
namespace {

TEST(Clock, ShowsWhatItWasSetToAndGoesOn) {
  const Clock clock(Instant(3s));
  EXPECT_EQ(clock.at(Instant()), Instant(3s));
  EXPECT_EQ(clock.at(Instant(2s)), Instant(5s));
  EXPECT_EQ(clock.world_at(Instant(5s)), Instant(2s));
  EXPECT_EQ(clock.world_at(Instant::max()), Instant::max());
}

TEST(Clock, GainsAndLosesMicrosecondsASecond) {
  Clock clock(Instant{});
  clock.set_drift(Instant(10s), 500);
  EXPECT_EQ(clock.at(Instant(11s)), Instant(11s + 500us));
  clock.set_drift(Instant(11s), -1000);
  EXPECT_EQ(clock.at(Instant(12s)), Instant(12s + 500us - 1ms));
}

TEST(Clock, JumpsAheadAndAppointmentsInBetweenAreDue) {
  Clock clock(Instant{});
  clock.step(Instant(1s), 1h);
  EXPECT_EQ(clock.at(Instant(1s)), Instant(1h + 1s));
  EXPECT_EQ(clock.world_at(Instant(30min)), Instant(1s));
}

// What is due at a time of the clock is never done before, or a machine would ask for ever whether
// it is time.
TEST(Clock, IsNeverEarlyForAnAppointmentWhateverItsDrift) {
  for (const std::int64_t ppm : {-500'000, -999, -1, 0, 1, 37, 200'000}) {
    Clock clock(Instant(1h));
    clock.set_drift(Instant(5s), ppm);
    Prng chance(1);
    for (int i = 0; i < 1'000; ++i) {
      const Instant shown =
          clock.at(Instant(5s)) +
          Duration(static_cast<Duration::rep>(chance() >> (4 + chance.below(50))));
      const Instant world = clock.world_at(shown);
      ASSERT_GE(clock.at(world), shown) << ppm;
      if (world > Instant(5s)) {
        ASSERT_LT(clock.at(world - 2ns), shown) << ppm;
      }
    }
  }
}

}  // namespace
}  // namespace koine::sim
