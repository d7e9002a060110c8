// An endpoint, written as a URL: what to speak, over which transport, and where.
//
//     tcp://127.0.0.1:4000           udp://[::1]:53               tcp://:0
//     unix:/run/koine.sock           unix:@koine                  unixgram:/run/log
//     fd://3                         systemd://web                tls://example.org:993?ca=my.pem
//     https://example.org/feed?n=7   rsocket+tcp://10.0.0.7:7001  rsocket+ws://example.org/stream
//
// Parsing resolves no name and opens no socket. The grammar is RFC 3986's, without user names and
// fragments, which no endpoint has a use for.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "koine/base/error.h"
#include "koine/transport/address.h"

namespace koine {

/// What carries the bytes.
enum class Transport : std::uint8_t {
  tcp,
  udp,
  unix_stream,    ///< `unix:`
  unix_datagram,  ///< `unixgram:`
  inherited,      ///< `fd://N`: a socket that this process was started with; its kind is its own
  systemd,        ///< `systemd://NAME`: the same, found through LISTEN_FDS (sd_listen_fds(3))
};

/// As a URL writes it: "tcp", "udp", "unix", "unixgram", "fd", "systemd".
std::string_view to_string(Transport transport);

/// A valid endpoint in canonical form: equal endpoints have equal texts.
class Endpoint {
 public:
  /// Longest text that parse_endpoint() looks at, in bytes.
  static constexpr std::size_t text_bytes_max = 8192;

  /// tcp://:0, any port of any address.
  Endpoint() = default;

  /// A host is an IP address (IPv6 without brackets), a name, or empty: any address when
  /// listening, loopback when connecting. Fault::malformed if it is none of these.
  static Result<Endpoint> tcp(std::string_view host, std::uint16_t port);
  static Result<Endpoint> udp(std::string_view host, std::uint16_t port);

  static Endpoint tcp(const IpAddress& host, std::uint16_t port);
  static Endpoint udp(const IpAddress& host, std::uint16_t port);

  /// The endpoint at `address`, which must fit: tcp and udp are at an IP address, unix_stream and
  /// unix_datagram at a Unix name. Anything else is a bug of the caller.
  static Endpoint of(const Address& address, Transport transport);

  Transport transport() const { return transport_; }

  /// What is spoken over the transport: empty, "http", "https", "ws", "wss", "tls", "rsocket",
  /// "rsocket+ws", "rsocket+wss" or "rsocket+tls". Lives for ever.
  std::string_view protocol() const { return protocol_; }

  /// The part before the colon: "tcp", "https", "rsocket+unix", ...
  std::string scheme() const;

  /// The host without brackets: `::1`, `fe80::1%eth0`, `example.org` in lower case. Empty for any
  /// address, and for transports that have no host.
  std::string host() const;

  /// True if there is a host and it is left open: `tcp://:7000`.
  bool is_any() const { return has_host() && !ip_ && name_.empty(); }

  /// True if the host is a name, which has to be resolved before anything can connect.
  bool has_name() const { return has_host() && !ip_ && !name_.empty(); }

  /// The host if it is written as an IP address.
  const std::optional<IpAddress>& ip() const { return ip_; }

  /// The port, the protocol's default if the text had none; 0 asks for any, and is what
  /// transports without ports have.
  std::uint16_t port() const { return port_; }

  /// Where it is, if no name has to be resolved for that: an IP host and its port, a Unix name, or
  /// `[::]:port` for is_any(), which a listener takes for both IP versions and a connector
  /// replaces by loopback. Nothing for host names, fd and systemd.
  std::optional<Address> address() const;

  /// The descriptor of `fd://N`, or -1.
  int descriptor() const { return transport_ == Transport::inherited ? descriptor_ : -1; }

  /// What `systemd://NAME` names: a name of LISTEN_FDNAMES, an index counted from 0 if it is all
  /// digits, or empty for the first socket.
  std::string_view systemd_name() const;

  /// The path of http, ws and their like as the request line carries it, percent-encoded, at least
  /// "/". Empty for the others. Not normalised: `..` stays.
  const std::string& path() const { return path_; }

  /// What follows the `?`, percent-encoded; empty if there is nothing.
  const std::string& query() const { return query_; }

  /// The request target of HTTP: path and, if there is one, `?` and query.
  std::string target() const;

  /// The query taken apart at `&` and `=` and percent-decoded, in its order. A `+` stays a `+`.
  std::vector<std::pair<std::string, std::string>> parameters() const;

  /// The first parameter of that name: its value, "" if it has none, nothing if it is not there.
  std::optional<std::string> parameter(std::string_view name) const;

  /// The same endpoint with the port that was really bound.
  Endpoint with_port(std::uint16_t port) const;

  /// The same protocol, path and query at an address, which must fit `transport` as for of(): for
  /// a name that was resolved, or a socket that was inherited and asked where it is.
  Endpoint at(const Address& address, Transport transport) const;

  // Not defaulted: whoever includes this would pay for what that is made of.
  friend bool operator==(const Endpoint& a, const Endpoint& b);
  friend std::strong_ordering operator<=>(const Endpoint& a, const Endpoint& b);

 private:
  friend class EndpointParser;

  static Result<Endpoint> with_host(std::string_view text, std::uint16_t port, Transport transport);

  bool has_host() const { return transport_ == Transport::tcp || transport_ == Transport::udp; }

  Transport transport_ = Transport::tcp;
  std::string_view protocol_;  // static text
  std::optional<IpAddress> ip_;
  std::string name_;  // a host name, a systemd name
  std::uint16_t port_ = 0;
  int descriptor_ = 0;
  Address unix_;
  std::string path_;
  std::string query_;
};

/// Reads an endpoint. What is wrong is Fault::malformed with the column and what was expected:
/// `parse tcp://127.0.0.1:99999: malformed: at column 17: port 99999 is larger than 65535`.
/// point_at() in mistake.h shows the place.
Result<Endpoint> parse_endpoint(std::string_view text);

/// The canonical text: parse_endpoint(to_string(endpoint)) == endpoint.
std::string to_string(const Endpoint& endpoint);

}  // namespace koine
