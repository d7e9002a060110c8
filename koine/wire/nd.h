// Neighbor discovery: IPv6's ARP, and how hosts find routers (RFC 4861), in ICMPv6 messages.
//
// The parse functions check everything that a message says about itself: sizes, the code, its
// addresses, no option of length zero. What the packet around it has to say (hop limit 255, the
// source, the checksum) is for the caller: sections 6.1, 7.1 and 8.1 list it.
#pragma once

#include <optional>

#include "koine/base/bytes.h"
#include "koine/wire/address.h"
#include "koine/wire/checksum.h"
#include "koine/wire/fixed_list.h"
#include "koine/wire/icmpv6.h"

namespace koine::wire {

/// Packets of neighbor discovery have this hop limit, so that none can come from beyond the link.
inline constexpr std::uint8_t nd_hop_limit = 255;

/// A lifetime that never ends, in RouterAdvertisement's prefixes.
inline constexpr std::uint32_t nd_lifetime_infinite = 0xffff'ffff;

/// RFC 4861, section 4.6.2.
struct NdPrefix {
  Ipv6Prefix prefix{};
  bool on_link = false;
  bool autonomous = false;  ///< hosts may make themselves an address in it (RFC 4862)
  std::uint32_t valid_s = 0;
  std::uint32_t preferred_s = 0;

  friend constexpr bool operator==(const NdPrefix&, const NdPrefix&) = default;
};

/// The options that were there and made sense. Unknown ones are skipped; of two of a kind the
/// later counts, but for prefixes, of which the first `size_max` count.
struct NdOptions {
  std::optional<Mac> source_mac{};       ///< section 4.6.1
  std::optional<Mac> target_mac{};       ///< section 4.6.1
  std::optional<std::uint32_t> mtu{};    ///< bytes, section 4.6.4
  std::optional<std::uint64_t> nonce{};  ///< 48 bits, RFC 3971, section 5.3.2; RFC 7527
  FixedList<NdPrefix, 8> prefixes{};     ///< section 4.6.2
  Bytes redirected{};  ///< of the packet that caused a redirect, section 4.6.3; lent by the message

  /// How many bytes write() makes of them.
  std::size_t size() const;

  friend bool operator==(const NdOptions& a, const NdOptions& b);
};

/// RFC 4861, section 4.1.
struct RouterSolicitation {
  NdOptions options{};

  std::size_t size() const { return 8 + options.size(); }
  friend bool operator==(const RouterSolicitation&, const RouterSolicitation&) = default;
};

/// RFC 4861, section 4.2. Zero leaves a value to the host.
struct RouterAdvertisement {
  std::uint8_t hop_limit = 0;
  bool managed = false;                 ///< addresses come from DHCPv6
  bool other = false;                   ///< other things come from DHCPv6
  std::uint16_t router_lifetime_s = 0;  ///< 0: not a default router
  std::uint32_t reachable_ms = 0;
  std::uint32_t retransmit_ms = 0;
  NdOptions options{};

  std::size_t size() const { return 16 + options.size(); }
  friend bool operator==(const RouterAdvertisement&, const RouterAdvertisement&) = default;
};

/// RFC 4861, section 4.3.
struct NeighborSolicitation {
  Ipv6Address target{};
  NdOptions options{};

  std::size_t size() const { return 24 + options.size(); }
  friend bool operator==(const NeighborSolicitation&, const NeighborSolicitation&) = default;
};

/// RFC 4861, section 4.4.
struct NeighborAdvertisement {
  bool router = false;
  bool solicited = false;
  bool override_cache = false;
  Ipv6Address target{};
  NdOptions options{};

  std::size_t size() const { return 24 + options.size(); }
  friend bool operator==(const NeighborAdvertisement&, const NeighborAdvertisement&) = default;
};

/// RFC 4861, section 4.5: to reach `destination`, go by `target`.
struct NdRedirect {
  Ipv6Address target{};
  Ipv6Address destination{};
  NdOptions options{};

  std::size_t size() const { return 40 + options.size(); }
  friend bool operator==(const NdRedirect&, const NdRedirect&) = default;
};

// Each answers nothing if `message` is of another type or breaks a rule.
std::optional<RouterSolicitation> parse_router_solicitation(const Icmpv6View& message);
std::optional<RouterAdvertisement> parse_router_advertisement(const Icmpv6View& message);
std::optional<NeighborSolicitation> parse_neighbor_solicitation(const Icmpv6View& message);
std::optional<NeighborAdvertisement> parse_neighbor_advertisement(const Icmpv6View& message);
std::optional<NdRedirect> parse_redirect(const Icmpv6View& message);

// Each writes a whole ICMPv6 message of size() bytes, checksum included, to the front of `into`,
// and returns its size. `pseudo` counts that size as the length.
std::size_t write(const RouterSolicitation& message, Checksum pseudo, MutableBytes into);
std::size_t write(const RouterAdvertisement& message, Checksum pseudo, MutableBytes into);
std::size_t write(const NeighborSolicitation& message, Checksum pseudo, MutableBytes into);
std::size_t write(const NeighborAdvertisement& message, Checksum pseudo, MutableBytes into);
std::size_t write(const NdRedirect& message, Checksum pseudo, MutableBytes into);

// The kinds of option (IANA "IPv6 Neighbor Discovery Option Formats").
inline constexpr std::uint8_t nd_option_source_mac = 1;
inline constexpr std::uint8_t nd_option_target_mac = 2;
inline constexpr std::uint8_t nd_option_prefix = 3;
inline constexpr std::uint8_t nd_option_redirected = 4;
inline constexpr std::uint8_t nd_option_mtu = 5;
inline constexpr std::uint8_t nd_option_nonce = 14;

}  // namespace koine::wire
