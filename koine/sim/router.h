// Router: a host with several links that sends on what is for others, and finds the ways by itself.
//
// It runs one program, a routing protocol, as any host runs its programs: over UDP, and gone with
// the machine when it crashes. All routers that are to know of each other speak the same one. What
// routers say to each other goes ahead of the queues, as network control does (RFC 791, precedence;
// RFC 4594, section 3.1).
#pragma once

#include "koine/async/event.h"
#include "koine/sim/host.h"
#include "koine/sim/link_state.h"
#include "koine/sim/rate.h"
#include "koine/sim/rip.h"

namespace koine::sim {

/// How routers find their ways.
enum class Routing : std::uint8_t {
  link_state,  ///< each has the whole map (link_state.h): back within a second or two
  rip,         ///< each has what its neighbors say (rip.h), IPv4 alone: back within minutes
};

struct RouterOptions {
  Routing routing = Routing::link_state;
  LinkStateOptions link_state{};
  RipOptions rip{};

  /// The cost of a link is this over its rate, at least 1; 1 without a rate.
  Rate reference_rate{10'000'000'000};
};

class Router final : public Host {
 public:
  /// Of UDP, where the link-state protocol speaks; the number is a bow to the RFC.
  static constexpr std::uint16_t link_state_port = 2328;

  /// The routes that the protocol found, as they are now.
  const RouteTable& routes() const { return routes_; }

  /// What it speaks; null while it is down, and for the protocol that it does not speak.
  const LinkState* link_state() const { return dynamic_cast<const LinkState*>(protocol_.get()); }
  const Rip* rip() const { return dynamic_cast<const Rip*>(protocol_.get()); }

 private:
  friend class World;
  Router(World& world, std::string name, RouterId id, const RouterOptions& options,
         Processor& processor);

  void carrier_changed(Nic& nic) override;

  Io<void> find_ways(Network& network);
  Io<void> hear(Datagram& socket);
  Io<void> speak(Datagram& socket);
  RouterInterface interface_of(std::size_t index);
  void install();

  RouterId id_;
  std::uint16_t port_;
  Prng routing_chance_;
  RouterOptions router_options_;
  Event news_;
  std::unique_ptr<RoutingProtocol> protocol_;
  RouteTable routes_;
  RouteTable installed_;  // these, and those of our own links
  bool links_changed_ = true;
};

}  // namespace koine::sim
