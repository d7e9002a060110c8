// Any text as an endpoint and as an IP address.
//
// What is read survives being written and read again; what is refused names a column of the text
// that is shown; addresses are those that the C library reads.
#include <arpa/inet.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "koine/transport/address.h"
#include "koine/transport/endpoint.h"
#include "koine/transport/mistake.h"
#include "tests/fuzz/check.h"

namespace {

using namespace koine;

bool is_printable(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  return true;
}

void check_error(const Error& error) {
  KOINE_CHECK(error == Fault::malformed);
  KOINE_CHECK(is_printable(to_string(error)));
  // Columns are at most as many as bytes, and one past the end says that something is missing.
  KOINE_CHECK(column_of(error) >= 1 && column_of(error) <= error.peer().size() + 1);
  const std::string lines = point_at(error);
  KOINE_CHECK(lines.compare(lines.find('\n') + column_of(error), 2, "^ ") == 0);
}

void check_endpoint(std::string_view text) {
  const auto endpoint = parse_endpoint(text);
  if (!endpoint) return check_error(endpoint.error());
  const std::string canonical = to_string(*endpoint);
  KOINE_CHECK(is_printable(canonical));
  const auto again = parse_endpoint(canonical);
  // Only being longer, because bytes became escapes, can come between.
  if (!again) {
    KOINE_CHECK(canonical.size() > Endpoint::text_bytes_max);
    return;
  }
  KOINE_CHECK(*again == *endpoint);
  KOINE_CHECK(to_string(*again) == canonical);
  KOINE_CHECK(again->target() == endpoint->target());
  for (const auto& [name, value] : endpoint->parameters())
    KOINE_CHECK(endpoint->parameter(name).has_value());
  if (const auto address = endpoint->address(); address && !endpoint->is_any()) {
    const Endpoint elsewhere = endpoint->at(*address, endpoint->transport());
    KOINE_CHECK(elsewhere == *endpoint);
  }
}

std::optional<IpAddress> by_inet_pton(const std::string& text) {
  std::array<std::byte, 16> bytes{};
  if (text.find('\0') != std::string::npos) return std::nullopt;
  if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1)
    return IpAddress::v4(std::span(bytes).first<4>());
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return IpAddress::v6(bytes);
  return std::nullopt;
}

void check_ip(std::string_view text) {
  const auto ip = parse_ip(text);
  if (!ip) check_error(ip.error());
  // Zones are ours alone.
  const bool has_zone = ip && !ip->zone().empty();
  if (!has_zone)
    KOINE_CHECK((ip ? std::optional(*ip) : std::nullopt) == by_inet_pton(std::string(text)));
  if (ip) KOINE_CHECK(parse_ip(to_string(*ip)) == *ip);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_endpoint(text);
  check_ip(text);
  return 0;
}
