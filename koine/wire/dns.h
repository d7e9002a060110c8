// The domain name system (RFC 1035): questions about names and answers to them, over UDP in up to
// 512 bytes, or over TCP behind two bytes of length.
//
//     0               8               16                              31
//     |              id               |Q| op  |A|T|D|R|  0  |  code   |
//     |      number of questions      |       number of answers       |
//     |     of authority records      |     of additional records     |
//     question:  name  type  class
//     record:    name  type  class  time to live (32)  length  data
//
// A name is labels with their lengths before them, or ends in a pointer to where the rest of it was
// written before (section 4.1.4). Pointers only ever lead backwards here, so none leads in a
// circle.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "koine/base/bytes.h"
#include "koine/wire/address.h"

namespace koine::wire {

enum class DnsType : std::uint16_t {
  a = 1,
  ns = 2,
  cname = 5,
  soa = 6,
  ptr = 12,
  aaaa = 28,  ///< RFC 3596
  any = 255,  ///< in questions only
};

inline constexpr std::uint16_t dns_class_internet = 1;

enum class DnsCode : std::uint8_t {
  ok = 0,
  format_error = 1,
  server_failure = 2,
  no_such_name = 3,
  not_implemented = 4,
  refused = 5,
};

/// True if `name` can be one: labels of 1 to 63 octets with dots between them, 255 octets in all as
/// they travel (section 2.3.4), a final dot or none; "." is the root. Octets that are not
/// printable, dots and backslashes inside of labels are written \. \\ and \007 (section 5.1).
bool is_dns_name(std::string_view name);

/// Upper and lower case are the same, and so are a name and itself with a final dot.
bool is_same_dns_name(std::string_view a, std::string_view b);

struct DnsQuestion {
  std::string name{};  ///< without a final dot; the root is "."
  DnsType type{};
  std::uint16_t network_class = dns_class_internet;

  friend bool operator==(const DnsQuestion&, const DnsQuestion&) = default;
};

/// Another name: what a CNAME, NS or PTR record says.
struct DnsName {
  std::string name;

  friend bool operator==(const DnsName&, const DnsName&) = default;
};

/// Where a zone begins, and for how long what is not in it may be remembered (RFC 2308).
struct DnsAuthority {
  std::string server;
  std::string mailbox;
  std::uint32_t serial = 0;
  std::uint32_t refresh = 0;  ///< this and the rest in seconds
  std::uint32_t retry = 0;
  std::uint32_t expire = 0;
  std::uint32_t minimum = 0;

  friend bool operator==(const DnsAuthority&, const DnsAuthority&) = default;
};

using DnsData =
    std::variant<std::vector<std::byte>, Ipv4Address, Ipv6Address, DnsName, DnsAuthority>;

struct DnsRecord {
  std::string name{};
  DnsType type{};
  std::uint16_t network_class = dns_class_internet;
  std::uint32_t time_to_live = 0;  ///< seconds
  DnsData data{};                  ///< bytes, for all types but those that DnsType names

  friend bool operator==(const DnsRecord&, const DnsRecord&) = default;
};

struct DnsMessage {
  std::uint16_t id = 0;
  bool is_response = false;
  std::uint8_t operation = 0;  ///< 0 is a query
  bool is_authoritative = false;
  bool is_truncated = false;
  bool recursion_desired = false;
  bool recursion_available = false;
  DnsCode code{};
  std::vector<DnsQuestion> questions{};
  std::vector<DnsRecord> answers{};
  std::vector<DnsRecord> authority{};
  std::vector<DnsRecord> additional{};

  static constexpr std::size_t header_size = 12;
  static constexpr std::size_t udp_bytes_max = 512;  ///< section 2.3.4
  static constexpr std::size_t tcp_bytes_max = 65'535;

  friend bool operator==(const DnsMessage&, const DnsMessage&) = default;
};

/// The message, if it holds all that its header counts. What stands behind it is not looked at.
std::optional<DnsMessage> parse_dns(Bytes message);

/// The message in at most `bytes_max`, which is no less than 512: records that do not fit are left
/// out, from the end, and the truncation bit says so. Names must be names (is_dns_name), and the
/// data of a type that DnsType names its own. Questions must fit: one always does.
std::vector<std::byte> write(const DnsMessage& message,
                             std::size_t bytes_max = DnsMessage::udp_bytes_max);

}  // namespace koine::wire
