// Routers joined by lines, without a network below them: to try routing protocols alone.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>

#include "koine/base/random.h"
#include "koine/sim/routing.h"

namespace koine::sim {

/// Routers joined by lines, without a network below them.
template <class Protocol>
class Lines {
 public:
  Protocol& add(std::unique_ptr<Protocol> router) {
    routers_.push_back({std::move(router), 0});
    return *routers_.back().state;
  }
  std::size_t size() const { return routers_.size(); }
  Protocol& operator[](std::size_t i) { return *routers_[i].state; }

  /// A line, which is network number n of 10.0.n.0/24, with .1 at `a` and .2 at `b`.
  void join(std::size_t a, std::size_t b, std::uint32_t cost = 1) {
    const auto n = static_cast<std::uint8_t>(lines_.size());
    Line line{{a, b}, {routers_[a].ports++, routers_[b].ports++}, {}, true, cost};
    for (int end : {0, 1}) {
      line.v4[end] = wire::Ipv4Address::of(10, 0, n, static_cast<std::uint8_t>(end + 1));
      set(line, end, true);
    }
    lines_.push_back(line);
  }

  /// Visibly, or not.
  void set_up(std::size_t line, bool up, bool is_seen = true) {
    lines_[line].is_up = up;
    for (int end : {0, 1})
      if (is_seen) set(lines_[line], end, up);
  }

  void run_for(Duration time) {
    const Instant until = now + time;
    for (;;) {
      for (std::size_t i = 0; i < routers_.size(); ++i) {
        while (const auto message = routers_[i].state->poll_transmit(now)) {
          ++messages;
          deliver(i, *message);
        }
        if (auto table = routers_[i].state->poll_routes(now)) routers_[i].table = *table;
      }
      if (!wire_.empty() && wire_.front().at <= now) {
        const Flying flying = std::move(wire_.front());
        wire_.pop_front();
        routers_[flying.to].state->input(flying.port, {flying.from, port}, flying.bytes, now);
        continue;
      }
      Instant next = wire_.empty() ? Instant::max() : wire_.front().at;
      for (const auto& router : routers_) next = std::min(next, router.state->next_deadline());
      if (next > until) break;
      now = std::max(next, now + 1ns);
    }
    now = until;
  }

  /// The next hop from a router to the network of a line; "" if it knows none.
  std::string hop(std::size_t from, std::uint8_t line) const {
    const auto found = routers_[from].table.find({wire::Ipv4Address::of(10, 0, line, 0), 24});
    std::string text;
    if (found == routers_[from].table.end()) return text;
    for (const stack::Route& route : found->second)
      text += (text.empty() ? "" : " ") + stack::to_string(route.gateway);
    return text;
  }

  Instant now{1h};
  std::uint16_t port = 0;  // that messages come from
  double loss = 0;
  Prng chance{1};  // of loss
  std::uint64_t messages = 0;
  std::vector<std::vector<std::byte>> kept;  // some of each kind

 private:
  struct Line {
    std::size_t router[2];
    std::size_t port[2];
    wire::Ipv4Address v4[2];
    bool is_up;
    std::uint32_t cost;
  };
  struct Known {
    std::unique_ptr<Protocol> state;
    std::size_t ports;
    RouteTable table{};
  };
  struct Flying {
    Instant at;
    std::size_t to;
    std::size_t port;
    stack::Ip from;
    std::vector<std::byte> bytes;
  };

  void set(const Line& line, int end, bool up) {
    RouterInterface interface;
    interface.v4 = line.v4[end];
    interface.v6 = wire::Ipv6Address{std::uint64_t{0xfd} << 56 | line.v4[end].bits >> 8,
                                     line.v4[end].bits & 0xff};
    interface.cost = line.cost;
    interface.is_up = up;
    routers_[line.router[end]].state->set_interface(line.port[end], interface, now);
  }

  void deliver(std::size_t from, const RoutingProtocol::Message& message) {
    if (kept.size() < 200) kept.push_back(message.bytes);
    for (const Line& line : lines_) {
      for (int end : {0, 1}) {
        if (message.to && message.to->ip != stack::Ip(line.v4[1 - end])) continue;
        if (line.router[end] != from || line.port[end] != message.interface || !line.is_up)
          continue;
        if (chance.chance(loss)) continue;
        wire_.push_back(
            {now + 1ms, line.router[1 - end], line.port[1 - end], line.v4[end], message.bytes});
      }
    }
  }

  std::vector<Known> routers_;
  std::vector<Line> lines_;
  std::deque<Flying> wire_;
};

}  // namespace koine::sim
