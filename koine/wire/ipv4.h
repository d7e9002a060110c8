// IPv4 headers (RFC 791): views, meaning, writing, and what a router changes on the way.
//
//     0               8               16                              31
//     |version|header |   DSCP    |ECN|          total length         |
//     |        identification         | |D|M|     fragment offset     |
//     | time to live  |   protocol    |        header checksum        |
//     |                            source                             |
//     |                            target                             |
//     |                     options, 0 to 40 bytes                    |
#pragma once

#include <cassert>
#include <optional>

#include "koine/base/bytes.h"
#include "koine/wire/address.h"
#include "koine/wire/checksum.h"
#include "koine/wire/fixed_list.h"
#include "koine/wire/protocol.h"

namespace koine::wire {

/// What the header means. The lengths and the checksum are worked out when it is written.
struct Ipv4Header {
  Ipv4Address source{};
  Ipv4Address target{};
  IpProtocol protocol{};
  std::uint8_t ttl = 64;
  std::uint8_t dscp = 0;  ///< 6 bits, RFC 2474
  std::uint8_t ecn = 0;   ///< 2 bits, RFC 3168
  std::uint16_t identification = 0;
  bool dont_fragment = false;
  bool more_fragments = false;
  std::uint16_t fragment_offset = 0;   ///< in bytes, a multiple of 8, at most 65,528
  FixedList<std::byte, 40> options{};  ///< as sent; a multiple of 4 bytes, see Ipv4Options

  static constexpr std::size_t size_min = 20;
  static constexpr std::size_t size_max = 60;
  static constexpr std::size_t packet_size_max = 65'535;

  /// How many bytes write() writes.
  constexpr std::size_t size() const { return size_min + options.size(); }
  constexpr bool is_fragment() const { return more_fragments || fragment_offset != 0; }

  friend constexpr bool operator==(const Ipv4Header&, const Ipv4Header&) = default;
};

/// A packet whose header and payload lie within its bytes. The view lives as long as they do.
/// Whether the checksum holds is a question of its own: has_intact_header().
class Ipv4View {
 public:
  /// Bytes beyond the total length are padding of the link, and left out.
  static std::optional<Ipv4View> of(Bytes packet) {
    if (packet.size() < Ipv4Header::size_min) return std::nullopt;
    const auto first = std::to_integer<unsigned>(packet[0]);
    const std::size_t header_size = (first & 0xf) * 4;
    const std::size_t total = load_be16(packet.data() + 2);
    if (first >> 4 != 4 || header_size < Ipv4Header::size_min || total < header_size ||
        total > packet.size())
      return std::nullopt;
    return Ipv4View(packet.first(total), header_size);
  }

  Ipv4Address source() const { return Ipv4Address::load(packet_.data() + 12); }
  Ipv4Address target() const { return Ipv4Address::load(packet_.data() + 16); }
  IpProtocol protocol() const { return static_cast<IpProtocol>(packet_[9]); }
  std::uint8_t ttl() const { return std::to_integer<std::uint8_t>(packet_[8]); }
  std::uint16_t identification() const { return load_be16(packet_.data() + 4); }
  bool dont_fragment() const { return (flags() & 0x4000) != 0; }
  bool more_fragments() const { return (flags() & 0x2000) != 0; }

  /// In bytes. Together with the payload's size it may exceed 65,535, which only a forger sends:
  /// reassembly has to look (the "ping of death").
  std::size_t fragment_offset() const { return (flags() & 0x1fffu) * 8; }
  bool is_fragment() const { return (flags() & 0x3fff) != 0; }

  bool has_intact_header() const { return checksum_of(header_bytes()) == 0; }

  Bytes bytes() const { return packet_; }
  Bytes header_bytes() const { return packet_.first(header_size_); }
  Bytes options() const { return header_bytes().subspan(Ipv4Header::size_min); }
  Bytes payload() const { return packet_.subspan(header_size_); }

  /// The pseudo-header for the payload as a whole.
  Checksum pseudo() const {
    return pseudo_header(source(), target(), protocol(), packet_.size() - header_size_);
  }

  Ipv4Header header() const {
    const auto service = std::to_integer<std::uint8_t>(packet_[1]);
    Ipv4Header header{
        .source = source(),
        .target = target(),
        .protocol = protocol(),
        .ttl = ttl(),
        .dscp = static_cast<std::uint8_t>(service >> 2),
        .ecn = static_cast<std::uint8_t>(service & 3),
        .identification = identification(),
        .dont_fragment = dont_fragment(),
        .more_fragments = more_fragments(),
        .fragment_offset = static_cast<std::uint16_t>(fragment_offset()),
    };
    for (const std::byte octet : options()) header.options.push_back(octet);
    return header;
  }

 private:
  Ipv4View(Bytes packet, std::size_t header_size) : packet_(packet), header_size_(header_size) {}
  unsigned flags() const { return load_be16(packet_.data() + 6); }

  Bytes packet_;
  std::size_t header_size_;
};

inline std::optional<Ipv4Header> parse_ipv4(Bytes packet) {
  const auto view = Ipv4View::of(packet);
  if (!view) return std::nullopt;
  return view->header();
}

/// Writes the header of a packet with `payload_size` bytes after it, checksum included, to the
/// front of `into`; returns its size. The packet must not exceed 65,535 bytes.
inline std::size_t write(const Ipv4Header& header, std::size_t payload_size, MutableBytes into) {
  const std::size_t size = header.size();
  assert(into.size() >= size && size + payload_size <= Ipv4Header::packet_size_max);
  assert(header.options.size() % 4 == 0 && header.fragment_offset % 8 == 0);
  std::byte* const at = into.data();
  const auto version_to_length =
      static_cast<std::uint32_t>((0x40 | size / 4) << 24 | (header.dscp & 0x3fu) << 18 |
                                 (header.ecn & 3u) << 16 | (size + payload_size));
  const std::uint32_t fragment =
      std::uint32_t{header.identification} << 16 | (header.dont_fragment ? 0x4000u : 0) |
      (header.more_fragments ? 0x2000u : 0) | header.fragment_offset / 8u;
  const std::uint32_t ttl_and_protocol =
      std::uint32_t{header.ttl} << 24 | static_cast<std::uint32_t>(header.protocol) << 16;
  store_be32(at, version_to_length);
  store_be32(at + 4, fragment);
  header.source.store(at + 12);
  header.target.store(at + 16);
  Checksum sum;
  sum.add32(version_to_length).add32(fragment).add32(ttl_and_protocol);
  sum.add32(header.source.bits).add32(header.target.bits);
  if (!header.options.empty()) {
    std::copy(header.options.begin(), header.options.end(), at + Ipv4Header::size_min);
    sum.add(Bytes(header.options.data(), header.options.size()));
  }
  store_be32(at + 8, ttl_and_protocol | sum.value());
  return size;
}

/// One hop further: takes one from the time to live, which must not be 0, and mends the checksum
/// (RFC 1812, section 5.3.1). `packet` has passed Ipv4View::of.
inline void decrement_ttl(MutableBytes packet) {
  std::byte* const at = packet.data();
  const std::uint16_t before = load_be16(at + 8);
  assert(before >> 8 != 0);
  const auto after = static_cast<std::uint16_t>(before - 0x100);
  store_be16(at + 8, after);
  store_be16(at + 10, updated_checksum(load_be16(at + 10), before, after));
}

/// One option of an IPv4 header (RFC 791, section 3.1).
struct Ipv4Option {
  std::uint8_t type = 0;   ///< the copied flag, the class and the number
  std::size_t offset = 0;  ///< of the type octet, within the options
  Bytes data{};            ///< what follows type and length

  /// True if every fragment has to carry it.
  constexpr bool is_copied() const { return (type & 0x80) != 0; }
};

inline constexpr std::uint8_t ipv4_option_end = 0;
inline constexpr std::uint8_t ipv4_option_no_operation = 1;
inline constexpr std::uint8_t ipv4_option_record_route = 7;
inline constexpr std::uint8_t ipv4_option_timestamp = 68;
inline constexpr std::uint8_t ipv4_option_security = 130;
inline constexpr std::uint8_t ipv4_option_loose_source_route = 131;
inline constexpr std::uint8_t ipv4_option_stream_id = 136;
inline constexpr std::uint8_t ipv4_option_strict_source_route = 137;
inline constexpr std::uint8_t ipv4_option_router_alert = 148;  ///< RFC 2113

/// Walks the options of a header up to its end or the end-of-options octet.
///
///     for (Ipv4Options walk(view.options()); auto option = walk.next();) ...
class Ipv4Options {
 public:
  explicit Ipv4Options(Bytes options) : options_(options) {}

  /// The next option that has a length; nothing at the end, or where a length is impossible.
  std::optional<Ipv4Option> next();

  /// Where next() stopped, if it stopped because of an impossible length. RFC 1122, section
  /// 3.2.1.8, leaves such a packet to be discarded; an ICMP parameter problem points here.
  std::optional<std::size_t> broken_at() const { return broken_at_; }

 private:
  Bytes options_;
  std::size_t at_ = 0;
  std::optional<std::size_t> broken_at_;
};

}  // namespace koine::wire
