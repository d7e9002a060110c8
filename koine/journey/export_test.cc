#include "koine/journey/export.h"

#include <gtest/gtest.h>

#include "koine/journey/json.h"
#include "koine/journey/made_test.h"
#include "koine/wire/pcapng.h"

namespace koine::journey {
namespace {

std::size_t count(std::string_view text, std::string_view words) {
  std::size_t found = 0;
  for (std::size_t at = text.find(words); at != std::string_view::npos;
       at = text.find(words, at + words.size()))
    ++found;
  return found;
}

Journey small() {
  Journey journey{.id = 3, .client = "tcp://127.0.0.1:1", .server = "tcp://127.0.0.1:2"};
  journey.request.bytes = 5;
  journey.request.write_in = Stamp::exactly(1000);
  journey.request.snd = {Stamp::exactly(1400), {1700, Quality::at_most}};
  journey.request.sendings = 2;
  journey.reply.recv_out = Stamp::exactly(2500);
  journey.reply.cpu_wait_ns = 12;
  return journey;
}

TEST(Json, IsValidForAnyBytes) {
  EXPECT_EQ(json_text("a\"b\\c\n"), R"("a\"b\\c\u000a")");
  EXPECT_EQ(json_text("\xce\xba \xf0\x9f\x9a\x80"), "\"\xce\xba \xf0\x9f\x9a\x80\"");
  for (const char* bad : {"\x80", "\xc0\x80", "\xce", "\xed\xa0\x80", "\xf8", "\xf4\x90\x80\x80"})
    EXPECT_EQ(json_text(std::string(bad) + "x").find("\"\xef\xbf\xbd"), 0U) << bad;
}

TEST(JsonLine, HoldsAllThatAJourneyDoes) {
  EXPECT_EQ(
      json_line(small()),
      R"({"format":"koine-journey/1","id":3,"client":"tcp://127.0.0.1:1","server":"tcp://127.0.0.1:2",)"
      R"("request":{"bytes":5,"write_in":1000,"snd":[1400,[1700,"at most"]],"sendings":2},)"
      R"("reply":{"bytes":0,"recv_out":2500,"cpu_wait_ns":12},"total_ns":1500,)"
      R"("spans":[{"first":"1","last":"2a","ns":400},{"first":"2b","last":"2b","ns":300,"quality":"at most"},)"
      R"({"first":"3","last":"5'","ns":800,"quality":"at least"}]})"
      "\n");
}

TEST(Perfetto, HasASliceForEachStepAndAnArrowForEachChangeOfPlace) {
  const std::vector<Journey> journeys{made_journey(1'000'000)};
  const std::string json = perfetto_json(journeys);
  EXPECT_EQ(count(json, R"("cat":"step")"), 13U);
  EXPECT_EQ(count(json, R"("ph":"s")"), 4U);  // to the network, to the server, and back
  EXPECT_EQ(count(json, R"("ph":"f")"), 4U);
  EXPECT_NE(json.find(R"("ts":0.000,"dur":78.000)"), std::string::npos) << json;
}

TEST(Otlp, HasAClientSpanAndItsServerSpanWithTimesAsEachHostReadThem) {
  const std::vector<Journey> journeys{made_journey(1'000'000)};
  const std::string json = otlp_json(journeys);
  EXPECT_EQ(count(json, R"("spanId":)"), 2U);
  EXPECT_NE(json.find(R"("parentSpanId":"000000000000000f")"), std::string::npos) << json;
  // The request's rx, 7 us after the beginning, on the server's clock.
  EXPECT_NE(json.find(R"("timeUnixNano":"1800000000001007000","name":"koine.rx_software")"),
            std::string::npos)
      << json;
  EXPECT_EQ(count(json, R"("name":"koine.)"), 16U);  // 14 events, and the scope of each end
  Journey stepped = made_journey();
  stepped.clock_stepped = true;
  EXPECT_EQ(count(otlp_json(std::vector<Journey>{stepped}), "spanId"), 0U);
}

TEST(Pcapng, HasTheFramesOfBothEndsOnTheClientsClockWithTheStepsInAComment) {
  Journey journey = made_journey(1'000'000);
  const std::vector<std::byte> bytes(60, std::byte{0x45});
  journey.frames = {{.at = journey.request.snd[0], .bytes = bytes, .wire_bytes = 1000},
                    {.reply = true, .at = journey.reply.snd[0], .bytes = bytes, .wire_bytes = 60}};
  const auto file = pcapng(std::vector<Journey>{journey});
  ASSERT_TRUE(file) << to_string(file.error());
  wire::PcapngReader reader(as_bytes(*file));
  const auto first = reader.next().value().value();
  EXPECT_EQ(first.at.count(), journey.request.snd[0].ns);
  EXPECT_EQ(first.wire_length, 1000U);
  EXPECT_EQ(first.id, 7U);
  EXPECT_NE(first.comment.find("\n3 network there: 4.00 us"), std::string_view::npos)
      << first.comment;
  const auto second = reader.next().value().value();
  EXPECT_EQ(second.at.count(), journey.reply.snd[0].ns - 1'000'000);
  EXPECT_EQ(reader.interfaces().at(second.interface).name, "server TX");
  EXPECT_FALSE(reader.next().value());
}

}  // namespace
}  // namespace koine::journey
