// LinkState: how routers find their ways, and new ones around what was destroyed.
//
// Each router says hello on its links. Who is heard, and hears us, is a neighbor. Each tells
// everybody about its neighbors and networks, by flooding: what is newer than what one knows is
// kept, acknowledged, and passed on. So all have the same map, and each computes the shortest paths
// from itself (Dijkstra). A neighbor that is silent for `dead`, or whose link visibly goes down, is
// taken off the map, and the news floods.
//
// The ideas are OSPF's (RFC 2328: two-way check, sequence numbers, reliable flooding, equal-cost
// paths, back-off of the computation), the packets are our own, over UDP. It is a state machine:
// messages and the time go in, messages and routes come out.
//
//     message:  "KL" 1 type router-id | body            all numbers in network order
//     hello:    IPv6 address of the link, the ids of those who are heard
//     update:   advertisements: origin, sequence, links (id, cost), prefixes (address, length)
//     ack:      (origin, sequence) of advertisements
#pragma once

#include <set>

#include "koine/sim/routing.h"

namespace koine::sim {

using RouterId = std::uint32_t;

struct LinkStateOptions {
  Duration hello = 250ms;    ///< between two hellos
  Duration dead = 1s;        ///< of silence, and a neighbor is gone
  Duration repeat = 500ms;   ///< what was not acknowledged is said again
  Duration refresh = 30min;  ///< ours is said again though nothing changed (RFC 2328, appendix B)
  Duration age_max = 1h;     ///< what was not said again is forgotten
  Duration compute_delay = 10ms;    ///< news come together
  Duration compute_delay_max = 1s;  ///< doubles up to this while they do not stop
};

class LinkState final : public RoutingProtocol {
 public:
  /// A message fits a packet of the smallest IPv6 MTU.
  static constexpr std::size_t message_bytes_max = 1200;
  /// Advertisements, and links or prefixes of one, that are believed in: more is nonsense.
  static constexpr std::size_t advertisements_max = 65'536;

  struct Counters {
    std::uint64_t messages_in = 0;
    std::uint64_t malformed = 0;
    std::uint64_t hellos = 0;
    std::uint64_t updates = 0;
    std::uint64_t acks = 0;
    std::uint64_t repeated = 0;  ///< advertisements
    std::uint64_t computations = 0;
  };

  LinkState(RouterId id, const LinkStateOptions& options) : id_(id), options_(options) {}

  void set_interface(std::size_t index, const RouterInterface& interface, Instant now) override;
  void input(std::size_t interface, const stack::IpPort& from, Bytes message, Instant now) override;
  std::optional<Message> poll_transmit(Instant now) override;
  std::optional<RouteTable> poll_routes(Instant now) override;
  Instant next_deadline() const override;

  // For tests and people.
  std::size_t neighbors() const;
  std::size_t routers() const { return database_.size(); }
  const Counters& counters() const { return counters_; }

 private:
  struct Advertisement {
    std::uint32_t sequence = 0;
    std::vector<std::pair<RouterId, std::uint32_t>> links{};     // cost
    std::vector<std::pair<stack::Ip, std::uint8_t>> prefixes{};  // length
    Instant received{};

    bool is_newer_than(const Advertisement& other) const;
    bool says_the_same(const Advertisement& other) const {
      return links == other.links && prefixes == other.prefixes;
    }
  };
  struct Say {  // an advertisement is to be said
    Instant at{};
    bool again = false;
  };
  struct Neighbor {
    stack::Ip v4{};
    stack::Ip v6{};
    Instant heard{};
    bool hears_us = false;
    std::map<RouterId, Say> unacknowledged{};
  };
  struct Port {
    RouterInterface interface;
    bool is_known = false;
    Instant hello_at{};
    std::map<RouterId, Neighbor> neighbors{};
    std::vector<std::pair<RouterId, std::uint32_t>> acks{};
  };

  struct Reader;
  class Writer;

  void input_hello(Port& port, RouterId from, const stack::Ip& address, Reader& reader,
                   Instant now);
  void input_update(Port& port, RouterId from, Reader& reader, Instant now);
  void input_ack(Port& port, RouterId from, Reader& reader);
  bool take(Port& port, RouterId from, RouterId origin, Advertisement advertisement, Instant now);
  void flood(RouterId origin, const Port* except_port, RouterId except, Instant now);
  void originate(Instant now);
  void map_changed(Instant now);
  void run_timers(Instant now);
  std::vector<std::byte> hello(Port& port) const;
  std::optional<std::vector<std::byte>> update(Port& port, Instant now);
  std::vector<std::byte> acks(Port& port);
  RouteTable compute() const;

  RouterId id_;
  LinkStateOptions options_;
  std::vector<Port> ports_;
  std::map<RouterId, Advertisement> database_;
  Instant refresh_at_ = Instant::max();
  Instant compute_at_ = Instant::max();
  Instant computed_at_ = Instant::min();
  Duration compute_delay_{};
  RouteTable routes_;
  Counters counters_;
};

}  // namespace koine::sim
