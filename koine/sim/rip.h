// RIP version 2 (RFC 2453): each router tells its neighbors how far it is from everywhere, and
// believes of what they tell it the shortest.
//
// Nobody has a map. So bad news travel slowly: a way that is gone is still told of by those who
// learned it from each other, each a step farther, until they have counted to infinity, which is
// 16. Telling a neighbor that what one learned from it is out of reach (poisoned reverse) cuts the
// circles of two, and telling of changes at once (triggered updates) makes the rest quick.
//
// It knows IPv4 alone, as the RFC does, and a network's cost is one. Updates are broadcast on each
// link, as section 4.6 allows where hosts do not listen to groups.
#pragma once

#include <deque>

#include "koine/base/random.h"
#include "koine/sim/routing.h"
#include "koine/wire/rip.h"

namespace koine::sim {

/// What a router tells a neighbor about what it learned on the neighbor's link (section 3.4.3).
enum class SplitHorizon : std::uint8_t {
  none,              ///< as if it were its own: to see why this is no good idea
  simple,            ///< nothing
  poisoned_reverse,  ///< that it is out of reach
};

struct RipOptions {
  Duration update = 30s;        ///< between two updates of the whole table (section 3.8)
  Duration update_jitter = 5s;  ///< more or less, by chance, so that routers do not fall into step
  Duration timeout = 180s;      ///< what was not said again for so long is out of reach
  Duration garbage = 120s;      ///< and is told to be so for so long, then forgotten
  Duration triggered_min = 1s;  ///< of quiet after a triggered update, by chance up to the next
  Duration triggered_max = 5s;  ///< (section 3.10.1)
  SplitHorizon split_horizon = SplitHorizon::poisoned_reverse;
};

class Rip final : public RoutingProtocol {
 public:
  static constexpr std::uint16_t port = 520;  ///< of UDP

  /// Networks that are believed in; more are passed over.
  static constexpr std::size_t routes_max = 65'536;

  struct Counters {
    std::uint64_t messages_in = 0;
    std::uint64_t malformed = 0;  ///< messages, and entries of others
    std::uint64_t strange = 0;    ///< not from a router of the link
    std::uint64_t updates = 0;    ///< of the whole table
    std::uint64_t triggered = 0;  ///< of what changed
    std::uint64_t requests = 0;
    std::uint64_t timeouts = 0;
  };

  Rip(Prng chance, const RipOptions& options) : options_(options), chance_(chance) {}

  void set_interface(std::size_t index, const RouterInterface& interface, Instant now) override;
  void input(std::size_t interface, const stack::IpPort& from, Bytes message, Instant now) override;
  std::optional<Message> poll_transmit(Instant now) override;
  std::optional<RouteTable> poll_routes(Instant now) override;
  Instant next_deadline() const override;

  /// How far a network is: 1 on an own link, 16 if it is out of reach; nothing if it is unknown.
  std::optional<std::uint32_t> metric(const wire::Ipv4Prefix& network) const;
  const Counters& counters() const { return counters_; }

 private:
  struct Known {
    std::uint32_t metric = wire::rip_infinity;
    std::size_t interface = 0;
    wire::Ipv4Address from{};     // who told us; nobody did of our own links
    wire::Ipv4Address gateway{};  // where to send it, most often the same
    std::uint16_t tag = 0;
    bool is_own = false;
    bool is_changed = true;
    Instant over_at = Instant::max();  // then it is out of reach, or, if it is, forgotten
  };
  using Key = std::pair<wire::Ipv4Address, std::uint8_t>;

  void answer(std::size_t interface, const stack::IpPort& to, const wire::RipMessage& request);
  void learn(std::size_t interface, wire::Ipv4Address from, const wire::RipEntry& entry,
             Instant now);
  void lose(Known& known, Instant now);
  void changed(Known& known, Instant now);
  void run_timers(Instant now);
  void tell_all(bool only_changed, Instant now);
  std::vector<wire::RipEntry> entries_for(std::size_t interface, bool only_changed) const;
  void say(std::size_t interface, wire::RipCommand command, std::vector<wire::RipEntry> entries,
           std::optional<stack::IpPort> to);
  Duration between(Duration least, Duration most);

  RipOptions options_;
  Prng chance_;
  std::vector<RouterInterface> interfaces_;
  std::map<Key, Known> table_;
  std::deque<Message> said_;
  Instant update_at_ = Instant::max();     // once there is a link
  Instant triggered_at_ = Instant::max();  // something changed
  Instant quiet_until_ = Instant::min();
  bool is_dirty_ = false;
  RouteTable routes_;
  Counters counters_;
};

}  // namespace koine::sim
