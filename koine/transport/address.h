// Where a socket is, as a value: an IP address with a port, or a Unix name.
//
// Nothing here asks the system anything. An IPv6 zone ("eth0", "2") therefore stays text: which
// interface it means is for the world that uses the address to find out.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "koine/base/error.h"
#include "koine/transport/mistake.h"

namespace koine {

/// An IPv4 or an IPv6 address. 32 bytes, no allocation; IPv4 sorts before IPv6.
///
/// The questions is_loopback() to is_multicast() look through IPv4-mapped IPv6 addresses
/// (::ffff:127.0.0.1), which is how a dual-stack socket reports its IPv4 peers. Comparison does
/// not: compare unmapped() addresses to tell whether two peers are the same machine.
class IpAddress {
 public:
  /// Longest zone: an interface name without its final NUL (IFNAMSIZ - 1).
  static constexpr std::size_t zone_bytes_max = 15;

  /// 0.0.0.0
  constexpr IpAddress() = default;

  /// The address a.b.c.d.
  static constexpr IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
    IpAddress address;
    address.bytes_[0] = std::byte{a};
    address.bytes_[1] = std::byte{b};
    address.bytes_[2] = std::byte{c};
    address.bytes_[3] = std::byte{d};
    return address;
  }

  /// From 4 or 16 bytes in network order.
  static constexpr IpAddress v4(std::span<const std::byte, 4> bytes) {
    IpAddress address;
    for (std::size_t i = 0; i < bytes.size(); ++i) address.bytes_[i] = bytes[i];
    return address;
  }
  static constexpr IpAddress v6(std::span<const std::byte, 16> bytes) {
    IpAddress address;
    address.is_v6_ = true;
    for (std::size_t i = 0; i < bytes.size(); ++i) address.bytes_[i] = bytes[i];
    return address;
  }

  /// From eight 16-bit groups, as the text form writes them.
  static constexpr IpAddress v6(std::array<std::uint16_t, 8> groups) {
    IpAddress address;
    address.is_v6_ = true;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      address.bytes_[2 * i] = static_cast<std::byte>(groups[i] >> 8);
      address.bytes_[2 * i + 1] = static_cast<std::byte>(groups[i]);
    }
    return address;
  }

  constexpr bool is_v4() const { return !is_v6_; }
  constexpr bool is_v6() const { return is_v6_; }

  /// 127.0.0.0/8, ::1
  bool is_loopback() const;
  /// 0.0.0.0, ::
  bool is_any() const;
  /// 169.254.0.0/16, fe80::/10
  bool is_link_local() const;
  /// 224.0.0.0/4, ff00::/8
  bool is_multicast() const;

  /// An IPv4 address written as IPv6: ::ffff:0:0/96 (RFC 4291, section 2.5.5.2).
  bool is_v4_mapped() const;
  /// The IPv4 address inside a mapped one; any other address as it is.
  IpAddress unmapped() const;
  /// The mapped form of an IPv4 address; an IPv6 address as it is.
  IpAddress mapped() const;

  /// 4 or 16 bytes in network order; they live in this object.
  constexpr std::span<const std::byte> bytes() const {
    return {bytes_.data(), is_v6_ ? std::size_t{16} : std::size_t{4}};
  }

  /// True if the address means something only together with a link: IPv6 link-local unicast,
  /// interface-local and link-local multicast (RFC 4007). Only these carry a zone.
  bool needs_zone() const;

  /// The link: an interface's name, or its index if it is all digits; empty if none was given.
  std::string_view zone() const;

  /// This address in `zone`, or without one if `zone` is empty. Fault::malformed if the address
  /// needs no zone, or if `zone` is longer than zone_bytes_max or not made of the letters, digits
  /// and `-._~` that RFC 6874 lets pass.
  Result<IpAddress> with_zone(std::string_view zone) const;

  /// The same from an interface index, as sockaddr_in6 carries it; 0 is no zone. Ignored for an
  /// address that needs none.
  IpAddress with_zone_index(std::uint32_t index) const;

  /// Cheap: servers ask it for every datagram.
  friend constexpr bool operator==(const IpAddress& a, const IpAddress& b) {
    if (a.is_v6_ != b.is_v6_) return false;
    using Words = std::array<std::uint64_t, 2>;  // as bytes, they would be compared one by one
    const auto words = std::bit_cast<Words>(a.bytes_);
    const auto others = std::bit_cast<Words>(b.bytes_);
    if (words[0] != others[0]) return false;
    return a.is_v4() || (words[1] == others[1] && a.zone_ == b.zone_);
  }
  friend std::strong_ordering operator<=>(const IpAddress& a, const IpAddress& b);

 private:
  bool is_v6_ = false;
  std::array<std::byte, 16> bytes_{};        // IPv4: the first four, the others 0
  std::array<char, zone_bytes_max> zone_{};  // filled up with NUL
};

inline constexpr IpAddress any_v4 = IpAddress::v4(0, 0, 0, 0);
inline constexpr IpAddress loopback_v4 = IpAddress::v4(127, 0, 0, 1);
inline constexpr IpAddress any_v6 = IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0});
inline constexpr IpAddress loopback_v6 = IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 1});

/// Reads `192.0.2.1`, `2001:db8::1`, `::ffff:192.0.2.1`, `fe80::1%eth0`. Strict: four decimal
/// numbers without leading zeros, no `127.1`; RFC 4291 section 2.2, RFC 4007 section 11. What is
/// wrong is Fault::malformed with the column and what was expected (see mistake.h).
Result<IpAddress> parse_ip(std::string_view text);

/// The same for parsers of texts in which an address stands.
Parsed<IpAddress> read_ip(std::string_view text);

/// `192.0.2.1`, or RFC 5952: lower case, the longest run of zeros as `::`, mapped addresses as
/// `::ffff:192.0.2.1`; then `%zone` if there is one.
std::string to_string(const IpAddress& address);

/// Where a socket is. Making, copying and comparing one with an IP address allocates nothing.
class Address {
 public:
  enum class Kind : std::uint8_t {
    none,           ///< unnamed: a Unix socket nobody gave a name, or not known
    ip,             ///< an IP address and a port
    unix_path,      ///< a Unix socket in the file system
    unix_abstract,  ///< a Unix socket in Linux's abstract namespace (unix(7))
  };

  /// Longest Unix name: sun_path is 108 bytes, one of them a NUL after a path or before an
  /// abstract name.
  static constexpr std::size_t unix_bytes_max = 107;

  /// Nowhere: Kind::none.
  Address() = default;

  Address(IpAddress ip, std::uint16_t port) : kind_(Kind::ip), ip_(ip), port_(port) {}

  /// A path in the file system, absolute or relative. Fault::malformed if it is empty, longer
  /// than unix_bytes_max, or has a NUL inside.
  static Result<Address> unix_path(std::string_view path);

  /// An abstract name, any bytes. Empty: one that the kernel chooses when it is listened on.
  /// Fault::malformed if it is longer than unix_bytes_max.
  static Result<Address> unix_abstract(std::string_view name);

  Kind kind() const { return kind_; }
  bool is_ip() const { return kind() == Kind::ip; }
  bool is_unix() const { return kind() == Kind::unix_path || kind() == Kind::unix_abstract; }

  /// The IP address; only for Kind::ip.
  const IpAddress& ip() const {
    assert(is_ip());
    return ip_;
  }

  /// The port; 0 for everything but Kind::ip.
  std::uint16_t port() const { return port_; }

  /// The path, or the abstract name without its leading NUL or `@`; empty for the other kinds.
  std::string_view unix_name() const { return name_; }

  friend bool operator==(const Address&, const Address&) = default;
  friend std::strong_ordering operator<=>(const Address& a, const Address& b);

 private:
  Address(Kind kind, std::string_view name) : kind_(kind), name_(name) {}

  // Compared in this order; what is of another kind is empty. (A std::variant would say so, and
  // cost every program that includes this a twentieth of its compile time.)
  Kind kind_ = Kind::none;
  IpAddress ip_;
  std::uint16_t port_ = 0;
  std::string name_;
};

/// For people: `127.0.0.1:80`, `[::1]:80`, `/run/x`, `@abstract`, `(unnamed)`. Bytes that would
/// disturb a terminal are escaped as `\x1b`.
std::string to_string(const Address& address);

}  // namespace koine
