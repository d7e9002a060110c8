// Where a message ends in a flow of bytes: lines, delimiters and length prefixes.
//
// A stream has no messages, only bytes, and one read may bring half a message or three. These
// functions look at what was received so far and decide; they read nothing and keep nothing, so a
// reader, a test and a fuzzer ask them the same question. Every answer is bounded by a limit, which
// is checked before room for a message is made: the peer does not choose how much we allocate.
//
//     received  [ prefix | payload | delimiter | next message ... ]
//               |<-skip->|<-size-->|
//               |<-------- consumed ---------->|
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "koine/base/bytes.h"
#include "koine/base/error.h"

namespace koine {

/// One message among the received bytes, or how many more it takes to know.
struct FrameDecision {
  bool is_complete = false;
  std::size_t missing = 0;   ///< not complete: at least so many more bytes are needed, never 0
  std::size_t skip = 0;      ///< complete: what stands before the payload
  std::size_t size = 0;      ///< complete: the payload
  std::size_t consumed = 0;  ///< complete: all of the message, to be dropped once it was used

  /// The payload, of a complete message.
  Bytes payload(Bytes received) const { return received.subspan(skip, size); }

  static FrameDecision need_more(std::size_t missing) { return {.missing = missing}; }
  static FrameDecision frame(std::size_t skip, std::size_t size, std::size_t consumed) {
    return {.is_complete = true, .skip = skip, .size = size, .consumed = consumed};
  }

  friend bool operator==(const FrameDecision&, const FrameDecision&) = default;
};

/// Finds the end of a line: LF, or CR LF, neither of which counts as part of it. A CR elsewhere is
/// a byte like any other.
///
/// `scanned` is 0 for a new line, and from then on is the function's own: it remembers how much of
/// `received`, which may have moved but not changed, needs no second look. Fault::over_limit if the
/// line is longer than `line_bytes_max`, as soon as that is certain.
Result<FrameDecision> find_line(Bytes received, std::size_t& scanned, std::size_t line_bytes_max);

/// Finds the first `delimiter`, which does not count as part of the message and must not be empty.
/// `scanned` and the limit are as for find_line(); at most delimiter.size() - 1 bytes are seen
/// twice.
Result<FrameDecision> find_delimiter(Bytes received, Bytes delimiter, std::size_t& scanned,
                                     std::size_t message_bytes_max);

/// How a length is written in front of a message. It counts the payload alone.
enum class LengthPrefix : std::uint8_t {
  u8,
  be16,
  be24,  ///< as RSocket over TCP, TLS and HTTP/2 have it
  be32,
  be64,
  le16,
  le32,
  le64,
  varint,  ///< unsigned LEB128, as Protocol Buffers have it: 1 to 10 bytes
};

/// Reads the length prefix and finds the end of the message behind it. Fault::over_limit as soon as
/// the prefix announces more than `message_bytes_max`; Fault::malformed for a varint of more than
/// 10 bytes or 64 bits.
Result<FrameDecision> find_prefixed(Bytes received, LengthPrefix prefix,
                                    std::size_t message_bytes_max);

/// A length as the bytes that go in front of the message.
class PrefixBytes {
 public:
  static constexpr std::size_t bytes_max = 10;

  Bytes bytes() const { return {bytes_.data(), size_}; }

 private:
  friend Result<PrefixBytes> make_prefix(LengthPrefix prefix, std::uint64_t payload_bytes);

  std::array<std::byte, bytes_max> bytes_{};
  std::uint8_t size_ = 0;
};

/// Fault::over_limit if the prefix has no room for that number. Varints are as short as can be.
Result<PrefixBytes> make_prefix(LengthPrefix prefix, std::uint64_t payload_bytes);

/// "u8", "be16", ..., "varint".
std::string_view to_string(LengthPrefix prefix);

}  // namespace koine
