// Any bytes as lines, delimited and length-prefixed messages.
//
// However the bytes are cut into chunks the same messages come out, none is longer than the limit,
// and what was said to be missing really is.
//
// Input: one byte each for the kind, the limit, the size of a chunk and of the delimiter; then the
// delimiter; then the bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "koine/transport/framing.h"
#include "tests/fuzz/check.h"

namespace {

using namespace koine;

struct Framing {
  unsigned kind;  // 0: lines, 1: delimited, then every LengthPrefix
  std::size_t bytes_max;
  Bytes delimiter;

  bool is_prefixed() const { return kind >= 2; }
  LengthPrefix prefix() const { return static_cast<LengthPrefix>(kind - 2); }

  Result<FrameDecision> find(Bytes received, std::size_t& scanned) const {
    if (kind == 0) return find_line(received, scanned, bytes_max);
    if (kind == 1) return find_delimiter(received, delimiter, scanned, bytes_max);
    return find_prefixed(received, prefix(), bytes_max);
  }
};

constexpr unsigned kinds = 2 + static_cast<unsigned>(LengthPrefix::varint) + 1;

struct Story {
  std::vector<std::string> messages;
  std::string end;  // the error, or nothing
  friend bool operator==(const Story&, const Story&) = default;
};

/// A complete message obeys what framing.h says about it.
void check_message(const Framing& framing, Bytes received, const FrameDecision& message) {
  KOINE_CHECK(message.size <= framing.bytes_max);
  KOINE_CHECK(message.consumed <= received.size());
  KOINE_CHECK(message.skip + message.size <= message.consumed);
  const std::string_view payload = as_text(message.payload(received));
  const std::string_view all = as_text(received.first(message.consumed));
  if (framing.kind == 0) {
    KOINE_CHECK(payload.find('\n') == std::string_view::npos);
    KOINE_CHECK(all == std::string(payload) + "\n" || all == std::string(payload) + "\r\n");
  } else if (framing.kind == 1) {
    KOINE_CHECK(all == std::string(payload) + std::string(as_text(framing.delimiter)));
    KOINE_CHECK(all.find(as_text(framing.delimiter)) == payload.size());
  } else {
    KOINE_CHECK(message.skip + message.size == message.consumed);
    const auto prefix = make_prefix(framing.prefix(), payload.size());
    KOINE_CHECK(prefix.has_value());
    // A varint may have been padded.
    if (framing.prefix() != LengthPrefix::varint)
      KOINE_CHECK(all == std::string(as_text(prefix->bytes())) + std::string(payload));
  }
}

Story read(const Framing& framing, Bytes bytes, std::size_t chunk_bytes) {
  Story story;
  std::size_t begin = 0;  // begin ≤ end ≤ bytes.size()
  std::size_t end = 0;
  std::size_t scanned = 0;
  std::size_t needed = 0;  // no message is complete before so many bytes of it are there
  while (true) {
    const auto decision = framing.find(bytes.subspan(begin, end - begin), scanned);
    if (!decision) {
      story.end = to_string(decision.error());
      return story;
    }
    if (decision->is_complete) {
      KOINE_CHECK(end - begin >= needed);
      check_message(framing, bytes.subspan(begin, end - begin), *decision);
      story.messages.emplace_back(as_text(decision->payload(bytes.subspan(begin, end - begin))));
      begin += decision->consumed;
      scanned = 0;
      needed = 0;
      continue;
    }
    KOINE_CHECK(decision->missing > 0);
    KOINE_CHECK(scanned <= end - begin);
    needed = end - begin + decision->missing;
    if (end == bytes.size()) return story;
    end = std::min(end + chunk_bytes, bytes.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t head_bytes = 4;
  if (size < head_bytes) return 0;
  const std::size_t delimiter_bytes = 1 + data[3] % 8;
  if (size < head_bytes + delimiter_bytes) return 0;
  const Bytes all = std::as_bytes(std::span(data, size));
  Framing framing{.kind = data[0] % kinds,
                  .bytes_max = data[1],
                  .delimiter = all.subspan(head_bytes, delimiter_bytes)};
  // The largest limits are where additions overflow.
  if (data[1] == 255) framing.bytes_max = SIZE_MAX;
  if (data[1] == 254) framing.bytes_max = SIZE_MAX - 9;
  const Bytes bytes = all.subspan(head_bytes + delimiter_bytes);

  const Story whole = read(framing, bytes, bytes.size() + 1);
  KOINE_CHECK(read(framing, bytes, 1 + data[2] % 16) == whole);
  KOINE_CHECK(read(framing, bytes, 1) == whole);
  return 0;
}
