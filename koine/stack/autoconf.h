// How an interface comes to its IPv6 addresses by itself: stateless address autoconfiguration
// (RFC 4862) on a host, and the advertisements of a router that make it possible (RFC 4861).
//
//     begin() ─> fe80::…: does anybody have it? ── 1 s ──> assigned ─> routers, where are you?
//     a router answers ─> its prefixes and itself become routes; an address in each: does anybody
//                         have it? ── 1 s ──> assigned
//
// It sends nothing and owns no address: poll() says what to do, and the host does it.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "koine/base/random.h"
#include "koine/base/time.h"
#include "koine/wire/nd.h"

namespace koine::stack {

class Autoconf {
 public:
  static constexpr Duration probe_wait = 1s;  ///< for an objection: RetransTimer
  static constexpr Duration delay_max =
      1s;  ///< of the first message, so that not all speak at once
  static constexpr int solicitations_max = 3;
  static constexpr Duration solicitation_interval = 4s;
  static constexpr Duration advertisement_interval_min = 200s;
  static constexpr Duration advertisement_interval_max = 600s;
  static constexpr Duration advertisement_gap = 3s;  ///< between two, whoever asks
  static constexpr std::size_t addresses_max = 16;
  static constexpr std::size_t prefixes_max = 32;
  static constexpr std::size_t routers_max = 16;

  Autoconf(wire::Mac mac, std::uint64_t seed) : mac_(mac), chance_(seed) {}

  /// Makes the link-local address; `solicits` looks for routers then.
  void begin(Instant now, bool solicits);
  /// A router that is announced like this as soon as it has its link-local address.
  void announce(const wire::RouterAdvertisement& what, Instant now);
  const wire::RouterAdvertisement& announcement() const { return announcement_; }

  // What was heard.

  /// Somebody else has the address, or asks for it with this nonce. True if it was not ours yet:
  /// it never will be.
  bool claimed(const wire::Ipv6Address& address, std::optional<std::uint64_t> nonce);
  void take(const wire::Ipv6Address& router, const wire::RouterAdvertisement& said, Instant now);
  void solicited(Instant now);

  enum class Action : std::uint8_t {
    probe,      ///< ask whether anybody has the address
    assign,     ///< it is ours
    withdraw,   ///< its time is over
    solicit,    ///< ask for routers
    advertise,  ///< send the announcement
    route,      ///< the prefix is on the link
    unroute,
    set_routers,  ///< routers() have changed
  };
  struct Task {
    Action what{};
    wire::Ipv6Address address{};
    int length = 0;
    std::uint64_t nonce = 0;
  };
  /// What is to be done now, one at a time.
  std::optional<Task> poll(Instant now);
  Instant next_deadline() const { return earliest_; }

  wire::Ipv6Address link_local() const { return wire::link_local_of(mac_); }
  /// It is ours.
  bool is_ready() const { return is_ready_; }
  std::vector<wire::Ipv6Address> routers() const;

 private:
  static constexpr Instant never = Instant::max();
  enum class State : std::uint8_t {
    new_,      // to be asked for
    asked,     // somebody may object
    assigned,  // ours
    refused,   // somebody else's; remembered, so that it is not asked for again
  };
  struct Address {
    wire::Ipv6Address ip{};
    Instant valid_until = never;
    Instant at = never;  // of the next step
    std::uint64_t nonce = 0;
    State state = State::new_;
  };
  struct Prefix {
    wire::Ipv6Prefix prefix{};
    Instant until = never;
  };
  struct Router {
    wire::Ipv6Address ip{};
    Instant until = never;
  };

  Duration some(Duration max);
  void tell(Task task, Instant now);
  void take_on_link(const wire::NdPrefix& said, Instant now);
  void take_autonomous(const wire::NdPrefix& said, Instant now);
  std::optional<Task> step(Address& address, Instant now);
  void look_ahead();

  wire::Mac mac_;
  Prng chance_;
  bool is_ready_ = false;
  bool solicits_ = false;
  bool announces_ = false;
  int solicitations_ = 0;
  Instant solicit_at_ = never;
  Instant advertise_at_ = never;
  Instant advertised_at_ = Instant::min();
  wire::RouterAdvertisement announcement_{};
  std::vector<Address> addresses_;
  std::vector<Prefix> prefixes_;
  std::vector<Router> routers_;
  std::deque<Task> tasks_;
  Instant earliest_ = never;
};

}  // namespace koine::stack
