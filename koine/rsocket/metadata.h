// What RSocket metadata says: well-known mime types, composite metadata, and the route of a
// request.
//
//     composite   | 1 id(7) or 0 length-1(7) mime type | length (24) | payload | next entry ...
//     routing     | length (8) | tag | length (8) | tag | ...
//
// Parsed entries lend from the bytes they were parsed from. Read the extensions
// "CompositeMetadata.md", "WellKnownMimeTypes.md" and "Routing.md" of RSocket before changing it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "koine/base/bytes.h"
#include "koine/base/error.h"
#include "koine/rsocket/frame.h"

namespace koine::rsocket {

inline constexpr std::string_view composite_mime_type = "message/x.rsocket.composite-metadata.v0";
inline constexpr std::string_view routing_mime_type = "message/x.rsocket.routing.v0";
inline constexpr std::string_view binary_mime_type = "application/octet-stream";
inline constexpr std::string_view json_mime_type = "application/json";

/// The mime type behind a number of 0 to 127; empty if nobody has defined it.
std::string_view well_known_mime_type(std::uint8_t id);

/// The number behind a mime type, if it has one.
std::optional<std::uint8_t> well_known_id(std::string_view mime_type);

struct MetadataEntry {
  std::string_view mime_type;  ///< empty: a well-known number that is not known here
  std::optional<std::uint8_t> id;
  Bytes content;
};

/// The entries of composite metadata, one after the other.
class CompositeReader {
 public:
  explicit CompositeReader(Bytes metadata) : rest_(metadata) {}

  /// The next one; nothing at the end. Fault::malformed for what is cut off or not ASCII, and then
  /// for ever.
  Result<std::optional<MetadataEntry>> next();

 private:
  Bytes rest_;
};

/// Appends an entry: by number if its mime type has one. Fault::malformed if the mime type is not 1
/// to 128 bytes of ASCII, over_limit if the content has more than 2^24 - 1.
Result<void> append_entry(ByteVector& out, std::string_view mime_type, Bytes content);

/// The tags of routing metadata, one after the other. Fault::malformed for what is cut off.
class TagReader {
 public:
  explicit TagReader(Bytes content) : rest_(content) {}
  Result<std::optional<std::string_view>> next();

 private:
  Bytes rest_;
};

/// Appends a tag. Fault::over_limit if it has more than 255 bytes.
Result<void> append_tag(ByteVector& out, std::string_view tag);

/// The first tag of the first routing entry, which is the route; nothing if there is none.
/// `mime_type` is the connection's metadata mime type, composite or routing itself; any other has
/// no route.
Result<std::optional<std::string_view>> find_route(std::string_view mime_type, Bytes metadata);

/// Composite metadata that is a route and nothing else, appended.
Result<void> append_route(ByteVector& out, std::string_view route);

}  // namespace koine::rsocket
