#include "koine/transport/address.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <tuple>

#include "koine/base/bytes.h"
#include "koine/base/joined.h"
#include "koine/transport/characters.h"

namespace koine {
namespace {

using namespace url;

/// Four decimal numbers without leading zeros: a 0 in front means octal to some, and nothing to
/// others (RFC 6943, section 3.1.1). `text` is all of it; offsets count from `base`.
Parsed<std::array<std::uint8_t, 4>> read_v4(std::string_view text, std::size_t base) {
  std::array<std::uint8_t, 4> numbers{};
  std::size_t at = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) {
      if (at >= text.size())
        return mistaken(base + at, "an IPv4 address has four numbers, as in 192.0.2.1");
      if (text[at] != '.')
        return mistaken(base + at, joined({"expected a digit or a dot of an IPv4 address, ",
                                           found_at(text, at)}));
      ++at;
    }
    const std::size_t start = at;
    unsigned value = 0;
    while (at < text.size() && is_digit(text[at])) {
      value = value * 10 + static_cast<unsigned>(text[at] - '0');
      ++at;
      if (value > 255) {
        while (at < text.size() && is_digit(text[at])) ++at;
        return mistaken(base + start, "a number of an IPv4 address is at most 255");
      }
    }
    if (at == start)
      return mistaken(base + at,
                      joined({"expected a number of an IPv4 address, ", found_at(text, at)}));
    if (text[start] == '0' && at - start > 1)
      return mistaken(base + start,
                      "a number of an IPv4 address has no leading zero: it could be octal");
    numbers[i] = static_cast<std::uint8_t>(value);
  }
  if (at < text.size())
    return mistaken(base + at, text[at] == '.' ? "an IPv4 address has only four numbers"
                                               : joined({"expected the end of the IPv4 address, ",
                                                         found_at(text, at)}));
  return numbers;
}

/// RFC 4291, section 2.2, without a zone.
Parsed<IpAddress> read_v6(std::string_view text) {
  std::array<std::uint16_t, 8> groups{};
  std::size_t count = 0;
  std::optional<std::size_t> gap;  // how many groups stand before the `::`
  std::size_t at = 0;
  if (text.starts_with("::")) {
    gap = 0;
    at = 2;
  } else if (text.starts_with(':')) {
    return mistaken(1, "expected a second colon: an IPv6 address begins with a number or with ::");
  }
  while (at < text.size()) {
    if (count == groups.size()) return mistaken(at, "an IPv6 address has only eight groups");
    const std::size_t start = at;
    unsigned value = 0;
    while (at < text.size() && hex_value(text[at]) >= 0) {
      if (at - start == 4)
        return mistaken(start, "a group of an IPv6 address has at most four digits");
      value = value << 4 | static_cast<unsigned>(hex_value(text[at]));
      ++at;
    }
    if (at < text.size() && text[at] == '.') {
      if (count > groups.size() - 2)
        return mistaken(start,
                        "too many groups before the IPv4 address: it takes the place of two");
      const auto numbers = read_v4(text.substr(start), start);
      if (!numbers) return std::unexpected(numbers.error());
      groups[count++] = static_cast<std::uint16_t>((*numbers)[0] << 8 | (*numbers)[1]);
      groups[count++] = static_cast<std::uint16_t>((*numbers)[2] << 8 | (*numbers)[3]);
      at = text.size();
      break;
    }
    if (at == start)
      return mistaken(
          at, joined({"expected a hexadecimal group of an IPv6 address, ", found_at(text, at)}));
    groups[count++] = static_cast<std::uint16_t>(value);
    if (at == text.size()) break;
    if (text[at] != ':')
      return mistaken(at, joined({"expected a colon or a hexadecimal digit of an IPv6 address, ",
                                  found_at(text, at)}));
    ++at;
    if (at < text.size() && text[at] == ':') {
      if (gap) return mistaken(at - 1, ":: may stand only once in an IPv6 address");
      gap = count;
      ++at;
    } else if (at == text.size()) {
      return mistaken(at, "expected another group of the IPv6 address, found the end");
    }
  }
  if (gap) {
    if (count == groups.size())
      return mistaken(text.size(), ":: stands for at least one group, but all eight are written");
    // The groups after the gap move to the end; zeros take their place.
    const std::size_t tail = count - *gap;
    std::ranges::move_backward(groups.begin() + static_cast<std::ptrdiff_t>(*gap),
                               groups.begin() + static_cast<std::ptrdiff_t>(count), groups.end());
    std::fill(groups.begin() + static_cast<std::ptrdiff_t>(*gap),
              groups.end() - static_cast<std::ptrdiff_t>(tail), std::uint16_t{0});
  } else if (count < groups.size()) {
    return mistaken(text.size(),
                    "an IPv6 address has eight groups, or a :: for those that are zero");
  }
  return IpAddress::v6(groups);
}

/// The place in `zone` that is wrong, and why.
std::optional<Mistake> mistake_in_zone(std::string_view zone) {
  if (zone.empty()) return Mistake{0, "expected a zone after %: an interface's name or index"};
  for (std::size_t at = 0; at < zone.size(); ++at) {
    if (!is_unreserved(zone[at]))
      return Mistake{at,
                     joined({"a zone has only letters, digits and -._~, ", found_at(zone, at)})};
  }
  if (zone.size() > IpAddress::zone_bytes_max)
    return Mistake{0, joined({"a zone of ", zone.size(),
                              " characters is longer than an interface's name can be (",
                              IpAddress::zone_bytes_max, ")"})};
  return std::nullopt;
}

Error too_long(std::string_view name, const char* what) {
  return malformed(name,
                   {Address::unix_bytes_max, joined({"a ", what, " of ", name.size(),
                                                     " bytes does not fit a Unix address (at most ",
                                                     Address::unix_bytes_max, ")"})});
}

constexpr const char* only_link_local =
    "a zone goes only with a link-local address (fe80::/10, ff01::/16, ff02::/16)";

}  // namespace

bool IpAddress::is_loopback() const {
  if (is_v6_ && !is_v4_mapped()) return *this == loopback_v6;
  return unmapped().bytes_[0] == std::byte{127};
}

bool IpAddress::is_any() const {
  if (is_v6_ && !is_v4_mapped()) return *this == any_v6;
  return unmapped() == any_v4;
}

bool IpAddress::is_link_local() const {
  if (is_v6_ && !is_v4_mapped())
    return bytes_[0] == std::byte{0xfe} && (bytes_[1] & std::byte{0xc0}) == std::byte{0x80};
  const IpAddress v4 = unmapped();
  return v4.bytes_[0] == std::byte{169} && v4.bytes_[1] == std::byte{254};
}

bool IpAddress::is_multicast() const {
  if (is_v6_ && !is_v4_mapped()) return bytes_[0] == std::byte{0xff};
  return (unmapped().bytes_[0] & std::byte{0xf0}) == std::byte{0xe0};
}

bool IpAddress::is_v4_mapped() const {
  if (!is_v6_) return false;
  for (std::size_t i = 0; i < 10; ++i)
    if (bytes_[i] != std::byte{0}) return false;
  return bytes_[10] == std::byte{0xff} && bytes_[11] == std::byte{0xff};
}

IpAddress IpAddress::unmapped() const {
  if (!is_v4_mapped()) return *this;
  return v4(std::span(bytes_).last<4>());
}

IpAddress IpAddress::mapped() const {
  if (is_v6_) return *this;
  IpAddress address;
  address.is_v6_ = true;
  address.bytes_[10] = address.bytes_[11] = std::byte{0xff};
  std::copy_n(bytes_.begin(), 4, address.bytes_.begin() + 12);
  return address;
}

bool IpAddress::needs_zone() const {
  if (!is_v6_ || is_v4_mapped()) return false;
  const auto scope = std::to_integer<unsigned>(bytes_[1] & std::byte{0x0f});
  return is_link_local() || (is_multicast() && (scope == 1 || scope == 2));
}

std::string_view IpAddress::zone() const {
  return {zone_.data(), ::strnlen(zone_.data(), zone_.size())};
}

Result<IpAddress> IpAddress::with_zone(std::string_view zone) const {
  IpAddress address = *this;
  address.zone_ = {};
  if (zone.empty()) return address;
  if (!needs_zone()) return std::unexpected(malformed(zone, {0, only_link_local}));
  if (const auto wrong = mistake_in_zone(zone)) return std::unexpected(malformed(zone, *wrong));
  std::ranges::copy(zone, address.zone_.begin());
  return address;
}

IpAddress IpAddress::with_zone_index(std::uint32_t index) const {
  IpAddress address = *this;
  address.zone_ = {};
  if (index != 0 && needs_zone()) std::ranges::copy(joined({index}), address.zone_.begin());
  return address;
}

Parsed<IpAddress> read_ip(std::string_view text) {
  if (text.empty()) return mistaken(0, "expected an IP address, found nothing");
  if (text.find(':') == std::string_view::npos) {
    const auto numbers = read_v4(text, 0);
    if (!numbers) return std::unexpected(numbers.error());
    const auto [a, b, c, d] = *numbers;
    return IpAddress::v4(a, b, c, d);
  }
  const std::size_t percent = text.find('%');
  const auto address = read_v6(text.substr(0, percent));
  if (!address || percent == std::string_view::npos) return address;
  if (!address->needs_zone()) return mistaken(percent, only_link_local);
  const std::string_view zone = text.substr(percent + 1);
  if (const auto wrong = mistake_in_zone(zone))
    return mistaken(percent + 1 + wrong->offset, wrong->note);
  return *address->with_zone(zone);
}

Result<IpAddress> parse_ip(std::string_view text) {
  const auto address = read_ip(text);
  if (!address) return std::unexpected(malformed(text, address.error()));
  return *address;
}

std::string to_string(const IpAddress& address) {
  const auto bytes = address.bytes();
  if (address.is_v4()) {
    const auto number = [&](std::size_t i) { return std::to_integer<unsigned>(bytes[i]); };
    return joined({number(0), ".", number(1), ".", number(2), ".", number(3)});
  }
  if (address.is_v4_mapped()) return joined({"::ffff:", to_string(address.unmapped())});

  // The longest run of at least two zero groups, the first of equals: RFC 5952, section 4.2.
  std::size_t gap = 8;
  std::size_t gap_size = 1;
  for (std::size_t start = 0; start < 8; ++start) {
    std::size_t size = 0;
    while (start + size < 8 && load_be16(&bytes[2 * (start + size)]) == 0) ++size;
    if (size > gap_size) {
      gap = start;
      gap_size = size;
    }
  }
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (std::size_t group = 0; group < 8; ++group) {
    if (group == gap) {
      text += "::";
      group += gap_size - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    const unsigned value = load_be16(&bytes[2 * group]);
    for (int shift = 12; shift >= 0; shift -= 4)
      if (value >> shift != 0 || shift == 0) text += digits[value >> shift & 0xf];
  }
  if (!address.zone().empty()) {
    text += '%';
    text += address.zone();
  }
  return text;
}

Result<Address> Address::unix_path(std::string_view path) {
  if (path.empty()) return std::unexpected(malformed(path, {0, "expected a path, found nothing"}));
  if (const std::size_t nul = path.find('\0'); nul != std::string_view::npos)
    return std::unexpected(malformed(path, {nul, "a path cannot contain a NUL"}));
  if (path.size() > unix_bytes_max) return std::unexpected(too_long(path, "path"));
  return Address(Kind::unix_path, path);
}

Result<Address> Address::unix_abstract(std::string_view name) {
  if (name.size() > unix_bytes_max) return std::unexpected(too_long(name, "name"));
  return Address(Kind::unix_abstract, name);
}

std::string to_string(const Address& address) {
  switch (address.kind()) {
    case Address::Kind::none: return "(unnamed)";
    case Address::Kind::ip: {
      const std::string host = to_string(address.ip());
      const bool is_v4 = address.ip().is_v4();
      return joined({is_v4 ? "" : "[", host, is_v4 ? ":" : "]:", address.port()});
    }
    case Address::Kind::unix_path: {
      // A relative path may begin with the sign of an abstract name.
      const bool looks_abstract = address.unix_name().starts_with('@');
      return joined({looks_abstract ? "./" : "", printable(address.unix_name())});
    }
    case Address::Kind::unix_abstract: return joined({"@", printable(address.unix_name())});
  }
  return {};
}

std::strong_ordering operator<=>(const IpAddress& a, const IpAddress& b) {
  if (a.is_v6_ != b.is_v6_) return a.is_v6_ <=> b.is_v6_;
  // A server looks up where each connection comes from; an IPv4 address is 4 bytes and has no zone.
  int order = std::memcmp(a.bytes_.data(), b.bytes_.data(), a.is_v6_ ? 16 : 4);
  if (order == 0 && a.is_v6_) order = std::memcmp(a.zone_.data(), b.zone_.data(), a.zone_.size());
  return order <=> 0;
}

std::strong_ordering operator<=>(const Address& a, const Address& b) {
  return std::tie(a.kind_, a.ip_, a.port_, a.name_) <=> std::tie(b.kind_, b.ip_, b.port_, b.name_);
}

}  // namespace koine
