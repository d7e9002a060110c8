// The internet checksum (RFC 1071): sums that can be made in parts, and mended in place.
//
// The sum of a payload never changes while the payload travels. So it can be made once, when the
// bytes are written, kept beside them as a PartialSum, and added to each header's own few words.
//
//     Checksum sum = pseudo_header(source, target, IpProtocol::udp, 8 + payload.size());
//     sum.add(header).add(payload_sum);
//     store_be16(at, sum.value());
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "koine/base/bytes.h"
#include "koine/wire/address.h"
#include "koine/wire/protocol.h"

namespace koine::wire {

/// The one's complement sum of some bytes as 16-bit numbers in network order, before the final
/// complement. Zero only for bytes that are all zero, so equal bytes have equal sums however they
/// were cut.
struct PartialSum {
  std::uint16_t sum = 0;
  bool odd = false;  ///< the number of bytes was odd

  friend constexpr bool operator==(PartialSum, PartialSum) = default;
};

namespace detail {

/// Adds the carries back until 16 bits are left.
constexpr std::uint16_t fold(std::uint64_t sum) {
  sum = (sum & 0xffff'ffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

constexpr std::uint16_t swap_octets(std::uint16_t word) {
  return static_cast<std::uint16_t>(word << 8 | word >> 8);
}

/// The sum of `size` bytes as words in the machine's own order, not folded.
std::uint64_t sum_long(const std::byte* at, std::size_t size);

inline std::uint64_t sum_short(const std::byte* at, std::size_t size) {
  std::uint64_t sum = 0;
  for (; size >= 4; at += 4, size -= 4) {
    std::uint32_t word;
    std::memcpy(&word, at, 4);
    sum += word;
  }
  if (size >= 2) {
    std::uint16_t word;
    std::memcpy(&word, at, 2);
    sum += word;
    at += 2;
    size -= 2;
  }
  if (size == 1) {  // padded with a zero octet on the right
    const std::byte padded[2] = {*at, std::byte{0}};
    std::uint16_t word;
    std::memcpy(&word, padded, 2);
    sum += word;
  }
  return sum;
}

}  // namespace detail

/// The sum of `bytes` as if they began at an even offset.
inline PartialSum partial_sum(Bytes bytes) {
  // Summing in the machine's order and swapping once at the end is the same (RFC 1071, 2 (B)).
  std::uint16_t sum =
      detail::fold(bytes.size() < 64 ? detail::sum_short(bytes.data(), bytes.size())
                                     : detail::sum_long(bytes.data(), bytes.size()));
  if constexpr (std::endian::native == std::endian::little) sum = detail::swap_octets(sum);
  return {sum, bytes.size() % 2 != 0};
}

/// The sum of `front`'s bytes followed by `back`'s.
constexpr PartialSum operator+(PartialSum front, PartialSum back) {
  const std::uint16_t moved = front.odd ? detail::swap_octets(back.sum) : back.sum;
  return {detail::fold(std::uint64_t{front.sum} + moved), front.odd != back.odd};
}

/// A checksum in the making. What is added follows what was added before; numbers may only follow
/// an even number of bytes.
class Checksum {
 public:
  constexpr Checksum() = default;

  constexpr Checksum& add16(std::uint16_t word) {
    assert(!odd_);
    sum_ += word;
    return *this;
  }
  constexpr Checksum& add32(std::uint32_t words) {
    assert(!odd_);
    sum_ += words;  // 2^16 is 1 here: the halves add up when the sum is folded
    return *this;
  }
  constexpr Checksum& add64(std::uint64_t words) {
    assert(!odd_);
    sum_ += (words >> 32) + (words & 0xffff'ffff);
    return *this;
  }
  constexpr Checksum& add(PartialSum part) {
    sum_ += odd_ ? detail::swap_octets(part.sum) : part.sum;
    odd_ = odd_ != part.odd;
    return *this;
  }
  Checksum& add(Bytes bytes) { return add(partial_sum(bytes)); }

  /// What the header's checksum field has to hold; 0 if everything, that field included, was
  /// added and is intact.
  constexpr std::uint16_t value() const { return static_cast<std::uint16_t>(~detail::fold(sum_)); }

 private:
  std::uint64_t sum_ = 0;  // cannot overflow before 2^31 additions
  bool odd_ = false;
};

/// The checksum of `bytes`; 0 if they contain their own and are intact.
inline std::uint16_t checksum_of(Bytes bytes) { return Checksum().add(bytes).value(); }

/// What `checksum` becomes when one 16-bit word under it changes (RFC 1624, equation 3).
constexpr std::uint16_t updated_checksum(std::uint16_t checksum, std::uint16_t old_word,
                                         std::uint16_t new_word) {
  const std::uint64_t sum = std::uint64_t{static_cast<std::uint16_t>(~checksum)} +
                            static_cast<std::uint16_t>(~old_word) + new_word;
  return static_cast<std::uint16_t>(~detail::fold(sum));
}

/// The same for a 32-bit number at an even offset, such as an address that a NAT rewrites.
constexpr std::uint16_t updated_checksum32(std::uint16_t checksum, std::uint32_t old_words,
                                           std::uint32_t new_words) {
  const std::uint64_t sum =
      std::uint64_t{static_cast<std::uint16_t>(~checksum)} + ~old_words + new_words;
  return static_cast<std::uint16_t>(~detail::fold(sum));
}

/// The pseudo-header under the checksums of TCP and UDP over IPv4 (RFC 9293, section 3.1;
/// RFC 768). `length` counts the transport header and its data.
constexpr Checksum pseudo_header(Ipv4Address source, Ipv4Address target, IpProtocol protocol,
                                 std::size_t length) {
  return Checksum()
      .add32(source.bits)
      .add32(target.bits)
      .add16(static_cast<std::uint8_t>(protocol))
      .add32(static_cast<std::uint32_t>(length));
}

/// The pseudo-header of IPv6 (RFC 8200, section 8.1), which ICMPv6 has too.
constexpr Checksum pseudo_header(const Ipv6Address& source, const Ipv6Address& target,
                                 IpProtocol protocol, std::size_t length) {
  return Checksum()
      .add64(source.high)
      .add64(source.low)
      .add64(target.high)
      .add64(target.low)
      .add32(static_cast<std::uint32_t>(length))
      .add16(static_cast<std::uint8_t>(protocol));
}

}  // namespace koine::wire
