// From the text of a URL to an Endpoint, and for every text that is none, the place and the reason.
//
// A URL is read from left to right: scheme, then what the scheme's transport calls a place, then
// the path, if the protocol has one. The query is cut off first: a `?` stands nowhere else.
#include <array>
#include <optional>
#include <utility>

#include "koine/transport/characters.h"
#include "koine/transport/endpoint.h"
#include "koine/transport/percent.h"
#include "koine/transport/schemes.h"

namespace koine {
namespace {

using namespace url;

// Longest name of a host, without the dot of the root, and of one label: RFC 1123, section 2.1.
constexpr std::size_t name_bytes_max = 253;
constexpr std::size_t label_bytes_max = 63;

// Longest name of a systemd socket: sd_pid_notify_with_fds(3).
constexpr std::size_t systemd_name_bytes_max = 255;

constexpr std::array transports{Transport::tcp,         Transport::udp,
                                Transport::unix_stream, Transport::unix_datagram,
                                Transport::inherited,   Transport::systemd};

std::unexpected<Mistake> mistake(std::size_t offset, std::string note) {
  return std::unexpected(Mistake{offset, std::move(note)});
}

/// The same mistake in a text that begins `base` bytes further on.
std::unexpected<Mistake> moved(Mistake mistake, std::size_t base) {
  mistake.offset += base;
  return std::unexpected(std::move(mistake));
}

/// As much of a text as fits a sentence.
std::string quoted(std::string_view text) {
  constexpr std::size_t bytes_max = 40;
  return "'" + printable(text.substr(0, bytes_max)) + (text.size() > bytes_max ? "...'" : "'");
}

std::string lower(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) c = to_lower(c);
  return lowered;
}

/// A decimal number without leading zeros, at most `max`.
Parsed<std::uint32_t> read_number(std::string_view text, const char* what, std::uint32_t max) {
  std::size_t at = 0;
  std::uint64_t value = 0;
  for (; at < text.size() && is_digit(text[at]); ++at)
    if (value <= max) value = value * 10 + static_cast<unsigned>(text[at] - '0');
  if (at == 0 || at < text.size())
    return mistake(at, std::string("expected ") + (at == 0 ? "a " : "another digit of the ") +
                           what + ", " + found_at(text, at));
  if (value > max)
    return mistake(0, std::string(what) + " " +
                          (at <= 20 ? std::string(text) : std::string(text.substr(0, 20)) + "...") +
                          " is larger than " + std::to_string(max));
  if (at > 1 && text[0] == '0')
    return mistake(0, std::string("a ") + what + " has no leading zero");
  return static_cast<std::uint32_t>(value);
}

/// True if a host's last label is a number: then all of it has to be an IPv4 address, or 127.1 and
/// 0x7f.1 would be names (RFC 1123, section 2.1; the URL standard's "ends in a number").
bool ends_in_number(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string_view label = host.substr(host.rfind('.') + 1);
  const bool is_hex = label.starts_with("0x") || label.starts_with("0X");
  if (is_hex) label.remove_prefix(2);
  for (const char c : label)
    if (is_hex ? hex_value(c) < 0 : !is_digit(c)) return false;
  return is_hex || !label.empty();
}

/// A name of RFC 1123, underscores let pass: they are common in names nobody registers.
Parsed<std::string> read_name(std::string_view host) {
  for (std::size_t start = 0; start <= host.size();) {
    const std::size_t end = std::min(host.find('.', start), host.size());
    for (std::size_t at = start; at < end; ++at) {
      if (is_alnum(host[at]) || host[at] == '_') continue;
      if (!is_ascii(host[at]))
        return mistake(at, "a host name is ASCII: write an international one in its xn-- form");
      if (host[at] != '-')
        return mistake(
            at, "a host name has only letters, digits, hyphens and dots, " + found_at(host, at));
      if (at == start || at + 1 == end)
        return mistake(at, "a hyphen may not begin or end a part of a host name");
    }
    // The root's dot may end a name: example.org.
    const bool is_root = start == host.size() && start > 1;
    if (start == end && !is_root)
      return mistake(start, "expected a part of a host name, " + found_at(host, start));
    if (end - start > label_bytes_max)
      return mistake(start, "a part of a host name has at most " + std::to_string(label_bytes_max) +
                                " characters, this one has " + std::to_string(end - start));
    start = end + 1;
  }
  const std::size_t size = host.size() - (host.ends_with('.') ? 1 : 0);
  if (size > name_bytes_max)
    return mistake(0, "a host name has at most " + std::to_string(name_bytes_max) +
                          " characters, this one has " + std::to_string(size));
  return lower(host);
}

/// What is between brackets: an IPv6 address whose zone follows `%25` (RFC 6874) or a bare `%`.
Parsed<IpAddress> read_bracketed(std::string_view inside) {
  const std::size_t percent = inside.find('%');
  std::string plain(inside);
  const bool is_encoded = percent != std::string_view::npos &&
                          inside.substr(percent).starts_with("%25") && inside.size() > percent + 3;
  if (is_encoded) plain.erase(percent + 1, 2);
  auto ip = read_ip(plain);
  if (!ip) return moved(ip.error(), is_encoded && ip.error().offset > percent ? 2 : 0);
  if (ip->is_v4()) return mistake(0, "brackets are for IPv6: write an IPv4 address without");
  return ip;
}

/// A path or query with its escapes checked and every byte encoded that a URL has no room for.
Parsed<std::string> read_encoded(std::string_view text, bool is_query) {
  std::string encoded;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == ' ') return mistake(at, "a space is written %20 here");
    if (c == '\\') return mistake(at, "a backslash is written %5C here");
    if (c == '%') {
      const auto byte = percent_decode(text.substr(at, 3));
      if (!byte) return moved(byte.error(), at);
      percent_encode(byte->front(), encoded);
      at += 2;
    } else if (is_path_character(c) || (is_query && c == '?')) {
      encoded += c;
    } else {
      percent_encode(c, encoded);
    }
  }
  return encoded;
}

/// A host without brackets; both empty stand for any address.
struct Host {
  std::optional<IpAddress> ip;
  std::string name;
};

Parsed<Host> read_host(std::string_view text) {
  if (text.empty()) return Host{};
  if (text.find(':') != std::string_view::npos || ends_in_number(text)) {
    const auto ip = read_ip(text);
    if (!ip) return std::unexpected(ip.error());
    return Host{*ip, {}};
  }
  auto name = read_name(text);
  if (!name) return std::unexpected(std::move(name).error());
  return Host{{}, *std::move(name)};
}

/// True for an IPv6 address without brackets, a port behind it or not.
bool is_bare_v6(std::string_view authority) {
  for (const std::string_view text : {authority, authority.substr(0, authority.rfind(':'))})
    if (const auto ip = read_ip(text); ip && ip->is_v6()) return true;
  return false;
}

struct Scheme {
  const Protocol* protocol;  // null: none but the transport's
  Transport transport;
};

std::optional<Transport> find_transport(std::string_view name) {
  for (const Transport transport : transports)
    if (name == to_string(transport)) return transport;
  return std::nullopt;
}

/// `name` is in lower case.
Parsed<Scheme> read_scheme(std::string_view name) {
  if (const auto transport = find_transport(name)) return Scheme{nullptr, *transport};
  if (const Protocol* protocol = find_protocol(name)) {
    if (!protocol->needs_transport) return Scheme{protocol, Transport::tcp};
    return mistake(0, std::string(name) + " needs a transport: " + std::string(name) +
                          "+tcp, +unix, +tls, +ws or +wss");
  }
  const std::size_t plus = std::min(name.rfind('+'), name.size());
  const Protocol* protocol = find_protocol(name.substr(0, plus));
  const auto transport = find_transport(name.substr(std::min(plus + 1, name.size())));
  if (protocol == nullptr || !transport)
    return mistake(0, "unknown scheme " + quoted(name) +
                          ": expected tcp, udp, unix, unixgram, fd, systemd, tls, http, https, ws, "
                          "wss or rsocket+tcp");
  const std::string known(protocol->name);
  if (*transport == Transport::udp || *transport == Transport::unix_datagram)
    return mistake(plus + 1, known + " is not carried by " + std::string(to_string(*transport)));
  // One spelling for one thing.
  if (*transport == Transport::tcp && !protocol->needs_transport)
    return mistake(plus, known + " means TCP without saying so: write " + known + "://");
  return Scheme{protocol, *transport};
}

}  // namespace

/// Reads one text. Each part is read by a function that answers false at the first mistake.
class EndpointParser {
 public:
  explicit EndpointParser(std::string_view text) : text_(text), end_(text.size()) {}

  Parsed<Endpoint> parse() {
    if (every_character() && scheme() && query() && place()) return std::move(endpoint_);
    return std::unexpected(std::move(mistake_));
  }

  static Parsed<Endpoint> from_host(std::string_view text, std::uint16_t port,
                                    Transport transport) {
    auto host = read_host(text);
    if (!host) return std::unexpected(std::move(host).error());
    Endpoint endpoint;
    endpoint.transport_ = transport;
    endpoint.ip_ = host->ip;
    endpoint.name_ = std::move(host->name);
    endpoint.port_ = port;
    return endpoint;
  }

 private:
  bool every_character() {
    if (text_.empty()) return wrong(0, "expected an endpoint, as in tcp://127.0.0.1:4000");
    if (text_.size() > Endpoint::text_bytes_max)
      return wrong(
          Endpoint::text_bytes_max,
          "an endpoint has at most " + std::to_string(Endpoint::text_bytes_max) + " bytes");
    for (std::size_t at = 0; at < text_.size(); ++at) {
      if (is_control(text_[at])) return wrong(at, "an endpoint has no control characters");
      if (text_[at] == '#')
        return wrong(at, "an endpoint has no fragment; the character # is written %23");
    }
    return true;
  }

  bool scheme() {
    std::size_t colon = 0;
    while (colon < text_.size() && (is_alnum(text_[colon]) || text_[colon] == '+' ||
                                    text_[colon] == '-' || text_[colon] == '.'))
      ++colon;
    scheme_ = text_.substr(0, colon);
    const bool has_colon = colon > 0 && colon < text_.size() && text_[colon] == ':';
    if (!has_colon) return no_scheme();

    const std::string name = lower(scheme_);
    const auto scheme = read_scheme(name);
    if (!scheme) {
      // localhost:80 is a host without a scheme rather than an unknown scheme.
      const bool is_meant = text_.substr(colon + 1).starts_with("//") ||
                            find_protocol(name.substr(0, name.find('+'))) != nullptr;
      return is_meant ? take(scheme, 0) : no_scheme();
    }
    protocol_ = scheme->protocol;
    endpoint_.transport_ = scheme->transport;
    if (protocol_ != nullptr) endpoint_.protocol_ = protocol_->name;
    at_ = colon + 1;
    return true;
  }

  bool no_scheme() {
    constexpr std::size_t suggested_bytes_max = 100;
    const std::string text(text_.substr(0, suggested_bytes_max + 1));
    std::string meant;
    if (text.starts_with('/') || text.starts_with("./") || text.starts_with("../") ||
        text.starts_with('@')) {
      meant = "unix:" + text;
    } else {
      meant = "tcp://" + text;
    }
    if (text.size() > suggested_bytes_max || !EndpointParser(meant).parse())
      return wrong(0, "expected a scheme, as in tcp://127.0.0.1:4000");
    return wrong(0, "expected a scheme: did you mean " + meant + "?");
  }

  bool query() {
    const std::size_t mark = text_.find('?', at_);
    if (mark == std::string_view::npos) return true;
    end_ = mark;
    return take(read_encoded(text_.substr(mark + 1), true), mark + 1, endpoint_.query_);
  }

  bool place() {
    switch (endpoint_.transport_) {
      case Transport::tcp:
      case Transport::udp: return slashes() && host_and_port() && path();
      case Transport::unix_stream:
      case Transport::unix_datagram: return unix_name();
      case Transport::inherited: return slashes() && descriptor() && path();
      case Transport::systemd: return slashes() && systemd_name() && path();
    }
    return false;
  }

  bool slashes() {
    if (!rest().starts_with("//"))
      return wrong(at_, "expected // after " + std::string(scheme_) + ":");
    at_ += 2;
    return true;
  }

  /// What is not read yet, without the query.
  std::string_view rest() const { return text_.substr(at_, end_ - at_); }

  /// The same up to the next slash.
  std::string_view until_slash() const { return rest().substr(0, rest().find('/')); }

  bool host_and_port() {
    const std::string_view authority = until_slash();
    if (const std::size_t sign = authority.find('@'); sign != std::string_view::npos)
      return wrong(at_ + sign, "an endpoint names no user");

    std::size_t host_size = std::min(authority.find(':'), authority.size());
    if (authority.starts_with('[')) {
      const std::size_t close = authority.find(']');
      if (close == std::string_view::npos)
        return wrong(at_ + authority.size(), "expected a ] after the IPv6 address");
      if (!take(read_bracketed(authority.substr(1, close - 1)), at_ + 1, endpoint_.ip_))
        return false;
      host_size = close + 1;
      if (host_size < authority.size() && authority[host_size] != ':')
        return wrong(at_ + host_size,
                     "expected a colon and a port after the ], " + found_at(authority, host_size));
    } else {
      if (is_bare_v6(authority))
        return wrong(at_, "an IPv6 address stands in brackets, as in tcp://[::1]:80");
      auto host = read_host(authority.substr(0, host_size));
      if (!host) return take(host, at_);
      endpoint_.ip_ = host->ip;
      endpoint_.name_ = std::move(host->name);
    }
    at_ += host_size;
    return port(authority.substr(host_size));
  }

  /// `text` is empty or begins with the colon.
  bool port(std::string_view text) {
    if (text.empty()) {
      const bool has_default = protocol_ != nullptr && protocol_->default_port != 0;
      if (endpoint_.is_any()) return wrong(at_, "expected a host, or a colon and a port");
      if (!has_default) return wrong(at_, "expected a colon and a port");
      endpoint_.port_ = protocol_->default_port;
      return true;
    }
    const auto number = read_number(text.substr(1), "port", 65535);
    if (!number) return take(number, at_ + 1);
    endpoint_.port_ = static_cast<std::uint16_t>(*number);
    at_ += text.size();
    return true;
  }

  bool descriptor() {
    const std::string_view digits = until_slash();
    const auto number = read_number(digits, "descriptor", 2147483647);
    if (!number) return take(number, at_);
    endpoint_.descriptor_ = static_cast<int>(*number);
    at_ += digits.size();
    return true;
  }

  bool systemd_name() {
    const std::string_view text = until_slash();
    for (std::size_t at = 0; at < text.size(); ++at)
      if (!is_unreserved(text[at]) && !is_sub_delimiter(text[at]) && text[at] != '@' &&
          text[at] != '%')
        return wrong(at_ + at, "expected the name of a systemd socket, " + found_at(text, at));
    if (!take(percent_decode(text), at_, endpoint_.name_)) return false;
    for (const char c : endpoint_.name_)
      if (is_control(c) || !is_ascii(c) || c == ':')
        return wrong(at_, "the name of a systemd socket is ASCII without colons");
    if (endpoint_.name_.size() > systemd_name_bytes_max)
      return wrong(at_, "the name of a systemd socket has at most " +
                            std::to_string(systemd_name_bytes_max) + " characters");
    at_ += text.size();
    return true;
  }

  /// `/run/x`, `///run/x`, `@name`, `//@name`; where a request path can follow, also
  /// `//%2Frun%2Fx/path`, the socket's name in place of a host.
  bool unix_name() {
    const bool has_path = protocol_ != nullptr && protocol_->has_path;
    bool is_host = false;
    if (rest().starts_with("//")) {
      at_ += 2;
      is_host = has_path && !rest().starts_with('/');
      if (!is_host && !rest().starts_with('/') && !rest().starts_with('@'))
        return wrong(at_, "a Unix path after // begins with another /, as in unix:///run/x");
    }
    const bool is_abstract = rest().starts_with('@');
    if (is_abstract) ++at_;
    const std::string_view text = is_host ? until_slash() : rest();

    std::string name;
    if (!take(percent_decode(text), at_, name)) return false;
    if (name.empty() && !is_abstract) return wrong(at_, "expected a path, or @ and a name");
    if (name.size() > Address::unix_bytes_max)
      return wrong(at_, "a name of " + std::to_string(name.size()) +
                            " bytes does not fit a Unix address (at most " +
                            std::to_string(Address::unix_bytes_max) + ")");
    if (!is_abstract && name.find('\0') != std::string::npos)
      return wrong(at_ + text.find("%00"), "a path cannot contain a NUL");
    endpoint_.unix_ = is_abstract ? *Address::unix_abstract(name) : *Address::unix_path(name);
    at_ += text.size();
    return path();
  }

  bool path() {
    if (protocol_ != nullptr && protocol_->has_path) {
      if (rest().empty()) return endpoint_.path_ = "/", true;
      return take(read_encoded(rest(), false), at_, endpoint_.path_);
    }
    // A lone slash is how many write a URL without a path.
    if (rest().empty() || rest() == "/") return true;
    return wrong(at_,
                 std::string(scheme_) + " has no path: expected the end, " + found_at(text_, at_));
  }

  bool wrong(std::size_t at, std::string note) {
    mistake_ = {at, std::move(note)};
    return false;
  }

  /// The mistake of a part that begins at `base`, if it has one.
  template <class T>
  bool take(const Parsed<T>& part, std::size_t base) {
    if (!part) wrong(base + part.error().offset, part.error().note);
    return part.has_value();
  }

  template <class T, class Into>
  bool take(Parsed<T> part, std::size_t base, Into& into) {
    if (part) into = *std::move(part);
    return take(part, base);
  }

  std::string_view text_;
  std::size_t at_ = 0;  // where the part begins that is read next
  std::size_t end_;     // where the query begins, or the end
  std::string_view scheme_;
  const Protocol* protocol_ = nullptr;  // null: none but the transport's
  Endpoint endpoint_;
  Mistake mistake_{};
};

Parsed<Endpoint> url::read_host(std::string_view host, std::uint16_t port, Transport transport) {
  return EndpointParser::from_host(host, port, transport);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  auto endpoint = EndpointParser(text).parse();
  if (!endpoint) return std::unexpected(malformed(text, endpoint.error()));
  return *std::move(endpoint);
}

}  // namespace koine
