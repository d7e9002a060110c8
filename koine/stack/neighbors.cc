// The states of RFC 4861, section 7.3.2.
#include "koine/stack/neighbors.h"

#include <algorithm>

namespace koine::stack {

void Neighbors::make_room(const Key& keep) {
  if (entries_.size() <= entries_max) return;
  auto oldest = entries_.end();
  for (auto it = entries_.begin(); it != entries_.end(); ++it)
    if (it->first != keep && (oldest == entries_.end() || it->second.used < oldest->second.used))
      oldest = it;
  if (oldest != entries_.end()) entries_.erase(oldest);
}

std::optional<wire::Mac> Neighbors::find(int nic, const Ip& ip, Instant now) {
  const Key key{nic, ip};
  const auto [it, fresh] = entries_.try_emplace(key);
  Entry& entry = it->second;
  entry.used = now;
  if (fresh) {
    set(entry, now);
    make_room(key);
    return std::nullopt;
  }
  switch (entry.state) {
    case State::incomplete: return std::nullopt;
    case State::reachable:
      if (now - entry.confirmed < reachable_time) return entry.mac;
      [[fallthrough]];
    case State::stale:
      entry.state = State::delay;
      set(entry, now + probe_delay);
      return entry.mac;
    case State::delay:
    case State::probe: return entry.mac;
  }
  return std::nullopt;
}

std::optional<wire::Mac> Neighbors::peek(int nic, const Ip& ip) const {
  const auto found = entries_.find({nic, ip});
  if (found == entries_.end() || found->second.state == State::incomplete) return std::nullopt;
  return found->second.mac;
}

void Neighbors::hold(int nic, const Ip& ip, Packet packet) {
  const auto found = entries_.find({nic, ip});
  if (found == entries_.end()) return;
  auto& waiting = found->second.waiting;
  if (waiting.size() >= packets_max) waiting.erase(waiting.begin());
  waiting.push_back(std::move(packet));
}

std::vector<Neighbors::Packet> Neighbors::learn(int nic, const Ip& ip, wire::Mac mac, bool create,
                                                bool confirmed, Instant now) {
  const Key key{nic, ip};
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    if (!create) return {};
    found = entries_.emplace(key, Entry{}).first;
    found->second.used = now;
    make_room(key);
  }
  Entry& entry = found->second;
  const bool changed = entry.state == State::incomplete || entry.mac != mac;
  entry.mac = mac;
  if (confirmed) {
    entry.state = State::reachable;
    entry.confirmed = now;
    entry.at = Instant::max();
    entry.tries = 0;
  } else if (changed) {
    entry.state = State::stale;
    entry.at = Instant::max();
    entry.tries = 0;
  }
  return std::exchange(entry.waiting, {});
}

void Neighbors::confirm(int nic, const Ip& ip, Instant now) {
  const auto found = entries_.find({nic, ip});
  if (found == entries_.end() || found->second.state == State::incomplete) return;
  found->second.state = State::reachable;
  found->second.confirmed = now;
  found->second.at = Instant::max();
  found->second.tries = 0;
}

std::optional<Neighbors::Task> Neighbors::poll(Instant now) {
  if (earliest_ > now) return std::nullopt;
  earliest_ = Instant::max();
  for (const auto& [key, entry] : entries_) earliest_ = std::min(earliest_, entry.at);
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    Entry& entry = it->second;
    if (entry.at > now) continue;
    Task task{it->first.first, it->first.second, std::nullopt, {}, false};
    if (entry.tries >= tries_max) {
      task.is_failure = true;
      task.failed = std::move(entry.waiting);
      entries_.erase(it);
      return task;
    }
    ++entry.tries;
    set(entry, now + retry);
    if (entry.state != State::incomplete) {
      entry.state = State::probe;
      task.ask = entry.mac;
    }
    return task;
  }
  return std::nullopt;
}

}  // namespace koine::stack
