#include "koine/sim/link_state.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <tuple>

namespace koine::sim {
namespace {

constexpr std::uint16_t magic = 'K' << 8 | 'L';
constexpr std::uint8_t version = 1;
constexpr std::size_t header_bytes = 8;

enum class Type : std::uint8_t { hello = 1, update = 2, ack = 3 };

/// a is newer than b: the numbers are counted in a circle.
bool is_newer(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) > 0; }

}  // namespace

/// Takes numbers from a message; what is not there makes it broken, and zero.
struct LinkState::Reader {
  Bytes rest;
  bool is_broken = false;

  bool has(std::size_t count) {
    if (rest.size() >= count) return true;
    is_broken = true;
    rest = {};
    return false;
  }
  std::uint8_t u8() {
    if (!has(1)) return 0;
    const auto value = std::to_integer<std::uint8_t>(rest[0]);
    rest = rest.subspan(1);
    return value;
  }
  std::uint16_t u16() {
    if (!has(2)) return 0;
    const std::uint16_t value = load_be16(rest.data());
    rest = rest.subspan(2);
    return value;
  }
  std::uint32_t u32() {
    if (!has(4)) return 0;
    const std::uint32_t value = load_be32(rest.data());
    rest = rest.subspan(4);
    return value;
  }
  stack::Ip ip() {
    if (!has(16)) return {};
    const stack::Ip value = wire::Ipv6Address::load(rest.data());
    rest = rest.subspan(16);
    return value;
  }
};

class LinkState::Writer {
 public:
  Writer(Type type, RouterId id) {
    u16(magic);
    u8(version);
    u8(static_cast<std::uint8_t>(type));
    u32(id);
  }
  void u8(std::uint8_t value) { bytes_.push_back(static_cast<std::byte>(value)); }
  void u16(std::size_t value) {
    bytes_.resize(bytes_.size() + 2);
    store_be16(bytes_.data() + bytes_.size() - 2, static_cast<std::uint16_t>(value));
  }
  void u32(std::uint32_t value) {
    bytes_.resize(bytes_.size() + 4);
    store_be32(bytes_.data() + bytes_.size() - 4, value);
  }
  void ip(const stack::Ip& value) {
    bytes_.resize(bytes_.size() + 16);
    value.bits.store(bytes_.data() + bytes_.size() - 16);
  }
  void set_u16(std::size_t at, std::size_t value) {
    store_be16(bytes_.data() + at, static_cast<std::uint16_t>(value));
  }
  std::size_t size() const { return bytes_.size(); }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

/// Of two that were told in different lives under one number, all have to choose the same.
bool LinkState::Advertisement::is_newer_than(const Advertisement& other) const {
  if (sequence != other.sequence) return is_newer(sequence, other.sequence);
  return std::tie(links, prefixes) > std::tie(other.links, other.prefixes);
}

void LinkState::set_interface(std::size_t index, const RouterInterface& interface, Instant now) {
  if (index >= ports_.size()) ports_.resize(index + 1);
  Port& port = ports_[index];
  if (port.is_known && port.interface == interface) return;
  port.interface = interface;
  port.is_known = true;
  port.hello_at = now;
  if (!interface.is_up) port.neighbors.clear();
  originate(now);
}

std::size_t LinkState::neighbors() const {
  std::size_t count = 0;
  for (const Port& port : ports_)
    for (const auto& [id, neighbor] : port.neighbors) count += neighbor.hears_us ? 1 : 0;
  return count;
}

// What comes in.

void LinkState::input(std::size_t interface, const stack::IpPort& from, Bytes message,
                      Instant now) {
  ++counters_.messages_in;
  Reader reader{message};
  const bool is_ours = reader.u16() == magic && reader.u8() == version;
  const auto type = static_cast<Type>(reader.u8());
  const RouterId sender = reader.u32();
  if (!is_ours || reader.is_broken || interface >= ports_.size() || sender == id_) {
    ++counters_.malformed;
    return;
  }
  Port& port = ports_[interface];
  if (!port.interface.is_up) return;
  switch (type) {
    case Type::hello: input_hello(port, sender, from.ip, reader, now); break;
    case Type::update: input_update(port, sender, reader, now); break;
    case Type::ack: input_ack(port, sender, reader); break;
    default: reader.is_broken = true;
  }
  if (reader.is_broken) ++counters_.malformed;
}

void LinkState::input_hello(Port& port, RouterId from, const stack::Ip& address, Reader& reader,
                            Instant now) {
  const stack::Ip v6 = reader.ip();
  const std::size_t count = reader.u16();
  bool hears_us = false;
  for (std::size_t i = 0; i < count && !reader.is_broken; ++i) hears_us |= reader.u32() == id_;
  if (reader.is_broken) return;
  const auto [at, is_new] = port.neighbors.try_emplace(from);
  Neighbor& neighbor = at->second;
  const bool moved = neighbor.v4 != address || neighbor.v6 != v6;
  neighbor.v4 = address;
  neighbor.v6 = v6;
  neighbor.heard = now;
  if (is_new) port.hello_at = now;  // so that they know at once that they are heard
  if (hears_us == neighbor.hears_us && !moved) return;
  const bool is_up = hears_us && !neighbor.hears_us;
  neighbor.hears_us = hears_us;
  if (is_up)  // they may know nothing
    for (const auto& [origin, advertisement] : database_) neighbor.unacknowledged[origin] = {now};
  if (!hears_us) neighbor.unacknowledged.clear();
  originate(now);
  map_changed(now);
}

void LinkState::input_update(Port& port, RouterId from, Reader& reader, Instant now) {
  const std::size_t count = reader.u16();
  for (std::size_t i = 0; i < count && !reader.is_broken; ++i) {
    const RouterId origin = reader.u32();
    Advertisement advertisement{.sequence = reader.u32(), .received = now};
    const std::size_t links = reader.u16();
    const std::size_t prefixes = reader.u16();
    for (std::size_t link = 0; link < links && !reader.is_broken; ++link) {
      const RouterId other = reader.u32();
      advertisement.links.emplace_back(other, reader.u32());
    }
    for (std::size_t prefix = 0; prefix < prefixes && !reader.is_broken; ++prefix) {
      const stack::Ip ip = reader.ip();
      advertisement.prefixes.emplace_back(ip, reader.u8());
      if (advertisement.prefixes.back().second > (ip.is_v4() ? 32 : 128)) reader.is_broken = true;
    }
    if (reader.is_broken) return;
    const std::uint32_t sequence = advertisement.sequence;
    if (take(port, from, origin, std::move(advertisement), now))
      port.acks.emplace_back(origin, sequence);
  }
}

/// True if it is to be acknowledged. (RFC 2328, section 13.)
bool LinkState::take(Port& port, RouterId from, RouterId origin, Advertisement advertisement,
                     Instant now) {
  const auto neighbor = port.neighbors.find(from);
  if (neighbor == port.neighbors.end() || !neighbor->second.hears_us) return false;
  const auto known = database_.find(origin);
  if (known != database_.end() && advertisement.sequence == known->second.sequence &&
      known->second.says_the_same(advertisement)) {
    neighbor->second.unacknowledged.erase(origin);  // an acknowledgment as good as any
    return true;
  }
  if (origin == id_ && !is_newer(known->second.sequence, advertisement.sequence)) {
    // From a life of ours before this one: what we say now has to be newer.
    known->second.sequence = advertisement.sequence;
    originate(now);
    return true;
  }
  if (known != database_.end() && !is_newer(advertisement.sequence, known->second.sequence)) {
    // We know better; or the number is the same, and the origin has to hear that it was used
    // before.
    neighbor->second.unacknowledged[origin] = {now};
    return false;
  }
  if (known == database_.end() && database_.size() >= advertisements_max) return false;
  const bool is_news = known == database_.end() || !known->second.says_the_same(advertisement);
  database_[origin] = std::move(advertisement);
  neighbor->second.unacknowledged.erase(origin);
  flood(origin, &port, from, now);
  if (is_news) map_changed(now);
  return true;
}

void LinkState::input_ack(Port& port, RouterId from, Reader& reader) {
  const auto neighbor = port.neighbors.find(from);
  if (neighbor == port.neighbors.end()) return;
  const std::size_t count = reader.u16();
  for (std::size_t i = 0; i < count && !reader.is_broken; ++i) {
    const RouterId origin = reader.u32();
    const std::uint32_t sequence = reader.u32();
    const auto known = database_.find(origin);
    if (!reader.is_broken && known != database_.end() && known->second.sequence == sequence)
      neighbor->second.unacknowledged.erase(origin);
  }
}

void LinkState::flood(RouterId origin, const Port* except_port, RouterId except, Instant now) {
  for (Port& port : ports_)
    for (auto& [id, neighbor] : port.neighbors)
      if (neighbor.hears_us && (&port != except_port || id != except))
        neighbor.unacknowledged[origin] = {now};
}

// What we say.

void LinkState::originate(Instant now) {
  Advertisement ours{.received = now};
  for (const Port& port : ports_) {
    if (!port.is_known || !port.interface.is_up) continue;
    for (const auto& [id, neighbor] : port.neighbors)
      if (neighbor.hears_us) ours.links.emplace_back(id, port.interface.cost);
    for (const auto& [ip, length] : {std::pair(port.interface.v4, port.interface.v4_length),
                                     std::pair(port.interface.v6, port.interface.v6_length)})
      if (ip != stack::Ip()) ours.prefixes.emplace_back(ip, static_cast<std::uint8_t>(length));
  }
  Advertisement& known = database_[id_];
  ours.sequence = known.sequence + 1;
  known = std::move(ours);
  refresh_at_ = now + options_.refresh;
  flood(id_, nullptr, 0, now);
  map_changed(now);
}

std::vector<std::byte> LinkState::hello(Port& port) const {
  Writer writer(Type::hello, id_);
  writer.ip(port.interface.v6);
  writer.u16(port.neighbors.size());
  for (const auto& [id, neighbor] : port.neighbors) writer.u32(id);
  return writer.take();
}

std::optional<std::vector<std::byte>> LinkState::update(Port& port, Instant now) {
  std::set<RouterId> due;
  for (const auto& [id, neighbor] : port.neighbors)
    for (const auto& [origin, say] : neighbor.unacknowledged)
      if (say.at <= now) due.insert(origin);
  if (due.empty()) return std::nullopt;
  Writer writer(Type::update, id_);
  writer.u16(0);
  std::size_t count = 0;
  for (const RouterId origin : due) {
    const Advertisement& known = database_[origin];
    const std::size_t size = 12 + known.links.size() * 8 + known.prefixes.size() * 17;
    if (count != 0 && writer.size() + size > message_bytes_max) break;
    ++count;
    writer.u32(origin);
    writer.u32(known.sequence);
    writer.u16(known.links.size());
    writer.u16(known.prefixes.size());
    for (const auto& [other, cost] : known.links) {
      writer.u32(other);
      writer.u32(cost);
    }
    for (const auto& [ip, length] : known.prefixes) {
      writer.ip(ip);
      writer.u8(length);
    }
    for (auto& [id, neighbor] : port.neighbors) {
      const auto waiting = neighbor.unacknowledged.find(origin);
      if (waiting == neighbor.unacknowledged.end()) continue;
      if (waiting->second.again) ++counters_.repeated;
      waiting->second = {now + options_.repeat, true};
    }
  }
  writer.set_u16(header_bytes, count);
  return writer.take();
}

std::vector<std::byte> LinkState::acks(Port& port) {
  Writer writer(Type::ack, id_);
  const std::size_t count = std::min(port.acks.size(), (message_bytes_max - header_bytes - 2) / 8);
  writer.u16(count);
  for (std::size_t i = 0; i < count; ++i) {
    writer.u32(port.acks[i].first);
    writer.u32(port.acks[i].second);
  }
  port.acks.erase(port.acks.begin(), port.acks.begin() + static_cast<std::ptrdiff_t>(count));
  return writer.take();
}

std::optional<RoutingProtocol::Message> LinkState::poll_transmit(Instant now) {
  run_timers(now);
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    Port& port = ports_[i];
    if (!port.is_known || !port.interface.is_up) continue;
    if (port.hello_at <= now) {
      port.hello_at = now + options_.hello;
      ++counters_.hellos;
      return Message{i, hello(port), {}};
    }
    if (!port.acks.empty()) {
      ++counters_.acks;
      return Message{i, acks(port), {}};
    }
    if (auto bytes = update(port, now)) {
      ++counters_.updates;
      return Message{i, std::move(*bytes), {}};
    }
  }
  return std::nullopt;
}

// Time.

void LinkState::run_timers(Instant now) {
  bool lost = false;
  for (Port& port : ports_) {
    lost |= std::erase_if(port.neighbors, [&](const auto& each) {
              return each.second.heard + options_.dead <= now;
            }) != 0;
  }
  const bool forgot = std::erase_if(database_, [&](const auto& each) {
                        return each.first != id_ && each.second.received + options_.age_max <= now;
                      }) != 0;
  if (forgot) {
    for (Port& port : ports_)
      for (auto& [id, neighbor] : port.neighbors)
        std::erase_if(neighbor.unacknowledged,
                      [&](const auto& each) { return !database_.contains(each.first); });
    map_changed(now);
  }
  if (lost || refresh_at_ <= now) originate(now);
}

Instant LinkState::next_deadline() const {
  Instant next = std::min(refresh_at_, compute_at_);
  for (const Port& port : ports_) {
    if (!port.is_known || !port.interface.is_up) continue;
    next = std::min(next, port.hello_at);
    if (!port.acks.empty()) return Instant::min();
    for (const auto& [id, neighbor] : port.neighbors) {
      next = std::min(next, neighbor.heard + options_.dead);
      for (const auto& [origin, say] : neighbor.unacknowledged) next = std::min(next, say.at);
    }
  }
  for (const auto& [origin, advertisement] : database_)
    if (origin != id_) next = std::min(next, advertisement.received + options_.age_max);
  return next;
}

/// Paths are to be computed, soon: the more often lately, the later.
void LinkState::map_changed(Instant now) {
  if (compute_at_ != Instant::max()) return;
  const bool was_quiet =
      computed_at_ == Instant::min() || now - computed_at_ > 2 * options_.compute_delay_max;
  compute_delay_ =
      was_quiet ? options_.compute_delay : std::min(2 * compute_delay_, options_.compute_delay_max);
  compute_at_ = now + compute_delay_;
}

std::optional<RouteTable> LinkState::poll_routes(Instant now) {
  run_timers(now);
  if (compute_at_ > now) return std::nullopt;
  compute_at_ = Instant::max();
  computed_at_ = now;
  ++counters_.computations;
  RouteTable routes = compute();
  if (routes == routes_) return std::nullopt;
  routes_ = std::move(routes);
  return routes_;
}

// Dijkstra, with all first steps of equally short paths. A link counts if both ends tell of it.
RouteTable LinkState::compute() const {
  struct Reached {
    std::uint64_t distance = std::numeric_limits<std::uint64_t>::max();
    std::set<std::pair<std::size_t, RouterId>> first_steps{};  // port, neighbor
  };
  std::map<RouterId, Reached> reached;
  std::set<std::pair<std::uint64_t, RouterId>> frontier;
  reached[id_].distance = 0;
  frontier.insert({0, id_});
  while (!frontier.empty()) {
    const auto [distance, here] = *frontier.begin();
    frontier.erase(frontier.begin());
    const auto known = database_.find(here);
    if (known == database_.end()) continue;
    for (const auto& [next, cost] : known->second.links) {
      const auto other = database_.find(next);
      if (other == database_.end() ||
          std::ranges::none_of(other->second.links,
                               [&](const auto& link) { return link.first == here; }))
        continue;
      Reached& target = reached[next];
      const std::uint64_t through = distance + cost;
      if (through > target.distance) continue;
      if (through < target.distance) {
        if (target.distance != std::numeric_limits<std::uint64_t>::max())
          frontier.erase({target.distance, next});
        target.distance = through;
        target.first_steps.clear();
        frontier.insert({through, next});
      }
      if (here != id_) {
        const auto steps = reached[here].first_steps;
        target.first_steps.insert(steps.begin(), steps.end());
        continue;
      }
      for (std::size_t i = 0; i < ports_.size(); ++i) {
        const auto neighbor = ports_[i].neighbors.find(next);
        if (neighbor != ports_[i].neighbors.end() && neighbor->second.hears_us &&
            ports_[i].interface.cost == cost)
          target.first_steps.insert({i, next});
      }
    }
  }

  struct Best {
    std::uint64_t distance = std::numeric_limits<std::uint64_t>::max();
    std::set<stack::Route> hops{};
  };
  std::map<std::pair<stack::Ip, int>, Best> best;
  for (const auto& [id, node] : reached) {
    const auto known = database_.find(id);
    if (id == id_ || known == database_.end()) continue;
    for (const auto& [ip, length] : known->second.prefixes) {
      Best& route = best[{network_of(ip, length), length}];
      if (node.distance > route.distance) continue;
      if (node.distance < route.distance) route.hops.clear();
      route.distance = node.distance;
      for (const auto& [port, neighbor] : node.first_steps) {
        const Neighbor& through = ports_[port].neighbors.at(neighbor);
        route.hops.insert({static_cast<int>(port), ip.is_v4() ? through.v4 : through.v6});
      }
    }
  }
  RouteTable table;
  for (const auto& [prefix, route] : best) {
    // What hangs on a link of our own needs no neighbor.
    const bool is_own = std::ranges::any_of(ports_, [&](const Port& port) {
      return port.is_known && port.interface.is_up &&
             (prefix == std::pair(network_of(port.interface.v4, port.interface.v4_length),
                                  port.interface.v4_length) ||
              prefix == std::pair(network_of(port.interface.v6, port.interface.v6_length),
                                  port.interface.v6_length));
    });
    if (!is_own && !route.hops.empty()) table[prefix].assign(route.hops.begin(), route.hops.end());
  }
  return table;
}

}  // namespace koine::sim
