#include "koine/transport/endpoint.h"

#include <algorithm>
#include <cassert>
#include <tuple>

#include "koine/base/joined.h"
#include "koine/transport/characters.h"
#include "koine/transport/host.h"
#include "koine/transport/mistake.h"
#include "koine/transport/percent.h"
#include "koine/transport/schemes.h"

namespace koine {
namespace {

using namespace url;

bool fits(const Address& address, Transport transport) {
  switch (transport) {
    case Transport::tcp:
    case Transport::udp: return address.is_ip();
    case Transport::unix_stream:
    case Transport::unix_datagram: return address.is_unix();
    case Transport::inherited:
    case Transport::systemd: return false;
  }
  return false;
}

/// What follows `unix:`. Kept readable: only what would be read differently is encoded.
std::string unix_text(const Address& address, std::string_view path) {
  const std::string_view name = address.unix_name();
  const bool is_abstract = address.kind() == Address::Kind::unix_abstract;
  // With a request path the name takes the place of the host, so its slashes are encoded.
  if (path.size() > 1) {
    std::string text = is_abstract ? "//@" : "//";
    text +=
        percent_encode(name, [](char c) { return is_path_character(c) && c != '/' && c != '@'; });
    return text.append(path);
  }
  std::string text = is_abstract ? "@" : name.starts_with("//") ? "//" : "";
  const std::size_t sign = !is_abstract && name.starts_with('@') ? 1 : 0;
  if (sign != 0) text += "%40";
  text += percent_encode(name.substr(sign), is_path_character);
  return text;
}

}  // namespace

std::string_view to_string(Transport transport) {
  switch (transport) {
    case Transport::tcp: return "tcp";
    case Transport::udp: return "udp";
    case Transport::unix_stream: return "unix";
    case Transport::unix_datagram: return "unixgram";
    case Transport::inherited: return "fd";
    case Transport::systemd: return "systemd";
  }
  return "";
}

Result<Endpoint> Endpoint::with_host(std::string_view text, std::uint16_t port,
                                     Transport transport) {
  auto host = read_host(text);
  if (!host) return std::unexpected(malformed(text, host.error()));
  Endpoint endpoint;
  endpoint.transport_ = transport;
  endpoint.ip_ = host->ip;
  endpoint.name_ = std::move(host->name);
  endpoint.port_ = port;
  return endpoint;
}

Result<Endpoint> Endpoint::tcp(std::string_view host, std::uint16_t port) {
  return with_host(host, port, Transport::tcp);
}

Result<Endpoint> Endpoint::udp(std::string_view host, std::uint16_t port) {
  return with_host(host, port, Transport::udp);
}

Endpoint Endpoint::tcp(const IpAddress& host, std::uint16_t port) {
  return of({host, port}, Transport::tcp);
}

Endpoint Endpoint::udp(const IpAddress& host, std::uint16_t port) {
  return of({host, port}, Transport::udp);
}

Endpoint Endpoint::of(const Address& address, Transport transport) {
  return Endpoint().at(address, transport);
}

Endpoint Endpoint::with_port(std::uint16_t port) const {
  assert(has_host());
  Endpoint endpoint = *this;
  endpoint.port_ = port;
  return endpoint;
}

Endpoint Endpoint::at(const Address& address, Transport transport) const {
  assert(fits(address, transport));
  assert(protocol_.empty() || transport == Transport::tcp || transport == Transport::unix_stream);
  Endpoint endpoint;
  endpoint.transport_ = transport;
  endpoint.protocol_ = protocol_;
  endpoint.path_ = path_;
  endpoint.query_ = query_;
  endpoint.port_ = address.port();
  if (address.is_ip()) {
    endpoint.ip_ = address.ip();
  } else {
    endpoint.unix_ = address;
  }
  return endpoint;
}

std::string Endpoint::scheme() const {
  if (protocol_.empty()) return std::string(to_string(transport_));
  if (transport_ == Transport::tcp && !find_protocol(protocol_)->needs_transport)
    return std::string(protocol_);
  return joined({protocol_, "+", to_string(transport_)});
}

std::string Endpoint::host() const {
  if (!has_host()) return {};
  return ip_ ? to_string(*ip_) : name_;
}

std::string_view Endpoint::systemd_name() const {
  return transport_ == Transport::systemd ? std::string_view(name_) : std::string_view();
}

std::optional<Address> Endpoint::address() const {
  if (ip_) return Address(*ip_, port_);
  if (is_any()) return Address(any_v6, port_);
  if (unix_.is_unix()) return unix_;
  return std::nullopt;
}

std::string Endpoint::target() const { return joined({path_, query_.empty() ? "" : "?", query_}); }

std::vector<std::pair<std::string, std::string>> Endpoint::parameters() const {
  std::vector<std::pair<std::string, std::string>> parameters;
  std::string_view rest = query_;
  while (!rest.empty()) {
    const std::size_t end = rest.find('&');
    const std::string_view one = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (one.empty()) continue;
    const std::size_t equals = one.find('=');
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : one.substr(equals + 1);
    // The parser has checked every % of the query.
    parameters.emplace_back(*percent_decode(one.substr(0, equals)), *percent_decode(value));
  }
  return parameters;
}

std::optional<std::string> Endpoint::parameter(std::string_view name) const {
  for (auto& [key, value] : parameters())
    if (key == name) return std::move(value);
  return std::nullopt;
}

std::string to_string(const Endpoint& endpoint) {
  std::string text = joined({endpoint.scheme(), ":"});
  switch (endpoint.transport()) {
    case Transport::tcp:
    case Transport::udp: {
      text += "//";
      if (endpoint.ip() && endpoint.ip()->is_v6()) {
        // RFC 6874: the % in front of a zone is itself encoded.
        const std::string name = endpoint.host();
        const std::string_view host = name;
        const std::size_t zone = std::min(host.find('%'), host.size());
        const bool has_zone = zone != host.size();
        text += joined(
            {"[", host.substr(0, zone), has_zone ? "%25" : "", host.substr(zone + has_zone), "]"});
      } else {
        text += endpoint.host();
      }
      const Protocol* protocol = find_protocol(endpoint.protocol());
      const bool is_default = protocol != nullptr && protocol->default_port != 0 &&
                              protocol->default_port == endpoint.port();
      if (!is_default || endpoint.is_any()) text += joined({":", endpoint.port()});
      text += endpoint.path();
      break;
    }
    case Transport::unix_stream:
    case Transport::unix_datagram: text += unix_text(*endpoint.address(), endpoint.path()); break;
    case Transport::inherited:
      text += joined({"//", static_cast<unsigned>(endpoint.descriptor()), endpoint.path()});
      break;
    case Transport::systemd:
      text += "//";
      text += percent_encode(endpoint.systemd_name(), [](char c) {
        return is_unreserved(c) || is_sub_delimiter(c) || c == '@';
      });
      text += endpoint.path();
      break;
  }
  if (!endpoint.query().empty()) text += joined({"?", endpoint.query()});
  return text;
}

bool operator==(const Endpoint& a, const Endpoint& b) { return (a <=> b) == 0; }

std::strong_ordering operator<=>(const Endpoint& a, const Endpoint& b) {
  const auto parts = [](const Endpoint& e) {
    return std::tie(e.transport_, e.protocol_, e.ip_, e.name_, e.port_, e.descriptor_, e.unix_,
                    e.path_, e.query_);
  };
  return parts(a) <=> parts(b);
}

}  // namespace koine
