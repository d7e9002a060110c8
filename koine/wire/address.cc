// Addresses as text, both ways.
#include "koine/wire/address.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace koine::wire {

namespace {

/// Takes a number off the front of `text`; nothing if there is none of at most `digits_max` digits.
std::optional<unsigned> take_number(std::string_view& text, int base, std::size_t digits_max) {
  unsigned value = 0;
  const char* const begin = text.data();
  const char* const limit = begin + std::min(text.size(), digits_max);
  const auto [end, fault] = std::from_chars(begin, limit, value, base);
  if (fault != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - begin));
  return value;
}

bool take(std::string_view& text, char expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<Mac> Mac::parse(std::string_view text) {
  const char separator = text.find('-') == std::string_view::npos ? ':' : '-';
  Mac mac;
  for (int octet = 0; octet < 6; ++octet) {
    if (octet > 0 && !take(text, separator)) return std::nullopt;
    const auto value = take_number(text, 16, 2);
    if (!value) return std::nullopt;
    mac.bits = mac.bits << 8 | *value;
  }
  if (!text.empty()) return std::nullopt;
  return mac;
}

std::string to_string(Mac mac) {
  std::byte octets[6];
  mac.store(octets);
  char text[18];
  std::snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x",
                static_cast<unsigned>(octets[0]), static_cast<unsigned>(octets[1]),
                static_cast<unsigned>(octets[2]), static_cast<unsigned>(octets[3]),
                static_cast<unsigned>(octets[4]), static_cast<unsigned>(octets[5]));
  return text;
}

std::optional<Ipv4Address> Ipv4Address::parse(std::string_view text) {
  Ipv4Address address;
  for (int octet = 0; octet < 4; ++octet) {
    if (octet > 0 && !take(text, '.')) return std::nullopt;
    const bool leading_zero = text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9';
    const auto value = take_number(text, 10, 3);
    if (!value || *value > 255 || leading_zero) return std::nullopt;
    address.bits = address.bits << 8 | *value;
  }
  if (!text.empty()) return std::nullopt;
  return address;
}

std::string to_string(Ipv4Address address) {
  char text[16];
  std::snprintf(text, sizeof(text), "%u.%u.%u.%u", address.bits >> 24, address.bits >> 16 & 0xff,
                address.bits >> 8 & 0xff, address.bits & 0xff);
  return text;
}

std::optional<Ipv6Address> Ipv6Address::parse(std::string_view text) {
  std::array<std::uint16_t, 8> groups{};
  std::size_t count = 0;           // groups read so far
  std::optional<std::size_t> gap;  // where "::" stood
  if (text.starts_with("::")) {
    gap = 0;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    if (count == 8) return std::nullopt;
    // The last two groups may be written as an IPv4 address.
    if (text.find(':') == std::string_view::npos && text.find('.') != std::string_view::npos) {
      const auto tail = Ipv4Address::parse(text);
      if (!tail || count > 6) return std::nullopt;
      groups[count++] = static_cast<std::uint16_t>(tail->bits >> 16);
      groups[count++] = static_cast<std::uint16_t>(tail->bits);
      text = {};
      break;
    }
    const auto group = take_number(text, 16, 4);
    if (!group) return std::nullopt;
    groups[count++] = static_cast<std::uint16_t>(*group);
    if (text.empty()) break;
    if (!take(text, ':') || text.empty()) return std::nullopt;
    if (take(text, ':')) {
      if (gap) return std::nullopt;
      gap = count;
    }
  }
  // "::" stands for one group at least (RFC 4291, section 2.2).
  if (gap ? count > 7 : count != 8) return std::nullopt;
  if (gap) {  // what followed it belongs at the end
    const auto begin = groups.begin() + static_cast<std::ptrdiff_t>(*gap);
    const auto end = groups.begin() + static_cast<std::ptrdiff_t>(count);
    std::fill(begin, std::move_backward(begin, end, groups.end()), std::uint16_t{0});
  }
  Ipv6Address address;
  for (std::size_t i = 0; i < 4; ++i) {
    address.high = address.high << 16 | groups[i];
    address.low = address.low << 16 | groups[i + 4];
  }
  return address;
}

std::string to_string(const Ipv6Address& address) {
  if (address.high == 0 && address.low >> 32 == 0xffff)
    return "::ffff:" + to_string(Ipv4Address{static_cast<std::uint32_t>(address.low)});

  const auto group = [&](int i) {
    return static_cast<unsigned>((i < 4 ? address.high : address.low) >> (48 - i % 4 * 16)) &
           0xffff;
  };
  // The longest run of at least two zero groups, the first of equals (RFC 5952, section 4.2).
  int run_at = 8, run_length = 1;
  for (int i = 0; i < 8; ++i) {
    int zeros = 0;
    while (i + zeros < 8 && group(i + zeros) == 0) ++zeros;
    if (zeros > run_length) {
      run_at = i;
      run_length = zeros;
    }
  }
  std::string text;
  for (int i = 0; i < 8; ++i) {
    if (i == run_at) {
      text += "::";
      i += run_length - 1;
      continue;
    }
    if (!text.empty() && !text.ends_with(':')) text += ':';
    char digits[5];
    std::snprintf(digits, sizeof(digits), "%x", group(i));
    text += digits;
  }
  return text;
}

std::string to_string(Ipv4Prefix prefix) {
  return to_string(prefix.address) + "/" + std::to_string(prefix.length);
}

std::string to_string(const Ipv6Prefix& prefix) {
  return to_string(prefix.address) + "/" + std::to_string(prefix.length);
}

}  // namespace koine::wire
