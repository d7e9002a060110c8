// Where a dissection begins, the link layer, and the way from one layer to the next.
#include "koine/wire/dissect.h"

#include "koine/wire/arp.h"
#include "koine/wire/dissect_writer.h"
#include "koine/wire/ethernet.h"

namespace koine::wire {

namespace dissection {

std::string protocol_name(IpProtocol protocol) {
  switch (static_cast<int>(protocol)) {
    case 0: return "hop-by-hop options";
    case 1: return "ICMP";
    case 2: return "IGMP";
    case 4: return "IPv4";
    case 6: return "TCP";
    case 17: return "UDP";
    case 41: return "IPv6";
    case 43: return "routing header";
    case 44: return "fragment header";
    case 47: return "GRE";
    case 50: return "ESP";
    case 51: return "AH";
    case 58: return "ICMPv6";
    case 59: return "nothing";
    case 60: return "destination options";
    case 89: return "OSPF";
    case 132: return "SCTP";
    default: return words("protocol ", static_cast<int>(protocol));
  }
}

std::string protocol_words(IpProtocol protocol) {
  const std::string name = protocol_name(protocol);
  const int number = static_cast<int>(protocol);
  return name.starts_with("protocol ") ? words(number) : words(number, ", ", name);
}

void dissect_ip_payload(Context& context, const Part& part, IpProtocol protocol, Checksum pseudo,
                        bool over_ipv6) {
  switch (protocol) {
    case IpProtocol::tcp: dissect_tcp(context, part, pseudo); break;
    case IpProtocol::udp: dissect_udp(context, part, pseudo, over_ipv6); break;
    case IpProtocol::icmp: dissect_icmpv4(context, part); break;
    case IpProtocol::icmpv6: dissect_icmpv6(context, part, pseudo); break;
    default: write_data(context, part, protocol_name(protocol), place_transport); break;
  }
}

void write_service(Writer& writer) {
  writer.source("RFC 2474 3");
  static constexpr std::string_view ecn_words[] = {"not ECN-capable", "ECN-capable, ECT(1)",
                                                   "ECN-capable, ECT(0)", "congestion experienced"};
  const std::uint64_t dscp = writer.number("Differentiated Services", 6);
  if (dscp == 0) writer.add("best effort");
  if (dscp == 46) writer.add("expedited forwarding");
  if (dscp >= 48 && dscp % 8 == 0) writer.add("network control");
  writer.source("RFC 3168 5");
  const std::uint64_t ecn = writer.number("ECN", 2);
  writer.add(ecn_words[ecn]);
}

const char* cut_of(const Part& part, bool fragment, bool too_short) {
  if (fragment) return "in other fragments";
  return too_short && part.cut == nullptr ? "not in the frame" : part.cut;
}

namespace {

/// What IEEE 802.3 numbers below this mean is a length.
constexpr std::uint64_t ether_type_min = 1536;

std::string type_words(std::uint64_t type) {
  switch (static_cast<EtherType>(type)) {
    case EtherType::ipv4: return "IPv4";
    case EtherType::arp: return "ARP";
    case EtherType::ipv6: return "IPv6";
  }
  if (type == 0x8100) return "VLAN tag";
  return "not known here";
}

}  // namespace

void dissect_ethernet(Context& context, const Part& part) {
  Writer writer(context, part, "Ethernet II", place_link);
  writer.source("IEEE 802.3 3.2.4");
  const Mac target = writer.mac("Destination Address");
  if (target.is_multicast()) writer.add(target.is_broadcast() ? "everyone" : "a group");
  writer.source("IEEE 802.3 3.2.5");
  const Mac source = writer.mac("Source Address");
  if (source.is_multicast()) writer.complain("a group cannot send");
  writer.source("IEEE 802.3 3.2.6");
  const bool has_length =
      writer.peek(1) && (*writer.peek() << 8 | *writer.peek(1)) < int{ether_type_min};
  const std::uint64_t type = writer.hex(has_length ? "Length" : "Type", 16);
  if (!writer.ok()) {
    writer.finish(writer.why_broken());
    return;
  }
  if (has_length) {
    writer.say(counted(type, "byte"));
  } else {
    writer.add(type_words(type));
  }
  const Part rest = writer.finish(words(to_string(source), " > ", to_string(target), ", ",
                                        has_length ? "IEEE 802.3" : type_words(type)));
  switch (static_cast<EtherType>(type)) {
    case EtherType::ipv4: dissect_ipv4(context, rest); break;
    case EtherType::arp: dissect_arp(context, rest); break;
    case EtherType::ipv6: dissect_ipv6(context, rest); break;
    default: write_data(context, rest, "Data", place_network); break;
  }
}

void dissect_arp(Context& context, const Part& part) {
  Writer writer(context, part, "ARP", place_link);
  writer.source("RFC 826");
  const std::uint64_t hardware = writer.number("Hardware Type", 16);
  if (hardware == 1) writer.add("Ethernet");
  const std::uint64_t protocol = writer.hex("Protocol Type", 16);
  if (protocol == 0x0800) writer.add("IPv4");
  const std::uint64_t hardware_length = writer.number("Hardware Address Length", 8);
  writer.say(counted(hardware_length, "byte"));
  const std::uint64_t protocol_length = writer.number("Protocol Address Length", 8);
  writer.say(counted(protocol_length, "byte"));
  const std::uint64_t operation = writer.number("Operation", 16);
  if (operation >= 1 && operation <= 2) writer.add(operation == 1 ? "request" : "reply");

  std::string summary;
  if (writer.ok() && (hardware_length != 6 || protocol_length != 4 || protocol != 0x0800)) {
    writer.octets("Sender Hardware Address", hardware_length);
    writer.octets("Sender Protocol Address", protocol_length);
    writer.octets("Target Hardware Address", hardware_length);
    writer.octets("Target Protocol Address", protocol_length);
    if (writer.ok()) summary = "not of IPv4 on Ethernet";
  } else {
    const Mac sender_mac = writer.mac("Sender Hardware Address");
    const Ipv4Address sender = writer.ipv4("Sender Protocol Address");
    writer.mac("Target Hardware Address");
    const Ipv4Address target = writer.ipv4("Target Protocol Address");
    if (writer.ok() && operation == 2) {
      summary = words(to_string(sender), " is at ", to_string(sender_mac));
    } else if (writer.ok() && sender == target) {
      summary = words(to_string(sender), " announces itself");
    } else if (writer.ok()) {
      summary = words("who has ", to_string(target), "? tell ", to_string(sender));
    }
  }
  if (!writer.ok()) summary = writer.why_broken();
  write_data(context, writer.finish(summary), "Padding", place_link);
}

// An error quotes a packet, which might quote a packet; deeper ones are shown as bytes.
constexpr int quotes_max = 2;

void write_quote(Context& context, Part part) {
  if (part.cut == nullptr) part.cut = "not quoted";
  if (++part.quotes > quotes_max) return write_data(context, part, "Data", place_network);
  dissect_ip(context, part);
}

void dissect_ip(Context& context, const Part& part) {
  if (part.size() == 0) return;
  switch (std::to_integer<int>(context.frame[part.begin] >> 4)) {
    case 4: dissect_ipv4(context, part); break;
    case 6: dissect_ipv6(context, part); break;
    default: write_data(context, part, "Data", place_network, "neither IPv4 nor IPv6"); break;
  }
}

}  // namespace dissection

Dissection dissect(Bytes frame, LinkType link, DissectOptions options) {
  Dissection result;
  dissection::Context context{frame, options.verify_checksums, result};
  dissection::Part whole{0, frame.size()};
  if (options.wire_length > frame.size()) whole.cut = "not captured";
  if (link == LinkType::raw_ip) {
    dissection::dissect_ip(context, whole);
  } else if (link == LinkType::ethernet) {
    dissection::dissect_ethernet(context, whole);
  } else {
    dissection::write_data(context, whole, "Data", place_link, "a link type not known here");
  }
  return result;
}

}  // namespace koine::wire
