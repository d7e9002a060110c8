// ICMP for IPv4 (RFC 792; RFC 1122, section 3.2.2): a type, a code and four octets whose meaning
// depends on them; then the echo's data, or the beginning of the packet that is spoken about.
#pragma once

#include <cassert>
#include <optional>

#include "koine/base/bytes.h"
#include "koine/wire/address.h"
#include "koine/wire/checksum.h"

namespace koine::wire {

/// IANA "ICMP Type Numbers". Any number may arrive.
enum class Icmpv4Type : std::uint8_t {
  echo_reply = 0,
  unreachable = 3,
  source_quench = 4,  ///< deprecated by RFC 6633: neither sent nor obeyed
  redirect = 5,
  echo_request = 8,
  time_exceeded = 11,
  parameter_problem = 12,
  timestamp_request = 13,
  timestamp_reply = 14,
};

/// Codes of Icmpv4Type::unreachable (RFC 792; RFC 1122, section 3.2.2.1; RFC 1812, section 5.2.7).
namespace icmpv4_unreachable {
inline constexpr std::uint8_t network = 0;
inline constexpr std::uint8_t host = 1;
inline constexpr std::uint8_t protocol = 2;
inline constexpr std::uint8_t port = 3;
inline constexpr std::uint8_t fragmentation_needed = 4;
inline constexpr std::uint8_t source_route_failed = 5;
inline constexpr std::uint8_t prohibited = 13;
}  // namespace icmpv4_unreachable

/// Codes of Icmpv4Type::time_exceeded.
namespace icmpv4_time_exceeded {
inline constexpr std::uint8_t in_transit = 0;
inline constexpr std::uint8_t in_reassembly = 1;
}  // namespace icmpv4_time_exceeded

/// Codes of Icmpv4Type::redirect.
namespace icmpv4_redirect {
inline constexpr std::uint8_t network = 0;
inline constexpr std::uint8_t host = 1;
}  // namespace icmpv4_redirect

struct Icmpv4Header {
  Icmpv4Type type{};
  std::uint8_t code = 0;
  std::uint32_t rest = 0;  ///< octets 4 to 7; the functions below give it its meaning

  static constexpr std::size_t size = 8;

  static constexpr Icmpv4Header echo_request(std::uint16_t identifier, std::uint16_t sequence) {
    return {Icmpv4Type::echo_request, 0, std::uint32_t{identifier} << 16 | sequence};
  }
  static constexpr Icmpv4Header unreachable(std::uint8_t code) {
    return {Icmpv4Type::unreachable, code, 0};
  }
  /// RFC 1191, section 4: `mtu`, in bytes, of the next hop.
  static constexpr Icmpv4Header fragmentation_needed(std::uint16_t mtu) {
    return {Icmpv4Type::unreachable, icmpv4_unreachable::fragmentation_needed, mtu};
  }
  static constexpr Icmpv4Header time_exceeded(std::uint8_t code) {
    return {Icmpv4Type::time_exceeded, code, 0};
  }
  /// `pointer` counts octets from the beginning of the packet that is quoted.
  static constexpr Icmpv4Header parameter_problem(std::uint8_t pointer) {
    return {Icmpv4Type::parameter_problem, 0, std::uint32_t{pointer} << 24};
  }
  static constexpr Icmpv4Header redirect(std::uint8_t code, Ipv4Address gateway) {
    return {Icmpv4Type::redirect, code, gateway.bits};
  }

  /// The answer to this echo request.
  constexpr Icmpv4Header echo_reply() const { return {Icmpv4Type::echo_reply, 0, rest}; }

  // Of echoes and timestamps.
  constexpr std::uint16_t identifier() const { return static_cast<std::uint16_t>(rest >> 16); }
  constexpr std::uint16_t sequence() const { return static_cast<std::uint16_t>(rest); }

  /// Of "fragmentation needed"; 0 from routers older than RFC 1191.
  constexpr std::uint16_t mtu() const { return static_cast<std::uint16_t>(rest); }
  /// Of parameter problems.
  constexpr std::uint8_t pointer() const { return static_cast<std::uint8_t>(rest >> 24); }
  /// Of redirects.
  constexpr Ipv4Address gateway() const { return {rest}; }

  /// Errors quote a packet, and are never answered with an error (RFC 1122, section 3.2.2).
  constexpr bool is_error() const {
    switch (type) {
      case Icmpv4Type::unreachable:
      case Icmpv4Type::source_quench:
      case Icmpv4Type::redirect:
      case Icmpv4Type::time_exceeded:
      case Icmpv4Type::parameter_problem: return true;
      default: return false;
    }
  }

  friend constexpr bool operator==(const Icmpv4Header&, const Icmpv4Header&) = default;
};

/// A message that is long enough to have a header. The view lives as long as its bytes.
class Icmpv4View {
 public:
  static std::optional<Icmpv4View> of(Bytes message) {
    if (message.size() < Icmpv4Header::size) return std::nullopt;
    return Icmpv4View(message);
  }

  bool is_intact() const { return checksum_of(message_) == 0; }

  Bytes bytes() const { return message_; }

  /// An echo's data, or the quoted packet.
  Bytes payload() const { return message_.subspan(Icmpv4Header::size); }

  Icmpv4Header header() const {
    return {static_cast<Icmpv4Type>(message_[0]), std::to_integer<std::uint8_t>(message_[1]),
            load_be32(message_.data() + 4)};
  }

 private:
  explicit Icmpv4View(Bytes message) : message_(message) {}
  Bytes message_;
};

inline std::optional<Icmpv4Header> parse_icmpv4(Bytes message) {
  const auto view = Icmpv4View::of(message);
  if (!view) return std::nullopt;
  return view->header();
}

/// Writes the 8 bytes before a payload whose sum is `payload` to the front of `into`.
inline std::size_t write(const Icmpv4Header& header, PartialSum payload, MutableBytes into) {
  assert(into.size() >= Icmpv4Header::size);
  const auto type_and_code =
      static_cast<std::uint16_t>(static_cast<unsigned>(header.type) << 8 | header.code);
  const Checksum sum = Checksum().add16(type_and_code).add32(header.rest).add(payload);
  store_be16(into.data(), type_and_code);
  store_be16(into.data() + 2, sum.value());
  store_be32(into.data() + 4, header.rest);
  return Icmpv4Header::size;
}

}  // namespace koine::wire
