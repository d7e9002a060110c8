// IP of both versions: what is for us goes up, what is ours finds its way; fragments both ways.
#include <algorithm>

#include "koine/stack/host.h"
#include "koine/wire/ipv6_extensions.h"

namespace koine::stack {

using namespace wire;

namespace {
constexpr std::size_t loop_mtu = 65'535;
}

void Host::input_ip(int nic, Bytes packet, Instant now) {
  if (packet.empty()) return;
  if (std::to_integer<unsigned>(packet[0]) >> 4 == 6) {
    input_v6(nic, packet, now);
  } else {
    input_v4(nic, packet, now, false);
  }
}

bool Host::is_group(const Ip& target, int nic) const {
  if (target.is_multicast()) return true;
  if (!target.is_v4()) return false;
  if (target.v4().is_broadcast()) return true;
  if (nic == loop) return false;
  for (const Nic::Address& own : nics_[static_cast<std::size_t>(nic)].addresses)
    if (own.ip.is_v4() && own.length < 31 &&
        Ipv4Prefix{own.ip.v4(), static_cast<std::uint8_t>(own.length)}.broadcast() == target.v4())
      return true;
  return false;
}

void Host::input_v4(int nic, Bytes bytes, Instant now, bool link_multicast) {
  const auto view = Ipv4View::of(bytes);
  if (!view || !view->has_intact_header()) {
    ++counters_.malformed;
    return;
  }
  const Ipv4Address source = view->source();
  const Ip target = view->target();
  const bool group = is_group(target, nic);
  // RFC 1122, section 3.2.1.3: no group sends, and 127/8 never comes from a link.
  if (source.is_multicast() || source.is_broadcast() ||
      (nic != loop && (source.is_loopback() || target.is_loopback()))) {
    ++counters_.malformed;
    return;
  }
  if (!group && !is_own(target)) {
    if (options_.forwards && nic != loop && !link_multicast) return forward_v4(nic, *view, now);
    ++counters_.not_for_us;
    return;
  }
  // An address of one in a frame for many is a trick (RFC 1122, section 3.3.6).
  if (link_multicast && !group) {
    ++counters_.not_for_us;
    return;
  }
  if (!view->options().empty()) {
    Ipv4Options walk(view->options());
    while (walk.next()) {
    }
    if (walk.broken_at()) {
      ++counters_.malformed;
      return;
    }
  }
  Meta meta{source, target, view->bytes(), group || link_multicast};
  if (!view->is_fragment()) {
    input_transport(view->protocol(), meta, view->payload(), 9, nic, now);
    return;
  }
  const FragmentKey key{source, target, view->identification(),
                        static_cast<std::uint8_t>(view->protocol())};
  const auto whole = fragments_.insert(key, view->fragment_offset(), view->more_fragments(),
                                       view->payload(), view->bytes(), now);
  if (!whole) return;
  input_transport(view->protocol(), meta, *whole, 9, nic, now);
}

void Host::input_v6(int nic, Bytes bytes, Instant now) {
  const auto view = Ipv6View::of(bytes);
  if (!view || view->source().is_multicast()) {
    ++counters_.malformed;
    return;
  }
  const Ip source = view->source();
  const Ip target = view->target();
  const bool group = view->target().is_multicast();
  if ((nic != loop && (source.is_loopback() || target.is_loopback())) || source.is_v4() ||
      target.is_v4()) {
    ++counters_.malformed;
    return;
  }
  if (!group && !is_own(target)) {
    if (options_.forwards && nic != loop) return forward_v6(nic, *view, now);
    ++counters_.not_for_us;
    return;
  }
  const Ipv6Chain chain = Ipv6Chain::walk(*view);
  if (chain.problem) {
    ++counters_.malformed;
    const bool report = chain.problem->report == Ipv6Problem::Report::even_to_group ||
                        (chain.problem->report == Ipv6Problem::Report::unless_group && !group);
    if (report && !group)
      send_error_v6(Icmpv6Header::parameter_problem(chain.problem->code, chain.problem->pointer),
                    view->bytes(), now);
    return;
  }
  const Meta meta{source, target, view->bytes(), group};
  if (chain.protocol == IpProtocol::icmpv6 && !chain.is_fragment()) {
    const auto message = Icmpv6View::of(chain.payload);
    const Checksum pseudo =
        pseudo_header(view->source(), view->target(), IpProtocol::icmpv6, chain.payload.size());
    if (message && message->is_intact(pseudo) && !chain.fragment &&
        input_nd(nic, *view, *message, now))
      return;
  }
  if (!chain.is_fragment()) {
    input_transport(chain.protocol, meta, chain.payload, chain.protocol_at, nic, now);
    return;
  }
  const FragmentKey key{source, target, chain.fragment->identification,
                        static_cast<std::uint8_t>(chain.protocol)};
  const auto whole = fragments_.insert(key, chain.fragment->offset, chain.fragment->more,
                                       chain.payload, view->bytes(), now);
  if (!whole) return;
  if (is_extension(chain.protocol)) {
    // Headers that were themselves cut into pieces: put the packet together and walk on.
    Packet packet(Ipv6Header::size + whole->size());
    if (whole->size() > Ipv6Header::payload_size_max || chain.protocol == IpProtocol::fragment)
      return;
    Ipv6Header header = view->header();
    header.protocol = chain.protocol;
    write(header, whole->size(), packet);
    std::copy(whole->begin(), whole->end(), packet.begin() + Ipv6Header::size);
    const auto rebuilt = Ipv6View::of(packet);
    const Ipv6Chain rest = Ipv6Chain::walk(*rebuilt);
    if (!rest.problem && !rest.fragment)
      input_transport(rest.protocol, meta, rest.payload, rest.protocol_at, nic, now);
    return;
  }
  input_transport(chain.protocol, meta, *whole, chain.protocol_at, nic, now);
}

void Host::input_transport(IpProtocol protocol, const Meta& meta, Bytes payload,
                           std::size_t protocol_at, int nic, Instant now) {
  const bool v4 = meta.target.is_v4();
  switch (protocol) {
    case IpProtocol::tcp: input_tcp(meta, payload, now); return;
    case IpProtocol::udp: input_udp(meta, payload, now); return;
    case IpProtocol::icmp:
      if (v4) return input_icmpv4(meta, payload, nic, now);
      break;
    case IpProtocol::icmpv6:
      if (!v4) return input_icmpv6(meta, payload, now);
      break;
    case IpProtocol::none: return;
    default: break;
  }
  if (meta.multicast) return;
  if (v4) {
    send_error_v4(Icmpv4Header::unreachable(icmpv4_unreachable::protocol), meta.packet, now);
  } else {
    send_error_v6(Icmpv6Header::parameter_problem(icmpv6_parameter_problem::unknown_next_header,
                                                  static_cast<std::uint32_t>(protocol_at)),
                  meta.packet, now);
  }
}

// The address of `nic` that shares the longest prefix with the target (RFC 6724, rule 8).
std::optional<Ip> Host::source_for(int nic, const Ip& target) const {
  std::optional<Ip> best;
  int best_length = -1;
  for (const Nic::Address& own : nics_[static_cast<std::size_t>(nic)].addresses) {
    if (own.ip.is_v4() != target.is_v4()) continue;
    const std::uint64_t high = own.ip.bits.high ^ target.bits.high;
    const std::uint64_t low = own.ip.bits.low ^ target.bits.low;
    const int shared = high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(low);
    if (shared > best_length) {
      best_length = shared;
      best = own.ip;
    }
  }
  return best;
}

std::optional<Host::Hop> Host::hop_to(const Ip& target, const Ip& source) const {
  if (is_own(target)) return Hop{loop, target, source.is_unspecified() ? target : source, loop_mtu};
  auto route = routes_.find(target);
  if (!route && target.is_multicast() && !nics_.empty()) route = Route{0, {}};
  if (!route && target.is_v4() && target.v4().is_broadcast() && !nics_.empty())
    route = Route{0, {}};
  if (!route) return std::nullopt;
  if (!redirects_.empty()) {
    const auto better = redirects_.find(target);
    if (better != redirects_.end()) route = better->second;
  }
  const auto own =
      source.is_unspecified() ? source_for(route->nic, target) : std::optional<Ip>(source);
  if (!own) return std::nullopt;
  const Nic& nic = nics_[static_cast<std::size_t>(route->nic)];
  const bool told = !target.is_v4() && nic.mtu_v6 != 0;
  return Hop{route->nic, route->gateway.is_unspecified() ? target : route->gateway, *own,
             told ? std::min(nic.mtu_v6, nic.options.mtu) : nic.options.mtu};
}

std::size_t Host::path_mtu(const Ip& target, std::size_t link_mtu, Instant now) {
  const auto found = path_mtus_.find(target);
  if (found == path_mtus_.end()) return link_mtu;
  if (found->second.until <= now) {  // perhaps the path is better by now (RFC 1191, section 6.3)
    path_mtus_.erase(found);
    return link_mtu;
  }
  return std::min(link_mtu, found->second.mtu);
}

Result<void> Host::send_ip(const Ip& source, const Ip& target, IpProtocol protocol, Bytes payload,
                           Instant now, std::uint8_t ttl) {
  const auto hop = hop_to(target, source);
  if (!hop) {
    ++counters_.no_route;
    return fail(Fault::unreachable);
  }
  if (ttl == 0) ttl = options_.ttl;
  const std::size_t mtu = path_mtu(target, hop->mtu, now);
  if (target.is_v4()) {
    Ipv4Header header{.source = hop->source.v4(),
                      .target = target.v4(),
                      .protocol = protocol,
                      .ttl = ttl,
                      .identification = static_cast<std::uint16_t>(++identification_)};
    if (payload.size() + Ipv4Header::size_min > Ipv4Header::packet_size_max)
      return fail(Fault::over_limit);
    const std::size_t piece_max = payload.size() + Ipv4Header::size_min <= mtu
                                      ? payload.size()
                                      : (mtu - Ipv4Header::size_min) / 8 * 8;
    for (std::size_t at = 0;;) {
      const std::size_t size = std::min(piece_max, payload.size() - at);
      header.fragment_offset = static_cast<std::uint16_t>(at);
      header.more_fragments = at + size < payload.size();
      Packet packet(Ipv4Header::size_min + size);
      write(header, size, packet);
      std::copy_n(payload.begin() + static_cast<std::ptrdiff_t>(at), size,
                  packet.begin() + Ipv4Header::size_min);
      send_packet(hop->nic, hop->next, std::move(packet), now);
      at += size;
      if (at >= payload.size()) return {};
    }
  }
  Ipv6Header header{
      .source = hop->source.bits, .target = target.bits, .protocol = protocol, .hop_limit = ttl};
  if (payload.size() > Ipv6Header::payload_size_max) return fail(Fault::over_limit);
  if (payload.size() + Ipv6Header::size <= mtu) {
    Packet packet(Ipv6Header::size + payload.size());
    write(header, payload.size(), packet);
    std::copy(payload.begin(), payload.end(), packet.begin() + Ipv6Header::size);
    send_packet(hop->nic, hop->next, std::move(packet), now);
    return {};
  }
  // Only the source cuts (RFC 8200, section 4.5).
  const std::size_t piece_max = (mtu - Ipv6Header::size - Ipv6Fragment::size) / 8 * 8;
  Ipv6Fragment fragment{.identification = ++identification_};
  header.protocol = IpProtocol::fragment;
  for (std::size_t at = 0; at < payload.size();) {
    const std::size_t size = std::min(piece_max, payload.size() - at);
    fragment.offset = at;
    fragment.more = at + size < payload.size();
    Packet packet(Ipv6Header::size + Ipv6Fragment::size + size);
    write(header, Ipv6Fragment::size + size, packet);
    write(fragment, protocol, MutableBytes(packet).subspan(Ipv6Header::size));
    std::copy_n(payload.begin() + static_cast<std::ptrdiff_t>(at), size,
                packet.begin() + Ipv6Header::size + Ipv6Fragment::size);
    send_packet(hop->nic, hop->next, std::move(packet), now);
    at += size;
  }
  return {};
}

}  // namespace koine::stack
