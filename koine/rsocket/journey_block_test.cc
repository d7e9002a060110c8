#include "koine/rsocket/journey_block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "koine/rsocket/words_test.h"

namespace koine::rsocket {
namespace {

using journey::Quality;
using journey::Stamp;

/// The content of the only entry.
std::vector<std::byte> content_of(const JourneyBlock& block) {
  ByteVector metadata;
  append_block(metadata, block);
  CompositeReader entries(metadata);
  const auto entry = entries.next();
  EXPECT_EQ((*entry)->mime_type, journey_mime_type);
  EXPECT_FALSE(*entries.next());
  return {(*entry)->content.begin(), (*entry)->content.end()};
}

JourneyBlock there_and_back(const JourneyBlock& block) {
  const auto parsed = parse_block(content_of(block));
  EXPECT_TRUE(parsed) << to_string(parsed.error());
  return parsed.value_or(JourneyBlock());
}

constexpr std::int64_t then = 1'750'000'000'123'456'789;

HelloBlock hello() { return {Tells::stamps_and_frames, 0x10000, {.boot = 1, .time_namespace = 2}}; }

RequestBlock request() {
  RequestBlock block{.is_followed = true, .wants_frames = true, .next_is_followed = true};
  for (std::size_t i = 0; i < 16; ++i) block.trace_id[i] = static_cast<std::uint8_t>(i + 1);
  return block;
}

ReplyBlock reply() {
  return {.has_own_metadata = true,
          .rx = {then + 5, Quality::at_most},
          .recv_in = Stamp::exactly(then),
          .recv_out = Stamp::exactly(then + 100),
          .handler_in = {},
          .handler_out = Stamp::exactly(then + 1'000'000'000'000),
          .write_in = {then + 1'000'000'000'001, Quality::at_least},
          .cpu_wait_ns = 7};
}

LateBlock late() {
  LateBlock block{.stream_id = 0x7fffffff, .item = 0x1'0000'0003};
  block.leg.write_out = Stamp::exactly(then + 3);
  block.leg.sched = Stamp::exactly(then + 1);
  block.leg.snd = {{then, Quality::at_most}, Stamp::exactly(then + 200'000'000)};
  block.leg.sendings = 2;
  block.leg.ack = Stamp::exactly(then + 400'000'000);
  block.leg.tcp = {.cwnd = 1,
                   .srtt_us = 2,
                   .mss = 3,
                   .unsent_bytes = 4,
                   .retransmits = 5,
                   .held_by = journey::HeldBy::nagle};
  block.frame = journey::Frame{.reply = true,
                               .at = block.leg.snd.front(),
                               .bytes = std::vector<std::byte>(128, std::byte{9}),
                               .wire_bytes = 1500};
  block.leg.write_cpu_wait_ns = 11;
  return block;
}

RequestBlock with_items() {
  RequestBlock block = request();
  block.items_every = 100;
  return block;
}

ItemBlock item() {
  return {.has_own_metadata = true,
          .sender_joins = true,
          .item = UINT64_MAX,
          .trace_id = request().trace_id,
          .write_in = Stamp::exactly(then)};
}

HalfBlock half() {
  HalfBlock block{.stream_id = 5, .item = 0x6'0000'0000, .half = reply()};
  block.half.has_own_metadata = false;
  return block;
}

TEST(JourneyBlock, ComesBackAsItWasWritten) {
  EXPECT_EQ(there_and_back(hello()), JourneyBlock(hello()));
  EXPECT_EQ(there_and_back(request()), JourneyBlock(request()));
  EXPECT_EQ(there_and_back(RequestBlock{.next_is_followed = true}),
            JourneyBlock(RequestBlock{.next_is_followed = true}));
  EXPECT_EQ(there_and_back(reply()), JourneyBlock(reply()));
  EXPECT_EQ(there_and_back(ReplyBlock()), JourneyBlock(ReplyBlock()));
  EXPECT_EQ(there_and_back(late()), JourneyBlock(late()));
  EXPECT_EQ(there_and_back(LateBlock()), JourneyBlock(LateBlock()));
  EXPECT_EQ(there_and_back(with_items()), JourneyBlock(with_items()));
  EXPECT_EQ(there_and_back(RequestBlock{.items_every = 1}),
            JourneyBlock(RequestBlock{.items_every = 1}));
  EXPECT_EQ(there_and_back(item()), JourneyBlock(item()));
  EXPECT_EQ(there_and_back(ItemBlock{.item = 1}), JourneyBlock(ItemBlock{.item = 1}));
  EXPECT_EQ(there_and_back(half()), JourneyBlock(half()));
  EXPECT_EQ(there_and_back(HalfBlock()), JourneyBlock(HalfBlock()));
}

TEST(JourneyBlock, IsWrittenByteByByteAsTheDocumentationSays) {
  EXPECT_EQ(content_of(hello()), bytes_of("01 00 02 00010000 0000000000000001 0000000000000002"));
  EXPECT_EQ(content_of(RequestBlock{.next_is_followed = true}), bytes_of("02 04"));
  EXPECT_EQ(content_of(request()), bytes_of("02 07 0102030405060708090a0b0c0d0e0f10"));
  EXPECT_EQ(content_of(with_items()), bytes_of("02 0f 0102030405060708090a0b0c0d0e0f10 00000064"));
  EXPECT_EQ(content_of(RequestBlock{.items_every = 1}), bytes_of("02 08 00000001"));
  ItemBlock second{.item = 2, .write_in = Stamp::exactly(1003)};
  EXPECT_EQ(content_of(second), bytes_of("05 00 0000000000000002 00000000000000000000000000000000"
                                         "00000000000003eb"));
  second.has_own_metadata = second.sender_joins = true;
  EXPECT_EQ(content_of(second)[1], std::byte{3});
  ReplyBlock small{.rx = {1000, Quality::at_most}, .write_in = Stamp::exactly(1003)};
  EXPECT_EQ(content_of(small),
            bytes_of("03 00 0801 00000000000003e8 0000000000 0000000000 0000000000 0000000000"
                     "0000000000 0000000003 ffffffffff"));
  EXPECT_EQ(
      content_of(HalfBlock{.stream_id = 7, .item = 9, .half = small}),
      bytes_of("06 00000007 0000000000000009 0801 00000000000003e8 0000000000 0000000000 0000000000"
               "0000000000 0000000000 0000000003 ffffffffff"));
  LateBlock one{.stream_id = 5, .item = 8};
  one.leg.sched = Stamp::exactly(2000);
  one.leg.snd = {Stamp::exactly(2001)};
  one.leg.sendings = 1;
  EXPECT_EQ(
      content_of(one),
      bytes_of("04 10 00000005 0000000000000008 00000000000007d0 0000000000 0000000000 0000000000"
               "0000000000 00000001 00000000 00000000 00000000 00000000 00000000 00 ffffffffff"
               "01 01 0000000001 00"));
}

TEST(JourneyBlock, IsNoneWhenItIsCutOffAnywhereOrTooLong) {
  for (const JourneyBlock& block :
       {JourneyBlock(hello()), JourneyBlock(request()), JourneyBlock(reply()), JourneyBlock(late()),
        JourneyBlock(RequestBlock()), JourneyBlock(LateBlock()), JourneyBlock(with_items()),
        JourneyBlock(item()), JourneyBlock(half())}) {
    std::vector<std::byte> content = content_of(block);
    for (std::size_t size = 0; size < content.size(); ++size)
      EXPECT_FALSE(parse_block(Bytes(content).first(size))) << size << " of " << content.size();
    content.push_back({});
    EXPECT_FALSE(parse_block(content));
  }
}

TEST(JourneyBlock, SaysNothingThatItCannotMean) {
  EXPECT_FALSE(parse_block(bytes_of("00"))) << "no kind";
  EXPECT_FALSE(parse_block(bytes_of("07 00"))) << "no kind";
  EXPECT_FALSE(parse_block(bytes_of("01 01 02 00010000 0000000000000001 0000000000000002")))
      << "version 1";
  EXPECT_FALSE(parse_block(bytes_of("01 00 03 00010000 0000000000000001 0000000000000002")))
      << "tells 3";
  EXPECT_FALSE(parse_block(bytes_of("02 10"))) << "a flag that is not known";
  EXPECT_FALSE(parse_block(bytes_of("02 08 00000000"))) << "one item in none";
  const auto changed = [](const JourneyBlock& block, std::size_t at, unsigned value) {
    std::vector<std::byte> content = content_of(block);
    content[at] = static_cast<std::byte>(value);
    return parse_block(content).has_value();
  };
  EXPECT_FALSE(changed(reply(), 1, 2)) << "a flag that is not known";
  EXPECT_FALSE(changed(reply(), 2, 0x10)) << "a quality of a seventh stamp";
  EXPECT_FALSE(changed(reply(), 4, 0x41)) << "a base beyond 2116";
  EXPECT_TRUE(changed(reply(), 4, 0x30));
  EXPECT_FALSE(changed(item(), 1, 4)) << "a flag that is not known";
  EXPECT_FALSE(changed(ItemBlock{.item = 1}, 9, 0)) << "an item before the first";
  EXPECT_FALSE(changed(item(), 26, 0x41)) << "a moment beyond 2116";
  EXPECT_FALSE(changed(half(), 13, 0x10)) << "a quality of a seventh stamp";
  constexpr std::size_t count_at = 1 + 1 + 4 + 8 + 8 + 4 * 5 + 6 * 4 + 1 + 5;
  EXPECT_FALSE(changed(late(), count_at, 9)) << "more sendings than are kept";
  EXPECT_FALSE(changed(late(), count_at - 27, 1)) << "more than there were";
  EXPECT_FALSE(changed(late(), count_at - 6, 6)) << "held by what is not known";
  EXPECT_FALSE(changed(late(), count_at + 1, 0)) << "a sending without a stamp";
  EXPECT_FALSE(changed(late(), count_at + 13, 129)) << "a frame that is too long";
}

TEST(JourneyBlock, LeavesOutAStampThatLiesTooFarBehind) {
  ReplyBlock block{.rx = Stamp::exactly(then),
                   .write_in = Stamp::exactly(then + (std::int64_t{1} << 40))};
  const auto back = std::get<ReplyBlock>(there_and_back(block));
  EXPECT_EQ(back.rx, block.rx);
  EXPECT_FALSE(back.write_in);
}

}  // namespace
}  // namespace koine::rsocket
