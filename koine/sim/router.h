// Router: a host with several links that sends on what is for others, and finds the ways by itself.
//
// It runs one program, the link-state protocol, as any host runs its programs: over UDP, and gone
// with the machine when it crashes. What routers say to each other goes ahead of the queues, as
// network control does (RFC 791, precedence; RFC 4594, section 3.1).
#pragma once

#include "koine/async/event.h"
#include "koine/sim/host.h"
#include "koine/sim/link_state.h"
#include "koine/sim/rate.h"

namespace koine::sim {

struct RouterOptions {
  LinkStateOptions link_state{};

  /// The cost of a link is this over its rate, at least 1; 1 without a rate.
  Rate reference_rate{10'000'000'000};
};

class Router final : public Host {
 public:
  static constexpr std::uint16_t port = 2328;  ///< of UDP; the number is a bow to the RFC

  /// The routes that the protocol found, as they are now.
  const RouteTable& routes() const { return routes_; }

  /// Null while it is down.
  const LinkState* protocol() const { return protocol_; }

 private:
  friend class World;
  Router(World& world, std::string name, RouterId id, const RouterOptions& options,
         Processor& processor);

  void carrier_changed(Nic& nic) override;

  Io<void> find_ways(Network& network);
  Io<void> hear(Datagram& socket, LinkState& state);
  Io<void> speak(Datagram& socket, LinkState& state);
  LinkState::Interface interface_of(std::size_t index);
  void install();

  RouterId id_;
  RouterOptions router_options_;
  Event news_;
  LinkState* protocol_ = nullptr;
  RouteTable routes_;
  RouteTable installed_;  // these, and those of our own links
  bool links_changed_ = true;
};

}  // namespace koine::sim
