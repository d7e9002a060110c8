// Any bytes as a frame, for people and for the stack.
//
// The dissection covers every bit once. What a parser takes for good survives being written and
// read again, and lies within the bytes it was read from. The first byte chooses what the rest is.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "koine/wire/arp.h"
#include "koine/wire/dissect.h"
#include "koine/wire/dissect_text.h"
#include "koine/wire/ethernet.h"
#include "koine/wire/icmpv4.h"
#include "koine/wire/icmpv6.h"
#include "koine/wire/ipv4.h"
#include "koine/wire/ipv6.h"
#include "koine/wire/ipv6_extensions.h"
#include "koine/wire/nd.h"
#include "koine/wire/rip.h"
#include "koine/wire/tcp.h"
#include "koine/wire/udp.h"
#include "tests/fuzz/check.h"

namespace {

using namespace koine;
using namespace koine::wire;

void check_dissection(Bytes frame, LinkType link, std::size_t wire_length) {
  const Dissection dissection = dissect(frame, link, {.wire_length = wire_length});
  std::size_t byte = 0;
  for (const Layer& layer : dissection.layers) {
    KOINE_CHECK(layer.offset == byte);
    std::size_t bit = 0;
    for (const Field& field : layer.fields) {
      KOINE_CHECK(field.bit_offset == bit);
      bit += field.bit_count;
    }
    KOINE_CHECK(bit == layer.length * 8);
    byte += layer.length;
  }
  KOINE_CHECK(byte == frame.size());
  KOINE_CHECK(!field_table(dissection).empty() || frame.empty());
  KOINE_CHECK(!layer_table(dissection, frame, wire_length).empty());
}

bool is_within(Bytes inner, Bytes outer) {
  return inner.empty() || (inner.data() >= outer.data() &&
                           inner.data() + inner.size() <= outer.data() + outer.size());
}

void check_tcp(Bytes bytes) {
  const auto view = TcpView::of(bytes);
  if (!view) return;
  KOINE_CHECK(is_within(view->payload(), bytes) && is_within(view->option_bytes(), bytes));
  KOINE_CHECK(view->options() == parse_tcp_options(view->option_bytes()));
  TcpHeader header = view->header();
  // Options may lie closer together than we write them; then fewer of them fit.
  if (header.options.sack.size() > header.options.sack_blocks_max()) header.options.sack.clear();
  header.options.broken = false;
  std::byte written[TcpHeader::size_max];
  const std::size_t size = write(header, {}, {}, written);
  KOINE_CHECK(parse_tcp(Bytes(written).first(size)) == header);
}

void check_ipv4(Bytes bytes) {
  const auto view = Ipv4View::of(bytes);
  if (!view) return;
  KOINE_CHECK(is_within(view->payload(), bytes) && is_within(view->bytes(), bytes));
  const Ipv4Header header = view->header();
  std::vector<std::byte> written(view->bytes().size());
  write(header, view->payload().size(), written);
  const auto again = Ipv4View::of(written);
  KOINE_CHECK(again && again->has_intact_header() && again->header() == header);
  if (header.ttl > 0) {
    decrement_ttl(written);
    KOINE_CHECK(Ipv4View::of(written)->has_intact_header());
  }
  Ipv4Options options(view->options());
  std::size_t count = 0;
  while (const auto option = options.next()) {
    KOINE_CHECK(is_within(option->data, view->options()));
    ++count;
  }
  KOINE_CHECK(count <= 20);
}

void check_ipv6(Bytes bytes) {
  const auto view = Ipv6View::of(bytes);
  if (!view) return;
  KOINE_CHECK(is_within(view->payload(), bytes));
  std::byte written[Ipv6Header::size];
  write(view->header(), 0, written);
  KOINE_CHECK(parse_ipv6(written) == view->header());
  const Ipv6Chain chain = Ipv6Chain::walk(*view);
  KOINE_CHECK(is_within(chain.payload, bytes));
  KOINE_CHECK(chain.payload_at <= view->bytes().size());
  KOINE_CHECK(chain.protocol_at < view->bytes().size());
  if (chain.problem && chain.problem->report != Ipv6Problem::Report::nothing)
    KOINE_CHECK(chain.problem->pointer <= view->bytes().size());
  if (chain.is_fragment() && !chain.problem)
    KOINE_CHECK(chain.fragment->offset + chain.payload.size() <= Ipv6Header::payload_size_max);
}

template <class Message>
void check_nd(const std::optional<Message>& message,
              std::optional<Message> (*parse)(const Icmpv6View&)) {
  if (!message) return;
  std::vector<std::byte> written(message->size());
  KOINE_CHECK(write(*message, {}, written) == written.size());
  KOINE_CHECK(parse(*Icmpv6View::of(written)) == message);
}

void check_icmp(Bytes bytes) {
  const auto v4 = Icmpv4View::of(bytes);
  if (!v4) return;
  std::vector<std::byte> written(bytes.begin(), bytes.end());
  write(v4->header(), partial_sum(v4->payload()), written);
  KOINE_CHECK(Icmpv4View::of(written)->is_intact());
  const Icmpv6View v6 = *Icmpv6View::of(bytes);
  check_nd(parse_router_solicitation(v6), parse_router_solicitation);
  check_nd(parse_router_advertisement(v6), parse_router_advertisement);
  check_nd(parse_neighbor_solicitation(v6), parse_neighbor_solicitation);
  check_nd(parse_neighbor_advertisement(v6), parse_neighbor_advertisement);
  check_nd(parse_redirect(v6), parse_redirect);
}

void check_rip(Bytes bytes) {
  auto message = parse_rip(bytes);
  if (!message) return;
  message->skipped = 0;
  if (message->whole_table && message->size() > RipMessage::size_max) return;
  std::vector<std::byte> written(message->size());
  write(*message, written);
  KOINE_CHECK(parse_rip(written) == message);
}

void check_small(Bytes bytes) {
  if (const auto packet = parse_arp(bytes)) {
    std::byte written[ArpPacket::size];
    write(*packet, written);
    KOINE_CHECK(parse_arp(written) == packet);
  }
  if (const auto view = UdpView::of(bytes)) KOINE_CHECK(is_within(view->payload(), bytes));
  if (const auto view = EthernetView::of(bytes)) {
    std::byte written[EthernetHeader::size];
    write(view->header(), written);
    KOINE_CHECK(parse_ethernet(written) == view->header());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes bytes = std::as_bytes(std::span(data, size)).subspan(1);
  switch (data[0] % 8) {
    case 0: check_dissection(bytes, LinkType::ethernet, 0); break;
    case 1: check_dissection(bytes, LinkType::raw_ip, 0); break;
    case 2: check_dissection(bytes, LinkType::ethernet, bytes.size() + 1); break;
    case 3: check_tcp(bytes); break;
    case 4: check_ipv4(bytes); break;
    case 5: check_ipv6(bytes); break;
    case 6: check_icmp(bytes); break;
    default:
      check_rip(bytes);
      check_small(bytes);
      break;
  }
  return 0;
}
