// What the metadata of a request says: its route, and how much time it has.
//
// The time travels as what is left of it, since clocks of two machines disagree: an entry
// "message/x.koine.timeout.v0" of composite metadata, nanoseconds in 64 bits, the most significant
// byte first. Who does not know the entry passes it over.
#pragma once

#include <optional>
#include <string_view>

#include "koine/base/time.h"
#include "koine/rsocket/metadata.h"

namespace koine::rsocket {

inline constexpr std::string_view timeout_mime_type = "message/x.koine.timeout.v0";

struct RequestHead {
  std::string_view route = {};
  std::optional<Duration> timeout = {};  ///< zero or less: it is over already
  Bytes journey = {};     ///< parsed: what journey_block.h reads; empty if there is none
  bool has_more = false;  ///< parsed: the metadata says something else as well
};

/// Appends it as metadata of `mime_type`. Only composite metadata carries a timeout; another type
/// leaves it out. Fails with over_limit if the route has more than 255 bytes, unsupported if there
/// is one and the metadata can carry none.
Result<void> append_head(ByteVector& out, std::string_view mime_type, const RequestHead& head);

/// Reads it; entries that are not known are passed over. Fault::malformed for what is cut off.
Result<RequestHead> parse_head(std::string_view mime_type, Bytes metadata);

}  // namespace koine::rsocket
