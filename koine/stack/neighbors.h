// Who has which address on a link: ARP's cache (RFC 826; RFC 1122, section 2.3.2) and neighbor
// discovery's (RFC 4861, section 7.3) are the same machine.
//
//     find() ── unknown ──> INCOMPLETE: ask, three times, a second apart; packets wait (8, newest
//     kept)
//                               └ answer ──> REACHABLE ── 30 s ──> STALE ── used ──> PROBE: ask it
//                                                                                    ↩ answer
// It sends nothing: poll() says what to ask.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "koine/base/time.h"
#include "koine/stack/ip.h"

namespace koine::stack {

class Neighbors {
 public:
  using Packet = std::vector<std::byte>;  ///< IP, without the link's header

  static constexpr std::size_t packets_max = 8;  ///< waiting for one address
  static constexpr std::size_t entries_max = 1024;
  static constexpr Duration reachable_time = 30s;
  static constexpr Duration retry = 1s;  ///< RFC 1122: at most one question a second
  static constexpr Duration probe_delay = 5s;
  static constexpr int tries_max = 3;

  /// The address to send to now. If there is none, asking has begun: hold() the packet.
  std::optional<wire::Mac> find(int nic, const Ip& ip, Instant now);
  /// Keeps a packet until the address is known; the oldest gives way.
  void hold(int nic, const Ip& ip, Packet packet);

  /// `mac` has said that `ip` is its own. Packets that waited. `create` makes an entry where nobody
  /// had asked (only for questions to us: RFC 826's merge rule). `confirmed`: it was an answer to
  /// us.
  std::vector<Packet> learn(int nic, const Ip& ip, wire::Mac mac, bool create, bool confirmed,
                            Instant now);

  /// The peer is making progress, so it is there (RFC 4861, section 7.3.1).
  void confirm(int nic, const Ip& ip, Instant now);

  struct Task {
    int nic = 0;
    Ip ip{};
    std::optional<wire::Mac> ask;  ///< ask this one alone; nothing: everybody
    std::vector<Packet> failed{};  ///< nobody answers: these cannot be delivered
    bool is_failure = false;
  };
  /// What is to be done now, one at a time.
  std::optional<Task> poll(Instant now);
  /// Not later than the next task.
  Instant next_deadline() const { return earliest_; }

  std::optional<wire::Mac> peek(int nic, const Ip& ip) const;
  std::size_t size() const { return entries_.size(); }

 private:
  enum class State : std::uint8_t { incomplete, reachable, stale, delay, probe };
  struct Entry {
    State state = State::incomplete;
    wire::Mac mac{};
    int tries = 0;
    Instant at = Instant::max();  // when something has to be done
    Instant used{};
    Instant confirmed{};
    std::vector<Packet> waiting;
  };
  using Key = std::pair<int, Ip>;
  void make_room(const Key& keep);
  void set(Entry& entry, Instant at) {
    entry.at = at;
    earliest_ = std::min(earliest_, at);
  }

  std::map<Key, Entry> entries_;
  Instant earliest_ = Instant::max();  // nothing is to be done before
};

}  // namespace koine::stack
