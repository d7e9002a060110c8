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

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "koine/base/bytes.h"
#include "koine/base/time.h"
#include "koine/stack/routes.h"

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

/// Where packets for a prefix go; several are equally short.
using RouteTable = std::map<std::pair<stack::Ip, int>, std::vector<stack::Route>>;

/// The first address of the network that `ip` is in.
stack::Ip network_of(const stack::Ip& ip, int length);

class LinkState {
 public:
  /// A message fits a packet of the smallest IPv6 MTU.
  static constexpr std::size_t message_bytes_max = 1200;
  /// Advertisements, and links or prefixes of one, that are believed in: more is nonsense.
  static constexpr std::size_t advertisements_max = 65'536;

  /// One link of ours.
  struct Interface {
    stack::Ip v4;
    int v4_length = 24;
    stack::Ip v6;
    int v6_length = 64;
    std::uint32_t cost = 1;
    bool is_up = true;

    friend bool operator==(const Interface&, const Interface&) = default;
  };

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

  /// A link is there, or has changed.
  void set_interface(std::size_t index, const Interface& interface, Instant now);

  /// A message came in on that link, from the neighbor with that address.
  void input(std::size_t interface, const stack::Ip& from, Bytes message, Instant now);

  /// To be sent to everybody on that link.
  struct Message {
    std::size_t interface;
    std::vector<std::byte> bytes;
  };
  std::optional<Message> poll_transmit(Instant now);

  /// The routes, if they changed since the last call.
  std::optional<RouteTable> poll_routes(Instant now);

  /// When poll_transmit() or poll_routes() has something.
  Instant next_deadline() const;

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
    Interface interface;
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
