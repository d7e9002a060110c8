#include "koine/wire/udp.h"

#include <gtest/gtest.h>

#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

Octets written(const UdpHeader& header, Checksum pseudo, Bytes payload) {
  Octets datagram(UdpHeader::size + payload.size());
  std::copy(payload.begin(), payload.end(), datagram.begin() + UdpHeader::size);
  write(header, pseudo, payload.size(), partial_sum(payload), datagram);
  return datagram;
}

TEST(Udp, ReadsAndWritesWhatLinuxSent) {
  const Octets frame = hex(linux_frame::udp_over_ipv6);
  const Bytes datagram = Bytes(frame).subspan(54);
  const Checksum pseudo = pseudo_header(ipv6_a, ipv6_b, IpProtocol::udp, datagram.size());
  const auto view = UdpView::of(datagram);
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->is_intact(pseudo));
  EXPECT_EQ(view->header(), (UdpHeader{43026, 9}));
  EXPECT_EQ(as_text(view->payload()), "abcd");
  EXPECT_EQ(to_hex(written(view->header(), pseudo, view->payload())), to_hex(datagram));
}

TEST(Udp, NoPrefixOfADatagramIsADatagram) {
  const Octets datagram = hex("a812 0009 000c 377f 61626364");
  for (std::size_t size = 0; size < datagram.size(); ++size)
    EXPECT_FALSE(parse_udp(prefix(datagram, size))) << size;
}

TEST(Udp, ALengthBelowTheHeaderOrBeyondTheBytesIsRefused) {
  Octets datagram = hex("a812 0009 000c 377f 61626364");
  for (const int length : {0, 7, 13, 0xffff}) {
    store_be16(&datagram[4], static_cast<std::uint16_t>(length));
    EXPECT_FALSE(UdpView::of(datagram)) << length;
  }
}

TEST(Udp, WhatFollowsTheLengthIsLeftOut) {
  const Octets datagram = hex("a812 0009 000a 377f 61626364");
  EXPECT_EQ(as_text(UdpView::of(datagram)->payload()), "ab");
}

TEST(Udp, AnEmptyDatagramIsADatagram) {
  const Octets datagram = written({1, 2}, pseudo_header(ipv4_a, ipv4_b, IpProtocol::udp, 8), {});
  const auto view = UdpView::of(datagram);
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->payload().empty());
}

// Two words are searched for that make the sum 0xffff, whose complement is zero.
TEST(Udp, AChecksumOfZeroIsSentAsAllOnes) {
  const Checksum pseudo = pseudo_header(ipv4_a, ipv4_b, IpProtocol::udp, 10);
  int found = 0;
  for (unsigned word = 0; word < 0x10000; ++word) {
    std::byte payload[2];
    store_be16(payload, static_cast<std::uint16_t>(word));
    const Octets datagram = written({0, 0}, pseudo, payload);
    const auto view = UdpView::of(datagram);
    ASSERT_NE(view->checksum(), 0);
    ASSERT_TRUE(view->is_intact(pseudo));
    if (view->checksum() == 0xffff) ++found;
  }
  EXPECT_EQ(found, 1);
}

TEST(Udp, AnyDatagramSurvivesWritingAndReading) {
  Prng prng(9);
  for (int i = 0; i < 10'000; ++i) {
    const UdpHeader header{static_cast<std::uint16_t>(prng()), static_cast<std::uint16_t>(prng())};
    const Octets payload = random_octets(prng, prng.below(200));
    const Checksum pseudo =
        pseudo_header(ipv4_a, ipv4_b, IpProtocol::udp, payload.size() + UdpHeader::size);
    const Octets datagram = written(header, pseudo, payload);
    const auto view = UdpView::of(datagram);
    ASSERT_TRUE(view && view->is_intact(pseudo));
    ASSERT_EQ(view->header(), header);
    ASSERT_EQ(to_hex(view->payload()), to_hex(payload));
  }
}

}  // namespace
}  // namespace koine::wire
