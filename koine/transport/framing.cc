#include "koine/transport/framing.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>
#include <string>

namespace koine {
namespace {

constexpr std::size_t size_max = std::numeric_limits<std::size_t>::max();

std::size_t saturating_add(std::size_t a, std::size_t b) {
  return a > size_max - b ? size_max : a + b;
}

std::unexpected<Error> too_long(const char* what, std::size_t bytes_max) {
  return std::unexpected(Error(Fault::over_limit, "read")
                             .with_note(std::string(what) + " is longer than " +
                                        std::to_string(bytes_max) + " bytes"));
}

/// A length prefix that was read, or how many bytes are missing.
struct Length {
  std::uint64_t value = 0;
  std::size_t prefix_bytes = 0;
  std::size_t missing = 0;
};

/// Every prefix but the varint.
struct FixedPrefix {
  std::size_t bytes;
  bool is_big_endian;
};

FixedPrefix fixed(LengthPrefix prefix) {
  switch (prefix) {
    case LengthPrefix::u8: return {1, true};
    case LengthPrefix::be16: return {2, true};
    case LengthPrefix::be24: return {3, true};
    case LengthPrefix::be32: return {4, true};
    case LengthPrefix::be64: return {8, true};
    case LengthPrefix::le16: return {2, false};
    case LengthPrefix::le32: return {4, false};
    case LengthPrefix::le64: return {8, false};
    case LengthPrefix::varint: break;
  }
  assert(false && "a varint has no fixed size");
  return {};
}

/// Seven bits a byte, the lowest first; the highest bit says that another byte follows.
Result<Length> read_varint(Bytes received) {
  std::uint64_t value = 0;
  const std::size_t bytes = std::min(received.size(), PrefixBytes::bytes_max);
  for (std::size_t i = 0; i < bytes; ++i) {
    const auto byte = std::to_integer<std::uint64_t>(received[i]);
    // The tenth byte brings the 64th bit and nothing else.
    if (i == PrefixBytes::bytes_max - 1 && byte > 1)
      return std::unexpected(
          Error(Fault::malformed, "read").with_note("a varint of a length is longer than 64 bits"));
    value |= (byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) return Length{.value = value, .prefix_bytes = i + 1};
  }
  return Length{.missing = 1};
}

Result<Length> read_length(Bytes received, LengthPrefix prefix) {
  if (prefix == LengthPrefix::varint) return read_varint(received);
  const auto [bytes, is_big_endian] = fixed(prefix);
  if (received.size() < bytes) return Length{.missing = bytes - received.size()};
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i)
    value =
        value << 8 | std::to_integer<std::uint64_t>(received[is_big_endian ? i : bytes - 1 - i]);
  return Length{.value = value, .prefix_bytes = bytes};
}

}  // namespace

Result<FrameDecision> find_line(Bytes received, std::size_t& scanned, std::size_t line_bytes_max) {
  // No LF is looked for where it would be too late: a line's bytes, CR, LF.
  const std::size_t seen = std::min(received.size(), saturating_add(line_bytes_max, 2));
  const std::size_t from = std::min(scanned, seen);
  const void* found =
      seen == from ? nullptr : std::memchr(received.data() + from, '\n', seen - from);
  const std::size_t end =
      found == nullptr
          ? seen
          : static_cast<std::size_t>(static_cast<const std::byte*>(found) - received.data());
  // While the LF is not there, a CR at the end may turn out to be half of it.
  const bool has_cr = end > 0 && received[end - 1] == std::byte{'\r'};
  const std::size_t size = has_cr ? end - 1 : end;
  if (size > line_bytes_max) return too_long("a line", line_bytes_max);
  if (found != nullptr) return FrameDecision::frame(0, size, end + 1);
  scanned = seen;
  return FrameDecision::need_more(1);
}

Result<FrameDecision> find_delimiter(Bytes received, Bytes delimiter, std::size_t& scanned,
                                     std::size_t message_bytes_max) {
  assert(!delimiter.empty());
  const std::size_t seen =
      std::min(received.size(), saturating_add(message_bytes_max, delimiter.size()));
  // The delimiter may have begun in what was scanned.
  const std::size_t overlap = delimiter.size() - 1;
  const std::size_t from = std::min(scanned > overlap ? scanned - overlap : 0, seen);
  const void* found = seen - from < delimiter.size() ? nullptr
                                                     : ::memmem(received.data() + from, seen - from,
                                                                delimiter.data(), delimiter.size());
  if (found != nullptr) {
    const auto size =
        static_cast<std::size_t>(static_cast<const std::byte*>(found) - received.data());
    return FrameDecision::frame(0, size, size + delimiter.size());
  }
  // How much of the end may be the delimiter's beginning decides both how long the message is for
  // certain and how much is missing at least.
  std::size_t begun = std::min(overlap, seen);
  while (begun > 0 &&
         !std::equal(delimiter.begin(), delimiter.begin() + static_cast<std::ptrdiff_t>(begun),
                     received.begin() + static_cast<std::ptrdiff_t>(seen - begun)))
    --begun;
  if (seen - begun > message_bytes_max) return too_long("a message", message_bytes_max);
  scanned = seen;
  return FrameDecision::need_more(delimiter.size() - begun);
}

Result<FrameDecision> find_prefixed(Bytes received, LengthPrefix prefix,
                                    std::size_t message_bytes_max) {
  auto length = read_length(received, prefix);
  if (!length) return std::unexpected(std::move(length).error());
  if (length->missing != 0) return FrameDecision::need_more(length->missing);
  const std::size_t skip = length->prefix_bytes;
  if (length->value > std::min(message_bytes_max, size_max - skip))
    return std::unexpected(Error(Fault::over_limit, "read")
                               .with_note("a message announces " + std::to_string(length->value) +
                                          " bytes, more than " +
                                          std::to_string(message_bytes_max)));
  const auto size = static_cast<std::size_t>(length->value);
  if (received.size() - skip < size)
    return FrameDecision::need_more(size - (received.size() - skip));
  return FrameDecision::frame(skip, size, skip + size);
}

Result<PrefixBytes> make_prefix(LengthPrefix prefix, std::uint64_t payload_bytes) {
  PrefixBytes made;
  if (prefix == LengthPrefix::varint) {
    do {
      const std::uint64_t more = payload_bytes > 0x7f ? 0x80 : 0;
      made.bytes_[made.size_++] = static_cast<std::byte>((payload_bytes & 0x7f) | more);
      payload_bytes >>= 7;
    } while (payload_bytes != 0);
    return made;
  }
  const auto [bytes, is_big_endian] = fixed(prefix);
  if (bytes < 8 && payload_bytes >> (8 * bytes) != 0)
    return std::unexpected(Error(Fault::over_limit, "write")
                               .with_note("a message of " + std::to_string(payload_bytes) +
                                          " bytes is too long for a prefix of " +
                                          std::string(to_string(prefix))));
  for (std::size_t i = 0; i < bytes; ++i)
    made.bytes_[is_big_endian ? bytes - 1 - i : i] =
        static_cast<std::byte>(payload_bytes >> (8 * i));
  made.size_ = static_cast<std::uint8_t>(bytes);
  return made;
}

std::string_view to_string(LengthPrefix prefix) {
  switch (prefix) {
    case LengthPrefix::u8: return "u8";
    case LengthPrefix::be16: return "be16";
    case LengthPrefix::be24: return "be24";
    case LengthPrefix::be32: return "be32";
    case LengthPrefix::be64: return "be64";
    case LengthPrefix::le16: return "le16";
    case LengthPrefix::le32: return "le32";
    case LengthPrefix::le64: return "le64";
    case LengthPrefix::varint: return "varint";
  }
  return "";
}

}  // namespace koine
