// What the scheme of an endpoint says: the protocols there are, and what carries them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "koine/transport/endpoint.h"
#include "koine/transport/mistake.h"

namespace koine::url {

/// What may be spoken over a transport.
struct Protocol {
  std::string_view name;
  std::uint16_t default_port;  ///< 0: none, the port has to be written
  bool has_path;               ///< there is a request path behind the host
  bool needs_transport;        ///< the scheme has to say over what: `rsocket+tcp`
};

inline constexpr Protocol protocols[] = {
    {"http", 80, true, false},        {"https", 443, true, false},
    {"ws", 80, true, false},          {"wss", 443, true, false},
    {"tls", 0, false, false},         {"rsocket", 0, false, true},
    {"rsocket+ws", 80, true, false},  {"rsocket+wss", 443, true, false},
    {"rsocket+tls", 0, false, false},
};

/// The protocol of that name, or null.
constexpr const Protocol* find_protocol(std::string_view name) {
  for (const Protocol& protocol : protocols)
    if (protocol.name == name) return &protocol;
  return nullptr;
}

struct Scheme {
  const Protocol* protocol;  ///< null: none but the transport's
  Transport transport;
};

/// The part before the colon, in lower case: a transport, a protocol, or both as `rsocket+tcp`.
Parsed<Scheme> read_scheme(std::string_view name);

}  // namespace koine::url
