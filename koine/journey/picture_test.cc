#include "koine/journey/picture.h"

#include <gtest/gtest.h>

#include <sstream>

#include "koine/journey/made_test.h"

namespace koine::journey {
namespace {

std::vector<std::byte> bytes_of(std::string_view hex) {
  std::vector<std::byte> bytes;
  std::string digits;
  for (const char letter : hex) {
    if (letter == ' ') continue;
    digits += letter;
    if (digits.size() < 2) continue;
    bytes.push_back(static_cast<std::byte>(std::stoi(digits, nullptr, 16)));
    digits.clear();
  }
  return bytes;
}

void expect_narrow(const std::string& picture, std::size_t columns) {
  std::istringstream lines(picture);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), columns) << line;
}

TEST(Waterfall, ShowsEveryStepAtItsPlaceWithTheVerdictFirst) {
  Journey journey = made_journey();
  journey.verdict = "as usual (median 78.00 us)";
  EXPECT_EQ(waterfall(journey), R"(message 7   78.00 us
verdict: as usual (median 78.00 us)
  client
 1     copy + TCP/IP                 1.00 us |#                                |
 2a    queue of the device           2.00 us |#                                |
 2b    lost and sent again           0.00 us |                                 |
 3     network there                 4.00 us | #                               |
  server
 4     program not asking            5.00 us |  ###                            |
 5     wake-up + copy                6.00 us |     ##                          |
 -     program                       7.00 us |       ###                       |
 1'    copy + TCP/IP                 8.00 us |          ###                    |
 2a'   queue of the device           9.00 us |             ####                |
 2b'   lost and sent again           0.00 us |                                 |
 3'    network back                 11.00 us |                 #####           |
  client
 4'    program not asking           12.00 us |                      #####      |
 5'    wake-up + copy               13.00 us |                           ######|
      14 of 14 stamps: the kernel's stamps of both ends; both ends read one
      clock
)");
}

TEST(Waterfall, NeverDrawsTwoBarsWhereTheSplitIsAGuess) {
  Journey journey = made_journey();
  journey.offset = {0, 900, Offset::Method::bounds};
  const std::string sharp = waterfall(journey);
  EXPECT_NE(sharp.find("3     network there"), std::string::npos);
  EXPECT_NE(sharp.find("+-0.90 us: two clocks"), std::string::npos);
  journey.offset.half_ns = 1100;  // more than a quarter of 4 us
  const std::string vague = waterfall(journey);
  EXPECT_EQ(vague.find("network back"), std::string::npos);
  EXPECT_NE(vague.find("3+3'  network, there + back"), std::string::npos);
  EXPECT_NE(vague.find("15.00 us"), std::string::npos);
  EXPECT_NE(vague.find("each way is known only to +-1.10 us"), std::string::npos);
}

TEST(Waterfall, KeepsToItsWidthWhateverHappened) {
  Journey journey = made_journey();
  journey.verdict = std::string(30, 'v') + " " + std::string(160, 'w') + " and some more words";
  journey.reply.recv_out.ns += 86'400'000'000'000;
  journey.request.ack = Stamp::exactly(journey.request.snd[0].ns + 1000);
  for (const std::size_t columns : {60U, 80U, 132U}) {
    expect_narrow(waterfall(journey, {.columns = columns}), columns);
    Journey half = journey;
    half.request.rx = half.request.recv_in = half.request.recv_out = {};
    half.reply.sched = half.reply.write_in = {};
    half.reply.snd.clear();
    expect_narrow(waterfall(half, {.columns = columns}), columns);
  }
}

TEST(Waterfall, HasColoursOnlyWhereTheyAreWanted) {
  EXPECT_EQ(waterfall(made_journey()).find('\x1b'), std::string::npos);
  EXPECT_NE(waterfall(made_journey(), {.colours = true}).find('\x1b'), std::string::npos);
}

TEST(Layers, ShowWhatEachOneAddedFromTheMessageOutwards) {
  Journey journey = made_journey();
  Frame frame;
  frame.bytes = bytes_of(
      "82f275cdeb75 e20890e6f358 0800"
      "4500 0039 172e 4000 4006 0f00 0a4d0001 0a4d0002"
      "d7c4 1e79 547b55df 4da87ddb 8018 003f 14eb 0000 0101080a 04256495 63acb194"
      "68 65 6c 6c 6f");
  frame.wire_bytes = frame.bytes.size();
  journey.frames = {frame};
  const std::string picture = layers(journey);
  expect_narrow(picture, 80);
  const auto at = [&](const char* words) {
    const std::size_t found = picture.find(words);
    EXPECT_NE(found, std::string::npos) << words << " in\n" << picture;
    return found;
  };
  EXPECT_LT(at("5 program"), at("4 TCP"));
  EXPECT_LT(at("4 TCP"), at("3 IPv4"));
  EXPECT_LT(at("3 IPv4"), at("2 Ethernet"));
  at("\"hello\"");
  at("32+5");
  at("20+37");
  at("14+57");
  at("d7c41e79 547b55df 4da87ddb 8018003f");
  at("66 of 71 bytes are wrapping (92 %)");
}

TEST(Layers, OfAFrameThatWasCutAreAsLongAsTheyWereOnTheWire) {
  Journey journey = made_journey();
  journey.frames = {
      {.bytes = bytes_of("82f275cdeb75 e20890e6f358 0800 4500 05dc 172e 4000 4011 0000"
                         "0a4d0001 0a4d0002 d7c4 1e79 05c8 0000 4142"),
       .wire_bytes = 1514}};
  const std::string picture = layers(journey);
  EXPECT_NE(picture.find("8+1472"), std::string::npos) << picture;
  journey.frames = {{.bytes = bytes_of("ff"), .wire_bytes = 1}, {}};  // no frame at all
  expect_narrow(layers(journey), 80);
}

}  // namespace
}  // namespace koine::journey
