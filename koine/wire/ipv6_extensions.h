// What may stand between IPv6's fixed header and the layer above (RFC 8200, section 4).
//
// Ipv6Chain::walk follows the next-header numbers once, with bounds, and says what a host that is
// the packet's target has to do: hand `payload` to `protocol`, put a fragment aside for
// reassembly, or discard the packet, with or without an ICMP parameter problem.
#pragma once

#include <optional>

#include "koine/base/bytes.h"
#include "koine/wire/ipv6.h"

namespace koine::wire {

/// RFC 8200, section 4.5.
struct Ipv6Fragment {
  std::size_t offset = 0;  ///< in bytes, a multiple of 8, at most 65,528
  bool more = false;
  std::uint32_t identification = 0;

  static constexpr std::size_t size = 8;

  /// The whole packet, with a header that changes nothing: to be processed alone (RFC 6946).
  constexpr bool is_atomic() const { return offset == 0 && !more; }

  friend constexpr bool operator==(const Ipv6Fragment&, const Ipv6Fragment&) = default;
};

/// Why a packet has to be discarded, and what to tell its sender.
struct Ipv6Problem {
  enum class Report : std::uint8_t {
    nothing,        ///< discard in silence
    unless_group,   ///< an ICMP parameter problem, unless the packet was sent to a group
    even_to_group,  ///< an ICMP parameter problem in any case
  };
  Report report{};
  std::uint8_t code = 0;      ///< of icmpv6_parameter_problem
  std::uint32_t pointer = 0;  ///< octets from the beginning of the packet
  const char* reason = "";    ///< in words, for people

  friend bool operator==(const Ipv6Problem& a, const Ipv6Problem& b) {
    return a.report == b.report && a.code == b.code && a.pointer == b.pointer;
  }
};

/// One extension header, as next_extension() finds it.
struct Ipv6Extension {
  IpProtocol kind{};       ///< what it is
  IpProtocol next{};       ///< what follows it
  std::size_t offset = 0;  ///< from the beginning of the packet
  Bytes bytes{};           ///< all of it, the next-header octet first
};

/// True for the four kinds that koine walks through.
constexpr bool is_extension(IpProtocol protocol) {
  return protocol == IpProtocol::hop_by_hop || protocol == IpProtocol::routing ||
         protocol == IpProtocol::fragment || protocol == IpProtocol::destination_options;
}

/// The extension header of the given kind at `offset` in `packet`, if it lies within the packet.
std::optional<Ipv6Extension> extension_at(Bytes packet, IpProtocol kind, std::size_t offset);

struct Ipv6Chain {
  IpProtocol protocol{};        ///< of `payload`
  Bytes payload{};              ///< the layer above, or the data of a fragment
  std::size_t payload_at = 0;   ///< octets from the beginning of the packet
  std::size_t protocol_at = 6;  ///< where `protocol` is named: an unknown one is reported there

  /// If it is not atomic, `payload` is a piece and the chain goes on only once it is whole.
  std::optional<Ipv6Fragment> fragment;
  std::size_t fragment_at = 0;  ///< where the fragment header begins
  std::size_t fragment_named_at =
      0;  ///< the octet that says 44: reassembly writes `protocol` there

  bool router_alert = false;  ///< RFC 2711

  std::optional<Ipv6Problem> problem;  ///< then the rest tells how far the walk came

  bool is_fragment() const { return fragment && !fragment->is_atomic(); }

  static Ipv6Chain walk(const Ipv6View& packet);
};

/// More headers than this in one packet are discarded (RFC 8504, section 5.3).
inline constexpr int ipv6_extensions_max = 8;

/// One option of a hop-by-hop or destination options header (RFC 8200, section 4.2).
struct Ipv6Option {
  std::uint8_t type = 0;
  std::size_t offset = 0;  ///< of the type octet, within the extension header
  Bytes data{};
};

inline constexpr std::uint8_t ipv6_option_pad1 = 0;
inline constexpr std::uint8_t ipv6_option_padn = 1;
inline constexpr std::uint8_t ipv6_option_router_alert = 5;

/// Walks the options of an extension header; padding is passed over.
class Ipv6Options {
 public:
  explicit Ipv6Options(Bytes extension) : extension_(extension) {}

  /// The next option; nothing at the end, or where a length is impossible.
  std::optional<Ipv6Option> next();

  /// Where next() stopped, if it stopped because of an impossible length.
  std::optional<std::size_t> broken_at() const { return broken_at_; }

 private:
  Bytes extension_;
  std::size_t at_ = 2;
  std::optional<std::size_t> broken_at_;
};

/// Writes a fragment header's 8 bytes to the front of `into`; `next` is what the data is.
std::size_t write(const Ipv6Fragment& fragment, IpProtocol next, MutableBytes into);

/// How large a hop-by-hop or destination options header with these options is: a multiple of 8.
constexpr std::size_t options_extension_size(std::size_t options_size) {
  return (2 + options_size + 7) / 8 * 8;
}

/// Writes such a header, padded, to the front of `into` and returns its size. At most 2,046 bytes
/// of options, each as it stands on the wire.
std::size_t write_options_extension(IpProtocol next, Bytes options, MutableBytes into);

}  // namespace koine::wire
