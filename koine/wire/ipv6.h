// IPv6's fixed header (RFC 8200, section 3). What may stand between it and the layer above is in
// ipv6_extensions.h.
//
//     0               8               16                              31
//     |version| traffic class |              flow label               |
//     |         payload length        |  next header  |   hop limit   |
//     |                       source, 16 octets                       |
//     |                       target, 16 octets                       |
#pragma once

#include <cassert>
#include <optional>

#include "koine/base/bytes.h"
#include "koine/wire/address.h"
#include "koine/wire/protocol.h"

namespace koine::wire {

/// What the header means. The length is worked out when it is written.
struct Ipv6Header {
  Ipv6Address source{};
  Ipv6Address target{};
  IpProtocol protocol{};  ///< "next header": the first extension header if there is one
  std::uint8_t hop_limit = 64;
  std::uint8_t dscp = 0;         ///< 6 bits, RFC 2474
  std::uint8_t ecn = 0;          ///< 2 bits, RFC 3168
  std::uint32_t flow_label = 0;  ///< 20 bits, RFC 6437

  static constexpr std::size_t size = 40;
  static constexpr std::size_t payload_size_max = 65'535;

  friend constexpr bool operator==(const Ipv6Header&, const Ipv6Header&) = default;
};

/// Every IPv6 link carries packets of this size (RFC 8200, section 5).
inline constexpr std::size_t ipv6_mtu_min = 1280;

/// A packet whose payload length fits its bytes. The view lives as long as they do.
class Ipv6View {
 public:
  /// Bytes beyond the payload length are padding of the link, and left out. Jumbograms (RFC 2675)
  /// are not known here.
  static std::optional<Ipv6View> of(Bytes packet) {
    if (packet.size() < Ipv6Header::size) return std::nullopt;
    const std::size_t total = Ipv6Header::size + load_be16(packet.data() + 4);
    if (std::to_integer<unsigned>(packet[0]) >> 4 != 6 || total > packet.size())
      return std::nullopt;
    return Ipv6View(packet.first(total));
  }

  Ipv6Address source() const { return Ipv6Address::load(packet_.data() + 8); }
  Ipv6Address target() const { return Ipv6Address::load(packet_.data() + 24); }
  IpProtocol protocol() const { return static_cast<IpProtocol>(packet_[6]); }
  std::uint8_t hop_limit() const { return std::to_integer<std::uint8_t>(packet_[7]); }

  Bytes bytes() const { return packet_; }
  Bytes payload() const { return packet_.subspan(Ipv6Header::size); }

  Ipv6Header header() const {
    const std::uint32_t first = load_be32(packet_.data());
    return {.source = source(),
            .target = target(),
            .protocol = protocol(),
            .hop_limit = hop_limit(),
            .dscp = static_cast<std::uint8_t>(first >> 22 & 0x3f),
            .ecn = static_cast<std::uint8_t>(first >> 20 & 3),
            .flow_label = first & 0xf'ffff};
  }

 private:
  explicit Ipv6View(Bytes packet) : packet_(packet) {}
  Bytes packet_;
};

inline std::optional<Ipv6Header> parse_ipv6(Bytes packet) {
  const auto view = Ipv6View::of(packet);
  if (!view) return std::nullopt;
  return view->header();
}

/// Writes the header of a packet with `payload_size` bytes after it, extension headers included,
/// to the front of `into`; returns its 40 bytes' number.
inline std::size_t write(const Ipv6Header& header, std::size_t payload_size, MutableBytes into) {
  assert(into.size() >= Ipv6Header::size && payload_size <= Ipv6Header::payload_size_max);
  std::byte* const at = into.data();
  store_be32(at, 0x6000'0000 | (header.dscp & 0x3fu) << 22 | (header.ecn & 3u) << 20 |
                     (header.flow_label & 0xf'ffff));
  store_be32(at + 4, static_cast<std::uint32_t>(payload_size << 16) |
                         static_cast<std::uint32_t>(header.protocol) << 8 | header.hop_limit);
  header.source.store(at + 8);
  header.target.store(at + 24);
  return Ipv6Header::size;
}

}  // namespace koine::wire
