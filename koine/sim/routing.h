// What a routing protocol is to a router: a state machine that finds ways. Messages and the time go
// in, messages and routes come out; the router moves them (router.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "koine/base/bytes.h"
#include "koine/base/time.h"
#include "koine/stack/routes.h"

namespace koine::sim {

/// Where packets for a prefix go; several are equally short.
using RouteTable = std::map<std::pair<stack::Ip, int>, std::vector<stack::Route>>;

/// The first address of the network that `ip` is in.
stack::Ip network_of(const stack::Ip& ip, int length);

/// One link of a router.
struct RouterInterface {
  stack::Ip v4;
  int v4_length = 24;
  stack::Ip v6;
  int v6_length = 64;
  std::uint32_t cost = 1;
  bool is_up = true;

  friend bool operator==(const RouterInterface&, const RouterInterface&) = default;
};

class RoutingProtocol {
 public:
  virtual ~RoutingProtocol() = default;

  /// A link is there, or has changed.
  virtual void set_interface(std::size_t index, const RouterInterface& interface, Instant now) = 0;

  /// A message came in on that link, from the neighbor at that address.
  virtual void input(std::size_t interface, const stack::IpPort& from, Bytes message,
                     Instant now) = 0;

  /// To be sent on that link: to everybody, unless it says to whom.
  struct Message {
    std::size_t interface;
    std::vector<std::byte> bytes;
    std::optional<stack::IpPort> to{};
  };
  virtual std::optional<Message> poll_transmit(Instant now) = 0;

  /// The routes, if they changed since the last call.
  virtual std::optional<RouteTable> poll_routes(Instant now) = 0;

  /// When poll_transmit() or poll_routes() has something.
  virtual Instant next_deadline() const = 0;
};

}  // namespace koine::sim
