#include "koine/wire/nd.h"

#include <gtest/gtest.h>

#include "koine/wire/ipv6.h"
#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

Octets message_in(std::string_view frame) {
  const Octets bytes = hex(frame);
  return Octets(bytes.begin() + 54, bytes.end());
}

Checksum pseudo_in(std::string_view frame) {
  const Octets bytes = hex(frame);
  const auto packet = Ipv6View::of(Bytes(bytes).subspan(14));
  return pseudo_header(packet->source(), packet->target(), IpProtocol::icmpv6,
                       packet->payload().size());
}

template <class Message>
void expect_written(const Message& message, std::string_view frame) {
  Octets bytes(message.size(), std::byte{0xee});
  EXPECT_EQ(write(message, pseudo_in(frame), bytes), bytes.size());
  EXPECT_EQ(to_hex(bytes), to_hex(message_in(frame)));
}

TEST(NeighborDiscovery, ReadsAndWritesWhatLinuxSent) {
  Octets bytes = message_in(linux_frame::neighbor_solicitation);
  const auto solicitation = parse_neighbor_solicitation(*Icmpv6View::of(bytes));
  EXPECT_EQ(solicitation, (NeighborSolicitation{ipv6_b, {.source_mac = mac_a}}));
  expect_written(*solicitation, linux_frame::neighbor_solicitation);

  bytes = message_in(linux_frame::neighbor_advertisement);
  const auto advertisement = parse_neighbor_advertisement(*Icmpv6View::of(bytes));
  EXPECT_EQ(advertisement, (NeighborAdvertisement{.solicited = true, .target = ipv6_b}));
  expect_written(*advertisement, linux_frame::neighbor_advertisement);

  bytes = message_in(linux_frame::router_solicitation);
  const auto router = parse_router_solicitation(*Icmpv6View::of(bytes));
  EXPECT_EQ(router, (RouterSolicitation{{.source_mac = mac_b}}));
  expect_written(*router, linux_frame::router_solicitation);

  bytes = message_in(linux_frame::address_probe);
  const auto probe = parse_neighbor_solicitation(*Icmpv6View::of(bytes));
  EXPECT_EQ(probe, (NeighborSolicitation{link_local_of(mac_b), {.nonce = 0x13cc'ba1b'7f03}}));
  expect_written(*probe, linux_frame::address_probe);
}

// RFC 4861, sections 4.2 and 4.6.2, octet by octet.
TEST(NeighborDiscovery, ReadsARouterAdvertisement) {
  const Octets bytes =
      hex("86 00 0000 40 c0 0708 00007530 000003e8"
          "0501 0000 000005dc"
          "0304 40 c0 00278d00 00093a80 00000000"
          "20010db8000000000000000000000000");
  EXPECT_EQ(
      parse_router_advertisement(*Icmpv6View::of(bytes)),
      (RouterAdvertisement{.hop_limit = 64,
                           .managed = true,
                           .other = true,
                           .router_lifetime_s = 1800,
                           .reachable_ms = 30'000,
                           .retransmit_ms = 1'000,
                           .options = {.mtu = 1500,
                                       .prefixes = {{.prefix = {{0x2001'0db8'0000'0000, 0}, 64},
                                                     .on_link = true,
                                                     .autonomous = true,
                                                     .valid_s = 2'592'000,
                                                     .preferred_s = 604'800}}}}));
}

TEST(NeighborDiscovery, NoPrefixOfAMessageIsAMessage) {
  const Octets solicitation = message_in(linux_frame::neighbor_solicitation);
  const Octets advertisement = hex("86 00 0000 40 00 0708 00007530 000003e8 0501 0000 000005dc");
  const Octets redirect =
      hex("89 00 0000 00000000 fe800000000000000000000000000001"
          "20010db8000000000000000000000002 0201 02000000000b");
  for (std::size_t size = 8; size < solicitation.size(); ++size) {
    const Octets cut = prefix(solicitation, size);
    EXPECT_EQ(parse_neighbor_solicitation(*Icmpv6View::of(cut)).has_value(), size == 24) << size;
  }
  for (std::size_t size = 8; size < advertisement.size(); ++size) {
    const Octets cut = prefix(advertisement, size);
    EXPECT_EQ(parse_router_advertisement(*Icmpv6View::of(cut)).has_value(), size == 16) << size;
  }
  for (std::size_t size = 8; size < redirect.size(); ++size) {
    const Octets cut = prefix(redirect, size);
    EXPECT_EQ(parse_redirect(*Icmpv6View::of(cut)).has_value(), size == 40) << size;
  }
  EXPECT_TRUE(parse_redirect(*Icmpv6View::of(redirect)));
}

TEST(NeighborDiscovery, WhatBreaksARuleIsRefused) {
  const struct {
    const char* message;
    const char* why;
  } bad[] = {
      {"87 01 0000 00000000 20010db8000000000000000000000002", "a code that is not 0"},
      {"87 00 0000 00000000 ff020000000000000000000000000002", "asks for a group"},
      {"87 00 0000 00000000 20010db8000000000000000000000002 0100 02000000000a",
       "an option of length 0"},
      {"87 00 0000 00000000 20010db8000000000000000000000002 0102 02000000000a",
       "an option beyond the message"},
      {"87 00 0000 00000000 20010db8000000000000000000000002 0101 020000", "half an option"},
      {"88 00 0000 00000000 20010db8000000000000000000000002", "another type"},
  };
  for (const auto& [message, why] : bad) {
    const Octets bytes = hex(message);
    EXPECT_FALSE(parse_neighbor_solicitation(*Icmpv6View::of(bytes))) << why;
  }
  const Octets group = hex("88 00 0000 00000000 ff020000000000000000000000000002");
  EXPECT_FALSE(parse_neighbor_advertisement(*Icmpv6View::of(group))) << "speaks for a group";
  const Octets far =
      hex("89 00 0000 00000000 20010db8000000000000000000000009"
          "20010db8000000000000000000000002");
  EXPECT_FALSE(parse_redirect(*Icmpv6View::of(far))) << "by a router that is not on the link";
  const Octets to_group =
      hex("89 00 0000 00000000 fe800000000000000000000000000001"
          "ff020000000000000000000000000002");
  EXPECT_FALSE(parse_redirect(*Icmpv6View::of(to_group))) << "redirects a group";
}

TEST(NeighborDiscovery, OptionsThatMakeNoSenseAreSkipped) {
  const Octets bytes =
      hex("85 00 0000 00000000"
          "fd01 000000000000"                     // unknown
          "0102 02000000000a 0000000000000000"    // a long address
          "0301 4000 00000000"                    // a short prefix
          "0304 81c0 00000000 00000000 00000000"  // 129 bits
          "20010db8000000000000000000000000"
          "0201 02000000000b");  // a good one
  EXPECT_EQ(parse_router_solicitation(*Icmpv6View::of(bytes)),
            (RouterSolicitation{{.target_mac = mac_b}}));
}

NdOptions random_options(Prng& prng, Bytes redirected) {
  NdOptions options;
  if (prng.chance(0.5)) options.source_mac = Mac{prng() >> 16};
  if (prng.chance(0.5)) options.target_mac = Mac{prng() >> 16};
  if (prng.chance(0.5)) options.mtu = static_cast<std::uint32_t>(prng());
  if (prng.chance(0.5)) options.nonce = prng() >> 16;
  for (std::uint64_t count = prng.below(9); count > 0; --count) {
    NdPrefix prefix;
    prefix.prefix = {{prng(), prng()}, static_cast<std::uint8_t>(prng.below(129))};
    prefix.on_link = prng.chance(0.5);
    prefix.autonomous = prng.chance(0.5);
    prefix.valid_s = static_cast<std::uint32_t>(prng());
    prefix.preferred_s = static_cast<std::uint32_t>(prng());
    options.prefixes.push_back(prefix);
  }
  if (prng.chance(0.5)) options.redirected = redirected.first(8 * prng.below(20));
  return options;
}

TEST(NeighborDiscovery, AnyMessageSurvivesWritingAndReading) {
  Prng prng(13);
  const Octets redirected = random_octets(prng, 160);
  for (int i = 0; i < 4'000; ++i) {
    const auto check = [&](const auto& message, auto parse) {
      Octets bytes(message.size(), std::byte{0xee});
      const Checksum pseudo = pseudo_header(ipv6_a, ipv6_b, IpProtocol::icmpv6, bytes.size());
      ASSERT_EQ(write(message, pseudo, bytes), bytes.size());
      const auto view = Icmpv6View::of(bytes);
      ASSERT_TRUE(view->is_intact(pseudo));
      ASSERT_EQ(parse(*view), message);
    };
    const NdOptions options = random_options(prng, redirected);
    const Ipv6Address address{prng() >> 8, prng()};
    check(RouterSolicitation{options}, parse_router_solicitation);
    check(NeighborSolicitation{address, options}, parse_neighbor_solicitation);
    NeighborAdvertisement advertisement{.target = address, .options = options};
    advertisement.router = prng.chance(0.5);
    advertisement.solicited = prng.chance(0.5);
    advertisement.override_cache = prng.chance(0.5);
    check(advertisement, parse_neighbor_advertisement);
    RouterAdvertisement router{.options = options};
    router.hop_limit = static_cast<std::uint8_t>(prng());
    router.managed = prng.chance(0.5);
    router.other = prng.chance(0.5);
    router.router_lifetime_s = static_cast<std::uint16_t>(prng());
    router.reachable_ms = static_cast<std::uint32_t>(prng());
    router.retransmit_ms = static_cast<std::uint32_t>(prng());
    check(router, parse_router_advertisement);
    check(NdRedirect{address, address, options}, parse_redirect);
    check(NdRedirect{link_local_of(mac_a), address, options}, parse_redirect);
  }
}

}  // namespace
}  // namespace koine::wire
