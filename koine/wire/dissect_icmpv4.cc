// ICMP for IPv4, for people.
#include "koine/wire/dissect_writer.h"
#include "koine/wire/icmpv4.h"

namespace koine::wire::dissection {

namespace {

std::string_view type4_name(std::uint64_t type) {
  switch (type) {
    case 0: return "echo reply";
    case 3: return "destination unreachable";
    case 4: return "source quench";
    case 5: return "redirect";
    case 8: return "echo request";
    case 9: return "router advertisement";
    case 10: return "router solicitation";
    case 11: return "time exceeded";
    case 12: return "parameter problem";
    case 13: return "timestamp request";
    case 14: return "timestamp reply";
    default: return "a type not known here";
  }
}

std::string_view code4_name(std::uint64_t type, std::uint64_t code) {
  static constexpr std::string_view unreachable[] = {"network unreachable",
                                                     "host unreachable",
                                                     "protocol unreachable",
                                                     "port unreachable",
                                                     "fragmentation needed",
                                                     "source route failed",
                                                     "network unknown",
                                                     "host unknown",
                                                     "source host isolated",
                                                     "network prohibited",
                                                     "host prohibited",
                                                     "network unreachable for this service",
                                                     "host unreachable for this service",
                                                     "communication prohibited",
                                                     "precedence violation",
                                                     "precedence cutoff"};
  static constexpr std::string_view redirect[] = {
      "for the network", "for the host", "for the service and network", "for the service and host"};
  static constexpr std::string_view exceeded[] = {"in transit", "in reassembly"};
  static constexpr std::string_view problem[] = {"the pointer says where",
                                                 "a required option is missing", "a bad length"};
  const auto from = [code](const auto& names) {
    return code < std::size(names) ? names[code] : std::string_view("not known here");
  };
  switch (type) {
    case 3: return from(unreachable);
    case 5: return from(redirect);
    case 11: return from(exceeded);
    case 12: return from(problem);
    default: return {};
  }
}

/// Octets 4 to 7 and what follows them, except for quoted packets.
void write_icmpv4_body(Writer& writer, std::uint64_t type, std::uint64_t code,
                       std::string& summary) {
  switch (static_cast<Icmpv4Type>(type)) {
    case Icmpv4Type::echo_request:
    case Icmpv4Type::echo_reply: {
      writer.number("Identifier", 16);
      const std::uint64_t sequence = writer.number("Sequence Number", 16);
      summary += words(", sequence ", sequence);
      writer.text("Data");
      return;
    }
    case Icmpv4Type::timestamp_request:
    case Icmpv4Type::timestamp_reply:
      writer.number("Identifier", 16);
      writer.number("Sequence Number", 16);
      for (const std::string_view name :
           {"Originate Timestamp", "Receive Timestamp", "Transmit Timestamp"}) {
        writer.say(words(writer.number(name, 32), " ms since midnight UT"));
      }
      writer.rest("Surplus");
      return;
    case Icmpv4Type::redirect: {
      const Ipv4Address gateway = writer.ipv4("Gateway Internet Address");
      summary += words(", by way of ", to_string(gateway));
      return;
    }
    case Icmpv4Type::parameter_problem: {
      const std::uint64_t pointer = writer.number("Pointer", 8);
      writer.say(words("octet ", pointer, " of the quoted packet"));
      writer.reserved("unused", 24);
      return;
    }
    case Icmpv4Type::unreachable:
      if (code == icmpv4_unreachable::fragmentation_needed) {
        writer.source("RFC 1191 4");
        writer.reserved("unused", 16);
        const std::uint64_t mtu = writer.number("Next-Hop MTU", 16);
        writer.say(mtu == 0 ? "0, not told" : counted(mtu, "byte"));
        summary += words(", MTU ", mtu);
        return;
      }
      [[fallthrough]];
    case Icmpv4Type::time_exceeded:
    case Icmpv4Type::source_quench: writer.reserved("unused", 32); return;
  }
  writer.octets("Rest of Header", 4);
  writer.rest("Data");
}

}  // namespace

void dissect_icmpv4(Context& context, const Part& part) {
  Writer writer(context, part, "ICMP", place_network);
  writer.source("RFC 792");
  const std::uint64_t type = writer.number("Type", 8);
  writer.add(type4_name(type));
  const std::uint64_t code = writer.number("Code", 8);
  const std::string_view code_name = code4_name(type, code);
  if (!code_name.empty()) writer.add(code_name);
  writer.checksum("Checksum", {}, writer.bytes(), 2, part.cut);
  std::string summary(type4_name(type));
  if (!code_name.empty()) summary += words(", ", code_name);
  if (writer.ok()) write_icmpv4_body(writer, type, code, summary);
  if (!writer.ok()) summary = writer.why_broken();
  const Part rest = writer.finish(summary);
  if (rest.size() > 0) write_quote(context, rest);
}

}  // namespace koine::wire::dissection
