#include "koine/wire/ipv6.h"

#include <gtest/gtest.h>

#include "koine/wire/icmpv6.h"
#include "koine/wire/ipv6_extensions.h"
#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

using Report = Ipv6Problem::Report;

Octets packet_in(std::string_view frame) {
  const Octets bytes = hex(frame);
  return Octets(bytes.begin() + 14, bytes.end());
}

/// A packet from a to b whose bytes after the fixed header are given.
Octets packet_of(IpProtocol first, std::string_view rest) {
  const Octets payload = hex(rest);
  Octets packet(Ipv6Header::size + payload.size());
  write({.source = ipv6_a, .target = ipv6_b, .protocol = first}, payload.size(), packet);
  std::copy(payload.begin(), payload.end(), packet.begin() + Ipv6Header::size);
  return packet;
}

TEST(Ipv6, ReadsAndWritesWhatLinuxSent) {
  const Octets packet = packet_in(linux_frame::udp_over_ipv6);
  const auto view = Ipv6View::of(packet);
  ASSERT_TRUE(view);
  EXPECT_EQ(
      view->header(),
      (Ipv6Header{
          .source = ipv6_a, .target = ipv6_b, .protocol = IpProtocol::udp, .flow_label = 0xa45c9}));
  EXPECT_EQ(view->payload().size(), 12u);
  Octets again(Ipv6Header::size);
  write(view->header(), 12, again);
  EXPECT_EQ(to_hex(again), to_hex(Bytes(packet).first(40)));
}

TEST(Ipv6, NoPrefixOfAPacketIsAPacket) {
  const Octets packet = packet_in(linux_frame::udp_over_ipv6);
  for (std::size_t size = 0; size < packet.size(); ++size)
    EXPECT_FALSE(parse_ipv6(prefix(packet, size))) << size;
}

TEST(Ipv6, WhatContradictsItselfIsRefused) {
  Octets packet = packet_in(linux_frame::udp_over_ipv6);
  packet[0] = std::byte{0x45};
  EXPECT_FALSE(Ipv6View::of(packet)) << "version 4";
  packet = packet_in(linux_frame::udp_over_ipv6);
  packet[5] = std::byte{13};
  EXPECT_FALSE(Ipv6View::of(packet)) << "one byte more than there is";
}

TEST(Ipv6, AnyHeaderSurvivesWritingAndReading) {
  Prng prng(10);
  for (int i = 0; i < 10'000; ++i) {
    const Ipv6Header header{.source = {prng(), prng()},
                            .target = {prng(), prng()},
                            .protocol = static_cast<IpProtocol>(prng() & 0xff),
                            .hop_limit = static_cast<std::uint8_t>(prng()),
                            .dscp = static_cast<std::uint8_t>(prng.below(64)),
                            .ecn = static_cast<std::uint8_t>(prng.below(4)),
                            .flow_label = static_cast<std::uint32_t>(prng.below(1 << 20))};
    Octets packet(Ipv6Header::size + prng.below(50));
    write(header, packet.size() - Ipv6Header::size, packet);
    ASSERT_EQ(parse_ipv6(packet), header);
    ASSERT_EQ(Ipv6View::of(packet)->bytes().size(), packet.size());
  }
}

TEST(Ipv6Chain, WithoutExtensionsIsThePayload) {
  const Octets packet = packet_in(linux_frame::udp_over_ipv6);
  const Ipv6Chain chain = Ipv6Chain::walk(*Ipv6View::of(packet));
  EXPECT_FALSE(chain.problem);
  EXPECT_EQ(chain.protocol, IpProtocol::udp);
  EXPECT_EQ(chain.payload.size(), 12u);
  EXPECT_EQ(chain.protocol_at, 6u);
}

TEST(Ipv6Chain, PassesTheRouterAlertThatLinuxSent) {
  const Octets packet = packet_in(linux_frame::listener_report);
  const Ipv6Chain chain = Ipv6Chain::walk(*Ipv6View::of(packet));
  EXPECT_FALSE(chain.problem);
  EXPECT_TRUE(chain.router_alert);
  EXPECT_EQ(chain.protocol, IpProtocol::icmpv6);
  EXPECT_EQ(chain.payload_at, 48u);
  EXPECT_EQ(chain.protocol_at, 40u);
}

TEST(Ipv6Chain, PassesAllFourKinds) {
  const Octets packet = packet_of(IpProtocol::hop_by_hop,
                                  "3c00 0104 00000000"                  // hop-by-hop, padding
                                  "2b01 1e0c 000000000000000000000000"  // skippable option 0x1e
                                  "2c00 0000 00000000"                  // routing, followed
                                  "1100 0000 12345678"                  // fragment, atomic
                                  "a812 0009 000c 377f 61626364");      // UDP
  const Ipv6Chain chain = Ipv6Chain::walk(*Ipv6View::of(packet));
  EXPECT_FALSE(chain.problem);
  EXPECT_EQ(chain.protocol, IpProtocol::udp);
  EXPECT_EQ(chain.payload_at, 80u);
  EXPECT_EQ(chain.protocol_at, 72u);
  EXPECT_EQ(chain.fragment, (Ipv6Fragment{0, false, 0x12345678}));
  EXPECT_FALSE(chain.is_fragment());
}

TEST(Ipv6Chain, EndsAtAFragmentAndSaysWhatReassemblyNeeds) {
  const Octets packet = packet_of(IpProtocol::destination_options,
                                  "2c00 0104 00000000"
                                  "1100 05a9 8799cb5d"
                                  "0001020304050607");
  const Ipv6Chain chain = Ipv6Chain::walk(*Ipv6View::of(packet));
  EXPECT_FALSE(chain.problem);
  EXPECT_TRUE(chain.is_fragment());
  EXPECT_EQ(chain.fragment, (Ipv6Fragment{1448, true, 0x8799cb5d}));
  EXPECT_EQ(chain.protocol, IpProtocol::udp);
  EXPECT_EQ(chain.fragment_at, 48u);
  EXPECT_EQ(chain.fragment_named_at, 40u);
  EXPECT_EQ(to_hex(chain.payload), "0001020304050607");
}

TEST(Ipv6Chain, TellsWhatToDoWithWhatItCannotPass) {
  const struct {
    IpProtocol first;
    const char* rest;
    Ipv6Problem expected;
    const char* why;
  } cases[] = {
      {IpProtocol::destination_options,
       "1100 4104 00000000",
       {Report::nothing, 2, 42},
       "option 01xxxxxx: discard"},
      {IpProtocol::destination_options,
       "1100 8104 00000000",
       {Report::even_to_group, 2, 42},
       "option 10xxxxxx: report in any case"},
      {IpProtocol::destination_options,
       "1100 0000 c102 0000",
       {Report::unless_group, 2, 44},
       "option 11xxxxxx: report unless sent to a group"},
      {IpProtocol::destination_options,
       "1100 0105 00000000",
       {Report::unless_group, 0, 43},
       "padding beyond its header"},
      {IpProtocol::destination_options,
       "1100 000000000001",
       {Report::unless_group, 0, 48},
       "an option without a length"},
      {IpProtocol::destination_options,
       "1101 0104 00000000",
       {Report::nothing, 0, 0},
       "a header beyond the packet"},
      {IpProtocol::destination_options,
       "1100 0104 000000",
       {Report::nothing, 0, 0},
       "a header that is cut off"},
      {IpProtocol::destination_options,
       "0000 0104 00000000 1100 0104 00000000",
       {Report::unless_group, 1, 40},
       "hop-by-hop options that are not first"},
      {IpProtocol::routing,
       "1100 0001 00000000",
       {Report::unless_group, 0, 42},
       "a routing header with segments left"},
      {IpProtocol::fragment,
       "1100 0001 00000000 010203",
       {Report::unless_group, 0, 4},
       "a fragment in the middle of 3 bytes"},
      {IpProtocol::fragment,
       "1100 fff8 00000000 0102030405060708",
       {Report::unless_group, 0, 42},
       "a fragment beyond the largest packet"},
      {IpProtocol::fragment,
       "1100 0001 000000",
       {Report::nothing, 0, 0},
       "a fragment header that is cut off"},
  };
  for (const auto& [first, rest, expected, why] : cases) {
    const Octets packet = packet_of(first, rest);
    const Ipv6Chain chain = Ipv6Chain::walk(*Ipv6View::of(packet));
    EXPECT_EQ(chain.problem, expected) << why;
  }
}

TEST(Ipv6Chain, OfManyHeadersIsDiscarded) {
  std::string rest;
  for (int i = 0; i < ipv6_extensions_max; ++i) rest += "3c00 0104 00000000";
  const Octets packet = packet_of(IpProtocol::destination_options, rest + "1100 0104 00000000");
  EXPECT_EQ(Ipv6Chain::walk(*Ipv6View::of(packet)).problem, (Ipv6Problem{Report::nothing, 0, 0}));
}

TEST(Ipv6Chain, WalksEveryPrefixWithoutLeavingIt) {
  const Octets whole = packet_of(IpProtocol::hop_by_hop,
                                 "3c00 0104 00000000 2b01 1e0c 000000000000000000000000"
                                 "2c00 0000 00000000 1100 0000 12345678 0102");
  for (std::size_t size = Ipv6Header::size; size < whole.size(); ++size) {
    Octets packet = prefix(whole, size);
    store_be16(&packet[4], static_cast<std::uint16_t>(size - Ipv6Header::size));
    const Ipv6Chain chain = Ipv6Chain::walk(*Ipv6View::of(packet));
    EXPECT_EQ(chain.problem.has_value(), size < 80) << size;
  }
}

TEST(Ipv6Extensions, AnyFragmentHeaderSurvivesWritingAndReading) {
  Prng prng(11);
  for (int i = 0; i < 5'000; ++i) {
    const Ipv6Fragment fragment{8 * prng.below(8000), prng.chance(0.5),
                                static_cast<std::uint32_t>(prng())};
    Octets packet(Ipv6Header::size + Ipv6Fragment::size + 16);
    write(Ipv6Header{.protocol = IpProtocol::fragment}, 24, packet);
    write(fragment, IpProtocol::tcp, MutableBytes(packet).subspan(Ipv6Header::size));
    const Ipv6Chain chain = Ipv6Chain::walk(*Ipv6View::of(packet));
    ASSERT_EQ(chain.fragment, fragment);
    ASSERT_EQ(chain.protocol, IpProtocol::tcp);
  }
}

TEST(Ipv6Extensions, OptionsAreWrittenWithTheirPadding) {
  const struct {
    const char* options;
    const char* header;
  } cases[] = {
      {"", "3a00 0104 00000000"},
      {"0502 0000", "3a00 0502 0000 0100"},
      {"1e03 010203", "3a00 1e03 010203 00"},
      {"1e04 01020304", "3a00 1e04 01020304"},
      {"1e05 0102030405", "3a01 1e05 0102030405 0105 0000000000"},
  };
  for (const auto& [options, header] : cases) {
    const Octets bytes = hex(options);
    Octets into(options_extension_size(bytes.size()));
    EXPECT_EQ(write_options_extension(IpProtocol::icmpv6, bytes, into), into.size());
    EXPECT_EQ(to_hex(into), to_hex(hex(header)));
    Ipv6Options walk(into);
    const auto option = walk.next();
    EXPECT_EQ(option.has_value(), !bytes.empty());
    EXPECT_FALSE(walk.next());
    EXPECT_FALSE(walk.broken_at());
  }
}

}  // namespace
}  // namespace koine::wire
