#include "koine/sim/router.h"

#include <algorithm>

#include "koine/async/scope.h"
#include "koine/async/within.h"
#include "koine/sim/segment.h"
#include "koine/sim/sockets.h"
#include "koine/sim/world.h"

namespace koine::sim {
namespace {

HostOptions as_host() { return {.forwards = true, .is_background = true}; }

/// The broadcast address of the link (RFC 919).
stack::Ip broadcast_of(const RouterInterface& interface) {
  return wire::Ipv4Prefix{interface.v4.v4(), static_cast<std::uint8_t>(interface.v4_length)}
      .broadcast();
}

}  // namespace

Router::Router(World& world, std::string name, RouterId id, const RouterOptions& options,
               Processor& processor)
    : Host(world, std::move(name), as_host(), processor),
      id_(id),
      port_(options.routing == Routing::rip ? Rip::port : link_state_port),
      routing_chance_(world.timeline().chance_for("routing " + this->name())),
      router_options_(options) {
  run([this](Network& network) { return find_ways(network); });
}

void Router::carrier_changed(Nic&) {
  links_changed_ = true;
  news_.set();
  if (is_up()) poke();
}

Io<void> Router::find_ways(Network& network) {
  routes_.clear();
  installed_.clear();
  links_changed_ = true;
  struct Gone {
    std::unique_ptr<RoutingProtocol>& protocol;
    ~Gone() { protocol.reset(); }
  } const gone{protocol_};
  if (router_options_.routing == Routing::rip) {
    protocol_ = std::make_unique<Rip>(Prng(routing_chance_()), router_options_.rip);
  } else {
    protocol_ = std::make_unique<LinkState>(id_, router_options_.link_state);
  }
  auto socket = co_await attempt(network.bind(Endpoint::udp(any_v4, port_)));
  Scope both(network.loop());
  both.spawn(hear(*socket));
  both.spawn(speak(*socket));
  co_return co_await both.join();
}

Io<void> Router::hear(Datagram& socket) {
  std::vector<std::byte> room(datagram_bytes_max);
  for (;;) {
    const Received received = co_await attempt(receive_from(socket, room));
    const stack::Ip from = ip_of(received.from.ip());
    // Whose network it is from tells the link.
    for (std::size_t i = 0; i < nic_count(); ++i) {
      const RouterInterface own = interface_of(i);
      if (!wire::Ipv4Prefix{own.v4.v4(), static_cast<std::uint8_t>(own.v4_length)}.contains(
              from.v4()))
        continue;
      protocol_->input(i, {from, received.from.port()}, Bytes(room).first(received.size),
                       local_now());
      news_.set();
      break;
    }
  }
}

Io<void> Router::speak(Datagram& socket) {
  for (;;) {
    news_.reset();
    for (std::size_t i = 0; i < nic_count(); ++i)
      protocol_->set_interface(i, interface_of(i), local_now());
    while (auto message = protocol_->poll_transmit(local_now())) {
      const stack::IpPort everybody{broadcast_of(interface_of(message->interface)), port_};
      const auto sent =
          socket.send_now(message->bytes, address_of(message->to.value_or(everybody)));
      (void)sent;  // what does not get through is said again
    }
    auto table = protocol_->poll_routes(local_now());
    if (table) routes_ = std::move(*table);
    if (table || std::exchange(links_changed_, false)) install();
    const Duration pause = protocol_->next_deadline() == Instant::max()
                               ? Duration(1h)
                               : std::max<Duration>(protocol_->next_deadline() - local_now(), 1us);
    co_await within(pause, news_.wait());
  }
}

RouterInterface Router::interface_of(std::size_t index) {
  const Nic& nic = this->nic(index);
  RouterInterface interface;
  interface.is_up = nic.has_carrier;
  for (const auto& [ip, length] : addresses_of(nic)) {
    (ip.is_v4() ? interface.v4 : interface.v6) = ip;
    (ip.is_v4() ? interface.v4_length : interface.v6_length) = length;
  }
  if (nic.out != nullptr && nic.out->options().rate.is_limited()) {
    const std::uint64_t ratio =
        router_options_.reference_rate.bits_per_second / nic.out->options().rate.bits_per_second;
    interface.cost = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(ratio, 1, 1 << 30));
  }
  return interface;
}

/// What the protocol found, and the networks on our own links as long as these carry.
void Router::install() {
  RouteTable wanted = routes_;
  for (std::size_t i = 0; i < nic_count(); ++i) {
    if (!nic(i).has_carrier) continue;
    for (const auto& [ip, length] : addresses_of(nic(i)))
      wanted[{network_of(ip, length), length}] = {{static_cast<int>(i), {}}};
  }
  // A link that is down is no way even to its own network, which its boot put there.
  for (std::size_t i = 0; i < nic_count(); ++i) {
    for (const auto& [ip, length] : addresses_of(nic(i))) {
      const std::pair prefix(network_of(ip, length), length);
      if (!wanted.contains(prefix)) stack()->set_route(prefix.first, prefix.second, {});
    }
  }
  for (const auto& [prefix, hops] : installed_)
    if (!wanted.contains(prefix)) stack()->set_route(prefix.first, prefix.second, {});
  for (const auto& [prefix, hops] : wanted) {
    const auto known = installed_.find(prefix);
    if (known == installed_.end() || known->second != hops)
      stack()->set_route(prefix.first, prefix.second, hops);
  }
  installed_ = std::move(wanted);
}

}  // namespace koine::sim
