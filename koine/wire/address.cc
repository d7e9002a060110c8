// Addresses as text.
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

std::string to_string(Ipv4Address address) {
  char text[16];
  std::snprintf(text, sizeof(text), "%u.%u.%u.%u", address.bits >> 24, address.bits >> 16 & 0xff,
                address.bits >> 8 & 0xff, address.bits & 0xff);
  return text;
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
