// Frames that Linux 6.18 sent between two of its own network namespaces, and how tests write bytes.
#pragma once

#include <arpa/inet.h>

#include <cassert>
#include <string>
#include <string_view>
#include <vector>

#include "koine/base/bytes.h"
#include "koine/base/random.h"
#include "koine/wire/address.h"

namespace koine::wire {

using Octets = std::vector<std::byte>;

/// Bytes from hexadecimal digits; blanks are for the reader.
inline Octets hex(std::string_view text) {
  Octets bytes;
  int digits = 0;
  unsigned value = 0;
  for (const char letter : text) {
    if (letter == ' ' || letter == '\n') continue;
    const auto digit = std::string_view("0123456789abcdef").find(letter);
    assert(digit != std::string_view::npos);
    value = value << 4 | static_cast<unsigned>(digit);
    if (++digits % 2 == 0) {
      bytes.push_back(static_cast<std::byte>(value));
      value = 0;
    }
  }
  assert(digits % 2 == 0);
  return bytes;
}

inline std::string to_hex(Bytes bytes) {
  std::string text;
  for (const std::byte octet : bytes) {
    text += "0123456789abcdef"[std::to_integer<unsigned>(octet >> 4)];
    text += "0123456789abcdef"[std::to_integer<unsigned>(octet & std::byte{15})];
  }
  return text;
}

inline Octets random_octets(Prng& prng, std::size_t size) {
  Octets bytes(size);
  for (std::byte& octet : bytes) octet = static_cast<std::byte>(prng());
  return bytes;
}

/// Text that was written between lines of its own: the first line feed is not meant.
inline std::string without_line_feed(std::string_view text) { return std::string(text.substr(1)); }

/// A copy of the first `size` bytes in memory of its own, so that AddressSanitizer sees every step
/// beyond it.
inline Octets prefix(Bytes bytes, std::size_t size) {
  return Octets(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
}

/// An IPv6 address as the C library reads it.
inline Ipv6Address ipv6(const std::string& text) {
  std::byte bytes[Ipv6Address::size];
  const bool is_one = inet_pton(AF_INET6, text.c_str(), bytes) == 1;
  assert(is_one);
  return is_one ? Ipv6Address::load(bytes) : Ipv6Address();
}

inline constexpr Mac mac_a = Mac::of(2, 0, 0, 0, 0, 0x0a);
inline constexpr Mac mac_b = Mac::of(2, 0, 0, 0, 0, 0x0b);
inline constexpr Ipv4Address ipv4_a = Ipv4Address::of(10, 77, 0, 1);
inline constexpr Ipv4Address ipv4_b = Ipv4Address::of(10, 77, 0, 2);
inline constexpr Ipv6Address ipv6_a{0x2001'0db8'0000'0000, 1};
inline constexpr Ipv6Address ipv6_b{0x2001'0db8'0000'0000, 2};

namespace linux_frame {

inline constexpr std::string_view arp_request =
    "ffffffffffff 02000000000a 0806 0001 0800 06 04 0001 02000000000a 0a4d0001"
    "000000000000 0a4d0002";
inline constexpr std::string_view arp_reply =
    "02000000000a 02000000000b 0806 0001 0800 06 04 0002 02000000000b 0a4d0002"
    "02000000000a 0a4d0001";
inline constexpr std::string_view ping =
    "02000000000b 02000000000a 0800 4500 0024 e23e 4000 40 01 43fe 0a4d0001 0a4d0002"
    "08 00 c832 23bc 0001 0001020304050607";
inline constexpr std::string_view tcp_syn =
    "02000000000b 02000000000a 0800 4500 003c c4a5 4000 40 06 617a 0a4d0001 0a4d0002"
    "8a1c 1b58 5fc691f1 00000000 a002 faf0 c8b1 0000"
    "020405b4 0402 080a771d617400000000 01 03030a";
inline constexpr std::string_view tcp_data =
    "02000000000b 02000000000a 0800 4500 003a c4a7 4000 40 06 617a 0a4d0001 0a4d0002"
    "8a1c 1b58 5fc691f2 495a3107 8018 003f d76b 0000 0101 080a771d6174e8e4697c"
    "776f726c640a";
inline constexpr std::string_view udp_with_record_route =
    "02000000000a 02000000000b 0800 4700 0026 0b7d 4000 40 11 ba9c 0a4d0002 0a4d0001"
    "0707080a4d000200 a262 0009 000a d65f 7272";
inline constexpr std::string_view port_unreachable =
    "02000000000a 02000000000b 0800 45c0 003b ca22 0000 40 01 9b43 0a4d0002 0a4d0001"
    "03 03 11b6 00000000"
    "4500 001f 1a29 4000 40 11 0c09 0a4d0001 0a4d0002 b232 0009 000b 749d 616263";
inline constexpr std::string_view udp_over_ipv6 =
    "02000000000b 02000000000a 86dd 600a45c9 000c 11 40"
    "20010db8000000000000000000000001 20010db8000000000000000000000002"
    "a812 0009 000c 377f 61626364";
inline constexpr std::string_view port_unreachable_over_ipv6 =
    "02000000000a 02000000000b 86dd 6002ffb1 003c 3a 40"
    "20010db8000000000000000000000002 20010db8000000000000000000000001"
    "01 04 ec0d 00000000"
    "600a45c9 000c 11 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
    "a812 0009 000c 377f 61626364";
inline constexpr std::string_view neighbor_solicitation =
    "02000000000b 02000000000a 86dd 60000000 0020 3a ff"
    "fe80000000000000000000fffe00000a 20010db8000000000000000000000002"
    "87 00 1c99 00000000 20010db8000000000000000000000002 0101 02000000000a";
inline constexpr std::string_view neighbor_advertisement =
    "02000000000a 02000000000b 86dd 60000000 0018 3a ff"
    "20010db8000000000000000000000002 fe80000000000000000000fffe00000a"
    "88 00 deab 40000000 20010db8000000000000000000000002";
inline constexpr std::string_view router_solicitation =
    "333300000002 02000000000b 86dd 60000000 0010 3a ff"
    "fe80000000000000000000fffe00000b ff020000000000000000000000000002"
    "85 00 7b18 00000000 0101 02000000000b";
/// Duplicate address detection, with a nonce (RFC 7527).
inline constexpr std::string_view address_probe =
    "3333ff00000b 02000000000b 86dd 60000000 0020 3a ff"
    "00000000000000000000000000000000 ff0200000000000000000001ff00000b"
    "87 00 221d 00000000 fe80000000000000000000fffe00000b 0e01 13ccba1b7f03";
/// Behind a hop-by-hop header with a router alert.
inline constexpr std::string_view listener_report =
    "333300000016 02000000000b 86dd 60000000 0024 00 01"
    "fe80000000000000000000fffe00000b ff020000000000000000000000000016"
    "3a 00 0502 0000 0100"
    "8f 00 71f3 0000 0001 04000000 ff0200000000000000000001ff00000b";

inline constexpr std::string_view all[] = {
    arp_request,
    arp_reply,
    ping,
    tcp_syn,
    tcp_data,
    udp_with_record_route,
    port_unreachable,
    udp_over_ipv6,
    port_unreachable_over_ipv6,
    neighbor_solicitation,
    neighbor_advertisement,
    router_solicitation,
    address_probe,
    listener_report,
};

}  // namespace linux_frame

}  // namespace koine::wire
