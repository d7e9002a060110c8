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
  EXPECT_EQ(what_held(idle(), after, {}, {.bytes = 100, .ns = 100 * ms}), HeldBy::receiver_window);
  EXPECT_EQ(what_held(idle(), after, {}, {.bytes = 100, .ns = 121 * ms}), HeldBy::unknown);
  TcpInfo before = idle();
  before.window_limited_us = 60'000;
  EXPECT_EQ(what_held(before, after, {}, {.bytes = 100, .ns = 100 * ms}), HeldBy::unknown)
      << "of another message";
}

TEST(WhatHeld, CountsNeitherABegunTickNorWhatCameAfterTheMessageHadLeft) {
  TcpInfo after = idle();
  after.window_limited_us = 10'000;
  EXPECT_EQ(what_held(idle(), after, {}, {.bytes = 100, .ns = 2 * ms}), HeldBy::unknown);
  after.window_limited_us = 60'000;
  const Held early{.bytes = 100, .ns = 60 * ms, .late_ns = 20 * ms};
  EXPECT_EQ(what_held(idle(), after, {}, early), HeldBy::receiver_window);
  const Held late{.bytes = 100, .ns = 60 * ms, .late_ns = 21 * ms};
  EXPECT_EQ(what_held(idle(), after, {}, late), HeldBy::unknown);
}

TEST(WhatHeld, IsNotTcpWhereTheProgramMayHaveBeenSlow) {
  TcpInfo before = idle();
  before.in_flight = 10;
  const TcpOptions nagle{.waits_for_confirmations = true};
  const Held late{.bytes = 999, .ns = 40 * ms, .had_it = false};
  EXPECT_EQ(what_held(before, idle(), nagle, late), HeldBy::unknown);
  EXPECT_EQ(what_held(before, idle(), {}, late), HeldBy::unknown);
  const Held large{.bytes = 11'000, .ns = 4 * ms, .had_it = false};
  EXPECT_EQ(what_held(idle(), idle(), {}, large), HeldBy::congestion_window) << "two rounds";
  const Held larger{.bytes = 11'000, .ns = 5 * ms, .had_it = false};
  EXPECT_EQ(what_held(idle(), idle(), {}, larger), HeldBy::unknown) << "too long for two";
}

TEST(WhatHeld, IsTheSendBufferIfTheKernelCountedMostOfTheTimeForIt) {
  TcpInfo after = idle();
  after.buffer_limited_us = 60'000;
  EXPECT_EQ(what_held(idle(), after, {}, {.bytes = 100, .ns = 100 * ms}), HeldBy::send_buffer);
}

TEST(WhatHeld, IsNagleForLessThanASegmentBehindWhatIsNotConfirmed) {
  TcpInfo before = idle();
  const TcpOptions nagle{.waits_for_confirmations = true};
  EXPECT_EQ(what_held(before, idle(), nagle, {.bytes = 999, .ns = 40 * ms}), HeldBy::unknown)
      << "nothing to wait for";
  before.in_flight = 1;
  EXPECT_EQ(what_held(before, idle(), nagle, {.bytes = 999, .ns = 40 * ms}), HeldBy::nagle);
  EXPECT_EQ(what_held(before, idle(), nagle, {.bytes = 1000, .ns = 40 * ms}), HeldBy::unknown)
      << "a whole segment";
  EXPECT_EQ(what_held(before, idle(), {}, {.bytes = 999, .ns = 40 * ms}), HeldBy::unknown);
}

TEST(WhatHeld, IsTheCongestionWindowIfItWasFullOrTheMessageFillsIt) {
  TcpInfo before = idle();
  EXPECT_EQ(what_held(before, idle(), {}, {.bytes = 11'000, .ns = 2 * ms}),
            HeldBy::congestion_window);
  EXPECT_EQ(what_held(before, idle(), {}, {.bytes = 11'000, .ns = ms / 2}), HeldBy::unknown)
      << "within a round trip";
  EXPECT_EQ(what_held(before, idle(), {}, {.bytes = 10'000, .ns = 2 * ms}), HeldBy::unknown);
  before.in_flight = 10;
  EXPECT_EQ(what_held(before, idle(), {}, {.bytes = 1, .ns = 2 * ms}), HeldBy::congestion_window);
}

TEST(WhatHeld, IsPacingIfItsRateExplainsTheTime) {
  const TcpOptions paces{.paces = true};
  TcpInfo busy = idle();
  busy.in_flight = 1;
  EXPECT_EQ(what_held(busy, idle(), paces, {.bytes = 8'000, .ns = 20 * ms}), HeldBy::pacing);
  EXPECT_EQ(what_held(idle(), idle(), paces, {.bytes = 8'000, .ns = 20 * ms}), HeldBy::unknown)
      << "it is the first";
  EXPECT_EQ(what_held(busy, idle(), paces, {.bytes = 7'999, .ns = 20 * ms}), HeldBy::unknown)
      << "too long";
  EXPECT_EQ(what_held(busy, idle(), {}, {.bytes = 8'000, .ns = 20 * ms}), HeldBy::unknown)
      << "it does not pace";
  TcpInfo wide = idle();
  wide.cwnd = 1000;
  EXPECT_EQ(what_held(wide, wide, paces, {.bytes = 265'536, .ns = 100 * ms}), HeldBy::pacing);
  EXPECT_EQ(what_held(wide, wide, paces, {.bytes = 265'536, .ns = 99 * ms}), HeldBy::unknown)
      << "too short";
  TcpInfo slower = idle();
  slower.pacing_rate = 100'000;  // meanwhile
  EXPECT_EQ(what_held(busy, slower, paces, {.bytes = 8'000, .ns = 200 * ms}), HeldBy::pacing);
  TcpInfo young = idle();
  young.segments_sent = 10;
  EXPECT_EQ(what_held(busy, young, paces, {.bytes = 8'000, .ns = 20 * ms}), HeldBy::unknown)
      << "not paced yet";
}

TEST(WhatHeld, IsUnknownWhereTheKernelSaysNothing) {
  EXPECT_EQ(what_held({}, {}, {.paces = true, .waits_for_confirmations = true},
                      {.bytes = 100'000, .ns = ms}),
            HeldBy::unknown);
}

}  // namespace
}  // namespace koine::os
