// TCP headers (RFC 9293, section 3.1) with the options that koine speaks: maximum segment size,
// window scale and timestamps (RFC 7323), selective acknowledgments (RFC 2018).
//
//     0               8               16                              31
//     |          source port          |          target port          |
//     |                        sequence number                        |
//     |                     acknowledgment number                     |
//     | offset|       |C|E|U|A|P|R|S|F|             window            |
//     |           checksum            |        urgent pointer         |
//     |                     options, 0 to 40 bytes                    |
//
// Reading and writing a data segment allocates nothing and is inline but for option lists that are
// not the usual NOP, NOP, timestamps.
#pragma once

#include <algorithm>
#include <cassert>
#include <optional>
#include <string>

#include "koine/base/bytes.h"
#include "koine/wire/checksum.h"
#include "koine/wire/fixed_list.h"
#include "koine/wire/seq.h"

namespace koine::wire {

/// The control bits, as they lie in the header's fourteenth octet.
struct TcpFlags {
  std::uint8_t bits = 0;

  /// True if every bit of `others` is set here too.
  constexpr bool has(TcpFlags others) const { return (bits & others.bits) == others.bits; }
  constexpr bool has_any(TcpFlags others) const { return (bits & others.bits) != 0; }

  friend constexpr TcpFlags operator|(TcpFlags a, TcpFlags b) {
    return {static_cast<std::uint8_t>(a.bits | b.bits)};
  }
  constexpr TcpFlags& operator|=(TcpFlags other) { return *this = *this | other; }
  friend constexpr bool operator==(TcpFlags, TcpFlags) = default;
};

inline constexpr TcpFlags tcp_fin{0x01};
inline constexpr TcpFlags tcp_syn{0x02};
inline constexpr TcpFlags tcp_rst{0x04};
inline constexpr TcpFlags tcp_psh{0x08};
inline constexpr TcpFlags tcp_ack{0x10};
inline constexpr TcpFlags tcp_urg{0x20};
inline constexpr TcpFlags tcp_ece{0x40};  ///< RFC 3168
inline constexpr TcpFlags tcp_cwr{0x80};  ///< RFC 3168

/// "SYN ACK", in the order in which people say them; "none" if there are none.
std::string to_string(TcpFlags flags);

/// Bytes received beyond the acknowledged ones: from `left` up to, not including, `right`.
struct SackBlock {
  Seq left{};
  Seq right{};

  friend constexpr bool operator==(SackBlock, SackBlock) = default;
};

/// RFC 7323, section 3.2.
struct TcpTimestamps {
  std::uint32_t value = 0;
  std::uint32_t echo = 0;

  friend constexpr bool operator==(TcpTimestamps, TcpTimestamps) = default;
};

/// The options that were there and made sense. An option of a known kind and a length that is not
/// that kind's counts as unknown; of two of a kind the later one counts.
struct TcpOptions {
  std::optional<std::uint16_t> mss{};          ///< bytes, RFC 9293, section 3.7.1
  std::optional<std::uint8_t> window_scale{};  ///< a shift, 0 to 14: more counts as 14
  bool sack_permitted = false;                 ///< RFC 2018, section 2
  std::optional<TcpTimestamps> timestamps{};   ///< RFC 7323, section 3
  FixedList<SackBlock, 4> sack{};              ///< RFC 2018, section 3
  bool broken = false;  ///< a length was impossible: what followed it could not be read

  static constexpr std::size_t size_max = 40;

  /// How many bytes write() makes of them: each begins on a multiple of four.
  constexpr std::size_t size() const {
    return (mss ? 4u : 0) +
           (timestamps       ? 12u
            : sack_permitted ? 4u
                             : 0) +
           (window_scale ? 4u : 0) + (sack.empty() ? 0 : 4 + 8 * sack.size());
  }

  /// How many SACK blocks fit beside the other options: 3 with timestamps, 4 alone.
  constexpr std::size_t sack_blocks_max() const {
    const std::size_t others = size() - (sack.empty() ? 0 : 4 + 8 * sack.size());
    return others + 4 > size_max ? 0 : std::min(sack.size_max, (size_max - others - 4) / 8);
  }

  friend constexpr bool operator==(const TcpOptions&, const TcpOptions&) = default;
};

/// Reads options up to their end; never fails, see TcpOptions::broken.
TcpOptions parse_tcp_options(Bytes options);

/// What the header means. Offset and checksum are worked out when it is written.
struct TcpHeader {
  std::uint16_t source_port = 0;
  std::uint16_t target_port = 0;
  Seq seq{};
  Seq ack{};
  TcpFlags flags{};
  std::uint16_t window = 0;  ///< as sent: not yet shifted by the window scale
  std::uint16_t urgent = 0;
  TcpOptions options{};

  static constexpr std::size_t size_min = 20;
  static constexpr std::size_t size_max = 60;

  /// How many bytes write() writes.
  constexpr std::size_t size() const { return size_min + options.size(); }

  friend constexpr bool operator==(const TcpHeader&, const TcpHeader&) = default;
};

/// A segment whose header lies within its bytes. The view lives as long as they do.
class TcpView {
 public:
  static std::optional<TcpView> of(Bytes segment) {
    if (segment.size() < TcpHeader::size_min) return std::nullopt;
    const std::size_t header_size = std::to_integer<std::size_t>(segment[12] >> 4) * 4;
    if (header_size < TcpHeader::size_min || header_size > segment.size()) return std::nullopt;
    return TcpView(segment, header_size);
  }

  std::uint16_t source_port() const { return load_be16(segment_.data()); }
  std::uint16_t target_port() const { return load_be16(segment_.data() + 2); }
  Seq seq() const { return {load_be32(segment_.data() + 4)}; }
  Seq ack() const { return {load_be32(segment_.data() + 8)}; }
  TcpFlags flags() const { return {std::to_integer<std::uint8_t>(segment_[13])}; }
  std::uint16_t window() const { return load_be16(segment_.data() + 14); }
  std::uint16_t urgent() const { return load_be16(segment_.data() + 18); }

  /// `pseudo` counts bytes().size() as the length.
  bool is_intact(Checksum pseudo) const { return pseudo.add(segment_).value() == 0; }

  Bytes bytes() const { return segment_; }
  Bytes option_bytes() const {
    return segment_.subspan(TcpHeader::size_min, header_size_ - TcpHeader::size_min);
  }
  Bytes payload() const { return segment_.subspan(header_size_); }

  TcpOptions options() const {
    const Bytes options = option_bytes();
    if (options.empty()) return {};
    if (options.size() == 12 && load_be32(options.data()) == 0x0101'080a) {
      TcpOptions usual;
      usual.timestamps = {load_be32(options.data() + 4), load_be32(options.data() + 8)};
      return usual;
    }
    return parse_tcp_options(options);
  }

  TcpHeader header() const {
    return {source_port(), target_port(), seq(), ack(), flags(), window(), urgent(), options()};
  }

 private:
  TcpView(Bytes segment, std::size_t header_size) : segment_(segment), header_size_(header_size) {}
  Bytes segment_;
  std::size_t header_size_;
};

inline std::optional<TcpHeader> parse_tcp(Bytes segment) {
  const auto view = TcpView::of(segment);
  if (!view) return std::nullopt;
  return view->header();
}

/// Writes the header of a segment whose data has the sum `payload` to the front of `into`; returns
/// its size. `pseudo` counts header and data as the length. The options must fit 40 bytes.
///
/// The options stand as Linux sends them: maximum segment size, SACK-permitted, timestamps, window
/// scale, SACK.
inline std::size_t write(const TcpHeader& header, Checksum pseudo, PartialSum payload,
                         MutableBytes into) {
  const TcpOptions& options = header.options;
  const std::size_t size = header.size();
  assert(size <= TcpHeader::size_max && into.size() >= size);
  std::byte* const begin = into.data();
  std::byte* at = begin;
  const auto put = [&](std::uint32_t word) {
    store_be32(at, word);
    at += 4;
    pseudo.add32(word);
  };
  put(std::uint32_t{header.source_port} << 16 | header.target_port);
  put(header.seq.value);
  put(header.ack.value);
  put(static_cast<std::uint32_t>(size / 4) << 28 | std::uint32_t{header.flags.bits} << 16 |
      header.window);
  put(header.urgent);
  if (size > TcpHeader::size_min) {
    if (options.mss) put(0x0204'0000u | *options.mss);
    if (options.timestamps) {
      put(options.sack_permitted ? 0x0402'080a : 0x0101'080a);
      put(options.timestamps->value);
      put(options.timestamps->echo);
    } else if (options.sack_permitted) {
      put(0x0101'0402);
    }
    if (options.window_scale) put(0x0103'0300u | *options.window_scale);
    if (!options.sack.empty()) {
      put(0x0101'0500u | static_cast<std::uint32_t>(2 + 8 * options.sack.size()));
      for (const SackBlock& block : options.sack) {
        put(block.left.value);
        put(block.right.value);
      }
    }
  }
  store_be16(begin + 16, pseudo.add(payload).value());
  return size;
}

}  // namespace koine::wire
