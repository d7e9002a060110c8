// UDP, TCP with its options, and RIP, for people.
#include <algorithm>

#include "koine/wire/dissect_writer.h"
#include "koine/wire/rip.h"
#include "koine/wire/tcp.h"
#include "koine/wire/udp.h"

namespace koine::wire::dissection {

void dissect_udp(Context& context, const Part& part, Checksum pseudo, bool over_ipv6) {
  Writer writer(context, part, "UDP", place_transport);
  writer.source("RFC 768");
  const std::uint64_t source = writer.port("Source Port");
  const std::uint64_t target = writer.port("Destination Port");
  const std::uint64_t length = writer.number("Length", 16);
  writer.say(counted(length, "byte"));
  if (length < UdpHeader::size) writer.complain("less than the header");
  const bool too_short = writer.ok() && length > part.size();
  if (too_short && part.cut == nullptr)
    writer.complain(words("only ", part.size(), " are in the packet"));
  const bool none = writer.peek(1) && *writer.peek() == 0 && *writer.peek(1) == 0;
  const char* why_not = nullptr;
  if (none) why_not = "none was made";
  if (length < UdpHeader::size) why_not = "the length is broken";
  if (too_short) why_not = part.cut != nullptr ? part.cut : "not all bytes are in the packet";
  const std::size_t covered = why_not == nullptr ? length : 0;
  writer.checksum("Checksum", pseudo, writer.bytes().first(std::min(covered, part.size())), 6,
                  why_not);
  if (none && over_ipv6) writer.complain("over IPv6 a checksum has to be made");

  const bool whole = writer.ok() && length >= UdpHeader::size;
  Part rest = writer.finish(
      whole ? words(source, " > ", target, ", ", counted(length - UdpHeader::size, "byte"))
            : writer.why_broken());
  if (!whole) return write_data(context, rest, "Remaining Bytes", place_transport);
  Part surplus = rest;
  rest.end = std::min(part.begin + length, rest.end);
  surplus.begin = rest.end;
  if ((source == port_rip || target == port_rip) && rest.size() > 0) {
    dissect_rip(context, rest);
  } else {
    write_data(context, rest, "Data", place_application);
  }
  write_data(context, surplus, "Surplus", place_transport);  // RFC 9868 puts options here
}

namespace {

struct TcpOptionKind {
  std::uint8_t kind;
  std::uint8_t length;  ///< 0: any
  std::string_view name;
  std::string_view source;
};

constexpr TcpOptionKind tcp_option_kinds[] = {
    {2, 4, "Maximum Segment Size", "RFC 9293 3.2"},
    {3, 3, "Window Scale", "RFC 7323 2.2"},
    {4, 2, "SACK-Permitted", "RFC 2018 2"},
    {5, 0, "SACK", "RFC 2018 3"},
    {8, 10, "Timestamps", "RFC 7323 3.2"},
    {19, 18, "MD5 Signature", "RFC 2385 3.0"},
    {28, 4, "User Timeout", "RFC 5482 3"},
    {29, 0, "TCP Authentication", "RFC 5925 2.2"},
    {30, 0, "Multipath TCP", "RFC 8684 3"},
    {34, 0, "TCP Fast Open Cookie", "RFC 7413 4.1.1"},
};

/// The data of an option whose length fits its kind; `length` is the data's alone.
void write_tcp_option_data(Writer& writer, std::uint8_t kind, std::size_t length) {
  switch (kind) {
    case 2: writer.say(counted(writer.number("Maximum Segment Size", 16), "byte")); break;
    case 3: {
      const std::uint64_t shift = writer.number("shift.cnt", 8);
      if (shift <= 14) {
        writer.add(words("windows count ", counted(std::size_t{1} << shift, "byte")));
      } else {
        writer.complain("more than 14, counts as 14");
      }
      break;
    }
    case 5:
      for (; length >= 8; length -= 8) {
        const Seq left{static_cast<std::uint32_t>(writer.number("Left Edge of Block", 32))};
        const Seq right{static_cast<std::uint32_t>(writer.number("Right Edge of Block", 32))};
        if (left < right) {
          writer.add(counted(right - left, "byte"));
        } else {
          writer.complain("not after the left edge");
        }
      }
      break;
    case 8:
      writer.number("TS Value", 32);
      writer.number("TS Echo Reply", 32);
      break;
    case 28: {
      const bool minutes = writer.flag("Granularity");
      writer.add(minutes ? "minutes" : "seconds");
      writer.number("User Timeout", 15);
      break;
    }
    default:
      if (length > 0) writer.octets("Data", length);
      break;
  }
}

bool fits(const TcpOptionKind& known, std::size_t length) {
  if (known.kind == 5) return length >= 10 && length % 8 == 2;
  return known.length == 0 || known.length == length;
}

void write_tcp_options(Writer& writer) {
  while (writer.ok() && writer.left() > 0) {
    const std::uint8_t kind = *writer.peek();
    if (kind <= 1) {
      writer.source("RFC 9293 3.2");
      writer.group(kind == 0 ? "End of Option List" : "No-Operation");
      writer.number("Kind", 8);
      writer.add(kind == 0 ? "the options end here" : "nothing but filling");
      if (kind == 0) writer.rest("Padding");
      continue;
    }
    const auto* const known = std::ranges::find(tcp_option_kinds, kind, &TcpOptionKind::kind);
    const bool is_known = known != std::end(tcp_option_kinds);
    writer.source(is_known ? known->source : "RFC 9293 3.1");
    writer.group(is_known ? std::string(known->name) : words("Option ", static_cast<int>(kind)));
    writer.number("Kind", 8);
    if (!is_known) writer.add(kind >= 253 ? "an experiment (RFC 6994)" : "not known here, skipped");
    const std::uint64_t length = writer.number("Length", 8);
    if (!writer.ok()) return;
    writer.say(counted(length, "byte"));
    if (length < 2) {
      writer.complain("less than the kind and length themselves");
      writer.rest("Remaining Bytes");
    } else if (length - 2 > writer.left()) {
      writer.overrun("header", 2);
    } else if (is_known && !fits(*known, length)) {
      writer.complain("not the length of this kind: the option is ignored");
      if (length > 2) writer.octets("Data", length - 2);
    } else {
      write_tcp_option_data(writer, kind, length - 2);
    }
  }
}

TcpFlags write_tcp_flags(Writer& writer) {
  static constexpr struct {
    TcpFlags flag;
    const char* name;
    const char* meaning;
  } flags[] = {
      {tcp_cwr, "CWR", "the sender has slowed down"},
      {tcp_ece, "ECE", "congestion was met on the way"},
      {tcp_urg, "URG", "the urgent pointer counts"},
      {tcp_ack, "ACK", "the acknowledgment number counts"},
      {tcp_psh, "PSH", "hand the data over now"},
      {tcp_rst, "RST", "the connection is torn down"},
      {tcp_syn, "SYN", "sequence numbers begin here"},
      {tcp_fin, "FIN", "no more data follows"},
  };
  TcpFlags found;
  for (const auto& [flag, name, meaning] : flags) {
    if (!writer.flag(name)) continue;
    found |= flag;
    writer.add(meaning);
  }
  if (found.has(tcp_syn) && found.has_any(tcp_fin | tcp_rst))
    writer.complain("SYN together with FIN or RST");
  return found;
}

}  // namespace

void dissect_tcp(Context& context, const Part& part, Checksum pseudo) {
  Writer writer(context, part, "TCP", place_transport);
  writer.source("RFC 9293 3.1");
  const std::uint64_t source = writer.port("Source Port");
  const std::uint64_t target = writer.port("Destination Port");
  const std::uint64_t seq = writer.number("Sequence Number", 32);
  const std::uint64_t ack = writer.number("Acknowledgment Number", 32);
  const std::uint64_t words_ = writer.number("Data Offset", 4);
  const std::size_t header_size = words_ * 4;
  if (writer.ok()) {
    writer.say(words(words_, " words, ", counted(header_size, "byte")));
    if (header_size < TcpHeader::size_min) writer.complain("a header has at least 20 bytes");
    if (header_size > part.size() && part.cut == nullptr)
      writer.complain(words("only ", part.size(), " are in the packet"));
  }
  const bool sound = writer.ok() && header_size >= TcpHeader::size_min;
  if (sound) writer.limit(header_size);
  writer.reserved("Rsrvd", 4);
  const TcpFlags flags = write_tcp_flags(writer);
  const std::uint64_t window = writer.number("Window", 16);
  writer.say(flags.has(tcp_syn) ? counted(window, "byte")
                                : words(window, ", times the scale that was agreed on"));
  writer.checksum("Checksum", pseudo, writer.bytes(), 16, part.cut);
  const std::uint64_t urgent = writer.number("Urgent Pointer", 16);
  if (!flags.has(tcp_urg)) writer.add("does not count");
  if (sound) write_tcp_options(writer);

  const bool here = writer.ok() && sound && writer.at() == header_size;
  std::string summary = words(source, " > ", target, ", ", to_string(flags), ", seq ", seq);
  if (flags.has(tcp_ack)) summary += words(", ack ", ack);
  summary += words(", win ", window);
  if (flags.has(tcp_urg)) summary += words(", urg ", urgent);
  const Part rest = writer.finish(here ? summary : writer.why_broken());
  if (here) {
    write_data(context, rest, "Data", place_application);
  } else {
    write_data(context, rest, "Remaining Bytes", place_transport);
  }
}

namespace {

void write_rip_entry(Writer& writer, std::uint64_t version) {
  const std::uint64_t family = writer.hex("Address Family Identifier", 16);
  if (!writer.ok()) return;
  if (family == rip_family_authentication) {
    writer.source("RFC 2453 4.1");
    writer.add("authentication");
    const std::uint64_t type = writer.number("Authentication Type", 16);
    if (type == 2) writer.add("plain password");
    const Bytes secret = writer.octets("Authentication", 16);
    if (writer.ok() && type == 2) {
      const auto end = std::ranges::find(secret, std::byte{0});
      writer.say(preview(secret.first(static_cast<std::size_t>(end - secret.begin()))));
    }
    return;
  }
  writer.say(family == rip_family_ipv4 ? "2, IPv4"
             : family == 0             ? "0, a question"
                                       : words(family, ", not known here"));
  if (version == 1) {
    writer.reserved("must be zero", 16);
  } else {
    writer.number("Route Tag", 16);
  }
  writer.ipv4("IP Address");
  if (version == 1) {
    writer.reserved("must be zero", 64);
  } else {
    const Ipv4Address mask = writer.ipv4("Subnet Mask");
    if ((~mask.bits & (~mask.bits + 1)) != 0) writer.complain("a mask with holes");
    const Ipv4Address next_hop = writer.ipv4("Next Hop");
    if (next_hop.is_unspecified()) writer.add("by way of the sender");
  }
  const std::uint64_t metric = writer.number("Metric", 32);
  if (!writer.ok()) return;
  if (metric == rip_infinity) writer.add("out of reach");
  if (metric < 1 || metric > rip_infinity) writer.complain("not 1 to 16");
}

}  // namespace

void dissect_rip(Context& context, const Part& part) {
  Writer writer(context, part, "RIP", place_application);
  writer.source("RFC 2453 4");
  const std::uint64_t command = writer.number("Command", 8);
  if (command >= 1 && command <= 2)
    writer.add(command == 1 ? "request" : "response");
  else
    writer.complain("neither request nor response");
  const std::uint64_t version = writer.number("Version", 8);
  if ((version < 1 || version > 2)) writer.complain("neither 1 nor 2");
  writer.reserved("must be zero", 16);
  std::size_t entries = 0;
  for (; writer.ok() && writer.left() > 0 && entries < RipMessage::entries_max; ++entries) {
    writer.source("RFC 2453 4");
    writer.group(words("Entry ", entries + 1));
    write_rip_entry(writer, version);
  }
  writer.group({});
  writer.rest("Remaining Bytes", "more than 25 entries");
  writer.finish(words(command == 1   ? "request"
                      : command == 2 ? "response"
                                     : "message",
                      ", version ", version, ", ", entries, entries == 1 ? " entry" : " entries"));
}

}  // namespace koine::wire::dissection
