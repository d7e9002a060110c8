// IPv4 prefixes are written as those below ::ffff:0:0/96.
#include "koine/stack/routes.h"

#include <algorithm>
#include <bit>

namespace koine::stack {

namespace {

int whole_length(const Ip& prefix, int length) { return prefix.is_v4() ? length + 96 : length; }

Ip masked(const Ip& ip, int length) {
  const wire::Ipv6Prefix prefix{{}, static_cast<std::uint8_t>(length)};
  const wire::Ipv6Address mask = prefix.mask();
  return wire::Ipv6Address{ip.bits.high & mask.high, ip.bits.low & mask.low};
}

/// How many bits both begin with.
int shared_length(const Ip& a, const Ip& b) {
  const std::uint64_t high = a.bits.high ^ b.bits.high;
  return high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(a.bits.low ^ b.bits.low);
}

std::size_t bit_of(const Ip& ip, int at) {
  return at < 64 ? ip.bits.high >> (63 - at) & 1 : ip.bits.low >> (127 - at) & 1;
}

}  // namespace

Routes::Index Routes::make(const Ip& prefix, int length, std::vector<Route> hops) {
  Index made = static_cast<Index>(nodes_.size());
  if (free_.empty()) {
    nodes_.emplace_back();
  } else {
    made = free_.back();
    free_.pop_back();
  }
  nodes_[made] = {prefix, length, {none, none}, std::move(hops)};
  return made;
}

void Routes::release(Index node) {
  nodes_[node] = {};
  free_.push_back(node);
}

void Routes::set(const Ip& prefix, int length, std::vector<Route> hops) {
  const int whole = whole_length(prefix, length);
  const Ip key = masked(prefix, whole);
  Index* at = &root_of(prefix);
  while (*at != none) {
    Node& node = nodes_[*at];
    const int shared = std::min({shared_length(node.prefix, key), node.length, whole});
    if (shared < node.length) {
      // It parts from the node's prefix on the way: there the tree gets a node.
      const Index lower = *at;
      Index upper = none;
      if (shared == whole) {
        upper = make(key, whole, std::move(hops));
      } else {
        const Index leaf = make(key, whole, std::move(hops));
        upper = make(masked(key, shared), shared, {});
        nodes_[upper].below[bit_of(key, shared)] = leaf;
      }
      nodes_[upper].below[bit_of(node.prefix, shared)] = lower;
      *at = upper;
      return;
    }
    if (node.length == whole) {
      node.hops = std::move(hops);
      return;
    }
    at = &node.below[bit_of(key, node.length)];
  }
  *at = make(key, whole, std::move(hops));
}

void Routes::remove(const Ip& prefix, int length) {
  const int whole = whole_length(prefix, length);
  const Ip key = masked(prefix, whole);
  Index* above = nullptr;  // what leads to the node above
  Index* at = &root_of(prefix);
  while (*at != none && nodes_[*at].length < whole) {
    above = at;
    at = &nodes_[*at].below[bit_of(key, nodes_[*at].length)];
  }
  if (*at == none || nodes_[*at].length != whole || nodes_[*at].prefix != key) return;
  nodes_[*at].hops.clear();
  // A node without routes stays only while it has two children.
  for (Index* each : {at, above}) {
    if (each == nullptr || *each == none) continue;
    const Node& node = nodes_[*each];
    if (!node.hops.empty() || (node.below[0] != none && node.below[1] != none)) return;
    const Index old = *each;
    *each = node.below[0] != none ? node.below[0] : node.below[1];
    release(old);
  }
}

std::optional<Route> Routes::find(const Ip& target) const {
  const auto hops = find_all(target);
  if (hops.empty()) return std::nullopt;
  return hops.front();
}

std::span<const Route> Routes::find_all(const Ip& target) const {
  const Node* best = nullptr;
  for (Index at = roots_[target.is_v4() ? 0 : 1]; at != none;) {
    const Node& node = nodes_[at];
    if (shared_length(node.prefix, target) < node.length) break;
    if (!node.hops.empty()) best = &node;
    if (node.length == 128) break;
    at = node.below[bit_of(target, node.length)];
  }
  if (best == nullptr) return {};
  return best->hops;
}

}  // namespace koine::stack
