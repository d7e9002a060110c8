// Any bytes as an RSocket frame, as composite metadata, as routing metadata and as a
// journey's block.
//
// A frame that is understood and written again is understood as the same frame; a mistake names a
// reason. What is lent lies within the input.
#include <cstddef>
#include <cstdint>
#include <string>

#include "koine/rsocket/frame.h"
#include "koine/rsocket/journey_block.h"
#include "koine/rsocket/metadata.h"
#include "tests/fuzz/check.h"

namespace {

using namespace koine;
using namespace koine::rsocket;

/// Writes what the writer has a function for; false for the rest.
bool write_again(FrameWriter& writer, const Frame& frame) {
  const std::uint32_t id = frame.stream_id;
  if (const auto* setup = std::get_if<Setup>(&frame.body))
    return setup->major == version_major && writer.setup(*setup).has_value();
  if (const auto* lease = std::get_if<Lease>(&frame.body)) return writer.lease(*lease).has_value();
  if (const auto* keepalive = std::get_if<KeepAlive>(&frame.body))
    return writer.keepalive(*keepalive).has_value();
  if (const auto* request = std::get_if<Request>(&frame.body))
    return !request->follows && writer.request(id, *request).has_value();
  if (const auto* next = std::get_if<Next>(&frame.body))
    return !next->follows && writer.next(id, *next).has_value();
  if (const auto* resume = std::get_if<Resume>(&frame.body))
    return writer.resume(*resume).has_value();
  if (const auto* push = std::get_if<MetadataPush>(&frame.body))
    return writer.metadata_push(push->metadata).has_value();
  if (const auto* failure = std::get_if<Failure>(&frame.body)) {
    writer.error(id, failure->code, failure->text);
  } else if (const auto* n = std::get_if<RequestN>(&frame.body)) {
    writer.request_n(id, n->n);
  } else if (std::holds_alternative<Cancel>(frame.body)) {
    writer.cancel(id);
  } else if (const auto* resume_ok = std::get_if<ResumeOk>(&frame.body)) {
    writer.resume_ok(resume_ok->last_received);
  } else {
    return false;
  }
  return true;
}

/// What is sent in fragments is put together again as it was.
void fragment(Bytes bytes) {
  if (bytes.size() < 3) return;
  const std::size_t metadata_bytes =
      std::min<std::size_t>(std::to_integer<std::size_t>(bytes[0]), bytes.size() - 3);
  const std::size_t frame_bytes_max = 64 + std::to_integer<std::size_t>(bytes[1]);
  Next next{.complete = true, .next = true, .payload = {bytes.subspan(3 + metadata_bytes), {}}};
  if (bytes[2] != std::byte{0}) next.payload.metadata = bytes.subspan(3, metadata_bytes);
  ByteVector out;
  KOINE_CHECK(FrameWriter(out).next(1, next, frame_bytes_max).has_value());
  std::string data;
  std::string metadata;
  bool is_over = false;
  for (Bytes rest = out; !rest.empty();) {
    const std::size_t size = std::to_integer<std::size_t>(rest[0]) << 16 | load_be16(&rest[1]);
    KOINE_CHECK(size <= frame_bytes_max && size + 3 <= rest.size());
    const auto parsed = parse_frame(rest.subspan(3, size));
    KOINE_CHECK(parsed.has_value());
    const auto& part = std::get<Next>(parsed->body);
    KOINE_CHECK(!is_over && part.next && part.follows != part.complete);
    if (part.payload.metadata) {
      KOINE_CHECK(data.empty());
      metadata += as_text(*part.payload.metadata);
    }
    data += as_text(part.payload.data);
    is_over = part.complete;
    rest = rest.subspan(3 + size);
  }
  KOINE_CHECK(is_over && data == as_text(next.payload.data));
  KOINE_CHECK(metadata == as_text(next.payload.metadata.value_or(Bytes())));
}

/// What is understood and written again is understood as the same.
void read_journey(Bytes bytes) {
  const auto block = parse_block(bytes);
  if (!block) return;
  ByteVector metadata;
  append_block(metadata, *block);
  CompositeReader entries(metadata);
  const auto entry = entries.next();
  KOINE_CHECK(entry && *entry && (*entry)->mime_type == journey_mime_type);
  const auto again = parse_block((*entry)->content);
  KOINE_CHECK(again && *again == *block);
}

void read_metadata(Bytes bytes) {
  CompositeReader entries(bytes);
  ByteVector again;
  bool all_known = true;
  for (;;) {
    const auto entry = entries.next();
    if (!entry || !*entry) break;
    KOINE_CHECK((*entry)->content.size() <= bytes.size());
    if ((*entry)->mime_type.empty()) {
      all_known = false;
      continue;
    }
    KOINE_CHECK(append_entry(again, (*entry)->mime_type, (*entry)->content).has_value());
  }
  if (all_known) KOINE_CHECK(again.size() <= bytes.size());
  TagReader tags(bytes);
  for (;;) {
    const auto tag = tags.next();
    if (!tag || !*tag) break;
    KOINE_CHECK((*tag)->size() <= 255);
  }
  static_cast<void>(find_route(composite_mime_type, bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes = std::as_bytes(std::span(data, size));
  read_metadata(bytes);
  read_journey(bytes);
  fragment(bytes);
  const auto frame = parse_frame(bytes);
  if (!frame) {
    KOINE_CHECK(*frame.error().reason != 0);
    return 0;
  }
  const std::string text = to_string(*frame);
  ByteVector out;
  FrameWriter writer(out, false);
  if (!write_again(writer, *frame)) return 0;
  const auto again = parse_frame(out);
  KOINE_CHECK(again.has_value());
  KOINE_CHECK(to_string(*again) == text);
  return 0;
}
