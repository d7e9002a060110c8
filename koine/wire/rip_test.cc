#include "koine/wire/rip.h"

#include <gtest/gtest.h>

#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

const char* const two_routes =
    "02 02 0000"
    "0002 0007 0a4d0000 ffff0000 00000000 00000001"
    "0002 0000 00000000 00000000 0a4d0009 00000010";

RipPassword password_of(std::string_view text) {
  RipPassword password;
  for (const char letter : text) password.push_back(letter);
  return password;
}

TEST(Rip, ReadsAndWritesAResponse) {
  const Octets bytes = hex(two_routes);
  RipMessage expected{.command = RipCommand::response};
  expected.entries = {
      {.prefix = {Ipv4Address::of(10, 77, 0, 0), 16}, .route_tag = 7, .metric = 1},
      {.next_hop = Ipv4Address::of(10, 77, 0, 9), .metric = rip_infinity},
  };
  EXPECT_EQ(parse_rip(bytes), expected);
  Octets again(expected.size(), std::byte{0xee});
  EXPECT_EQ(write(expected, again), again.size());
  EXPECT_EQ(to_hex(again), to_hex(bytes));
}

TEST(Rip, ReadsARequestForTheWholeTable) {
  const Octets bytes = hex("01 02 0000 0000 0000 00000000 00000000 00000000 00000010");
  RipMessage expected{.command = RipCommand::request, .whole_table = true};
  EXPECT_EQ(parse_rip(bytes), expected);
  Octets again(expected.size(), std::byte{0xee});
  write(expected, again);
  EXPECT_EQ(to_hex(again), to_hex(bytes));
}

// RFC 2453, section 4.1: the password takes the place of the first entry.
TEST(Rip, ReadsAPasswordBeforeTheEntries) {
  const Octets bytes =
      hex("02 02 0000 ffff 0002 73657361 6d650000 00000000 00000000"
          "0002 0000 0a4d0000 ffff0000 00000000 00000003");
  const auto message = parse_rip(bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->password, password_of("sesame"));
  EXPECT_EQ(message->entries.size(), 1u);
  Octets again(message->size(), std::byte{0xee});
  write(*message, again);
  EXPECT_EQ(to_hex(again), to_hex(bytes));
}

TEST(Rip, OnlyWholeEntriesMakeAMessage) {
  const Octets bytes = hex(two_routes);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_EQ(parse_rip(prefix(bytes, size)).has_value(), size == 4 || size == 24) << size;
}

TEST(Rip, WhatIsNotVersionTwoOrNoKnownCommandIsRefused) {
  Octets bytes = hex(two_routes);
  for (const int command : {0, 3, 9, 255}) {
    bytes[0] = static_cast<std::byte>(command);
    EXPECT_FALSE(parse_rip(bytes)) << command;
  }
  bytes = hex(two_routes);
  for (const int version : {0, 1, 3}) {
    bytes[1] = static_cast<std::byte>(version);
    EXPECT_FALSE(parse_rip(bytes)) << version;
  }
  bytes = hex(two_routes);
  bytes.resize(4 + 26 * 20);
  EXPECT_FALSE(parse_rip(bytes)) << "26 entries";
}

TEST(Rip, EntriesThatMakeNoSenseAreSkippedAndTheOthersKept) {
  const Octets bytes =
      hex("02 02 0000"
          "000a 0000 0a4d0000 ffff0000 00000000 00000001"  // family 10
          "0002 0000 0a4d0000 ff00ff00 00000000 00000001"  // a mask with a hole
          "0002 0000 0a4d0000 ffff0000 00000000 00000000"  // metric 0
          "0002 0000 0a4d0000 ffff0000 00000000 00000011"  // metric 17
          "ffff 0002 00000000 00000000 00000000 00000000"  // a late password
          "0000 0000 00000000 00000000 00000000 00000010"  // no request
          "0002 0000 0a4e0000 ffffff00 00000000 0000000f");
  RipMessage expected{.command = RipCommand::response};
  expected.entries = {{.prefix = {Ipv4Address::of(10, 78, 0, 0), 24}, .metric = 15}};
  expected.skipped = 6;
  EXPECT_EQ(parse_rip(bytes), expected);
}

TEST(Rip, AnyMessageSurvivesWritingAndReading) {
  Prng prng(14);
  for (int i = 0; i < 5'000; ++i) {
    RipMessage message{.command = prng.chance(0.5) ? RipCommand::request : RipCommand::response};
    if (prng.chance(0.3)) {
      message.password.emplace();
      for (std::uint64_t left = prng.below(17); left > 0; --left)
        message.password->push_back(static_cast<char>('a' + prng.below(26)));
    }
    for (std::uint64_t left = prng.below(message.password ? 25 : 26); left > 0; --left) {
      RipEntry entry;
      entry.prefix.length = static_cast<std::uint8_t>(prng.below(33));
      entry.prefix.address = {static_cast<std::uint32_t>(prng())};
      entry.next_hop = {static_cast<std::uint32_t>(prng())};
      entry.route_tag = static_cast<std::uint16_t>(prng());
      entry.metric = static_cast<std::uint32_t>(1 + prng.below(16));
      message.entries.push_back(entry);
    }
    Octets bytes(message.size());
    write(message, bytes);
    ASSERT_EQ(parse_rip(bytes), message);
  }
}

}  // namespace
}  // namespace koine::wire
