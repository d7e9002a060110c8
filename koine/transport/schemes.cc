#include "koine/transport/schemes.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "koine/base/joined.h"

namespace koine::url {
namespace {

constexpr std::array transports{Transport::tcp,         Transport::udp,
                                Transport::unix_stream, Transport::unix_datagram,
                                Transport::inherited,   Transport::systemd};

/// As much of a text as fits a sentence.
std::string quoted(std::string_view text) {
  constexpr std::size_t bytes_max = 40;
  return joined(
      {"'", printable(text.substr(0, bytes_max)), text.size() > bytes_max ? "...'" : "'"});
}

std::optional<Transport> find_transport(std::string_view name) {
  for (const Transport transport : transports)
    if (name == to_string(transport)) return transport;
  return std::nullopt;
}

}  // namespace

Parsed<Scheme> read_scheme(std::string_view name) {
  if (const auto transport = find_transport(name)) return Scheme{nullptr, *transport};
  if (const Protocol* protocol = find_protocol(name)) {
    if (!protocol->needs_transport) return Scheme{protocol, Transport::tcp};
    return mistaken(0,
                    joined({name, " needs a transport: ", name, "+tcp, +unix, +tls, +ws or +wss"}));
  }
  const std::size_t plus = std::min(name.rfind('+'), name.size());
  const Protocol* protocol = find_protocol(name.substr(0, plus));
  const auto transport = find_transport(name.substr(std::min(plus + 1, name.size())));
  if (protocol == nullptr || !transport)
    return mistaken(0,
                    joined({"unknown scheme ", quoted(name),
                            ": expected tcp, udp, unix, unixgram, fd, systemd, tls, http, https, "
                            "ws, wss or rsocket+tcp"}));
  const std::string_view known = protocol->name;
  if (*transport == Transport::udp || *transport == Transport::unix_datagram)
    return mistaken(plus + 1, joined({known, " is not carried by ", to_string(*transport)}));
  // One spelling for one thing.
  if (*transport == Transport::tcp && !protocol->needs_transport)
    return mistaken(plus, joined({known, " means TCP without saying so: write ", known, "://"}));
  return Scheme{protocol, *transport};
}

}  // namespace koine::url
