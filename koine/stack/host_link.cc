// Frames in, frames out, and who has which address on the link.
#include <algorithm>

#include "koine/stack/host.h"
#include "koine/wire/arp.h"
#include "koine/wire/builder.h"
#include "koine/wire/ethernet.h"
#include "koine/wire/nd.h"

namespace koine::stack {

using namespace wire;

void Host::add_address(int nic, const Ip& address, int prefix_length, Instant now) {
  Nic& card = nics_[static_cast<std::size_t>(nic)];
  card.addresses.push_back({address, prefix_length, Instant::min()});
  routes_.add(address, prefix_length, {nic, {}});
  if (!card.options.ethernet) return;
  if (address.is_v4()) {
    // RFC 5227, section 2.3: everybody forgets who had it before.
    const ArpPacket announcement{
        ArpOperation::request, card.options.mac, address.v4(), {}, address.v4()};
    send_frame(nic, mac_broadcast, EtherType::arp, Builder().in(announcement).bytes());
  } else {
    // RFC 4862, section 5.4.2: does somebody have it? We use it meanwhile (RFC 4429).
    card.addresses.back().optimistic_until = now + Autoconf::probe_wait;
    const Ipv6Address group = solicited_node_of(address.bits);
    const NeighborSolicitation question{.target = address.bits, .options = {}};
    send_nd(nic, Builder().in(question, Ipv6Address{}, group), {}, group);
  }
}

/// Takes it from the interface, with the route to its prefix if no other address needs that.
void Host::withdraw(int nic, const Ip& address) {
  auto& own = nics_[static_cast<std::size_t>(nic)].addresses;
  const auto found = std::find_if(own.begin(), own.end(),
                                  [&](const Nic::Address& each) { return each.ip == address; });
  if (found == own.end()) return;
  const int length = found->length;
  own.erase(found);
  if (!is_on_link(nic, address)) routes_.remove(address, length);
}

/// A message of neighbor discovery to a group.
void Host::send_nd(int nic, Builder message, const Ipv6Address& source, const Ipv6Address& target) {
  message.in(Ipv6Header{.source = source,
                        .target = target,
                        .protocol = IpProtocol::icmpv6,
                        .hop_limit = nd_hop_limit});
  send_frame(nic, multicast_mac_of(target), EtherType::ipv6, message.bytes());
}

void Host::input(int nic, Bytes frame, Instant now) {
  ++counters_.frames_in;
  const Nic& card = nics_[static_cast<std::size_t>(nic)];
  if (!card.options.ethernet) {
    input_ip(nic, frame, now);
    return;
  }
  const auto view = EthernetView::of(frame);
  if (!view) {
    ++counters_.malformed;
    return;
  }
  if (view->target() != card.options.mac && !view->target().is_multicast()) {
    ++counters_.not_for_us;
    return;
  }
  switch (view->type()) {
    case EtherType::arp: input_arp(nic, view->payload(), now); break;
    case EtherType::ipv4: input_v4(nic, view->payload(), now, view->target().is_multicast()); break;
    case EtherType::ipv6: input_v6(nic, view->payload(), now); break;
    default: ++counters_.not_for_us; break;
  }
}

// RFC 826's algorithm, with RFC 5227's eye for conflicts.
void Host::input_arp(int nic, Bytes packet, Instant now) {
  const auto arp = parse_arp(packet);
  if (!arp || arp->sender_mac.is_multicast()) {
    ++counters_.malformed;
    return;
  }
  const Nic& card = nics_[static_cast<std::size_t>(nic)];
  const auto own = [&](Ipv4Address address) {
    return std::any_of(card.addresses.begin(), card.addresses.end(),
                       [&](const Nic::Address& each) { return each.ip == Ip(address); });
  };
  if (own(arp->sender_ip)) {
    if (arp->sender_mac == card.options.mac) return;
    ++counters_.address_conflicts;
    if (arp->operation == ArpOperation::request && arp->is_announcement()) {
      const ArpPacket defence{
          ArpOperation::request, card.options.mac, arp->sender_ip, {}, arp->sender_ip};
      send_frame(nic, mac_broadcast, EtherType::arp, Builder().in(defence).bytes());
    }
    return;
  }
  const bool for_us = own(arp->target_ip);
  if (!arp->sender_ip.is_unspecified()) {
    const bool answer = arp->operation == ArpOperation::reply && for_us;
    for (Packet& waiting :
         neighbors_.learn(nic, arp->sender_ip, arp->sender_mac, for_us, answer, now))
      send_packet(nic, arp->sender_ip, std::move(waiting), now);
  }
  if (for_us && arp->operation == ArpOperation::request) {
    const ArpPacket reply{ArpOperation::reply, card.options.mac, arp->target_ip, arp->sender_mac,
                          arp->sender_ip};
    send_frame(nic, arp->sender_mac, EtherType::arp, Builder().in(reply).bytes());
  }
}

void Host::ask(const Neighbors::Task& task) {
  const Nic& card = nics_[static_cast<std::size_t>(task.nic)];
  const auto source = source_for(task.nic, task.ip);
  if (!source) return;
  if (task.ip.is_v4()) {
    const ArpPacket question{
        ArpOperation::request, card.options.mac, source->v4(), {}, task.ip.v4()};
    send_frame(task.nic, task.ask.value_or(mac_broadcast), EtherType::arp,
               Builder().in(question).bytes());
    return;
  }
  const Ipv6Address target = task.ask ? task.ip.bits : solicited_node_of(task.ip.bits);
  NeighborSolicitation question{.target = task.ip.bits, .options = {}};
  question.options.source_mac = card.options.mac;
  Builder packet;
  packet.in(question, source->bits, target)
      .in(Ipv6Header{.source = source->bits,
                     .target = target,
                     .protocol = IpProtocol::icmpv6,
                     .hop_limit = nd_hop_limit});
  send_frame(task.nic, task.ask.value_or(multicast_mac_of(target)), EtherType::ipv6,
             packet.bytes());
}

// RFC 4861, sections 7.1 and 7.2. True if it was a message of neighbor discovery.
bool Host::input_nd(int nic, const Ipv6View& packet, const Icmpv6View& message, Instant now) {
  const Icmpv6Type type = message.header().type;
  if (type < Icmpv6Type::router_solicitation || type > Icmpv6Type::redirect) return false;
  if (nic == loop || packet.hop_limit() != nd_hop_limit || message.header().code != 0) return true;
  Autoconf* const autoconf = nics_[static_cast<std::size_t>(nic)].autoconf.get();
  switch (type) {
    case Icmpv6Type::router_solicitation:
      if (autoconf != nullptr && parse_router_solicitation(message)) autoconf->solicited(now);
      return true;
    case Icmpv6Type::router_advertisement:
      input_router_advertisement(nic, packet, message, now);
      return true;
    case Icmpv6Type::redirect: input_redirect_v6(nic, packet, message, now); return true;
    default: break;
  }
  const Nic& card = nics_[static_cast<std::size_t>(nic)];
  const auto own = [&](const Ipv6Address& address) {
    return std::any_of(card.addresses.begin(), card.addresses.end(),
                       [&](const Nic::Address& each) { return each.ip == Ip(address); });
  };
  if (type == Icmpv6Type::neighbor_solicitation) {
    const auto question = parse_neighbor_solicitation(message);
    if (!question) return true;
    const Ipv6Address asker = packet.source();
    if (autoconf != nullptr && asker.is_unspecified() &&
        autoconf->claimed(question->target, question->options.nonce))
      ++counters_.address_conflicts;
    if (!own(question->target)) return true;
    if (asker.is_unspecified()) {
      // Somebody wants our address (RFC 4862, section 5.4.3): tell everybody that it is ours.
      ++counters_.address_conflicts;
    } else if (question->options.source_mac) {
      for (Packet& waiting :
           neighbors_.learn(nic, asker, *question->options.source_mac, true, false, now))
        send_packet(nic, asker, std::move(waiting), now);
    }
    NeighborAdvertisement answer{.solicited = !asker.is_unspecified(),
                                 .override_cache = true,
                                 .target = question->target,
                                 .options = {}};
    answer.options.target_mac = card.options.mac;
    const Ipv6Address target = asker.is_unspecified() ? ipv6_all_nodes : asker;
    Builder reply;
    reply.in(answer, question->target, target)
        .in(Ipv6Header{.source = question->target,
                       .target = target,
                       .protocol = IpProtocol::icmpv6,
                       .hop_limit = nd_hop_limit});
    if (target.is_multicast()) {
      send_frame(nic, multicast_mac_of(target), EtherType::ipv6, reply.bytes());
    } else {
      send_packet(nic, target, std::move(reply).take(), now);
    }
    return true;
  }
  const auto answer = parse_neighbor_advertisement(message);
  if (!answer) return true;
  if (autoconf != nullptr && autoconf->claimed(answer->target, std::nullopt))
    ++counters_.address_conflicts;
  if (own(answer->target)) {
    ++counters_.address_conflicts;
    for (const Nic::Address& each : card.addresses) {
      if (each.ip != Ip(answer->target) || each.optimistic_until <= now) continue;
      withdraw(nic, Ip(answer->target));  // somebody had it before us
      break;
    }
    return true;
  }
  if (!answer->options.target_mac) return true;
  const auto known = neighbors_.peek(nic, answer->target);
  if (known && *known != *answer->options.target_mac && !answer->override_cache) return true;
  for (Packet& waiting : neighbors_.learn(nic, answer->target, *answer->options.target_mac, false,
                                          answer->solicited, now))
    send_packet(nic, answer->target, std::move(waiting), now);
  return true;
}

void Host::send_frame(int nic, Mac target, EtherType type, Bytes payload, bool forwarded) {
  const Nic& card = nics_[static_cast<std::size_t>(nic)];
  Packet frame(std::max(EthernetHeader::size + payload.size(), ethernet_frame_min));
  write(EthernetHeader{target, card.options.mac, type}, frame);
  std::copy(payload.begin(), payload.end(), frame.begin() + EthernetHeader::size);
  out_.push_back({nic, std::move(frame), forwarded});
}

// Where a packet for `target` goes on the link; nothing while that is being asked for.
std::optional<Mac> Host::mac_of(const Hop& hop, const Ip& target, Instant now) {
  if (target.is_multicast())
    return target.is_v4() ? multicast_mac_of(target.v4()) : multicast_mac_of(target.bits);
  if (target.is_v4()) {
    if (target.v4().is_broadcast()) return mac_broadcast;
    for (const Nic::Address& own : nics_[static_cast<std::size_t>(hop.nic)].addresses)
      if (own.ip.is_v4() && own.length < 31 &&
          Ipv4Prefix{own.ip.v4(), static_cast<std::uint8_t>(own.length)}.broadcast() == target.v4())
        return mac_broadcast;
  }
  return neighbors_.find(hop.nic, hop.next, now);
}

/// Takes a whole IP packet.
void Host::send_packet(int nic, const Ip& next, Packet packet, Instant now) {
  if (nic == loop) {
    loop_.push_back(std::move(packet));
    return;
  }
  const bool forwarded = options_.forwards && !is_own(source_of(packet));
  if (!nics_[static_cast<std::size_t>(nic)].options.ethernet) {
    out_.push_back({nic, std::move(packet), forwarded});
    return;
  }
  const Ip target = next.is_v4() ? Ip(Ipv4Address::load(packet.data() + 16))
                                 : Ip(Ipv6Address::load(packet.data() + 24));
  const auto mac = mac_of({nic, next, {}, 0}, target, now);
  if (!mac) {
    neighbors_.hold(nic, next, std::move(packet));
    return;
  }
  send_frame(nic, *mac, next.is_v4() ? EtherType::ipv4 : EtherType::ipv6, packet, forwarded);
}

}  // namespace koine::stack
