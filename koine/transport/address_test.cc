#include "koine/transport/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "koine/base/random.h"

namespace koine {
namespace {

IpAddress ip(std::string_view text) { return parse_ip(text).value(); }

std::string why_not(std::string_view text) {
  const auto address = parse_ip(text);
  return address ? "reads as " + to_string(*address) : std::string(address.error().note());
}

/// What the C library makes of it, or nothing.
std::optional<IpAddress> by_inet_pton(const std::string& text) {
  std::array<std::byte, 16> bytes{};
  if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1)
    return IpAddress::v4(std::span(bytes).first<4>());
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return IpAddress::v6(bytes);
  return std::nullopt;
}

TEST(IpAddress, IsEqualIfVersionBytesAndZoneAre) {
  const IpAddress six = *parse_ip("fe80::1");
  EXPECT_EQ(six, *parse_ip("fe80::1"));
  EXPECT_NE(six, *parse_ip("fe80::2")) << "the last byte counts";
  EXPECT_NE(six, *parse_ip("fe81::1")) << "and the first";
  EXPECT_NE(six, *parse_ip("fe80::1%eth0"));
  EXPECT_NE(*parse_ip("fe80::1%eth1"), *parse_ip("fe80::1%eth0"));
  EXPECT_EQ(*parse_ip("fe80::1%eth0"), *parse_ip("fe80::1%eth0"));
  EXPECT_NE(any_v4, any_v6);
  EXPECT_NE(loopback_v4, loopback_v4.mapped());
  EXPECT_NE(loopback_v4, IpAddress::v4(127, 0, 0, 2));
  static_assert(loopback_v6 != any_v6 && loopback_v4 == IpAddress::v4(127, 0, 0, 1));
}

TEST(IpAddress, IsSmallAndNeedsNoConstruction) {
  static_assert(sizeof(IpAddress) == 32);
  static_assert(std::is_trivially_copyable_v<IpAddress>);
  static_assert(loopback_v4.bytes().size() == 4 && loopback_v6.bytes().size() == 16);
}

TEST(IpAddress, IsWrittenAsRfc5952Recommends) {
  // What people write, and the one form it has: RFC 5952, sections 1, 2 and 4.
  const std::map<std::string, std::string> forms{
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"192.0.2.1", "192.0.2.1"},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"0:0:0:0:0:0:0:0", "::"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    // the first of equal runs
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          // the longest run
      {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // a single zero is written
      {"2001:DB8::ABCD", "2001:db8::abcd"},             // lower case
      {"2001:0db8:0000:0000:0000:0000:0002:0001", "2001:db8::2:1"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
      {"1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"},
      {"::FFFF:192.0.2.1", "::ffff:192.0.2.1"},
      {"::ffff:c000:201", "::ffff:192.0.2.1"},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
      {"fe80::1%eth0", "fe80::1%eth0"},
      {"fe80:0::1%2", "fe80::1%2"},
      {"ff02::1%wlan0.100", "ff02::1%wlan0.100"},
  };
  for (const auto& [written, canonical] : forms) {
    EXPECT_EQ(to_string(ip(written)), canonical);
    EXPECT_EQ(ip(canonical), ip(written)) << written;
  }
}

TEST(IpAddress, WhatIsNoAddressIsRefusedWithThePlaceAndTheReason) {
  const std::vector<std::pair<std::string, std::string>> mistakes{
      {"", "at column 1: expected an IP address, found nothing"},
      {" ", "at column 1: expected a number of an IPv4 address, found ' '"},
      {"localhost", "at column 1: expected a number of an IPv4 address, found 'l'"},
      // Forms that inet_aton() takes and that mean different things to different programs.
      {"127.1", "at column 6: an IPv4 address has four numbers, as in 192.0.2.1"},
      {"2130706433", "at column 1: a number of an IPv4 address is at most 255"},
      {"0x7f.0.0.1", "at column 2: expected a digit or a dot of an IPv4 address, found 'x'"},
      {"0177.0.0.1",
       "at column 1: a number of an IPv4 address has no leading zero: it could be octal"},
      {"1.2.3.00",
       "at column 7: a number of an IPv4 address has no leading zero: it could be octal"},
      {"1.2.3.256", "at column 7: a number of an IPv4 address is at most 255"},
      {"1.2.3.99999999999999999999", "at column 7: a number of an IPv4 address is at most 255"},
      {"1.2.3.4.5", "at column 8: an IPv4 address has only four numbers"},
      {"1.2.3.4.", "at column 8: an IPv4 address has only four numbers"},
      {"1.2..4", "at column 5: expected a number of an IPv4 address, found '.'"},
      {"1.2.3.", "at column 7: expected a number of an IPv4 address, found the end"},
      {"1.2.3.4 ", "at column 8: expected the end of the IPv4 address, found ' '"},
      {"1.2.3.4\n", "at column 8: expected the end of the IPv4 address, found '\\n'"},
      {"1.2.3.-4", "at column 7: expected a number of an IPv4 address, found '-'"},
      {"1.2.3.4%eth0", "at column 8: expected the end of the IPv4 address, found '%'"},
      {"١.2.3.4", "at column 1: expected a number of an IPv4 address, found '١'"},
      {":",
       "at column 2: expected a second colon: an IPv6 address begins with a number or with ::"},
      {":1:2:3:4:5:6:7",
       "at column 2: expected a second colon: an IPv6 address begins with a number or with ::"},
      {"1:", "at column 3: expected another group of the IPv6 address, found the end"},
      {"1:2:3:4:5:6:7:", "at column 15: expected another group of the IPv6 address, found the end"},
      {"1:2:3:4:5:6:7",
       "at column 14: an IPv6 address has eight groups, or a :: for those that are zero"},
      {"1:2:3:4:5:6:7:8:9", "at column 17: an IPv6 address has only eight groups"},
      {"1:2:3:4::5:6:7:8",
       "at column 17: :: stands for at least one group, but all eight are written"},
      {"1:2:3:4:5:6:7:8::",
       "at column 18: :: stands for at least one group, but all eight are written"},
      {"1::2::3", "at column 5: :: may stand only once in an IPv6 address"},
      {":::", "at column 3: expected a hexadecimal group of an IPv6 address, found ':'"},
      {"1:::2", "at column 4: expected a hexadecimal group of an IPv6 address, found ':'"},
      {"::12345", "at column 3: a group of an IPv6 address has at most four digits"},
      {"::g", "at column 3: expected a hexadecimal group of an IPv6 address, found 'g'"},
      {"::1g",
       "at column 4: expected a colon or a hexadecimal digit of an IPv6 address, found 'g'"},
      {"::1/64",
       "at column 4: expected a colon or a hexadecimal digit of an IPv6 address, found '/'"},
      {"[::1]", "at column 1: expected a hexadecimal group of an IPv6 address, found '['"},
      {"::ffff:1.2.3", "at column 13: an IPv4 address has four numbers, as in 192.0.2.1"},
      {"::1.2.3.4:5", "at column 10: expected the end of the IPv4 address, found ':'"},
      {"1:2:3:4:5:6:7:1.2.3.4",
       "at column 15: too many groups before the IPv4 address: it takes the place of two"},
      {"::1%lo",
       "at column 4: a zone goes only with a link-local address (fe80::/10, ff01::/16, ff02::/16)"},
      {"2001:db8::1%eth0",
       "at column 12: a zone goes only with a link-local address (fe80::/10, ff01::/16, "
       "ff02::/16)"},
      {"fe80::1%", "at column 9: expected a zone after %: an interface's name or index"},
      {"fe80::1%eth 0", "at column 12: a zone has only letters, digits and -._~, found ' '"},
      {"fe80::1%a/b", "at column 10: a zone has only letters, digits and -._~, found '/'"},
      {"fe80::1%sixteen-letters-",
       "at column 9: a zone of 16 characters is longer than an interface's name can be (15)"},
  };
  for (const auto& [text, reason] : mistakes) EXPECT_EQ(why_not(text), reason) << text;
}

TEST(IpAddress, EveryPrefixIsReadAsTheCLibraryReadsIt) {
  for (const std::string text :
       {"192.0.2.101", "::ffff:192.0.2.1", "2001:db8:85a3:1:1319:8a2e:370:7344",
        "2001:db8::8a2e:0:1", "1:2:3:4:5:6:77.77.88.88", "fe80::"}) {
    for (std::size_t size = 0; size <= text.size(); ++size) {
      const std::string prefix = text.substr(0, size);
      const auto ours = parse_ip(prefix);
      EXPECT_EQ(ours ? std::optional(*ours) : std::nullopt, by_inet_pton(prefix)) << prefix;
    }
  }
}

TEST(IpAddress, MutatedTextsAreReadAsTheCLibraryReadsThem) {
  constexpr std::uint64_t seed = 1;
  Prng random(seed);
  const std::vector<std::string> seeds{"192.0.2.1", "::1", "2001:db8::ffff:192.0.2.1",
                                       "1:2:3:4:5:6:7:8"};
  constexpr std::string_view letters = "0123456789abcdefABCDEF::::....gx";
  int good = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string text = seeds[random.below(seeds.size())];
    for (std::uint64_t changes = 1 + random.below(4); changes > 0 && !text.empty(); --changes) {
      const std::size_t at = random.below(text.size());
      const char letter = letters[random.below(letters.size())];
      switch (random.below(3)) {
        case 0: text[at] = letter; break;
        case 1: text.insert(at + random.below(2), 1, letter); break;
        default: text.erase(at, 1);
      }
    }
    const auto ours = parse_ip(text);
    ASSERT_EQ(ours ? std::optional(*ours) : std::nullopt, by_inet_pton(text))
        << text << " of seed " << seed;
    if (ours) {
      ++good;
      ASSERT_EQ(ip(to_string(*ours)), *ours) << text;
    }
  }
  EXPECT_GT(good, 20'000);  // or the test compares nothing but refusals
}

TEST(IpAddress, RandomAddressesAreWrittenAsTheCLibraryWritesThem) {
  Prng random(2);
  for (int round = 0; round < 50'000; ++round) {
    std::array<std::uint16_t, 8> groups{};
    // Many zeros, so that there are runs to compare.
    for (auto& group : groups)
      group = random.chance(0.6) ? std::uint16_t{0} : static_cast<std::uint16_t>(random());
    const IpAddress address = IpAddress::v6(groups);
    EXPECT_EQ(ip(to_string(address)), address);
    // The C library also writes ::/96 with a dotted end, which RFC 5952 section 5 leaves to those
    // who know the prefix.
    if (std::ranges::all_of(std::span(groups).first<6>(), [](auto group) { return group == 0; }))
      continue;
    char text[INET6_ADDRSTRLEN];
    ASSERT_NE(inet_ntop(AF_INET6, address.bytes().data(), text, sizeof(text)), nullptr);
    ASSERT_EQ(to_string(address), text);
  }
}

TEST(IpAddress, KnowsWhatItIsFor) {
  struct Case {
    const char* text;
    bool is_loopback, is_any, is_link_local, is_multicast, needs_zone;
  };
  const Case cases[] = {
      {"127.0.0.1", true, false, false, false, false},
      {"127.255.255.255", true, false, false, false, false},
      {"128.0.0.1", false, false, false, false, false},
      {"0.0.0.0", false, true, false, false, false},
      {"0.0.0.1", false, false, false, false, false},
      {"169.254.0.1", false, false, true, false, false},
      {"169.255.0.1", false, false, false, false, false},
      {"224.0.0.1", false, false, false, true, false},
      {"239.255.255.255", false, false, false, true, false},
      {"240.0.0.1", false, false, false, false, false},
      {"::1", true, false, false, false, false},
      {"::2", false, false, false, false, false},
      {"::", false, true, false, false, false},
      {"fe80::1", false, false, true, false, true},
      {"febf::1", false, false, true, false, true},
      {"fec0::1", false, false, false, false, false},
      {"ff01::1", false, false, false, true, true},
      {"ff02::1", false, false, false, true, true},
      {"ff05::1", false, false, false, true, false},
      // An IPv4 peer of a dual-stack socket is what it is.
      {"::ffff:127.0.0.1", true, false, false, false, false},
      {"::ffff:0.0.0.0", false, true, false, false, false},
      {"::ffff:169.254.0.1", false, false, true, false, false},
      {"::ffff:224.0.0.1", false, false, false, true, false},
      // The long dead IPv4-compatible form is not.
      {"::127.0.0.1", false, false, false, false, false},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(ip(c.text).is_loopback(), c.is_loopback) << c.text;
    EXPECT_EQ(ip(c.text).is_any(), c.is_any) << c.text;
    EXPECT_EQ(ip(c.text).is_link_local(), c.is_link_local) << c.text;
    EXPECT_EQ(ip(c.text).is_multicast(), c.is_multicast) << c.text;
    EXPECT_EQ(ip(c.text).needs_zone(), c.needs_zone) << c.text;
  }
}

TEST(IpAddress, IsMappedIntoIpv6AndBack) {
  EXPECT_EQ(to_string(ip("192.0.2.1").mapped()), "::ffff:192.0.2.1");
  EXPECT_EQ(ip("::ffff:192.0.2.1").unmapped(), ip("192.0.2.1"));
  EXPECT_TRUE(ip("::ffff:192.0.2.1").is_v4_mapped());
  EXPECT_TRUE(ip("::ffff:192.0.2.1").is_v6());
  EXPECT_EQ(loopback_v6.mapped(), loopback_v6);
  EXPECT_EQ(loopback_v6.unmapped(), loopback_v6);
  EXPECT_FALSE(loopback_v4.is_v4_mapped());
  EXPECT_NE(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
}

TEST(IpAddress, CarriesAZoneOnlyWhereOneIsNeeded) {
  const IpAddress local = ip("fe80::1");
  EXPECT_EQ(local.zone(), "");
  EXPECT_EQ(local.with_zone("eth0").value().zone(), "eth0");
  EXPECT_EQ(local.with_zone("fifteen-letters").value().zone(), "fifteen-letters");
  EXPECT_EQ(to_string(local.with_zone_index(7)), "fe80::1%7");
  EXPECT_EQ(to_string(local.with_zone_index(4294967295)), "fe80::1%4294967295");
  EXPECT_EQ(local.with_zone_index(7).with_zone_index(0), local);
  EXPECT_EQ(local.with_zone("eth0").value().with_zone("").value(), local);
  EXPECT_NE(local.with_zone("eth0").value(), local.with_zone("eth1").value());

  EXPECT_EQ(loopback_v6.with_zone_index(1), loopback_v6);
  EXPECT_EQ(loopback_v6.with_zone("lo").error(), Fault::malformed);
  EXPECT_EQ(
      to_string(local.with_zone("a b").error()),
      "parse a b: malformed: at column 2: a zone has only letters, digits and -._~, found ' '");
}

TEST(IpAddress, SortsByVersionAndThenByNumber) {
  const std::vector<IpAddress> sorted{any_v4, ip("9.255.0.0"), ip("10.0.0.0"), ip("255.0.0.1"),
                                      any_v6, loopback_v6,     ip("2::"),      ip("fe80::1")};
  EXPECT_TRUE(std::ranges::is_sorted(sorted));
  EXPECT_TRUE(std::ranges::adjacent_find(sorted) == sorted.end());
}

TEST(Address, IsWrittenForPeople) {
  EXPECT_EQ(to_string(Address(loopback_v4, 80)), "127.0.0.1:80");
  EXPECT_EQ(to_string(Address(loopback_v6, 0)), "[::1]:0");
  EXPECT_EQ(to_string(Address(ip("fe80::1%eth0"), 65535)), "[fe80::1%eth0]:65535");
  EXPECT_EQ(to_string(Address::unix_path("/run/x").value()), "/run/x");
  EXPECT_EQ(to_string(Address::unix_path("@x").value()), "./@x");
  EXPECT_EQ(to_string(Address::unix_path("/run/\n").value()), "/run/\\n");
  EXPECT_EQ(to_string(Address::unix_abstract("x").value()), "@x");
  EXPECT_EQ(to_string(Address::unix_abstract(std::string_view("a\0b", 3)).value()), "@a\\x00b");
  EXPECT_EQ(to_string(Address()), "(unnamed)");
}

TEST(Address, KnowsItsKind) {
  const Address tcp(loopback_v4, 80);
  EXPECT_EQ(tcp.kind(), Address::Kind::ip);
  EXPECT_EQ(tcp.ip(), loopback_v4);
  EXPECT_EQ(tcp.port(), 80);
  EXPECT_EQ(tcp.unix_name(), "");

  const Address path = Address::unix_path("/run/x").value();
  EXPECT_EQ(path.kind(), Address::Kind::unix_path);
  EXPECT_TRUE(path.is_unix());
  EXPECT_EQ(path.unix_name(), "/run/x");
  EXPECT_EQ(path.port(), 0);

  EXPECT_EQ(Address::unix_abstract("").value().kind(), Address::Kind::unix_abstract);
  EXPECT_EQ(Address().kind(), Address::Kind::none);
  EXPECT_FALSE(Address().is_unix());
}

TEST(Address, OfDifferentKindsAreDifferent) {
  EXPECT_NE(Address::unix_path("x").value(), Address::unix_abstract("x").value());
  EXPECT_NE(Address(loopback_v4, 1), Address(loopback_v4, 2));
  EXPECT_LT(Address(loopback_v4, 2), Address(loopback_v6, 1));
  EXPECT_LT(Address(), Address(any_v4, 0));
}

TEST(Address, ANameThatDoesNotFitASocketAddressIsRefused) {
  const std::string longest(107, 'n');
  EXPECT_EQ(Address::unix_path(longest).value().unix_name(), longest);
  EXPECT_EQ(Address::unix_abstract(longest).value().unix_name(), longest);
  const std::string too_long(108, 'n');
  EXPECT_EQ(Address::unix_path(too_long).error().note(),
            "at column 108: a path of 108 bytes does not fit a Unix address (at most 107)");
  EXPECT_EQ(Address::unix_abstract(too_long).error().note(),
            "at column 108: a name of 108 bytes does not fit a Unix address (at most 107)");
  EXPECT_EQ(Address::unix_path("").error().note(), "at column 1: expected a path, found nothing");
  EXPECT_EQ(to_string(Address::unix_path(std::string_view("a\0b", 3)).error()),
            "parse a\\x00b: malformed: at column 2: a path cannot contain a NUL");
}

}  // namespace
}  // namespace koine
