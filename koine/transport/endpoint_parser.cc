// From the text of a URL to an Endpoint, and for every text that is none, the place and the reason.
//
// A URL is read from left to right: scheme, then what the scheme's transport calls a place, then
// the path, if the protocol has one. The query is cut off first: a `?` stands nowhere else.
#include <algorithm>
#include <string>
#include <utility>

#include "koine/base/joined.h"
#include "koine/transport/characters.h"
#include "koine/transport/endpoint.h"
#include "koine/transport/host.h"
#include "koine/transport/mistake.h"
#include "koine/transport/percent.h"
#include "koine/transport/schemes.h"

namespace koine {
namespace {

using namespace url;

// Longest name of a systemd socket: sd_pid_notify_with_fds(3).
constexpr std::size_t systemd_name_bytes_max = 255;

/// A decimal number without leading zeros, at most `max`.
Parsed<std::uint32_t> read_number(std::string_view text, const char* what, std::uint32_t max) {
  std::size_t at = 0;
  std::uint64_t value = 0;
  for (; at < text.size() && is_digit(text[at]); ++at)
    if (value <= max) value = value * 10 + static_cast<unsigned>(text[at] - '0');
  if (at == 0 || at < text.size())
    return mistaken(at, joined({"expected ", at == 0 ? "a " : "another digit of the ", what, ", ",
                                found_at(text, at)}));
  if (value > max)
    return mistaken(
        0, joined({what, " ", text.substr(0, 20), at <= 20 ? "" : "...", " is larger than ", max}));
  if (at > 1 && text[0] == '0') return mistaken(0, joined({"a ", what, " has no leading zero"}));
  return static_cast<std::uint32_t>(value);
}

/// A path or query with its escapes checked and every byte encoded that a URL has no room for.
Parsed<std::string> read_encoded(std::string_view text, bool is_query) {
  std::string encoded;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == ' ') return mistaken(at, "a space is written %20 here");
    if (c == '\\') return mistaken(at, "a backslash is written %5C here");
    if (c == '%') {
      const auto byte = percent_decode(text.substr(at, 3));
      if (!byte) return mistaken(at + byte.error().offset, byte.error().note);
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

}  // namespace

/// Reads one text. Each part is read by a function that answers false at the first mistake.
class EndpointParser {
 public:
  explicit EndpointParser(std::string_view text) : text_(text), end_(text.size()) {}

  Parsed<Endpoint> parse() {
    if (every_character() && scheme() && query() && place()) return std::move(endpoint_);
    return std::unexpected(std::move(mistake_));
  }

 private:
  bool every_character() {
    if (text_.empty()) return wrong(0, "expected an endpoint, as in tcp://127.0.0.1:4000");
    if (text_.size() > Endpoint::text_bytes_max)
      return wrong(Endpoint::text_bytes_max,
                   joined({"an endpoint has at most ", Endpoint::text_bytes_max, " bytes"}));
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
    const std::string_view text = text_.substr(0, suggested_bytes_max + 1);
    const bool is_unix = text.starts_with('/') || text.starts_with("./") ||
                         text.starts_with("../") || text.starts_with('@');
    const std::string meant = joined({is_unix ? "unix:" : "tcp://", text});
    if (text.size() > suggested_bytes_max || !EndpointParser(meant).parse())
      return wrong(0, "expected a scheme, as in tcp://127.0.0.1:4000");
    return wrong(0, joined({"expected a scheme: did you mean ", meant, "?"}));
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
    if (!rest().starts_with("//")) return wrong(at_, joined({"expected // after ", scheme_, ":"}));
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
        return wrong(at_ + host_size, joined({"expected a colon and a port after the ], ",
                                              found_at(authority, host_size)}));
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
        return wrong(at_ + at,
                     joined({"expected the name of a systemd socket, ", found_at(text, at)}));
    if (!take(percent_decode(text), at_, endpoint_.name_)) return false;
    for (const char c : endpoint_.name_)
      if (is_control(c) || !is_ascii(c) || c == ':')
        return wrong(at_, "the name of a systemd socket is ASCII without colons");
    if (endpoint_.name_.size() > systemd_name_bytes_max)
      return wrong(at_, joined({"the name of a systemd socket has at most ", systemd_name_bytes_max,
                                " characters"}));
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
      return wrong(
          at_, joined({"a name of ", name.size(), " bytes does not fit a Unix address (at most ",
                       Address::unix_bytes_max, ")"}));
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
    return wrong(at_, joined({scheme_, " has no path: expected the end, ", found_at(text_, at_)}));
  }

  bool wrong(std::size_t at, std::string_view note) {
    mistake_.offset = at;
    mistake_.note = note;
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

Result<Endpoint> parse_endpoint(std::string_view text) {
  auto endpoint = EndpointParser(text).parse();
  if (!endpoint) return std::unexpected(malformed(text, endpoint.error()));
  return *std::move(endpoint);
}

}  // namespace koine
