// What a router does with packets that are for others: RFC 1812, section 5, and RFC 8200.
//
// The route is the longest prefix; where it has several next hops, all packets of one flow take the
// same (RFC 2992), which depends on the host's seed, so that routers in a row do not all choose
// alike. Source routes are not obeyed (RFC 7126, section 4.3).
#include <algorithm>

#include "koine/stack/host.h"
#include "koine/wire/ethernet.h"
#include "koine/wire/ipv6_extensions.h"

namespace koine::stack {

using namespace wire;

namespace {

/// A packet behind room for the link's header.
std::vector<std::byte> framed(Bytes packet) {
  std::vector<std::byte> frame;
  frame.reserve(std::max(EthernetHeader::size + packet.size(), ethernet_frame_min));
  frame.resize(EthernetHeader::size);
  frame.insert(frame.end(), packet.begin(), packet.end());
  return frame;
}

/// The ports, if `payload` begins with them.
std::uint32_t ports_of(IpProtocol protocol, Bytes payload) {
  const bool has_ports = protocol == IpProtocol::tcp || protocol == IpProtocol::udp;
  return has_ports && payload.size() >= 4 ? load_be32(payload.data()) : 0;
}

}  // namespace

void Host::set_route(const Ip& prefix, int length, std::vector<Route> hops) {
  redirects_.clear();  // they were about the routes before
  if (hops.empty()) {
    routes_.remove(prefix, length);
  } else {
    routes_.set(prefix, length, std::move(hops));
  }
}

std::optional<Route> Host::route_for(const Ip& source, const Ip& target, IpProtocol protocol,
                                     Bytes payload) const {
  const std::span<const Route> hops = routes_.find_all(target);
  if (hops.empty()) return std::nullopt;
  if (hops.size() == 1) return hops.front();
  const std::uint64_t flow = secret_(
      {source.bits.high, source.bits.low, target.bits.high, target.bits.low,
       std::uint64_t{ports_of(protocol, payload)} << 8 | static_cast<std::uint64_t>(protocol), 4});
  return hops[flow % hops.size()];
}

void Host::forward_v4(int nic, const Ipv4View& view, Instant now) {
  const Ipv4Address target = view.target();
  // RFC 1812, sections 5.3.7 and 4.2.2.11; RFC 3927, section 7.
  if (target.is_link_local() || view.source().is_link_local() || target.is_unspecified() ||
      view.source().is_unspecified() || target.is_reserved()) {
    ++counters_.not_for_us;
    return;
  }
  if (view.ttl() <= 1) {
    ++counters_.ttl_expired;
    send_error_v4(Icmpv4Header::time_exceeded(icmpv4_time_exceeded::in_transit), view.bytes(), now);
    return;
  }
  // Later fragments have no ports: none of a datagram's fragments is told by them.
  const auto route = route_for(view.source(), target, view.protocol(),
                               view.is_fragment() ? Bytes{} : view.payload());
  if (!route) {
    ++counters_.no_route;
    send_error_v4(Icmpv4Header::unreachable(icmpv4_unreachable::network), view.bytes(), now);
    return;
  }
  // A broadcast of another link is not for strangers to make (RFC 2644).
  if (is_group(target, route->nic)) {
    ++counters_.not_for_us;
    return;
  }
  if (route->nic == nic) redirect_v4(nic, *route, view, now);
  const std::size_t mtu = nics_[static_cast<std::size_t>(route->nic)].options.mtu;
  if (view.bytes().size() <= mtu) {
    Packet frame = framed(view.bytes());
    std::byte* const packet = frame.data() + EthernetHeader::size;
    const std::uint16_t before = load_be16(packet + 8);
    packet[8] = static_cast<std::byte>(view.ttl() - 1);
    store_be16(packet + 10,
               updated_checksum(load_be16(packet + 10), before, load_be16(packet + 8)));
    forward(*route, target, std::move(frame), now);
    return;
  }
  if (view.dont_fragment()) {
    send_error_v4(Icmpv4Header::fragmentation_needed(static_cast<std::uint16_t>(mtu)), view.bytes(),
                  now);
    return;
  }
  // Options go with every piece; those that need not (RFC 791, section 3.1) do no harm there.
  Ipv4Header header = view.header();
  header.ttl = static_cast<std::uint8_t>(view.ttl() - 1);
  const Bytes payload = view.payload();
  const std::size_t header_size = view.header_bytes().size();
  const std::size_t piece_max = (mtu - header_size) / 8 * 8;
  for (std::size_t at = 0; at < payload.size(); at += piece_max) {
    const Bytes piece = payload.subspan(at, std::min(piece_max, payload.size() - at));
    header.fragment_offset = static_cast<std::uint16_t>(view.fragment_offset() + at);
    header.more_fragments = view.more_fragments() || at + piece.size() < payload.size();
    Packet frame(EthernetHeader::size + header_size + piece.size());
    const MutableBytes packet = MutableBytes(frame).subspan(EthernetHeader::size);
    write(header, piece.size(), packet);
    std::copy(piece.begin(), piece.end(),
              packet.begin() + static_cast<std::ptrdiff_t>(header_size));
    forward(*route, target, std::move(frame), now);
  }
}

void Host::forward_v6(int nic, const Ipv6View& view, Instant now) {
  const Ipv6Address target = view.target();
  if (target.is_link_local() || view.source().is_link_local() || target.is_unspecified() ||
      view.source().is_unspecified()) {
    ++counters_.not_for_us;
    return;
  }
  if (view.hop_limit() <= 1) {
    ++counters_.ttl_expired;
    send_error_v6(Icmpv6Header::time_exceeded(icmpv6_time_exceeded::in_transit), view.bytes(), now);
    return;
  }
  const auto route = route_for(view.source(), target, view.protocol(), view.payload());
  if (!route) {
    ++counters_.no_route;
    send_error_v6(Icmpv6Header::unreachable(icmpv6_unreachable::no_route), view.bytes(), now);
    return;
  }
  if (route->nic == nic) redirect_v6(nic, *route, view, now);
  const std::size_t mtu = nics_[static_cast<std::size_t>(route->nic)].options.mtu;
  if (view.bytes().size() > mtu) {  // only the source cuts (RFC 8200, section 5)
    send_error_v6(Icmpv6Header::packet_too_big(static_cast<std::uint32_t>(mtu)), view.bytes(), now);
    return;
  }
  Packet frame = framed(view.bytes());
  frame[EthernetHeader::size + 7] = static_cast<std::byte>(view.hop_limit() - 1);
  forward(*route, target, std::move(frame), now);
}

// Takes a packet behind room for the link's header.
void Host::forward(const Route& route, const Ip& target, Packet frame, Instant now) {
  ++counters_.forwarded;
  const Ip next = route.gateway.is_unspecified() ? target : route.gateway;
  const NicOptions& nic = nics_[static_cast<std::size_t>(route.nic)].options;
  const auto mac = nic.ethernet ? neighbors_.find(route.nic, next, now) : std::nullopt;
  if (!mac) {
    frame.erase(frame.begin(), frame.begin() + EthernetHeader::size);
    if (nic.ethernet) {
      neighbors_.hold(route.nic, next, std::move(frame));
    } else {
      out_.push_back({route.nic, std::move(frame), true});
    }
    return;
  }
  write(EthernetHeader{*mac, nic.mac, target.is_v4() ? EtherType::ipv4 : EtherType::ipv6}, frame);
  if (frame.size() < ethernet_frame_min) frame.resize(ethernet_frame_min);
  out_.push_back({route.nic, std::move(frame), true});
}

// Nobody on the link answers for the packet's target: who sent it hears of it.
void Host::undeliverable(const Packet& packet, Instant now) {
  learn_error(packet, Fault::unreachable, 0, now);
  if (!options_.forwards || is_own(source_of(packet))) return;
  if (source_of(packet).is_v4()) {
    send_error_v4(Icmpv4Header::unreachable(icmpv4_unreachable::host), packet, now);
  } else {
    send_error_v6(Icmpv6Header::unreachable(icmpv6_unreachable::address), packet, now);
  }
}

Ip Host::source_of(const Packet& packet) {
  if (std::to_integer<unsigned>(packet[0]) >> 4 == 4) return Ipv4Address::load(packet.data() + 12);
  return Ipv6Address::load(packet.data() + 8);
}

}  // namespace koine::stack
