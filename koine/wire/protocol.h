// The numbers by which one layer names the layer above it, and captures the lowest one.
#pragma once

#include <cstdint>

namespace koine::wire {

/// What the frames of a capture begin with: a LINKTYPE_ number of pcap and pcapng.
enum class LinkType : std::uint16_t {
  ethernet = 1,
  raw_ip = 101,  ///< IPv4 or IPv6, as the first four bits say
};

/// What an Ethernet frame carries (IEEE 802.3; IANA "IEEE 802 Numbers"). Any number may arrive.
enum class EtherType : std::uint16_t {
  ipv4 = 0x0800,
  arp = 0x0806,
  ipv6 = 0x86dd,
};

/// What an IP packet carries (IANA "Protocol Numbers"). Any number may arrive.
enum class IpProtocol : std::uint8_t {
  hop_by_hop = 0,
  icmp = 1,
  tcp = 6,
  udp = 17,
  routing = 43,
  fragment = 44,
  icmpv6 = 58,
  none = 59,
  destination_options = 60,
};

/// Ports that wire gives a meaning to.
inline constexpr std::uint16_t port_rip = 520;  ///< RFC 2453, section 3.9.1

}  // namespace koine::wire
