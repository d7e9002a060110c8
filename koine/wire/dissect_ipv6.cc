// IPv6 with its extension headers, for people.
#include <algorithm>
#include <optional>

#include "koine/wire/dissect_writer.h"
#include "koine/wire/ipv6.h"
#include "koine/wire/ipv6_extensions.h"

namespace koine::wire::dissection {

namespace {

std::string_view option6_name(std::uint8_t type) {
  switch (type) {
    case ipv6_option_pad1: return "Pad1";
    case ipv6_option_padn: return "PadN";
    case ipv6_option_router_alert: return "Router Alert";
    case 0x04: return "Tunnel Encapsulation Limit";
    case 0xc2: return "Jumbo Payload";
    default: return {};
  }
}

void write_option6_data(Writer& writer, std::uint8_t type, std::size_t length) {
  if (type == ipv6_option_router_alert && length == 2) {
    writer.source("RFC 2711 2.1");
    const std::uint64_t value = writer.number("Value", 16);
    if (value == 0) writer.add("multicast listener discovery");
    if (value == 1) writer.add("RSVP");
    if (value == 2) writer.add("active networks");
  } else if (type == 0x04 && length == 1) {
    writer.source("RFC 2473 4.1.1");
    writer.number("Limit", 8);
  } else if (type == 0xc2 && length == 4) {
    writer.source("RFC 2675 2");
    writer.number("Jumbo Payload Length", 32);
  } else if (length > 0) {
    writer.octets(type == ipv6_option_padn ? "Padding" : "Data", length);
  }
}

void write_options6(Writer& writer) {
  while (writer.ok() && writer.left() > 0) {
    writer.source("RFC 8200 4.2");
    const std::uint8_t type = *writer.peek();
    const std::string_view name = option6_name(type);
    writer.group(name.empty() ? words("Option ", static_cast<int>(type)) : name);
    if (!name.empty()) {
      writer.number("Type", 8);
      if (type == ipv6_option_pad1) continue;
    } else {
      static constexpr std::string_view actions[] = {
          "skip it", "discard the packet", "discard the packet and report it",
          "discard the packet and report it unless sent to a group"};
      writer.number("If Unknown", 2);
      writer.say(words(type >> 6, ", ", actions[type >> 6]));
      writer.flag("May Change on the Way");
      writer.number("Number", 5);
    }
    const std::uint64_t length = writer.number("Opt Data Len", 8);
    if (!writer.ok()) return;
    writer.say(counted(length, "byte"));
    if (length > writer.left()) {
      writer.overrun("header", 0);
      return;
    }
    write_option6_data(writer, type, length);
  }
}

void write_routing(Writer& writer) {
  const std::uint64_t type = writer.number("Routing Type", 8);
  if (type == 0) writer.add("deprecated by RFC 5095");
  if (type == 2) writer.add("Mobile IPv6");
  if (type == 4) writer.add("segment routing");
  writer.number("Segments Left", 8);
  if (type == 0 || type == 2) {
    writer.reserved("Reserved", 32);
    while (writer.ok() && writer.left() >= 16) writer.ipv6("Address");
  }
  writer.rest("Type-Specific Data");
}

Ipv6Fragment write_fragment(Writer& writer) {
  Ipv6Fragment fragment;
  fragment.offset = 8 * writer.number("Fragment Offset", 13);
  writer.say(words(counted(fragment.offset / 8, "unit"), ", ", counted(fragment.offset, "byte")));
  writer.reserved("Res", 2);
  fragment.more = writer.flag("M");
  writer.add(fragment.more ? "more fragments follow" : "the last fragment");
  fragment.identification = static_cast<std::uint32_t>(writer.hex("Identification", 32));
  return fragment;
}

std::string_view extension_source(IpProtocol kind) {
  switch (kind) {
    case IpProtocol::hop_by_hop: return "RFC 8200 4.3";
    case IpProtocol::routing: return "RFC 8200 4.4";
    case IpProtocol::fragment: return "RFC 8200 4.5";
    default: return "RFC 8200 4.6";
  }
}

std::string_view extension_name(IpProtocol kind) {
  switch (kind) {
    case IpProtocol::hop_by_hop: return "IPv6 Hop-by-Hop Options";
    case IpProtocol::routing: return "IPv6 Routing";
    case IpProtocol::fragment: return "IPv6 Fragment";
    default: return "IPv6 Destination Options";
  }
}

/// One extension header. What follows it, and which protocol that is; no protocol if the header is
/// broken.
struct Next {
  Part part;
  std::optional<IpProtocol> protocol;
  std::optional<Ipv6Fragment> fragment;
};

Next dissect_extension(Context& context, const Part& part, IpProtocol kind, bool first) {
  Next next;
  Writer writer(context, part, extension_name(kind), place_network);
  writer.source(extension_source(kind));
  const auto protocol = static_cast<IpProtocol>(writer.number("Next Header", 8));
  writer.say(protocol_words(protocol));
  if (kind == IpProtocol::hop_by_hop && !first)
    writer.complain("hop-by-hop options have to be the first extension header");
  if (kind == IpProtocol::fragment) {
    writer.reserved("Reserved", 8);
    next.fragment = write_fragment(writer);
  } else {
    const std::size_t size = 8 + 8 * writer.number("Hdr Ext Len", 8);
    if (writer.ok()) {
      writer.say(words(counted(size / 8 - 1, "unit"), ", ", counted(size, "byte"), " in all"));
      if (size > part.size() && part.cut == nullptr)
        writer.complain(words("only ", part.size(), " are left in the packet"));
      writer.limit(size);
    }
    if (kind == IpProtocol::routing) {
      write_routing(writer);
    } else {
      write_options6(writer);
    }
    writer.rest("Remaining Bytes");
    if (writer.at() < size && writer.ok()) {  // cut off between two options
      next.part = writer.finish(writer.why_broken());
      return next;
    }
  }
  const bool whole = writer.ok();
  if (whole) next.protocol = protocol;
  std::string summary = whole ? "then " + protocol_name(protocol) : writer.why_broken();
  if (whole && next.fragment)
    summary +=
        words(", fragment at ", next.fragment->offset, next.fragment->more ? ", more follow" : "");
  next.part = writer.finish(summary);
  return next;
}

}  // namespace

void dissect_ipv6(Context& context, const Part& part) {
  Writer writer(context, part, "IPv6", place_network);
  writer.source("RFC 8200 3");
  const std::uint64_t version = writer.number("Version", 4);
  if (version != 6) writer.complain("not 6");
  write_service(writer);
  writer.source("RFC 6437 2");
  writer.hex("Flow Label", 20);
  writer.source("RFC 8200 3");
  const std::uint64_t payload_size = writer.number("Payload Length", 16);
  writer.say(counted(payload_size, "byte"));
  const bool too_short = writer.ok() && Ipv6Header::size + payload_size > part.size();
  if (too_short && part.cut == nullptr)
    writer.complain(
        words("only ", part.size() - std::min(part.size(), Ipv6Header::size), " are in the frame"));
  auto protocol = static_cast<IpProtocol>(writer.number("Next Header", 8));
  writer.say(protocol_words(protocol));
  const std::uint64_t hops = writer.number("Hop Limit", 8);
  writer.say(counted(hops, "hop"));
  const Ipv6Address source = writer.ipv6("Source Address");
  if (source.is_multicast()) writer.complain("a group cannot send");
  const Ipv6Address target = writer.ipv6("Destination Address");

  const bool whole = writer.ok() && version == 6;
  Part rest =
      writer.finish(whole ? words(to_string(source), " > ", to_string(target), ", hop limit ", hops)
                          : writer.why_broken());
  if (!whole) return write_data(context, rest, "Remaining Bytes", place_network);

  Part padding = rest;
  const std::size_t packet_end = rest.begin + payload_size;
  rest.end = std::min(packet_end, rest.end);
  padding.begin = rest.end;
  rest.cut = cut_of(part, false, too_short);
  bool is_whole = true;
  bool is_piece = false;
  for (bool first = true; is_whole && !is_piece && is_extension(protocol); first = false) {
    const Next next = dissect_extension(context, rest, protocol, first);
    rest = next.part;
    is_whole = next.protocol.has_value();
    protocol = next.protocol.value_or(protocol);
    if (next.fragment && !next.fragment->is_atomic()) {
      is_piece = next.fragment->offset != 0;
      rest.cut = "in other fragments";
    }
  }
  if (!is_whole) {
    write_data(context, rest, "Remaining Bytes", place_network);
  } else if (is_piece) {
    write_data(context, rest, "Fragment Data", place_transport);
  } else {
    dissect_ip_payload(context, rest, protocol,
                       pseudo_header(source, target, protocol, packet_end - rest.begin), true);
  }
  write_data(context, padding, part.quotes > 0 ? "Surplus" : "Padding",
             part.quotes > 0 ? place_network : place_link);
}

}  // namespace koine::wire::dissection
