#include "koine/transport/host.h"

#include <algorithm>
#include <utility>

#include "koine/base/joined.h"
#include "koine/transport/characters.h"

namespace koine::url {
namespace {

// Longest name of a host, without the dot of the root, and of one label: RFC 1123, section 2.1.
constexpr std::size_t name_bytes_max = 253;
constexpr std::size_t label_bytes_max = 63;

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
        return mistaken(at, "a host name is ASCII: write an international one in its xn-- form");
      if (host[at] != '-')
        return mistaken(at, joined({"a host name has only letters, digits, hyphens and dots, ",
                                    found_at(host, at)}));
      if (at == start || at + 1 == end)
        return mistaken(at, "a hyphen may not begin or end a part of a host name");
    }
    // The root's dot may end a name: example.org.
    const bool is_root = start == host.size() && start > 1;
    if (start == end && !is_root)
      return mistaken(start, joined({"expected a part of a host name, ", found_at(host, start)}));
    if (end - start > label_bytes_max)
      return mistaken(start, joined({"a part of a host name has at most ", label_bytes_max,
                                     " characters, this one has ", end - start}));
    start = end + 1;
  }
  const std::size_t size = host.size() - (host.ends_with('.') ? 1 : 0);
  if (size > name_bytes_max)
    return mistaken(0, joined({"a host name has at most ", name_bytes_max,
                               " characters, this one has ", size}));
  return lower(host);
}

}  // namespace

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

Parsed<IpAddress> read_bracketed(std::string_view inside) {
  const std::size_t percent = inside.find('%');
  std::string plain(inside);
  const bool is_encoded = percent != std::string_view::npos &&
                          inside.substr(percent).starts_with("%25") && inside.size() > percent + 3;
  if (is_encoded) plain.erase(percent + 1, 2);
  auto ip = read_ip(plain);
  if (!ip) {
    // Offsets are those of the text as it came.
    const std::size_t dropped = is_encoded && ip.error().offset > percent ? 2 : 0;
    return mistaken(ip.error().offset + dropped, ip.error().note);
  }
  if (ip->is_v4()) return mistaken(0, "brackets are for IPv6: write an IPv4 address without");
  return ip;
}

bool is_bare_v6(std::string_view authority) {
  for (const std::string_view text : {authority, authority.substr(0, authority.rfind(':'))})
    if (const auto ip = read_ip(text); ip && ip->is_v6()) return true;
  return false;
}

}  // namespace koine::url
