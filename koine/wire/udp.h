// UDP headers (RFC 768): two ports, a length, a checksum.
#pragma once

#include <cassert>
#include <optional>

#include "koine/base/bytes.h"
#include "koine/wire/checksum.h"

namespace koine::wire {

struct UdpHeader {
  std::uint16_t source_port = 0;
  std::uint16_t target_port = 0;

  static constexpr std::size_t size = 8;

  friend constexpr bool operator==(const UdpHeader&, const UdpHeader&) = default;
};

/// A datagram whose length field fits its bytes. The view lives as long as they do.
class UdpView {
 public:
  /// Bytes beyond the length field are left out.
  static std::optional<UdpView> of(Bytes datagram) {
    if (datagram.size() < UdpHeader::size) return std::nullopt;
    const std::size_t length = load_be16(datagram.data() + 4);
    if (length < UdpHeader::size || length > datagram.size()) return std::nullopt;
    return UdpView(datagram.first(length));
  }

  std::uint16_t source_port() const { return load_be16(datagram_.data()); }
  std::uint16_t target_port() const { return load_be16(datagram_.data() + 2); }

  /// Zero means that the sender made none: allowed over IPv4 (RFC 768), forbidden over IPv6
  /// (RFC 8200, section 8.1).
  std::uint16_t checksum() const { return load_be16(datagram_.data() + 6); }

  /// `pseudo` counts bytes().size() as the length.
  bool is_intact(Checksum pseudo) const { return pseudo.add(datagram_).value() == 0; }

  Bytes bytes() const { return datagram_; }
  Bytes payload() const { return datagram_.subspan(UdpHeader::size); }
  UdpHeader header() const { return {source_port(), target_port()}; }

 private:
  explicit UdpView(Bytes datagram) : datagram_(datagram) {}
  Bytes datagram_;
};

inline std::optional<UdpHeader> parse_udp(Bytes datagram) {
  const auto view = UdpView::of(datagram);
  if (!view) return std::nullopt;
  return view->header();
}

/// Writes the 8 bytes before a payload of `payload_size` bytes, at most 65,527, whose sum is
/// `payload`. `pseudo` counts header and payload as the length.
inline std::size_t write(const UdpHeader& header, Checksum pseudo, std::size_t payload_size,
                         PartialSum payload, MutableBytes into) {
  assert(into.size() >= UdpHeader::size && payload_size <= 65'535 - UdpHeader::size);
  assert(payload.odd == (payload_size % 2 != 0));
  const std::uint32_t ports = std::uint32_t{header.source_port} << 16 | header.target_port;
  const auto length = static_cast<std::uint16_t>(UdpHeader::size + payload_size);
  const std::uint16_t checksum = pseudo.add32(ports).add16(length).add(payload).value();
  store_be32(into.data(), ports);
  store_be16(into.data() + 4, length);
  // A checksum of zero is sent as all ones, because zero says that there is none (RFC 768).
  store_be16(into.data() + 6, checksum == 0 ? std::uint16_t{0xffff} : checksum);
  return UdpHeader::size;
}

}  // namespace koine::wire
