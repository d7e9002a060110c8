#include "koine/sim/rip.h"

#include <algorithm>

namespace koine::sim {
namespace {

using wire::Ipv4Address;
using wire::Ipv4Prefix;
using wire::rip_infinity;
using wire::RipCommand;
using wire::RipEntry;
using wire::RipMessage;

constexpr std::uint32_t cost = 1;  // of a network

Ipv4Prefix network_at(const RouterInterface& interface) {
  const Ipv4Prefix prefix{interface.v4.v4(), static_cast<std::uint8_t>(interface.v4_length)};
  return {Ipv4Address{prefix.address.bits & prefix.mask().bits}, prefix.length};
}

/// Is that a network, and one that can be elsewhere (section 3.9.2)?
bool is_plausible(const Ipv4Prefix& prefix) {
  if ((prefix.address.bits & ~prefix.mask().bits) != 0) return false;
  if (prefix.address.bits >> 24 == 0) return prefix.length == 0;  // the default route
  return !prefix.address.is_loopback() && !prefix.address.is_multicast() &&
         !prefix.address.is_reserved();
}

}  // namespace

std::optional<std::uint32_t> Rip::metric(const Ipv4Prefix& network) const {
  const auto known = table_.find({network.address, network.length});
  if (known == table_.end()) return std::nullopt;
  return known->second.metric;
}

Duration Rip::between(Duration least, Duration most) {
  const auto span = static_cast<std::uint64_t>((most - least).count()) + 1;
  return least + Duration(static_cast<Duration::rep>(chance_.below(span)));
}

void Rip::changed(Known& known, Instant now) {
  known.is_changed = true;
  is_dirty_ = true;
  triggered_at_ = std::min(triggered_at_, std::max(now, quiet_until_));
}

/// It is out of reach from now on, and is told to be.
void Rip::lose(Known& known, Instant now) {
  if (known.metric == rip_infinity) return;
  known.metric = rip_infinity;
  known.is_own = false;
  known.over_at = now + options_.garbage;
  changed(known, now);
}

void Rip::set_interface(std::size_t index, const RouterInterface& interface, Instant now) {
  if (index < interfaces_.size() && interfaces_[index] == interface) return;
  if (index >= interfaces_.size()) {
    RouterInterface down;
    down.is_up = false;
    interfaces_.resize(index + 1, down);
  }
  interfaces_[index] = interface;
  if (!interface.v4.is_v4()) return;
  if (update_at_ == Instant::max())
    update_at_ = now + between(options_.update - options_.update_jitter, options_.update);
  if (!interface.is_up) {
    for (auto& [prefix, known] : table_)
      if (known.interface == index) lose(known, now);
    return;
  }
  const Ipv4Prefix network = network_at(interface);
  Known& own = table_[{network.address, network.length}];
  own = {.metric = cost, .interface = index, .is_own = true};
  changed(own, now);
  ++counters_.requests;
  said_.push_back({index, {}});
  const RipMessage request{.command = RipCommand::request, .whole_table = true};
  said_.back().bytes.resize(request.size());
  write(request, said_.back().bytes);
}

// What comes in.

void Rip::input(std::size_t interface, const stack::IpPort& from, Bytes bytes, Instant now) {
  ++counters_.messages_in;
  if (interface >= interfaces_.size() || !interfaces_[interface].is_up) return;
  const auto message = wire::parse_rip(bytes);
  // A password is for those who have agreed on one, and we have not (section 4.1).
  if (!message || message->password) {
    ++counters_.malformed;
    return;
  }
  counters_.malformed += message->skipped;
  if (message->command == RipCommand::request) return answer(interface, from, *message);
  const RouterInterface& own = interfaces_[interface];
  if (from.port != port || !from.ip.is_v4() || from.ip == own.v4 ||
      !network_at(own).contains(from.ip.v4())) {
    ++counters_.strange;
    return;
  }
  for (const RipEntry& entry : message->entries) learn(interface, from.ip.v4(), entry, now);
}

/// Section 3.9.1.
void Rip::answer(std::size_t interface, const stack::IpPort& to, const RipMessage& request) {
  if (request.whole_table)
    return say(interface, RipCommand::response, entries_for(interface, false), to);
  std::vector<RipEntry> entries(request.entries.begin(), request.entries.end());
  for (RipEntry& entry : entries) entry.metric = metric(entry.prefix).value_or(rip_infinity);
  say(interface, RipCommand::response, std::move(entries), to);
}

/// Section 3.9.2.
void Rip::learn(std::size_t interface, Ipv4Address from, const RipEntry& entry, Instant now) {
  if (!is_plausible(entry.prefix)) {
    ++counters_.malformed;
    return;
  }
  const std::uint32_t metric = std::min(entry.metric + cost, rip_infinity);
  const RouterInterface& link = interfaces_[interface];
  const bool is_elsewhere = entry.next_hop.bits != 0 && entry.next_hop != link.v4.v4() &&
                            network_at(link).contains(entry.next_hop);
  const Known offered{.metric = metric,
                      .interface = interface,
                      .from = from,
                      .gateway = is_elsewhere ? entry.next_hop : from,
                      .tag = entry.route_tag,
                      .over_at = now + options_.timeout};
  const Key key{entry.prefix.address, entry.prefix.length};
  const auto found = table_.find(key);
  if (found == table_.end()) {
    if (metric == rip_infinity || table_.size() >= routes_max) return;
    changed(table_.emplace(key, offered).first->second, now);
    return;
  }
  Known& known = found->second;
  if (known.is_own) return;
  const bool is_same = known.interface == interface && known.from == from;
  if (is_same && metric < rip_infinity) known.over_at = now + options_.timeout;
  // Of two that are equally far, one that has not been heard of for long gives way.
  const bool is_fading = metric == known.metric && metric < rip_infinity &&
                         known.over_at - now <= options_.timeout / 2;
  const bool is_other = metric != known.metric || known.gateway != offered.gateway;
  if ((is_same && is_other) || metric < known.metric || (!is_same && is_fading)) {
    if (metric == rip_infinity) return lose(known, now);
    known = offered;
    changed(known, now);
  }
}

// What we say.

std::vector<RipEntry> Rip::entries_for(std::size_t interface, bool only_changed) const {
  std::vector<RipEntry> entries;
  for (const auto& [prefix, known] : table_) {
    if (only_changed && !known.is_changed) continue;
    std::uint32_t metric = known.metric;
    if (known.interface == interface && options_.split_horizon != SplitHorizon::none) {
      if (known.is_own || options_.split_horizon == SplitHorizon::simple) continue;
      metric = rip_infinity;
    }
    entries.push_back(
        {.prefix = {prefix.first, prefix.second}, .route_tag = known.tag, .metric = metric});
  }
  return entries;
}

void Rip::say(std::size_t interface, RipCommand command, std::vector<RipEntry> entries,
              std::optional<stack::IpPort> to) {
  for (std::size_t first = 0; first < entries.size(); first += RipMessage::entries_max) {
    RipMessage message{.command = command};
    for (std::size_t i = first; i < std::min(entries.size(), first + RipMessage::entries_max); ++i)
      message.entries.push_back(entries[i]);
    std::vector<std::byte> bytes(message.size());
    write(message, bytes);
    said_.push_back({interface, std::move(bytes), to});
  }
}

void Rip::tell_all(bool only_changed, Instant now) {
  ++(only_changed ? counters_.triggered : counters_.updates);
  for (std::size_t i = 0; i < interfaces_.size(); ++i)
    if (interfaces_[i].is_up) say(i, RipCommand::response, entries_for(i, only_changed), {});
  for (auto& [prefix, known] : table_) known.is_changed = false;
  triggered_at_ = Instant::max();
  if (only_changed) quiet_until_ = now + between(options_.triggered_min, options_.triggered_max);
}

std::optional<RoutingProtocol::Message> Rip::poll_transmit(Instant now) {
  run_timers(now);
  if (said_.empty() && update_at_ <= now) {
    update_at_ = now + between(options_.update - options_.update_jitter,
                               options_.update + options_.update_jitter);
    tell_all(false, now);
  }
  if (said_.empty() && triggered_at_ <= now) tell_all(true, now);
  if (said_.empty()) return std::nullopt;
  Message next = std::move(said_.front());
  said_.pop_front();
  return next;
}

// Time.

void Rip::run_timers(Instant now) {
  for (auto& [prefix, known] : table_) {
    if (known.over_at > now || known.metric == rip_infinity) continue;
    ++counters_.timeouts;
    lose(known, now);
  }
  std::erase_if(table_, [&](const auto& each) { return each.second.over_at <= now; });
}

std::optional<RouteTable> Rip::poll_routes(Instant now) {
  run_timers(now);
  if (!std::exchange(is_dirty_, false)) return std::nullopt;
  RouteTable table;
  for (const auto& [prefix, known] : table_) {
    if (known.is_own || known.metric == rip_infinity) continue;
    table[{prefix.first, prefix.second}] = {{static_cast<int>(known.interface), known.gateway}};
  }
  if (table == routes_) return std::nullopt;
  routes_ = std::move(table);
  return routes_;
}

Instant Rip::next_deadline() const {
  if (!said_.empty() || is_dirty_) return Instant::min();
  Instant next = std::min(update_at_, triggered_at_);
  for (const auto& [prefix, known] : table_) next = std::min(next, known.over_at);
  return next;
}

}  // namespace koine::sim
