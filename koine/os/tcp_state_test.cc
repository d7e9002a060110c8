#include "koine/os/tcp_state.h"

#include <gtest/gtest.h>

namespace koine::os {
namespace {

using journey::HeldBy;

constexpr std::int64_t ms = 1'000'000;

/// A connection that nothing holds.
TcpInfo idle() {
  return {.cwnd = 10, .srtt_us = 1000, .mss = 1000, .segments_sent = 11, .pacing_rate = 1'000'000};
}

TEST(WhatHeld, IsTheReceiversWindowIfTheKernelCountedMostOfTheTimeForIt) {
  TcpInfo after = idle();
  after.window_limited_us = 60'000;
  EXPECT_EQ(what_held(idle(), after, {}, 100, 100 * ms), HeldBy::receiver_window);
  EXPECT_EQ(what_held(idle(), after, {}, 100, 121 * ms), HeldBy::unknown);
  TcpInfo before = idle();
  before.window_limited_us = 60'000;
  EXPECT_EQ(what_held(before, after, {}, 100, 100 * ms), HeldBy::unknown) << "of another message";
}

TEST(WhatHeld, IsTheSendBufferIfTheKernelCountedMostOfTheTimeForIt) {
  TcpInfo after = idle();
  after.buffer_limited_us = 60'000;
  EXPECT_EQ(what_held(idle(), after, {}, 100, 100 * ms), HeldBy::send_buffer);
}

TEST(WhatHeld, IsNagleForLessThanASegmentBehindWhatIsNotConfirmed) {
  TcpInfo before = idle();
  const TcpOptions nagle{.waits_for_confirmations = true};
  EXPECT_EQ(what_held(before, idle(), nagle, 999, 40 * ms), HeldBy::unknown)
      << "nothing to wait for";
  before.in_flight = 1;
  EXPECT_EQ(what_held(before, idle(), nagle, 999, 40 * ms), HeldBy::nagle);
  EXPECT_EQ(what_held(before, idle(), nagle, 1000, 40 * ms), HeldBy::unknown) << "a whole segment";
  EXPECT_EQ(what_held(before, idle(), {}, 999, 40 * ms), HeldBy::unknown);
}

TEST(WhatHeld, IsTheCongestionWindowIfItWasFullOrTheMessageFillsIt) {
  TcpInfo before = idle();
  EXPECT_EQ(what_held(before, idle(), {}, 11'000, 2 * ms), HeldBy::congestion_window);
  EXPECT_EQ(what_held(before, idle(), {}, 11'000, ms / 2), HeldBy::unknown)
      << "within a round trip";
  EXPECT_EQ(what_held(before, idle(), {}, 10'000, 2 * ms), HeldBy::unknown);
  before.in_flight = 10;
  EXPECT_EQ(what_held(before, idle(), {}, 1, 2 * ms), HeldBy::congestion_window);
}

TEST(WhatHeld, IsPacingIfItsRateExplainsTheTime) {
  const TcpOptions paces{.paces = true};
  TcpInfo busy = idle();
  busy.in_flight = 1;
  EXPECT_EQ(what_held(busy, idle(), paces, 8'000, 20 * ms), HeldBy::pacing);
  EXPECT_EQ(what_held(idle(), idle(), paces, 8'000, 20 * ms), HeldBy::unknown) << "it is the first";
  EXPECT_EQ(what_held(busy, idle(), paces, 7'999, 20 * ms), HeldBy::unknown) << "too long";
  EXPECT_EQ(what_held(busy, idle(), {}, 8'000, 20 * ms), HeldBy::unknown) << "it does not pace";
  TcpInfo wide = idle();
  wide.cwnd = 1000;
  EXPECT_EQ(what_held(wide, wide, paces, 265'536, 100 * ms), HeldBy::pacing);
  EXPECT_EQ(what_held(wide, wide, paces, 265'536, 99 * ms), HeldBy::unknown) << "too short";
  TcpInfo slower = idle();
  slower.pacing_rate = 100'000;  // meanwhile
  EXPECT_EQ(what_held(busy, slower, paces, 8'000, 200 * ms), HeldBy::pacing);
  TcpInfo young = idle();
  young.segments_sent = 10;
  EXPECT_EQ(what_held(busy, young, paces, 8'000, 20 * ms), HeldBy::unknown) << "not paced yet";
}

TEST(WhatHeld, IsUnknownWhereTheKernelSaysNothing) {
  EXPECT_EQ(what_held({}, {}, {.paces = true, .waits_for_confirmations = true}, 100'000, ms),
            HeldBy::unknown);
}

}  // namespace
}  // namespace koine::os
