#include "koine/rsocket/metadata.h"

#include <algorithm>
#include <array>
#include <string>

namespace koine::rsocket {

namespace {

// WellKnownMimeTypes.md, by number; 0x7a to 0x7f stand at the end of the numbers.
constexpr std::array<std::string_view, 43> first_types = {
    "application/avro",
    "application/cbor",
    "application/graphql",
    "application/gzip",
    "application/javascript",
    "application/json",
    "application/octet-stream",
    "application/pdf",
    "application/vnd.apache.thrift.binary",
    "application/vnd.google.protobuf",
    "application/xml",
    "application/zip",
    "audio/aac",
    "audio/mp3",
    "audio/mp4",
    "audio/mpeg3",
    "audio/mpeg",
    "audio/ogg",
    "audio/opus",
    "audio/vorbis",
    "image/bmp",
    "image/gif",
    "image/heic-sequence",
    "image/heic",
    "image/heif-sequence",
    "image/heif",
    "image/jpeg",
    "image/png",
    "image/tiff",
    "multipart/mixed",
    "text/css",
    "text/csv",
    "text/html",
    "text/plain",
    "text/xml",
    "video/H264",
    "video/H265",
    "video/VP8",
    "application/x-hessian",
    "application/x-java-object",
    "application/cloudevents+json",
    "application/x-capnp",
    "application/x-flatbuffers",
};
constexpr std::uint8_t last_types_begin = 0x7a;
constexpr std::array<std::string_view, 6> last_types = {
    "message/x.rsocket.mime-type.v0",      "message/x.rsocket.accept-mime-types.v0",
    "message/x.rsocket.authentication.v0", "message/x.rsocket.tracing-zipkin.v0",
    "message/x.rsocket.routing.v0",        "message/x.rsocket.composite-metadata.v0",
};

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::unexpected<Error> malformed(const char* operation, std::string note) {
  return std::unexpected(Error(Fault::malformed, operation).with_note(std::move(note)));
}

constexpr const char* reading = "read composite metadata";

}  // namespace

std::string_view well_known_mime_type(std::uint8_t id) {
  if (id < first_types.size()) return first_types[id];
  if (id >= last_types_begin && id < last_types_begin + last_types.size())
    return last_types[id - last_types_begin];
  return {};
}

std::optional<std::uint8_t> well_known_id(std::string_view mime_type) {
  // Most of what is sent stands in the second table.
  if (const auto at = std::ranges::find(last_types, mime_type); at != last_types.end())
    return static_cast<std::uint8_t>(last_types_begin + (at - last_types.begin()));
  if (const auto at = std::ranges::find(first_types, mime_type); at != first_types.end())
    return static_cast<std::uint8_t>(at - first_types.begin());
  return std::nullopt;
}

Result<std::optional<MetadataEntry>> CompositeReader::next() {
  if (rest_.empty()) return std::nullopt;
  MetadataEntry entry;
  const auto first = std::to_integer<std::uint8_t>(rest_[0]);
  std::size_t read = 1;
  if (first & 0x80) {
    entry.id = static_cast<std::uint8_t>(first & 0x7f);
    entry.mime_type = well_known_mime_type(*entry.id);
  } else {
    const std::size_t size = std::size_t{first} + 1;  // a length of 0 would have no meaning
    if (rest_.size() < read + size) return malformed(reading, "the mime type is cut off");
    entry.mime_type = as_text(rest_.subspan(read, size));
    if (!is_ascii(entry.mime_type)) return malformed(reading, "the mime type is not ASCII");
    read += size;
  }
  if (rest_.size() < read + 3) return malformed(reading, "the length of an entry is cut off");
  const std::size_t size =
      std::to_integer<std::size_t>(rest_[read]) << 16 | load_be16(&rest_[read + 1]);
  read += 3;
  if (rest_.size() < read + size) return malformed(reading, "an entry is longer than the rest");
  entry.content = rest_.subspan(read, size);
  rest_ = rest_.subspan(read + size);
  return entry;
}

Result<void> append_entry(ByteVector& out, std::string_view mime_type, Bytes content) {
  constexpr const char* writing = "write composite metadata";
  if (mime_type.empty() || mime_type.size() > 128 || !is_ascii(mime_type))
    return malformed(writing, "a mime type is 1 to 128 bytes of ASCII");
  if (content.size() > length_max) return fail(Fault::over_limit, writing);
  if (const auto id = well_known_id(mime_type)) {
    out.push_back(static_cast<std::byte>(*id | 0x80));
  } else {
    out.push_back(static_cast<std::byte>(mime_type.size() - 1));
    const Bytes text = as_bytes(mime_type);
    out.insert(out.end(), text.begin(), text.end());
  }
  out.push_back(static_cast<std::byte>(content.size() >> 16));
  out.push_back(static_cast<std::byte>(content.size() >> 8));
  out.push_back(static_cast<std::byte>(content.size()));
  out.insert(out.end(), content.begin(), content.end());
  return {};
}

Result<std::optional<std::string_view>> TagReader::next() {
  if (rest_.empty()) return std::nullopt;
  const auto size = std::to_integer<std::size_t>(rest_[0]);
  if (rest_.size() < 1 + size) return malformed("read routing metadata", "a tag is cut off");
  const std::string_view tag = as_text(rest_.subspan(1, size));
  rest_ = rest_.subspan(1 + size);
  return tag;
}

Result<void> append_tag(ByteVector& out, std::string_view tag) {
  if (tag.size() > 255) return fail(Fault::over_limit, "write routing metadata");
  out.push_back(static_cast<std::byte>(tag.size()));
  const Bytes text = as_bytes(tag);
  out.insert(out.end(), text.begin(), text.end());
  return {};
}

Result<std::optional<std::string_view>> find_route(std::string_view mime_type, Bytes metadata) {
  if (mime_type == routing_mime_type) return TagReader(metadata).next();
  if (mime_type != composite_mime_type) return std::nullopt;
  CompositeReader entries(metadata);
  for (;;) {
    auto entry = entries.next();
    if (!entry) return std::unexpected(std::move(entry.error()));
    if (!*entry) return std::nullopt;
    if ((*entry)->mime_type == routing_mime_type) return TagReader((*entry)->content).next();
  }
}

Result<void> append_route(ByteVector& out, std::string_view route) {
  if (route.size() > 255) return fail(Fault::over_limit, "write routing metadata", route);
  std::array<std::byte, 256> tag;
  tag[0] = static_cast<std::byte>(route.size());
  std::ranges::copy(as_bytes(route), tag.begin() + 1);
  return append_entry(out, routing_mime_type, Bytes(tag).first(1 + route.size()));
}

}  // namespace koine::rsocket
