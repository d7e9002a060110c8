// ICMP for IPv6 (RFC 4443): as for IPv4, but with a pseudo-header under the checksum. Neighbor
// discovery's messages are in nd.h.
#pragma once

#include <cassert>
#include <optional>

#include "koine/base/bytes.h"
#include "koine/wire/checksum.h"

namespace koine::wire {

/// IANA "ICMPv6 Parameters". Any number may arrive.
enum class Icmpv6Type : std::uint8_t {
  unreachable = 1,
  packet_too_big = 2,
  time_exceeded = 3,
  parameter_problem = 4,
  echo_request = 128,
  echo_reply = 129,
  router_solicitation = 133,
  router_advertisement = 134,
  neighbor_solicitation = 135,
  neighbor_advertisement = 136,
  redirect = 137,
};

/// Codes of Icmpv6Type::unreachable (RFC 4443, section 3.1).
namespace icmpv6_unreachable {
inline constexpr std::uint8_t no_route = 0;
inline constexpr std::uint8_t prohibited = 1;
inline constexpr std::uint8_t beyond_scope = 2;
inline constexpr std::uint8_t address = 3;
inline constexpr std::uint8_t port = 4;
inline constexpr std::uint8_t policy = 5;
inline constexpr std::uint8_t rejected_route = 6;
}  // namespace icmpv6_unreachable

/// Codes of Icmpv6Type::time_exceeded (RFC 4443, section 3.3).
namespace icmpv6_time_exceeded {
inline constexpr std::uint8_t in_transit = 0;
inline constexpr std::uint8_t in_reassembly = 1;
}  // namespace icmpv6_time_exceeded

/// Codes of Icmpv6Type::parameter_problem (RFC 4443, section 3.4).
namespace icmpv6_parameter_problem {
inline constexpr std::uint8_t erroneous_field = 0;
inline constexpr std::uint8_t unknown_next_header = 1;
inline constexpr std::uint8_t unknown_option = 2;
}  // namespace icmpv6_parameter_problem

struct Icmpv6Header {
  Icmpv6Type type{};
  std::uint8_t code = 0;
  std::uint32_t rest = 0;  ///< octets 4 to 7; the functions below give it its meaning

  static constexpr std::size_t size = 8;

  static constexpr Icmpv6Header echo_request(std::uint16_t identifier, std::uint16_t sequence) {
    return {Icmpv6Type::echo_request, 0, std::uint32_t{identifier} << 16 | sequence};
  }
  static constexpr Icmpv6Header unreachable(std::uint8_t code) {
    return {Icmpv6Type::unreachable, code, 0};
  }
  /// `mtu`, in bytes, of the next hop.
  static constexpr Icmpv6Header packet_too_big(std::uint32_t mtu) {
    return {Icmpv6Type::packet_too_big, 0, mtu};
  }
  static constexpr Icmpv6Header time_exceeded(std::uint8_t code) {
    return {Icmpv6Type::time_exceeded, code, 0};
  }
  /// `pointer` counts octets from the beginning of the packet that is quoted.
  static constexpr Icmpv6Header parameter_problem(std::uint8_t code, std::uint32_t pointer) {
    return {Icmpv6Type::parameter_problem, code, pointer};
  }

  /// The answer to this echo request.
  constexpr Icmpv6Header echo_reply() const { return {Icmpv6Type::echo_reply, 0, rest}; }

  // Of echoes.
  constexpr std::uint16_t identifier() const { return static_cast<std::uint16_t>(rest >> 16); }
  constexpr std::uint16_t sequence() const { return static_cast<std::uint16_t>(rest); }

  /// Of "packet too big".
  constexpr std::uint32_t mtu() const { return rest; }
  /// Of parameter problems.
  constexpr std::uint32_t pointer() const { return rest; }

  /// Errors have the high bit clear, quote a packet, and are never answered with an error; nor
  /// are redirects (RFC 4443, section 2.4 (e)).
  constexpr bool is_error() const { return static_cast<std::uint8_t>(type) < 128; }

  friend constexpr bool operator==(const Icmpv6Header&, const Icmpv6Header&) = default;
};

/// A message that is long enough to have a header. The view lives as long as its bytes.
class Icmpv6View {
 public:
  static std::optional<Icmpv6View> of(Bytes message) {
    if (message.size() < Icmpv6Header::size) return std::nullopt;
    return Icmpv6View(message);
  }

  /// `pseudo` counts bytes().size() as the length.
  bool is_intact(Checksum pseudo) const { return pseudo.add(message_).value() == 0; }

  Bytes bytes() const { return message_; }

  /// An echo's data, or the quoted packet.
  Bytes payload() const { return message_.subspan(Icmpv6Header::size); }

  Icmpv6Header header() const {
    return {static_cast<Icmpv6Type>(message_[0]), std::to_integer<std::uint8_t>(message_[1]),
            load_be32(message_.data() + 4)};
  }

 private:
  explicit Icmpv6View(Bytes message) : message_(message) {}
  Bytes message_;
};

inline std::optional<Icmpv6Header> parse_icmpv6(Bytes message) {
  const auto view = Icmpv6View::of(message);
  if (!view) return std::nullopt;
  return view->header();
}

/// Writes the 8 bytes before a payload whose sum is `payload` to the front of `into`. `pseudo`
/// counts both as the length.
inline std::size_t write(const Icmpv6Header& header, Checksum pseudo, PartialSum payload,
                         MutableBytes into) {
  assert(into.size() >= Icmpv6Header::size);
  const auto type_and_code =
      static_cast<std::uint16_t>(static_cast<unsigned>(header.type) << 8 | header.code);
  pseudo.add16(type_and_code).add32(header.rest).add(payload);
  store_be16(into.data(), type_and_code);
  store_be16(into.data() + 2, pseudo.value());
  store_be32(into.data() + 4, header.rest);
  return Icmpv6Header::size;
}

}  // namespace koine::wire
