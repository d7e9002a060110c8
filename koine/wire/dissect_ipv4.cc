// IPv4 with its options, for people.
#include <algorithm>

#include "koine/wire/dissect_writer.h"
#include "koine/wire/ipv4.h"

namespace koine::wire::dissection {

namespace {

std::string_view option_name(std::uint8_t type) {
  switch (type) {
    case ipv4_option_record_route: return "Record Route";
    case ipv4_option_timestamp: return "Internet Timestamp";
    case ipv4_option_security: return "Security";
    case ipv4_option_loose_source_route: return "Loose Source and Record Route";
    case ipv4_option_stream_id: return "Stream Identifier";
    case ipv4_option_strict_source_route: return "Strict Source and Record Route";
    case ipv4_option_router_alert: return "Router Alert";
    default: return {};
  }
}

/// The addresses of a route; `end` is where the option ends, within the layer.
void write_route(Writer& writer, std::size_t end) {
  const std::uint64_t pointer = writer.number("Pointer", 8);
  if (pointer < 4) writer.complain("the first address is octet 4");
  while (writer.ok() && writer.at() + 4 <= end) writer.ipv4("Address");
}

void write_timestamps(Writer& writer, std::size_t end) {
  writer.number("Pointer", 8);
  writer.number("Overflow", 4);
  const std::uint64_t flag = writer.number("Flag", 4);
  if (flag == 0) writer.add("times only");
  if (flag == 1) writer.add("addresses and times");
  if (flag == 3) writer.add("addresses given");
  while (writer.ok() && flag != 0 && writer.at() + 8 <= end) {
    writer.ipv4("Address");
    writer.say(words(writer.number("Timestamp", 32), " ms since midnight UT"));
  }
  while (writer.ok() && flag == 0 && writer.at() + 4 <= end) {
    writer.say(words(writer.number("Timestamp", 32), " ms since midnight UT"));
  }
}

void write_option_data(Writer& writer, std::uint8_t type, std::size_t end) {
  switch (type) {
    case ipv4_option_record_route:
    case ipv4_option_loose_source_route:
    case ipv4_option_strict_source_route:
      if (writer.at() < end) write_route(writer, end);
      break;
    case ipv4_option_timestamp:
      if (writer.at() + 2 <= end) write_timestamps(writer, end);
      break;
    case ipv4_option_router_alert:
      if (writer.at() + 2 == end) {
        writer.source("RFC 2113 2.1");
        const std::uint64_t value = writer.number("Value", 16);
        if (value == 0) writer.add("every router looks at the packet");
      }
      break;
    case ipv4_option_stream_id:
      if (writer.at() + 2 == end) writer.number("Stream ID", 16);
      break;
    default: break;
  }
  if (writer.ok() && writer.at() < end) writer.octets("Data", end - writer.at());
}

void write_options(Writer& writer) {
  while (writer.ok() && writer.left() > 0) {
    writer.source("RFC 791 3.1");
    const std::uint8_t type = *writer.peek();
    if (type == ipv4_option_end || type == ipv4_option_no_operation) {
      const bool end = type == ipv4_option_end;
      writer.group(end ? "End of Option List" : "No Operation");
      writer.number("Type", 8);
      writer.say(end ? "0, the options end here" : "1, nothing but filling");
      if (end) writer.rest("Padding");
      continue;
    }
    const std::string_view name = option_name(type);
    writer.group(name.empty() ? words("Option ", type & 31) : name);
    writer.flag("Copied");
    writer.number("Class", 2);
    writer.add((type >> 5 & 3) == 0   ? "control"
               : (type >> 5 & 3) == 2 ? "debugging and measurement"
                                      : "reserved");
    writer.number("Number", 5);
    const std::uint64_t length = writer.number("Length", 8);
    if (!writer.ok()) return;
    writer.say(counted(length, "byte"));
    if (length < 2) {
      writer.complain("less than the type and length themselves");
      writer.rest("Remaining Bytes");
    } else if (length - 2 > writer.left()) {
      writer.overrun("header", 2);
    } else {
      write_option_data(writer, type, writer.at() + length - 2);
    }
  }
}

}  // namespace

void dissect_ipv4(Context& context, const Part& part) {
  Writer writer(context, part, "IPv4", place_network);
  writer.source("RFC 791 3.1");
  const std::uint64_t version = writer.number("Version", 4);
  if (version != 4) writer.complain("not 4");
  const std::uint64_t words_ = writer.number("IHL", 4);
  const std::size_t header_size = words_ * 4;
  writer.say(words(words_, " words, ", counted(header_size, "byte")));
  if (header_size < Ipv4Header::size_min) writer.complain("a header has at least 20 bytes");
  const bool sound = writer.ok() && version == 4 && header_size >= Ipv4Header::size_min;
  if (sound) writer.limit(header_size);

  write_service(writer);
  writer.source("RFC 791 3.1");
  const std::uint64_t total = writer.number("Total Length", 16);
  writer.say(counted(total, "byte"));
  if (total < header_size) writer.complain("less than the header");
  const bool too_short = writer.ok() && total > part.size();
  if (too_short && part.cut == nullptr)
    writer.complain(words("only ", part.size(), " are in the frame"));
  writer.hex("Identification", 16);
  writer.reserved("Reserved", 1);
  const bool dont_fragment = writer.flag("Don't Fragment");
  const bool more = writer.flag("More Fragments");
  const std::uint64_t offset = writer.number("Fragment Offset", 13) * 8;
  const std::size_t payload_size = total > header_size ? total - header_size : 0;
  if (writer.ok()) {
    writer.say(words(counted(offset / 8, "unit"), ", ", counted(offset, "byte")));
    if (offset + payload_size > 65'535) writer.complain("reaches beyond the largest packet");
    if (more && payload_size % 8 != 0)
      writer.complain("a fragment in the middle is no multiple of 8 bytes long");
  }
  const std::uint64_t ttl = writer.number("Time to Live", 8);
  writer.say(counted(ttl, "hop"));
  const auto protocol = static_cast<IpProtocol>(writer.number("Protocol", 8));
  writer.say(protocol_words(protocol));
  const std::size_t here = std::min(header_size, part.size());
  writer.checksum("Header Checksum", {}, writer.bytes().first(sound ? here : 0), 10,
                  !sound               ? "the header is broken"
                  : here < header_size ? "the header is not whole"
                                       : nullptr);
  const Ipv4Address source = writer.ipv4("Source Address");
  if (source.is_multicast()) writer.complain("a group cannot send");
  const Ipv4Address target = writer.ipv4("Destination Address");
  if (writer.ok() && sound) write_options(writer);

  const bool whole = writer.ok() && sound && total >= header_size && writer.at() == header_size;
  const bool fragment = more || offset != 0;
  std::string summary = words(to_string(source), " > ", to_string(target), ", ttl ", ttl);
  if (dont_fragment) summary += ", don't fragment";
  if (fragment) summary += words(", fragment at ", offset);
  Part rest = writer.finish(whole ? summary : writer.why_broken());
  if (!whole) return write_data(context, rest, "Remaining Bytes", place_network);

  Part padding = rest;
  rest.end = std::min(rest.begin + payload_size, rest.end);
  padding.begin = rest.end;
  if (offset != 0) {
    write_data(context, rest, "Fragment Data", place_transport);
  } else {
    rest.cut = cut_of(part, more, too_short);
    dissect_ip_payload(context, rest, protocol,
                       pseudo_header(source, target, protocol, payload_size), false);
  }
  write_data(context, padding, part.quotes > 0 ? "Surplus" : "Padding",
             part.quotes > 0 ? place_network : place_link);
}

}  // namespace koine::wire::dissection
