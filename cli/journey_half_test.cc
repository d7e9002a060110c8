#include "cli/journey_half.h"

#include <gtest/gtest.h>

#include "koine/journey/export.h"
#include "koine/journey/made_test.h"

namespace koine::cli {
namespace {

TEST(JourneyHalf, ComesBackAsItWasWritten) {
  journey::Journey journey = journey::made_journey(1'230'000'000);
  journey.trace_id[3] = 0xab;
  journey.client = "tcp://127.0.0.1:1";
  journey.verdict = "lost \"twice\"";
  journey.request.snd.push_back({journey.request.snd[0].ns + 5, journey::Quality::at_most});
  journey.request.sendings = 12;
  journey.request.first_snd = journey::Stamp::exactly(77);
  journey.request.tcp = {.cwnd = 10, .srtt_us = 40, .mss = 1448, .retransmits = 11};
  journey.reply.rx.quality = journey::Quality::at_least;
  journey.reply.ack = journey::Stamp::exactly(-5);
  journey.reply.cpu_wait_ns = 139'880'000;
  journey.offset.half_ns = 900;
  journey.offset.method = journey::Offset::Method::bounds;
  journey.frames = {{.reply = true,
                     .at = journey.reply.snd[0],
                     .bytes = {std::byte{0}, std::byte{0xfe}},
                     .wire_bytes = 1514}};
  const auto read = parse_journey(json_line(journey));
  ASSERT_TRUE(read) << to_string(read.error());
  EXPECT_EQ(*read, journey);
  EXPECT_EQ(parse_journey(json_line(journey::Journey{})).value(), journey::Journey{});
}

TEST(JourneyHalf, WhatIsNoJourneyIsMalformed) {
  for (const char* bad :
       {"", "{", "[]", "null", R"({"format":"koine-journey/2"})", R"({"format":"koine-journey/1"})",
        R"({"format":"koine-journey/1","id":-1,"request":{"bytes":"x"},"reply":{"bytes":1}})"}) {
    const auto read = parse_journey(bad);
    ASSERT_FALSE(read) << bad;
    EXPECT_EQ(read.error().fault(), Fault::malformed) << bad;
    EXPECT_FALSE(read.error().note().empty()) << bad;
  }
}

}  // namespace
}  // namespace koine::cli
