// ICMP for IPv6 and neighbor discovery, for people.
#include "koine/wire/dissect_writer.h"
#include "koine/wire/icmpv6.h"
#include "koine/wire/nd.h"

namespace koine::wire::dissection {

namespace {

std::string_view type6_name(std::uint64_t type) {
  switch (type) {
    case 1: return "destination unreachable";
    case 2: return "packet too big";
    case 3: return "time exceeded";
    case 4: return "parameter problem";
    case 128: return "echo request";
    case 129: return "echo reply";
    case 130: return "multicast listener query";
    case 131: return "multicast listener report";
    case 132: return "multicast listener done";
    case 133: return "router solicitation";
    case 134: return "router advertisement";
    case 135: return "neighbor solicitation";
    case 136: return "neighbor advertisement";
    case 137: return "redirect";
    case 143: return "multicast listener report, version 2";
    default: return "a type not known here";
  }
}

std::string_view code6_name(std::uint64_t type, std::uint64_t code) {
  static constexpr std::string_view unreachable[] = {"no route",
                                                     "communication prohibited",
                                                     "beyond the scope of the source",
                                                     "address unreachable",
                                                     "port unreachable",
                                                     "the source's address is against policy",
                                                     "the route is rejected"};
  static constexpr std::string_view exceeded[] = {"in transit", "in reassembly"};
  static constexpr std::string_view problem[] = {"an erroneous header field",
                                                 "an unknown next header", "an unknown option"};
  const auto from = [code](const auto& names) {
    return code < std::size(names) ? names[code] : std::string_view("not known here");
  };
  switch (type) {
    case 1: return from(unreachable);
    case 3: return from(exceeded);
    case 4: return from(problem);
    default: return {};
  }
}

void write_lifetime(Writer& writer, std::string_view name) {
  const std::uint64_t lifetime = writer.number(name, 32);
  writer.say(lifetime == nd_lifetime_infinite ? "for ever" : words(lifetime, " s"));
}

std::string_view nd_option_name(std::uint8_t kind) {
  switch (kind) {
    case nd_option_source_mac: return "Source Link-Layer Address";
    case nd_option_target_mac: return "Target Link-Layer Address";
    case nd_option_prefix: return "Prefix Information";
    case nd_option_redirected: return "Redirected Header";
    case nd_option_mtu: return "MTU";
    case nd_option_nonce: return "Nonce";
    case 24: return "Route Information";
    case 25: return "Recursive DNS Server";
    case 31: return "DNS Search List";
    default: return {};
  }
}

std::string_view nd_option_source(std::uint8_t kind) {
  switch (kind) {
    case nd_option_source_mac:
    case nd_option_target_mac: return "RFC 4861 4.6.1";
    case nd_option_prefix: return "RFC 4861 4.6.2";
    case nd_option_redirected: return "RFC 4861 4.6.3";
    case nd_option_mtu: return "RFC 4861 4.6.4";
    case nd_option_nonce: return "RFC 3971 5.3.2";
    case 24: return "RFC 4191 2.3";
    case 25: return "RFC 8106 5.1";
    case 31: return "RFC 8106 5.2";
    default: return "RFC 4861 4.6";
  }
}

void write_prefix(Writer& writer) {
  const std::uint64_t length = writer.number("Prefix Length", 8);
  writer.say(counted(length, "bit"));
  if (length > 128) writer.complain("more than an address has");
  writer.flag("On-Link");
  writer.flag("Autonomous Address-Configuration");
  writer.reserved("Reserved1", 6);
  write_lifetime(writer, "Valid Lifetime");
  write_lifetime(writer, "Preferred Lifetime");
  writer.reserved("Reserved2", 32);
  writer.ipv6("Prefix");
}

/// What follows type and length; `size` bytes, which are there.
void write_nd_option_data(Writer& writer, std::uint8_t kind, std::size_t size) {
  switch (kind) {
    case nd_option_source_mac:
    case nd_option_target_mac:
      if (size == 6) {
        writer.mac("Link-Layer Address");
        return;
      }
      break;
    case nd_option_prefix:
      if (size == 30) return write_prefix(writer);
      writer.complain("not the length of this kind: the option is ignored");
      break;
    case nd_option_mtu:
      if (size == 6) {
        writer.reserved("Reserved", 16);
        writer.say(counted(writer.number("MTU", 32), "byte"));
        return;
      }
      writer.complain("not the length of this kind: the option is ignored");
      break;
    case nd_option_redirected:
      writer.reserved("Reserved", 48);
      if (size > 6) writer.octets("IP header + data", size - 6);
      return;
    default: break;
  }
  writer.octets(kind == nd_option_nonce ? "Nonce" : "Data", size);
}

void write_nd_options(Writer& writer) {
  while (writer.ok() && writer.left() > 0) {
    const std::uint8_t kind = *writer.peek();
    const std::string_view name = nd_option_name(kind);
    writer.source(nd_option_source(kind));
    writer.group(name.empty() ? words("Option ", static_cast<int>(kind)) : name);
    writer.number("Type", 8);
    const std::uint64_t units = writer.number("Length", 8);
    if (!writer.ok()) return;
    writer.say(words(counted(units, "unit"), ", ", counted(8 * units, "byte")));
    if (units == 0) {
      writer.complain("an option has a length: the message is discarded");
      writer.rest("Remaining Bytes");
    } else if (8 * units - 2 > writer.left()) {
      writer.overrun("message", 2);
    } else if (kind == nd_option_redirected && 8 * units - 2 == writer.left() && units > 1) {
      writer.reserved("Reserved", 48);
      return;  // the rest is a packet, for layers of its own
    } else {
      write_nd_option_data(writer, kind, 8 * units - 2);
    }
  }
}

void write_router_advertisement(Writer& writer) {
  writer.source("RFC 4861 4.2");
  const std::uint64_t hops = writer.number("Cur Hop Limit", 8);
  if (hops == 0) writer.add("left to the host");
  writer.flag("Managed Address Configuration");
  writer.flag("Other Configuration");
  writer.reserved("Reserved", 6);
  const std::uint64_t lifetime = writer.number("Router Lifetime", 16);
  writer.say(lifetime == 0 ? "0, not a default router" : words(lifetime, " s"));
  for (const std::string_view name : {"Reachable Time", "Retrans Timer"}) {
    const std::uint64_t time = writer.number(name, 32);
    writer.say(time == 0 ? "0, left to the host" : words(time, " ms"));
  }
}

/// Octets 4 to 7 and what follows them, except for a quoted packet at the end.
void write_icmpv6_body(Writer& writer, std::uint64_t type, std::string& summary) {
  const auto target = [&] {
    const Ipv6Address address = writer.ipv6("Target Address");
    if (address.is_multicast()) writer.complain("a group");
    return to_string(address);
  };
  switch (static_cast<Icmpv6Type>(type)) {
    case Icmpv6Type::echo_request:
    case Icmpv6Type::echo_reply: {
      writer.source("RFC 4443 4");
      writer.number("Identifier", 16);
      const std::uint64_t sequence = writer.number("Sequence Number", 16);
      summary += words(", sequence ", sequence);
      writer.text("Data");
      return;
    }
    case Icmpv6Type::packet_too_big: {
      writer.source("RFC 4443 3.2");
      const std::uint64_t mtu = writer.number("MTU", 32);
      writer.say(counted(mtu, "byte"));
      summary += words(", MTU ", mtu);
      return;
    }
    case Icmpv6Type::parameter_problem: {
      writer.source("RFC 4443 3.4");
      const std::uint64_t pointer = writer.number("Pointer", 32);
      writer.say(words("octet ", pointer, " of the quoted packet"));
      return;
    }
    case Icmpv6Type::unreachable:
    case Icmpv6Type::time_exceeded:
      writer.source("RFC 4443 3");
      writer.reserved("Unused", 32);
      return;
    case Icmpv6Type::router_solicitation:
      writer.source("RFC 4861 4.1");
      writer.reserved("Reserved", 32);
      return write_nd_options(writer);
    case Icmpv6Type::router_advertisement:
      write_router_advertisement(writer);
      return write_nd_options(writer);
    case Icmpv6Type::neighbor_solicitation:
      writer.source("RFC 4861 4.3");
      writer.reserved("Reserved", 32);
      summary += words(", who has ", target(), "?");
      return write_nd_options(writer);
    case Icmpv6Type::neighbor_advertisement:
      writer.source("RFC 4861 4.4");
      writer.flag("Router");
      writer.flag("Solicited");
      writer.flag("Override");
      writer.reserved("Reserved", 29);
      summary += words(", ", target(), " is here");
      return write_nd_options(writer);
    case Icmpv6Type::redirect:
      writer.source("RFC 4861 4.5");
      writer.reserved("Reserved", 32);
      summary += words(", by way of ", target());
      writer.ipv6("Destination Address");
      return write_nd_options(writer);
  }
  writer.rest("Message Body");
}

}  // namespace

void dissect_icmpv6(Context& context, const Part& part, Checksum pseudo) {
  Writer writer(context, part, "ICMPv6", place_network);
  writer.source("RFC 4443 2.1");
  const std::uint64_t type = writer.number("Type", 8);
  writer.add(type6_name(type));
  const std::uint64_t code = writer.number("Code", 8);
  const std::string_view code_name = code6_name(type, code);
  if (!code_name.empty()) writer.add(code_name);
  writer.checksum("Checksum", pseudo, writer.bytes(), 2, part.cut);
  std::string summary(type6_name(type));
  if (!code_name.empty()) summary += words(", ", code_name);
  if (writer.ok()) write_icmpv6_body(writer, type, summary);
  if (!writer.ok()) summary = writer.why_broken();
  const Part rest = writer.finish(summary);
  if (rest.size() > 0) write_quote(context, rest);
}

}  // namespace koine::wire::dissection
