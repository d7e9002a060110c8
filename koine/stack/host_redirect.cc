// Redirects: a router that sends a packet back to the link it came from tells who sent it of the
// shorter way (RFC 792; RFC 1812, section 5.2.7.2; RFC 4861, section 8), and hosts take the word of
// the router they used (RFC 1122, section 3.2.2.2), of nobody else. Routers believe none.
#include <algorithm>

#include "koine/stack/host.h"
#include "koine/wire/ethernet.h"

namespace koine::stack {

using namespace wire;

namespace {
constexpr std::size_t redirects_max = 1024;
}

/// An address of the interface has a prefix that contains `ip`.
bool Host::is_on_link(int nic, const Ip& ip) const {
  const auto& own = nics_[static_cast<std::size_t>(nic)].addresses;
  return std::any_of(own.begin(), own.end(), [&](const Nic::Address& each) {
    if (each.ip.is_v4() != ip.is_v4()) return false;
    const auto length = static_cast<std::uint8_t>(each.length + (ip.is_v4() ? 96 : 0));
    return Ipv6Prefix{each.ip.bits, length}.contains(ip.bits);
  });
}

void Host::take_redirect(int nic, const Ip& from, const Ip& better, const Ip& target) {
  if (options_.forwards || nic == loop || is_own(target) || is_own(better)) return;
  const auto hop = hop_to(target);
  if (!hop || hop->nic != nic || hop->next != from) return;
  if (redirects_.size() >= redirects_max) redirects_.clear();  // whoever needs one is told again
  redirects_[target] = {nic, better == target ? Ip() : better};
  ++counters_.redirects_in;
}

void Host::input_redirect_v4(int nic, const Meta& meta, const Icmpv4View& message) {
  const auto quoted = message.payload();
  if (message.header().code > 3 || quoted.size() < Ipv4Header::size_min + 8 || nic == loop) return;
  const Ipv4Address source = Ipv4Address::load(quoted.data() + 12);
  const Ip target = Ipv4Address::load(quoted.data() + 16);
  const Ip better = message.header().gateway();
  // For the network (codes 0 and 2) means for the host too: masks are not in it (RFC
  // 1812, 4.3.3.2).
  if (!is_own(source) || target.is_multicast() || !is_on_link(nic, better)) return;
  take_redirect(nic, meta.source, better, target);
}

// RFC 4861, section 8.1.
void Host::input_redirect_v6(int nic, const Ipv6View& packet, const Icmpv6View& message,
                             Instant now) {
  const auto said = parse_redirect(message);
  if (!said || !packet.source().is_link_local() || said->destination.is_multicast()) return;
  if (said->target != said->destination && !said->target.is_link_local()) return;
  const std::uint64_t before = counters_.redirects_in;
  take_redirect(nic, packet.source(), said->target, said->destination);
  if (counters_.redirects_in == before || !said->options.target_mac) return;
  for (Packet& waiting :
       neighbors_.learn(nic, said->target, *said->options.target_mac, true, false, now))
    send_packet(nic, said->target, std::move(waiting), now);
}

void Host::redirect_v4(int nic, const Route& route, const Ipv4View& packet, Instant now) {
  const Ip next = route.gateway.is_unspecified() ? Ip(packet.target()) : route.gateway;
  if (!is_on_link(nic, Ip(packet.source())) || !is_on_link(nic, next) || !next.is_v4()) return;
  const std::uint64_t before = counters_.icmp_out;
  send_error_v4(Icmpv4Header::redirect(icmpv4_redirect::host, next.v4()), packet.bytes(), now);
  counters_.redirects_out += counters_.icmp_out - before;
}

void Host::redirect_v6(int nic, const Route& route, const Ipv6View& packet, Instant now) {
  const Nic& card = nics_[static_cast<std::size_t>(nic)];
  const Ip next = route.gateway.is_unspecified() ? Ip(packet.target()) : route.gateway;
  // Hosts know routers by their link-local addresses; without one it is not for us to speak.
  if (!card.autoconf || !card.autoconf->is_ready() || !is_on_link(nic, Ip(packet.source()))) return;
  if (!route.gateway.is_unspecified() && !route.gateway.bits.is_link_local()) return;
  if (!icmp_tokens_.take(now)) {
    ++counters_.icmp_suppressed;
    return;
  }
  NdRedirect message{.target = next.bits, .destination = packet.target(), .options = {}};
  message.options.target_mac = neighbors_.peek(nic, next);
  const std::size_t quote_max = (ipv6_mtu_min - Ipv6Header::size - message.size() - 8) / 8 * 8;
  message.options.redirected =
      packet.bytes().first(std::min(packet.bytes().size() / 8 * 8, quote_max));
  const Ipv6Address own = card.autoconf->link_local();
  const auto bytes = Builder().in(message, own, packet.source()).take();
  ++counters_.icmp_out;
  ++counters_.redirects_out;
  (void)send_ip(own, Ip(packet.source()), IpProtocol::icmpv6, bytes, now, nd_hop_limit);
}

/// Nobody answers there any more.
void Host::forget_gateway(int nic, const Ip& gateway) {
  std::erase_if(redirects_, [&](const auto& each) {
    const Route& route = each.second;
    const Ip& next = route.gateway.is_unspecified() ? each.first : route.gateway;
    return route.nic == nic && next == gateway;
  });
}

}  // namespace koine::stack
