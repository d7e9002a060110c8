// The host of an endpoint: an IP address, a name, or nothing for any address.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "koine/transport/address.h"
#include "koine/transport/mistake.h"

namespace koine::url {

/// Both empty stand for any address.
struct Host {
  std::optional<IpAddress> ip;
  std::string name;  // in lower case
};

/// A host without brackets: an IP address, a name of RFC 1123 (with underscores let pass: they are
/// common in names nobody registers), or empty. What ends in a number has to be an IPv4 address, or
/// 127.1 and 0x7f.1 would be names.
Parsed<Host> read_host(std::string_view text);

/// What is between brackets: an IPv6 address whose zone follows `%25` (RFC 6874) or a bare `%`.
Parsed<IpAddress> read_bracketed(std::string_view inside);

/// True for an IPv6 address that should have brackets, a port behind it or not.
bool is_bare_v6(std::string_view authority);

}  // namespace koine::url
