// Hosts on one Ethernet segment in virtual time: for tests.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "koine/base/random.h"
#include "koine/stack/host.h"

namespace koine::stack {

class Segment {
 public:
  using Frame = std::vector<std::byte>;

  explicit Segment(std::uint64_t seed = 1) : chance_(seed) {}

  /// Host i has MAC 02:00:00:00:00:(i+1), 10.0.0.(i+1)/24 and fd00::(i+1)/64.
  Host& add(HostOptions options = {}, std::uint16_t mtu = 1500) {
    const auto i = static_cast<std::uint8_t>(hosts_.size() + 1);
    options.seed += i * 1000u;
    hosts_.push_back(std::make_unique<Host>(options));
    Host& host = *hosts_.back();
    host.add_nic({.ethernet = true, .mac = wire::Mac::of(2, 0, 0, 0, 0, i), .mtu = mtu});
    host.add_address(0, v4(i), 24, now);
    host.add_address(0, v6(i), 64, now);
    return host;
  }
  static Ip v4(unsigned i) { return wire::Ipv4Address::of(10, 0, 0, static_cast<std::uint8_t>(i)); }
  static Ip v6(unsigned i) { return wire::Ipv6Address{0xfd00'0000'0000'0000, i}; }

  void flush() {
    std::vector<std::byte> room(66'000);
    for (std::size_t from = 0; from < hosts_.size(); ++from) {
      while (const auto sent = hosts_[from]->poll_transmit(now, room)) {
        ++frames;
        const Frame frame(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(sent->size));
        for (std::size_t i = 0; i < frame.size(); ++i)
          trace = (trace ^ std::to_integer<std::uint64_t>(frame[i])) * 0x100'0000'01b3;
        if (tap) tap(frame);
        if (drop && drop(frame)) continue;
        if (chance_.chance(loss)) continue;
        for (std::size_t to = 0; to < hosts_.size(); ++to)
          if (to != from) wire_[{now + delay, ++order_}] = {to, frame};
      }
    }
  }

  bool step(Instant until = Instant::max()) {
    flush();
    Instant next = Instant::max();
    for (const auto& host : hosts_) next = std::min(next, host->next_deadline());
    if (!wire_.empty()) next = std::min(next, wire_.begin()->first.first);
    if (next == Instant::max() || next > until) return false;
    now = std::max(now, next);
    if (!wire_.empty() && wire_.begin()->first.first <= now) {
      const auto [to, frame] = std::move(wire_.begin()->second);
      wire_.erase(wire_.begin());
      hosts_[to]->input(0, frame, now);
    }
    flush();
    return true;
  }

  /// Until `done`, or for `limit`; true if done.
  bool run(const std::function<bool()>& done, Duration limit = 60s) {
    const Instant until = now + limit;
    while (!done()) {
      if (!step(until)) {
        now = until;
        return done();
      }
    }
    return true;
  }
  void rest(Duration time) {
    const Instant until = now + time;
    while (step(until)) {
    }
    now = until;
  }

  Instant now = Instant(1000s);
  Duration delay = 1ms;
  double loss = 0;
  std::uint64_t frames = 0;
  std::uint64_t trace = 0xcbf2'9ce4'8422'2325;
  std::function<void(const Frame&)> tap;
  std::function<bool(const Frame&)> drop;

 private:
  Prng chance_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::map<std::pair<Instant, std::uint64_t>, std::pair<std::size_t, Frame>> wire_;
  std::uint64_t order_ = 0;
};

}  // namespace koine::stack
