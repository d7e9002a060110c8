// The addresses of the link and network layers: Mac, Ipv4Address, Ipv6Address, and their prefixes.
//
// Each is a small value of its own type, so that one cannot be passed for another, ordered as its
// bytes are ordered, and held as numbers in the machine's order: comparing and masking are single
// instructions, and only load and store know about network order. Text with an IP address in it is
// read by koine/transport/address.h, for all of koine.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "koine/base/bytes.h"

namespace koine::wire {

/// A 48-bit address of IEEE 802, in its low 48 bits; the first octet sent is the highest.
struct Mac {
  std::uint64_t bits = 0;

  static constexpr std::size_t size = 6;

  static constexpr Mac of(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d,
                          std::uint8_t e, std::uint8_t f) {
    return {std::uint64_t{a} << 40 | std::uint64_t{b} << 32 | std::uint64_t{c} << 24 |
            std::uint64_t{d} << 16 | std::uint64_t{e} << 8 | f};
  }

  /// Six octets of one or two hexadecimal digits, between colons or between hyphens.
  static std::optional<Mac> parse(std::string_view text);

  static constexpr Mac load(const std::byte* at) {
    return {std::uint64_t{load_be16(at)} << 32 | load_be32(at + 2)};
  }
  constexpr void store(std::byte* at) const {
    store_be16(at, static_cast<std::uint16_t>(bits >> 32));
    store_be32(at + 2, static_cast<std::uint32_t>(bits));
  }

  /// The group bit: multicast, and broadcast too.
  constexpr bool is_multicast() const { return (bits >> 40 & 1) != 0; }
  constexpr bool is_broadcast() const { return bits == 0xffff'ffff'ffff; }
  constexpr bool is_zero() const { return bits == 0; }

  friend constexpr auto operator<=>(Mac, Mac) = default;
};

inline constexpr Mac mac_broadcast{0xffff'ffff'ffff};

/// Lower case, with colons: "82:f2:75:cd:eb:75".
std::string to_string(Mac mac);

/// An address of RFC 791, as a number: 10.0.0.1 is 0x0a000001.
struct Ipv4Address {
  std::uint32_t bits = 0;

  static constexpr std::size_t size = 4;

  static constexpr Ipv4Address of(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
    return {std::uint32_t{a} << 24 | std::uint32_t{b} << 16 | std::uint32_t{c} << 8 | d};
  }

  static constexpr Ipv4Address load(const std::byte* at) { return {load_be32(at)}; }
  constexpr void store(std::byte* at) const { store_be32(at, bits); }

  constexpr bool is_unspecified() const { return bits == 0; }
  constexpr bool is_loopback() const { return bits >> 24 == 127; }
  constexpr bool is_multicast() const { return bits >> 28 == 0xe; }
  constexpr bool is_broadcast() const { return bits == 0xffff'ffff; }    ///< the limited one
  constexpr bool is_link_local() const { return bits >> 16 == 0xa9fe; }  ///< RFC 3927
  constexpr bool is_reserved() const { return bits >> 28 == 0xf; }       ///< RFC 1112, class E

  friend constexpr auto operator<=>(Ipv4Address, Ipv4Address) = default;
};

inline constexpr Ipv4Address ipv4_loopback = Ipv4Address::of(127, 0, 0, 1);
inline constexpr Ipv4Address ipv4_broadcast{0xffff'ffff};

/// "192.0.2.1"
std::string to_string(Ipv4Address address);

/// An address of RFC 4291, as two numbers.
struct Ipv6Address {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  static constexpr std::size_t size = 16;

  static constexpr Ipv6Address load(const std::byte* at) {
    return {load_be64(at), load_be64(at + 8)};
  }
  constexpr void store(std::byte* at) const {
    store_be64(at, high);
    store_be64(at + 8, low);
  }

  constexpr bool is_unspecified() const { return high == 0 && low == 0; }
  constexpr bool is_loopback() const { return high == 0 && low == 1; }
  constexpr bool is_multicast() const { return high >> 56 == 0xff; }
  constexpr bool is_link_local() const { return high >> 54 == 0x3fa; }  ///< fe80::/10

  friend constexpr auto operator<=>(const Ipv6Address&, const Ipv6Address&) = default;
};

inline constexpr Ipv6Address ipv6_loopback{0, 1};
inline constexpr Ipv6Address ipv6_all_nodes{0xff02'0000'0000'0000, 1};    ///< ff02::1
inline constexpr Ipv6Address ipv6_all_routers{0xff02'0000'0000'0000, 2};  ///< ff02::2

/// The one text that RFC 5952 recommends: lower case, no leading zeros, the longest run of zeros
/// as "::", and an IPv4-mapped address as ::ffff:192.0.2.1.
std::string to_string(const Ipv6Address& address);

/// fe80::/64 and the modified EUI-64 of `mac` (RFC 4291, appendix A; RFC 2464, section 5).
constexpr Ipv6Address link_local_of(Mac mac) {
  const std::uint64_t eui64 = (mac.bits >> 24) << 40 | 0xff'fe00'0000 | (mac.bits & 0xff'ffff);
  return {0xfe80'0000'0000'0000, eui64 ^ 0x0200'0000'0000'0000};
}

/// ff02::1:ffxx:xxxx, where those who own `address` listen for neighbor solicitations
/// (RFC 4291, section 2.7.1).
constexpr Ipv6Address solicited_node_of(const Ipv6Address& address) {
  return {0xff02'0000'0000'0000, 0x1'ff00'0000 | (address.low & 0xff'ffff)};
}

/// The group address that carries an IPv4 multicast address on Ethernet (RFC 1112, section 6.4).
constexpr Mac multicast_mac_of(Ipv4Address group) {
  return {std::uint64_t{0x0100'5e00'0000} | (group.bits & 0x7f'ffff)};
}

/// The group address that carries an IPv6 multicast address on Ethernet (RFC 2464, section 7).
constexpr Mac multicast_mac_of(const Ipv6Address& group) {
  return {std::uint64_t{0x3333'0000'0000} | (group.low & 0xffff'ffff)};
}

/// All addresses whose first `length` bits are those of `address`; `length` is 0 to 32.
struct Ipv4Prefix {
  Ipv4Address address{};
  std::uint8_t length = 0;

  constexpr Ipv4Address mask() const {
    return {length == 0 ? 0 : ~std::uint32_t{0} << (32 - length)};
  }
  constexpr bool contains(Ipv4Address other) const {
    return ((other.bits ^ address.bits) & mask().bits) == 0;
  }
  /// The last address, which reaches everyone on a link with this prefix.
  constexpr Ipv4Address broadcast() const { return {address.bits | ~mask().bits}; }

  friend constexpr bool operator==(Ipv4Prefix, Ipv4Prefix) = default;
};

/// "192.0.2.0/24"
std::string to_string(Ipv4Prefix prefix);

/// All addresses whose first `length` bits are those of `address`; `length` is 0 to 128.
struct Ipv6Prefix {
  Ipv6Address address{};
  std::uint8_t length = 0;

  constexpr Ipv6Address mask() const {
    const std::uint64_t ones = ~std::uint64_t{0};
    if (length == 0) return {};
    if (length <= 64) return {ones << (64 - length), 0};
    return {ones, ones << (128 - length)};
  }
  constexpr bool contains(const Ipv6Address& other) const {
    const Ipv6Address bits = mask();
    return ((other.high ^ address.high) & bits.high) == 0 &&
           ((other.low ^ address.low) & bits.low) == 0;
  }

  friend constexpr bool operator==(const Ipv6Prefix&, const Ipv6Prefix&) = default;
};

/// "2001:db8::/32"
std::string to_string(const Ipv6Prefix& prefix);

}  // namespace koine::wire
