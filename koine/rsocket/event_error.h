// What a failed stream or connection is called as an Error.
#pragma once

#include <string>

#include "koine/rsocket/connection.h"

namespace koine::rsocket {

/// REJECTED is refused (the peer did not process it), CANCELED cancelled, INVALID malformed, any
/// other code of the peer's system. What we found out ourselves is what it is.
inline Fault fault_of(const Event& event) {
  if (event.fault != Fault::reset) return event.fault;
  switch (event.code) {
    case ErrorCode::rejected: return Fault::refused;
    case ErrorCode::canceled: return Fault::cancelled;
    case ErrorCode::invalid: return Fault::malformed;
    default: return Fault::system;
  }
}

/// "INVALID: no handler for ...": the code, and the peer's words.
inline std::string note_of(const Event& event) {
  std::string note = to_string(event.code);
  if (!event.text.empty()) note += ": " + std::string(event.text);
  return note;
}

}  // namespace koine::rsocket
