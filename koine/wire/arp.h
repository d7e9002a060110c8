// ARP for IPv4 on Ethernet: who has this address, and where (RFC 826).
#pragma once

#include <cassert>
#include <optional>

#include "koine/base/bytes.h"
#include "koine/wire/address.h"

namespace koine::wire {

enum class ArpOperation : std::uint16_t { request = 1, reply = 2 };

/// RFC 826's fields; the hardware is always Ethernet and the protocol always IPv4.
struct ArpPacket {
  ArpOperation operation{};
  Mac sender_mac{};
  Ipv4Address sender_ip{};
  Mac target_mac{};
  Ipv4Address target_ip{};

  static constexpr std::size_t size = 28;

  /// Asking for, or announcing, an address that is the sender's own (RFC 5227, section 3).
  constexpr bool is_announcement() const { return sender_ip == target_ip; }

  friend constexpr bool operator==(const ArpPacket&, const ArpPacket&) = default;
};

/// The packet, if it is long enough and speaks of Ethernet and IPv4. What follows its 28 bytes is
/// padding. An operation other than request and reply is handed on as it is.
inline std::optional<ArpPacket> parse_arp(Bytes packet) {
  const std::byte* const at = packet.data();
  if (packet.size() < ArpPacket::size) return std::nullopt;
  // Hardware type 1, protocol type 0x0800, address lengths 6 and 4.
  if (load_be64(at) >> 16 != 0x0001'0800'0604) return std::nullopt;
  return ArpPacket{static_cast<ArpOperation>(load_be16(at + 6)), Mac::load(at + 8),
                   Ipv4Address::load(at + 14), Mac::load(at + 18), Ipv4Address::load(at + 24)};
}

/// Writes 28 bytes to the front of `into` and returns how many that are.
inline std::size_t write(const ArpPacket& packet, MutableBytes into) {
  assert(into.size() >= ArpPacket::size);
  std::byte* const at = into.data();
  store_be64(at, 0x0001'0800'0604'0000 | static_cast<std::uint16_t>(packet.operation));
  packet.sender_mac.store(at + 8);
  packet.sender_ip.store(at + 14);
  packet.target_mac.store(at + 18);
  packet.target_ip.store(at + 24);
  return ArpPacket::size;
}

}  // namespace koine::wire
