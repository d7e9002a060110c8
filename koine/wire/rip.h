// RIP version 2 (RFC 2453): routers tell their neighbours, in UDP datagrams between ports 520,
// which networks they reach and how far those are.
//
//     0               8               16                              31
//     |    command    |    version    |            zero               |
//     |   address family, 2           |          route tag            |  +
//     |                            address                            |  |
//     |                          subnet mask                          |  | 1 to 25 times
//     |                            next hop                           |  |
//     |                         metric, 1 to 16                       |  +
#pragma once

#include <optional>
#include <string>

#include "koine/base/bytes.h"
#include "koine/wire/address.h"
#include "koine/wire/fixed_list.h"

namespace koine::wire {

enum class RipCommand : std::uint8_t { request = 1, response = 2 };

/// What RIP calls infinity: there, a network is out of reach (section 3.6).
inline constexpr std::uint32_t rip_infinity = 16;

/// The group that RIP routers listen to (section 3.5).
inline constexpr Ipv4Address rip_routers = Ipv4Address::of(224, 0, 0, 9);

inline constexpr std::uint16_t rip_family_ipv4 = 2;
inline constexpr std::uint16_t rip_family_authentication = 0xffff;

struct RipEntry {
  Ipv4Prefix prefix{};
  Ipv4Address next_hop{};  ///< 0.0.0.0 is the sender
  std::uint16_t route_tag = 0;
  std::uint32_t metric = rip_infinity;

  friend constexpr bool operator==(const RipEntry&, const RipEntry&) = default;
};

/// A plain password of up to 16 octets (section 4.1).
using RipPassword = FixedList<char, 16>;

struct RipMessage {
  RipCommand command{};

  /// A request for the whole table: one entry of address family 0 and metric 16, without others
  /// (section 3.9.1).
  bool whole_table = false;
  std::optional<RipPassword> password{};
  FixedList<RipEntry, 25> entries{};  ///< 24 beside a password

  /// Entries that made no sense and were left out (section 3.9.2 asks for that): an unknown
  /// address family, a mask with holes, a metric that is not 1 to 16.
  std::uint8_t skipped = 0;

  static constexpr std::size_t header_size = 4;
  static constexpr std::size_t entry_size = 20;
  static constexpr std::size_t entries_max = 25;
  static constexpr std::size_t size_max = header_size + entries_max * entry_size;

  /// How many bytes write() writes.
  constexpr std::size_t size() const {
    return header_size +
           entry_size * (entries.size() + (password ? 1u : 0) + (whole_table ? 1u : 0));
  }

  friend constexpr bool operator==(const RipMessage&, const RipMessage&) = default;
};

/// The message, if it is of version 2, a request or a response, and a header with up to 25 whole
/// entries. Entries are checked one by one, see RipMessage::skipped.
std::optional<RipMessage> parse_rip(Bytes datagram);

/// Writes size() bytes to the front of `into` and returns how many that are. No more than 25
/// entries, the password and the request for the whole table counted.
std::size_t write(const RipMessage& message, MutableBytes into);

}  // namespace koine::wire
