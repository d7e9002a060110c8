// An address of either version of IP, as a host keeps it: IPv4 as its IPv4-mapped form (RFC 4291,
// section 2.5.5.2), so that tables have one kind of key.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "koine/wire/address.h"

namespace koine::stack {

struct Ip {
  wire::Ipv6Address bits{};

  constexpr Ip() = default;
  constexpr Ip(const wire::Ipv6Address& address)
      : bits(address) {}                   // NOLINT: an IPv6 address is one
  constexpr Ip(wire::Ipv4Address address)  // NOLINT: and so is an IPv4 one
      : bits{0, std::uint64_t{0xffff'0000'0000} | address.bits} {}

  constexpr bool is_v4() const { return bits.high == 0 && bits.low >> 32 == 0xffff; }
  constexpr wire::Ipv4Address v4() const { return {static_cast<std::uint32_t>(bits.low)}; }
  /// No address: :: or 0.0.0.0.
  constexpr bool is_unspecified() const { return is_v4() ? v4().bits == 0 : bits.is_unspecified(); }
  constexpr bool is_multicast() const {
    return is_v4() ? v4().is_multicast() : bits.is_multicast();
  }
  constexpr bool is_loopback() const { return is_v4() ? v4().is_loopback() : bits.is_loopback(); }

  friend constexpr auto operator<=>(const Ip&, const Ip&) = default;
};

inline std::string to_string(const Ip& ip) {
  return ip.is_v4() ? wire::to_string(ip.v4()) : wire::to_string(ip.bits);
}

/// An address and a port.
struct IpPort {
  Ip ip{};
  std::uint16_t port = 0;

  friend constexpr auto operator<=>(const IpPort&, const IpPort&) = default;
};

}  // namespace koine::stack
