// What Autoconf wants done, done: questions and advertisements on the link, addresses and routes.
#include <algorithm>

#include "koine/stack/host.h"
#include "koine/wire/ethernet.h"

namespace koine::stack {

using namespace wire;

Autoconf& Host::autoconf(int nic) {
  Nic& card = nics_[static_cast<std::size_t>(nic)];
  if (!card.autoconf) card.autoconf = std::make_unique<Autoconf>(card.options.mac, chance_());
  return *card.autoconf;
}

void Host::autoconfigure(int nic, Instant now) { autoconf(nic).begin(now, !options_.forwards); }

void Host::advertise(int nic, const RouterAdvertisement& what, Instant now) {
  autoconf(nic).announce(what, now);
}

std::vector<Ip> Host::addresses(int nic) const {
  std::vector<Ip> all;
  for (const Nic::Address& each : nics_[static_cast<std::size_t>(nic)].addresses)
    all.push_back(each.ip);
  return all;
}

void Host::run_autoconf(int nic, Instant now) {
  Nic& card = nics_[static_cast<std::size_t>(nic)];
  Autoconf& its = *card.autoconf;
  const Ipv6Address own = its.link_local();
  while (const auto task = its.poll(now)) {
    switch (task->what) {
      case Autoconf::Action::probe: {
        const Ipv6Address group = solicited_node_of(task->address);
        NeighborSolicitation question{.target = task->address, .options = {}};
        question.options.nonce = task->nonce;
        send_nd(nic, std::move(Builder().in(question, Ipv6Address{}, group)), {}, group);
        break;
      }
      case Autoconf::Action::assign:
        card.addresses.push_back({task->address, task->length, Instant::min()});
        // An address says nothing about what is on the link (RFC 5942), but for link-local ones.
        if (task->address == own) routes_.add(own, task->length, {nic, {}});
        break;
      case Autoconf::Action::withdraw:  // the prefix may still be on the link
        std::erase_if(card.addresses,
                      [&](const Nic::Address& each) { return each.ip == Ip(task->address); });
        break;
      case Autoconf::Action::solicit: {
        RouterSolicitation question;
        question.options.source_mac = card.options.mac;
        send_nd(nic, std::move(Builder().in(question, own, ipv6_all_routers)), own,
                ipv6_all_routers);
        break;
      }
      case Autoconf::Action::advertise: {
        RouterAdvertisement what = its.announcement();
        what.options.source_mac = card.options.mac;
        send_nd(nic, std::move(Builder().in(what, own, ipv6_all_nodes)), own, ipv6_all_nodes);
        break;
      }
      case Autoconf::Action::route: set_route(task->address, task->length, {{nic, {}}}); break;
      case Autoconf::Action::unroute: set_route(task->address, task->length, {}); break;
      case Autoconf::Action::set_routers: set_routers(); break;
    }
  }
}

void Host::set_routers() {
  std::vector<Route> hops;
  for (std::size_t nic = 0; nic < nics_.size(); ++nic) {
    if (!nics_[nic].autoconf) continue;
    for (const Ipv6Address& router : nics_[nic].autoconf->routers())
      hops.push_back({static_cast<int>(nic), router});
  }
  set_route(Ip(), 0, std::move(hops));
}

// RFC 4861, section 6.1.2.
void Host::input_router_advertisement(int nic, const Ipv6View& packet, const Icmpv6View& message,
                                      Instant now) {
  Nic& card = nics_[static_cast<std::size_t>(nic)];
  if (!card.autoconf || options_.forwards || !packet.source().is_link_local()) return;
  const auto said = parse_router_advertisement(message);
  if (!said) return;
  if (said->options.source_mac) {
    for (Packet& waiting :
         neighbors_.learn(nic, packet.source(), *said->options.source_mac, true, false, now))
      send_packet(nic, packet.source(), std::move(waiting), now);
  }
  if (said->options.mtu && *said->options.mtu >= ipv6_mtu_min &&
      *said->options.mtu <= card.options.mtu)
    card.mtu_v6 = static_cast<std::uint16_t>(*said->options.mtu);
  card.autoconf->take(packet.source(), *said, now);
}

}  // namespace koine::stack
