#include "koine/wire/ipv4.h"

#include <gtest/gtest.h>

#include "koine/wire/arp.h"
#include "koine/wire/ethernet.h"
#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

TEST(Ethernet, ReadsAndWritesWhatLinuxSent) {
  const Octets frame = hex(linux_frame::arp_request);
  const auto view = EthernetView::of(frame);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->header(), (EthernetHeader{mac_broadcast, mac_a, EtherType::arp}));
  EXPECT_EQ(view->payload().size(), ArpPacket::size);
  Octets again(EthernetHeader::size);
  write(view->header(), again);
  EXPECT_EQ(to_hex(again), to_hex(Bytes(frame).first(14)));
  for (std::size_t size = 0; size < 14; ++size)
    EXPECT_FALSE(parse_ethernet(prefix(frame, size))) << size;
}

TEST(Arp, ReadsAndWritesWhatLinuxSent) {
  const Octets request = hex(linux_frame::arp_request);
  EXPECT_EQ(parse_arp(Bytes(request).subspan(14)),
            (ArpPacket{ArpOperation::request, mac_a, ipv4_a, {}, ipv4_b}));
  const Octets reply = hex(linux_frame::arp_reply);
  const auto packet = parse_arp(Bytes(reply).subspan(14));
  EXPECT_EQ(packet, (ArpPacket{ArpOperation::reply, mac_b, ipv4_b, mac_a, ipv4_a}));
  Octets again(ArpPacket::size);
  write(*packet, again);
  EXPECT_EQ(to_hex(again), to_hex(Bytes(reply).subspan(14)));
  for (std::size_t size = 0; size < ArpPacket::size; ++size)
    EXPECT_FALSE(parse_arp(prefix(again, size))) << size;
}

TEST(Arp, OfOtherHardwareOrProtocolsIsRefused) {
  const Octets good = prefix(Bytes(hex(linux_frame::arp_reply)).subspan(14), ArpPacket::size);
  for (const std::size_t at : {0u, 1u, 2u, 3u, 4u, 5u}) {  // hardware, protocol, both lengths
    Octets bad = good;
    bad[at] ^= std::byte{1};
    EXPECT_FALSE(parse_arp(bad)) << at;
  }
}

TEST(Arp, AnyPacketSurvivesWritingAndReading) {
  Prng prng(6);
  for (int i = 0; i < 10'000; ++i) {
    ArpPacket packet;
    packet.operation = static_cast<ArpOperation>(prng() & 0xffff);
    packet.sender_mac = {prng() >> 16};
    packet.sender_ip = {static_cast<std::uint32_t>(prng())};
    packet.target_mac = {prng() >> 16};
    packet.target_ip = {static_cast<std::uint32_t>(prng())};
    Octets bytes(ArpPacket::size);
    write(packet, bytes);
    ASSERT_EQ(parse_arp(bytes), packet);
  }
}

Octets packet_in(std::string_view frame) {
  const Octets bytes = hex(frame);
  return Octets(bytes.begin() + 14, bytes.end());
}

TEST(Ipv4, ReadsWhatLinuxSent) {
  const Octets packet = packet_in(linux_frame::udp_with_record_route);
  const auto view = Ipv4View::of(packet);
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->has_intact_header());
  Ipv4Header expected{.source = ipv4_b,
                      .target = ipv4_a,
                      .protocol = IpProtocol::udp,
                      .identification = 0x0b7d,
                      .dont_fragment = true};
  for (const std::byte octet : hex("0707080a4d000200")) expected.options.push_back(octet);
  EXPECT_EQ(view->header(), expected);
  EXPECT_EQ(view->payload().size(), 10u);
}

TEST(Ipv4, WritesWhatLinuxSentByteForByte) {
  for (const auto frame : {linux_frame::ping, linux_frame::tcp_syn, linux_frame::port_unreachable,
                           linux_frame::udp_with_record_route}) {
    const Octets packet = packet_in(frame);
    const auto view = Ipv4View::of(packet);
    ASSERT_TRUE(view);
    Octets again(view->header().size());
    EXPECT_EQ(write(view->header(), view->payload().size(), again), again.size());
    EXPECT_EQ(to_hex(again), to_hex(view->header_bytes()));
  }
}

TEST(Ipv4, PaddingOfTheLinkIsLeftOut) {
  Octets packet = packet_in(linux_frame::ping);
  const std::size_t size = packet.size();
  packet.resize(size + 10, std::byte{0xee});
  const auto view = Ipv4View::of(packet);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->bytes().size(), size);
}

TEST(Ipv4, NoPrefixOfAPacketIsAPacket) {
  const Octets packet = packet_in(linux_frame::udp_with_record_route);
  for (std::size_t size = 0; size < packet.size(); ++size)
    EXPECT_FALSE(parse_ipv4(prefix(packet, size))) << size;
}

TEST(Ipv4, WhatContradictsItselfIsRefused) {
  const struct {
    std::size_t at;
    int value;
    const char* why;
  } bad[] = {
      {0, 0x55, "version 5"},
      {0, 0x65, "version 6"},
      {0, 0x44, "a header of 16 bytes"},
      {0, 0x40, "a header of 0 bytes"},
      {0, 0x4f, "a header of 60 bytes in a packet of 38"},
      {3, 27, "a total length that ends within the header"},
      {3, 0, "a total length of 0"},
      {3, 39, "a total length beyond the bytes"},
      {2, 0xff, "a total length far beyond the bytes"},
  };
  for (const auto& [at, value, why] : bad) {
    Octets packet = packet_in(linux_frame::udp_with_record_route);
    packet[at] = static_cast<std::byte>(value);
    EXPECT_FALSE(Ipv4View::of(packet)) << why;
  }
}

TEST(Ipv4, EveryFlippedBitOfTheHeaderIsNoticed) {
  const Octets packet = packet_in(linux_frame::ping);
  for (std::size_t bit = 0; bit < 160; ++bit) {
    Octets flipped = packet;
    flipped[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const auto view = Ipv4View::of(flipped);
    EXPECT_FALSE(view && view->has_intact_header()) << bit;
  }
}

Ipv4Header random_header(Prng& prng) {
  Ipv4Header header{.source = {static_cast<std::uint32_t>(prng())},
                    .target = {static_cast<std::uint32_t>(prng())},
                    .protocol = static_cast<IpProtocol>(prng() & 0xff),
                    .ttl = static_cast<std::uint8_t>(prng()),
                    .dscp = static_cast<std::uint8_t>(prng.below(64)),
                    .ecn = static_cast<std::uint8_t>(prng.below(4)),
                    .identification = static_cast<std::uint16_t>(prng()),
                    .dont_fragment = prng.chance(0.5),
                    .more_fragments = prng.chance(0.5),
                    .fragment_offset = static_cast<std::uint16_t>(8 * prng.below(8192))};
  for (std::size_t size = 4 * prng.below(11); size > 0; --size)
    header.options.push_back(static_cast<std::byte>(prng()));
  return header;
}

TEST(Ipv4, AnyHeaderSurvivesWritingAndReading) {
  Prng prng(7);
  for (int i = 0; i < 20'000; ++i) {
    const Ipv4Header header = random_header(prng);
    const std::size_t payload_size = prng.below(100);
    Octets packet(header.size() + payload_size);
    write(header, payload_size, packet);
    const auto view = Ipv4View::of(packet);
    ASSERT_TRUE(view);
    ASSERT_TRUE(view->has_intact_header());
    ASSERT_EQ(view->header(), header);
    ASSERT_EQ(view->payload().size(), payload_size);
    ASSERT_EQ(view->is_fragment(), header.is_fragment());
  }
}

TEST(Ipv4, OneHopFurtherTheChecksumStillHolds) {
  Prng prng(8);
  for (int i = 0; i < 5'000; ++i) {
    Ipv4Header header = random_header(prng);
    if (header.ttl == 0) continue;
    Octets packet(header.size());
    write(header, 0, packet);
    decrement_ttl(packet);
    --header.ttl;
    const auto view = Ipv4View::of(packet);
    ASSERT_TRUE(view && view->has_intact_header());
    ASSERT_EQ(view->header(), header);
  }
}

// picotcp#529: a last fragment whose end lies beyond 65,535. The view must not hide it.
TEST(Ipv4, AFragmentBeyondTheLargestPacketKeepsItsTrueOffset) {
  Octets packet(20 + 100);
  write({.source = ipv4_a, .target = ipv4_b, .fragment_offset = 65'528}, 100, packet);
  const auto view = Ipv4View::of(packet);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->fragment_offset() + view->payload().size(), 65'628u);
}

TEST(Ipv4Options, AreWalkedUpToTheirEnd) {
  const Octets bytes =
      hex("01"              // no operation
          "0707080a4d0002"  // record route
          "9404 0000"       // router alert
          "00"              // the end
          "83030000");      // not looked at any more
  Ipv4Options walk(bytes);
  auto option = walk.next();
  ASSERT_TRUE(option);
  EXPECT_EQ(option->type, ipv4_option_record_route);
  EXPECT_EQ(option->offset, 1u);
  EXPECT_EQ(to_hex(option->data), "080a4d0002");
  EXPECT_FALSE(option->is_copied());
  option = walk.next();
  ASSERT_TRUE(option);
  EXPECT_EQ(option->type, ipv4_option_router_alert);
  EXPECT_TRUE(option->is_copied());
  EXPECT_FALSE(walk.next());
  EXPECT_FALSE(walk.next());
  EXPECT_FALSE(walk.broken_at());
}

TEST(Ipv4Options, OfImpossibleLengthsEndTheWalkAndAreFound) {
  for (const char* text : {
           "01 8800 0000",  // length 0
           "01 8801 0000",  // length 1
           "01 8805 0000",  // beyond the header
           "01 88",         // no length at all
       }) {
    const Octets bytes = hex(text);
    Ipv4Options walk(bytes);
    EXPECT_FALSE(walk.next()) << text;
    EXPECT_EQ(walk.broken_at(), 1u) << text;
  }
}

}  // namespace
}  // namespace koine::wire
