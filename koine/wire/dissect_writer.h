// How the dissectors of single protocols write down what they find; for the files dissect_*.cc
// only.
//
// A dissector reads one field after the other. When the bytes end within a field, the writer notes
// that, and everything after it is passed over, so that dissectors are straight lines.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "koine/wire/address.h"
#include "koine/wire/checksum.h"
#include "koine/wire/dissect.h"

namespace koine::wire::dissection {

inline std::string word(std::string_view text) { return std::string(text); }
inline std::string word(std::integral auto number) { return std::to_string(number); }

/// Text and numbers, one after the other.
template <class... Parts>
std::string words(const Parts&... parts) {
  return (std::string() + ... + word(parts));
}

/// "0x0800"; `digits` are filled up with zeros.
std::string hex_number(std::uint64_t value, int digits);

/// "0a4d 0001": at most `size_max` bytes, and what is left out is counted.
std::string hex_bytes(Bytes bytes, std::size_t size_max = 32);

/// Printable text in quotes if most of it is text, hexadecimal otherwise; cut to a line.
std::string preview(Bytes bytes);

/// A number with its unit: "1 byte", "20 bytes".
std::string counted(std::size_t count, std::string_view unit);

/// The whole frame, and what came of it so far.
struct Context {
  Bytes frame;
  bool verify_checksums = true;
  Dissection& result;
};

/// The bytes that one layer may look at, and how they came to end where they do.
struct Part {
  std::size_t begin = 0;
  std::size_t end = 0;
  /// Why there may rightly be less than the headers say: "not captured". Else an early end is a
  /// problem.
  const char* cut = nullptr;
  int quotes = 0;  ///< how many ICMP errors it is quoted in

  std::size_t size() const { return end - begin; }
};

class Writer {
 public:
  Writer(Context& context, const Part& part, std::string_view name, Place place);

  /// Which standard the next fields come from.
  void source(std::string_view source) { source_ = source; }
  /// Which option or entry the next fields are part of; empty for none.
  void group(std::string_view group) { group_ = group; }
  /// No further than this many bytes from the beginning of the layer; a header's own length.
  void limit(std::size_t bytes);

  /// False once a field was cut off.
  bool ok() const { return !broken_; }
  /// Bytes from here to the limit.
  std::size_t left() const { return limit_ - bit_ / 8; }
  /// Bytes from the beginning of the layer.
  std::size_t at() const { return bit_ / 8; }
  /// What the layer may look at, from its first byte on.
  Bytes bytes() const { return bytes_; }
  /// The byte `ahead` of here, or nothing beyond the limit.
  std::optional<std::uint8_t> peek(std::size_t ahead = 0) const;

  // Each takes the next field and answers its value, or zero if it is cut off. At most 64 bits.
  std::uint64_t number(std::string_view name, std::size_t bits);
  std::uint64_t hex(std::string_view name, std::size_t bits);
  bool flag(std::string_view name);
  Mac mac(std::string_view name);
  Ipv4Address ipv4(std::string_view name);
  Ipv6Address ipv6(std::string_view name);
  std::uint64_t port(std::string_view name);
  Bytes octets(std::string_view name, std::size_t size);

  /// Bits that have to be zero.
  void reserved(std::string_view name, std::size_t bits);

  /// A checksum over `covered`, which it is part of, `at` bytes in; nothing to compare with if a
  /// reason is given.
  void checksum(std::string_view name, Checksum pseudo, Bytes covered, std::size_t at,
                const char* why_not);

  /// An option's length, the last field, reaches beyond what `whole` has left, of which the option
  /// has taken `taken` bytes: says so, and takes what there is.
  void overrun(std::string_view whole, std::size_t taken);

  /// All that is left up to the limit, if anything.
  void rest(std::string_view name, std::string_view problem = {});

  /// The same as data, which may be text.
  void text(std::string_view name);

  // About the last field: its value in other words, something more about it, what is wrong. After
  // a field that was cut off they do nothing.
  void say(std::string value);
  void add(std::string_view more);
  void complain(std::string_view problem);

  /// A summary for a layer that did not come to its end: "malformed", or what kept it.
  std::string why_broken() const;

  /// Ends the layer; what follows it within the part.
  Part finish(std::string summary);

 private:
  bool take(std::string_view name, std::size_t bits, std::uint64_t& value);
  Field& append(std::string_view name, std::size_t bits);

  Context& context_;
  Part part_;
  Bytes bytes_;
  Layer layer_;
  std::string_view source_;
  std::string group_;
  std::size_t bit_ = 0;
  std::size_t limit_;  // bytes
  bool broken_ = false;
};

/// Bytes that no header explains, as a layer of their own; nothing if there are none.
void write_data(Context& context, const Part& part, std::string_view name, Place place,
                std::string_view problem = {});

// One for each protocol. Each covers its part to the end.
void dissect_ethernet(Context& context, const Part& part);
void dissect_arp(Context& context, const Part& part);
void dissect_ip(Context& context, const Part& part);  ///< of either version
void dissect_ipv4(Context& context, const Part& part);
void dissect_ipv6(Context& context, const Part& part);
void dissect_icmpv4(Context& context, const Part& part);
void dissect_icmpv6(Context& context, const Part& part, Checksum pseudo);
void dissect_tcp(Context& context, const Part& part, Checksum pseudo);
void dissect_udp(Context& context, const Part& part, Checksum pseudo, bool over_ipv6);
void dissect_rip(Context& context, const Part& part);

/// What IP hands to the layer above. `pseudo` has the addresses and the length.
void dissect_ip_payload(Context& context, const Part& part, IpProtocol protocol, Checksum pseudo,
                        bool over_ipv6);

/// Why the layer above may end early: what is said of this packet, or of the one around it.
const char* cut_of(const Part& part, bool fragment, bool too_short);

/// The octet that both versions of IP have.
void write_service(Writer& writer);

/// The packet that an ICMP error speaks about: its headers, and as much as was quoted of its data.
void write_quote(Context& context, Part part);

/// "6, TCP"
std::string protocol_words(IpProtocol protocol);
/// "TCP", or "protocol 132"
std::string protocol_name(IpProtocol protocol);

}  // namespace koine::wire::dissection
