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
stack::Ip broadcast_of(const LinkState::Interface& interface) {
  return wire::Ipv4Prefix{interface.v4.v4(), static_cast<std::uint8_t>(interface.v4_length)}
      .broadcast();
}

}  // namespace

Router::Router(World& world, std::string name, RouterId id, const RouterOptions& options,
               Processor& processor)
    : Host(world, std::move(name), as_host(), processor), id_(id), router_options_(options) {
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
  LinkState state(id_, router_options_.link_state);
  struct Shown {
    LinkState*& where;
    ~Shown() { where = nullptr; }
  } const shown{protocol_};
  protocol_ = &state;
  auto socket = co_await attempt(network.bind(Endpoint::udp(any_v4, port)));
  Scope both(network.loop());
  both.spawn(hear(*socket, state));
  both.spawn(speak(*socket, state));
  co_return co_await both.join();
}

Io<void> Router::hear(Datagram& socket, LinkState& state) {
  std::vector<std::byte> room(datagram_bytes_max);
  for (;;) {
    const Received received = co_await attempt(receive_from(socket, room));
    const stack::Ip from = ip_of(received.from.ip());
    // Whose network it is from tells the link.
    for (std::size_t i = 0; i < nic_count(); ++i) {
      const LinkState::Interface own = interface_of(i);
      if (!wire::Ipv4Prefix{own.v4.v4(), static_cast<std::uint8_t>(own.v4_length)}.contains(
              from.v4()))
        continue;
      state.input(i, from, Bytes(room).first(received.size), local_now());
      news_.set();
      break;
    }
  }
}

Io<void> Router::speak(Datagram& socket, LinkState& state) {
  for (;;) {
    news_.reset();
    for (std::size_t i = 0; i < nic_count(); ++i)
      state.set_interface(i, interface_of(i), local_now());
    while (auto message = state.poll_transmit(local_now())) {
      const Address everybody = address_of({broadcast_of(interface_of(message->interface)), port});
      const auto sent = socket.send_now(message->bytes, everybody);
      (void)sent;  // what does not get through is said again
    }
    auto table = state.poll_routes(local_now());
    if (table) routes_ = std::move(*table);
    if (table || std::exchange(links_changed_, false)) install();
    const Duration pause = state.next_deadline() == Instant::max()
                               ? Duration(1h)
                               : std::max<Duration>(state.next_deadline() - local_now(), 1us);
    co_await within(pause, news_.wait());
  }
}

LinkState::Interface Router::interface_of(std::size_t index) {
  const Nic& nic = this->nic(index);
  LinkState::Interface interface;
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
