#include "koine/wire/address.h"

#include <gtest/gtest.h>

#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

TEST(Mac, ReadsAndPrintsItsText) {
  EXPECT_EQ(to_string(Mac::of(0x82, 0xf2, 0x75, 0xcd, 0xeb, 5)), "82:f2:75:cd:eb:05");
  EXPECT_EQ(Mac::parse("82:F2:75:cd:eb:5"), Mac::of(0x82, 0xf2, 0x75, 0xcd, 0xeb, 5));
  EXPECT_EQ(Mac::parse("82-f2-75-cd-eb-05"), Mac::of(0x82, 0xf2, 0x75, 0xcd, 0xeb, 5));
}

TEST(Mac, RefusesWhatIsNotSixOctets) {
  for (const char* text : {
           "",                      // nothing
           "82:f2:75:cd:eb",        // five
           "82:f2:75:cd:eb:05:06",  // seven
           "82:f2:75:cd:eb:",       // the last one is empty
           "82:f2:75:cd:eb:123",    // three digits
           "82:f2-75:cd:eb:05",     // mixed separators
           "82:f2:75:cd:eb:-5",     // a sign
           "82:f2:75:cd:eb:0g",     // no digit
           " 82:f2:75:cd:eb:05",    // a blank
       })
    EXPECT_FALSE(Mac::parse(text)) << text;
}

TEST(Ipv4Address, PrintsItsText) {
  EXPECT_EQ(to_string(Ipv4Address::of(192, 0, 2, 255)), "192.0.2.255");
  EXPECT_EQ(to_string(Ipv4Address()), "0.0.0.0");
}

TEST(Ipv6Address, PrintsTheOneTextOfRfc5952) {
  const struct {
    const char* any;
    const char* recommended;
  } cases[] = {
      {"2001:0db8::0001", "2001:db8::1"},                // 4.1 leading zeros
      {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},         // 4.2.1 as short as possible
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // 4.2.2 not one group alone
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // 4.2.3 the longest run
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // 4.2.3 the first of equals
      {"2001:DB8::AAAA", "2001:db8::aaaa"},              // 4.3 lower case
      {"::ffff:c000:0201", "::ffff:192.0.2.1"},          // 5 the IPv4-mapped prefix
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"fe80::ff:fe00:a", "fe80::ff:fe00:a"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
  };
  for (const auto& [any, recommended] : cases) {
    EXPECT_EQ(to_string(ipv6(any)), recommended);
    EXPECT_EQ(ipv6(recommended), ipv6(any));
  }
}

TEST(Addresses, OfAnyBitsSurviveTextAndBytes) {
  Prng prng(1);
  for (int i = 0; i < 20'000; ++i) {
    const Mac mac{prng() >> 16};
    const Ipv4Address four{static_cast<std::uint32_t>(prng())};
    Ipv6Address six{prng(), prng()};
    // Runs of zeros are what the text is difficult about.
    for (int group = 0; group < 4; ++group) {
      if (prng.chance(0.6)) six.high &= ~(std::uint64_t{0xffff} << 16 * group);
      if (prng.chance(0.6)) six.low &= ~(std::uint64_t{0xffff} << 16 * group);
    }
    EXPECT_EQ(Mac::parse(to_string(mac)), mac);
    EXPECT_EQ(ipv6(to_string(six)), six);
    std::byte bytes[16];
    mac.store(bytes);
    EXPECT_EQ(Mac::load(bytes), mac);
    four.store(bytes);
    EXPECT_EQ(Ipv4Address::load(bytes), four);
    six.store(bytes);
    EXPECT_EQ(Ipv6Address::load(bytes), six);
  }
}

TEST(Addresses, KnowTheirKind) {
  EXPECT_TRUE(mac_broadcast.is_multicast() && mac_broadcast.is_broadcast());
  EXPECT_TRUE(Mac::of(1, 0, 0x5e, 0, 0, 9).is_multicast());
  EXPECT_FALSE(mac_a.is_multicast());
  EXPECT_TRUE(Ipv4Address::of(224, 0, 0, 9).is_multicast());
  EXPECT_FALSE(Ipv4Address::of(240, 0, 0, 1).is_multicast());
  EXPECT_TRUE(Ipv4Address::of(169, 254, 1, 1).is_link_local());
  EXPECT_TRUE(ipv6("fe80::1").is_link_local());
  EXPECT_TRUE(ipv6("febf::1").is_link_local());
  EXPECT_FALSE(ipv6("fec0::1").is_link_local());
  EXPECT_TRUE(ipv6_all_nodes.is_multicast());
}

// The addresses are those that Linux chose in the frames of vectors_test.h.
TEST(Addresses, OfGroupsAndLinksFollowFromOthers) {
  const Ipv6Address link_local = ipv6("fe80::ff:fe00:b");
  EXPECT_EQ(link_local_of(mac_b), link_local);
  EXPECT_EQ(solicited_node_of(link_local), ipv6("ff02::1:ff00:b"));
  EXPECT_EQ(multicast_mac_of(solicited_node_of(link_local)), Mac::parse("33:33:ff:00:00:0b"));
  EXPECT_EQ(multicast_mac_of(Ipv4Address::of(224, 128, 0, 22)), Mac::parse("01:00:5e:00:00:16"));
}

TEST(Prefixes, ContainWhatBeginsLikeThem) {
  const Ipv4Prefix net{Ipv4Address::of(10, 77, 0, 0), 16};
  EXPECT_TRUE(net.contains(Ipv4Address::of(10, 77, 255, 1)));
  EXPECT_FALSE(net.contains(Ipv4Address::of(10, 78, 0, 1)));
  EXPECT_EQ(net.broadcast(), Ipv4Address::of(10, 77, 255, 255));
  EXPECT_EQ(to_string(net), "10.77.0.0/16");
  EXPECT_TRUE((Ipv4Prefix{{}, 0}).contains(ipv4_broadcast));
  EXPECT_FALSE((Ipv4Prefix{ipv4_a, 32}).contains(ipv4_b));

  EXPECT_TRUE((Ipv6Prefix{ipv6_a, 64}).contains(ipv6_b));
  EXPECT_TRUE((Ipv6Prefix{ipv6_a, 0}).contains(ipv6_loopback));
  EXPECT_FALSE((Ipv6Prefix{ipv6_a, 128}).contains(ipv6_b));
  EXPECT_TRUE((Ipv6Prefix{ipv6_a, 126}).contains(ipv6_b));
  EXPECT_EQ(to_string(Ipv6Prefix{{0x2001'0db8'0000'0000, 0}, 32}), "2001:db8::/32");
}

}  // namespace
}  // namespace koine::wire
