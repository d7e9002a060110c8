// Where a packet goes next: the longest prefix that contains its target (RFC 1812,
// section 5.2.4.3).
//
// A binary tree of prefixes in which no node has only one child and no routes (Morrison's
// PATRICIA): a lookup compares at most as many prefixes as contain the target, and some forks
// between them.
//
//     0.0.0.0/0 ─┬─ 10.0.0.0/8 ─── 10.1.0.0/16
//                └─ 192.168.0.0/16, a fork ─┬─ 192.168.1.0/24
//                                           └─ 192.168.2.0/24
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "koine/stack/ip.h"

namespace koine::stack {

struct Route {
  int nic = 0;
  Ip gateway{};  ///< unspecified: the target is on the link

  friend constexpr auto operator<=>(const Route&, const Route&) = default;
};

class Routes {
 public:
  /// `length` counts from the beginning of an address of its version: 0 to 32, or 0 to 128. An
  /// equal prefix is replaced.
  void add(const Ip& prefix, int length, const Route& route) { set(prefix, length, {route}); }
  /// Several that are equally good; at least one.
  void set(const Ip& prefix, int length, std::vector<Route> hops);
  void remove(const Ip& prefix, int length);
  std::optional<Route> find(const Ip& target) const;
  /// All that are equally good; empty if there is none.
  std::span<const Route> find_all(const Ip& target) const;

  /// Nodes of the tree; fewer than twice the prefixes.
  std::size_t nodes() const { return nodes_.size() - free_.size(); }

 private:
  using Index = std::uint32_t;
  static constexpr Index none = ~Index{0};
  struct Node {
    Ip prefix{};     // the bits behind `length` are zero
    int length = 0;  // of 128 bits
    std::array<Index, 2> below{none, none};
    std::vector<Route> hops{};  // empty: a fork
  };

  Index make(const Ip& prefix, int length, std::vector<Route> hops);
  void release(Index node);
  Index& root_of(const Ip& ip) { return roots_[ip.is_v4() ? 0 : 1]; }

  // Versions do not share a tree: IPv6's default route is not IPv4's.
  std::array<Index, 2> roots_{none, none};
  std::deque<Node> nodes_;  // they stay where they are
  std::vector<Index> free_;
};

}  // namespace koine::stack
