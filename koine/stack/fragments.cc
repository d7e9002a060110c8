// Pieces lie in a map by offset until they cover everything.
#include "koine/stack/fragments.h"

#include <algorithm>

namespace koine::stack {

std::optional<std::vector<std::byte>> Fragments::insert(const FragmentKey& key, std::size_t offset,
                                                        bool more, Bytes data, Bytes first_packet,
                                                        Instant now) {
  auto found = pending_.find(key);
  if (found == pending_.end()) {
    if (pending_.size() >= datagrams_max) {
      pending_.erase(std::min_element(pending_.begin(), pending_.end(), [](auto& a, auto& b) {
        return a.second.order < b.second.order;
      }));
    }
    found = pending_.emplace(key, Pending{}).first;
    found->second.until = now + patience;
    found->second.order = ++order_;
  }
  Pending& pending = found->second;
  if (pending.refused) return std::nullopt;
  const auto refuse = [&] {  // remembered until its time is over, so that nothing later revives it
    pending.refused = true;
    pending.pieces.clear();
    pending.first_packet.clear();
    return std::nullopt;
  };
  const std::size_t end = offset + data.size();
  // The sum may exceed what 16 bits hold: the "ping of death".
  if (end > datagram_bytes_max || (more && data.size() % 8 != 0) || (data.empty() && more))
    return refuse();
  if (!more) {
    if (pending.total && *pending.total != end) return refuse();
    pending.total = end;
  }
  if (pending.total && end > *pending.total) return refuse();
  if (pending.pieces.size() >= pieces_max) return refuse();
  const auto next = pending.pieces.lower_bound(offset);
  if (next != pending.pieces.end() && next->first < end) return refuse();
  if (next != pending.pieces.end() && next->first == offset) return refuse();
  if (next != pending.pieces.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second.size() > offset) return refuse();
  }
  pending.pieces.emplace_hint(next, offset, std::vector<std::byte>(data.begin(), data.end()));
  if (offset == 0) pending.first_packet.assign(first_packet.begin(), first_packet.end());
  if (!pending.total) return std::nullopt;
  std::size_t covered = 0;
  for (const auto& [at, piece] : pending.pieces) {
    if (at != covered) return std::nullopt;
    covered += piece.size();
  }
  if (covered != *pending.total) {
    if (covered > *pending.total) return refuse();
    return std::nullopt;
  }
  std::vector<std::byte> whole;
  whole.reserve(covered);
  for (const auto& [at, piece] : pending.pieces)
    whole.insert(whole.end(), piece.begin(), piece.end());
  pending_.erase(found);
  return whole;
}

Instant Fragments::next_deadline() const {
  Instant next = Instant::max();
  for (const auto& [key, pending] : pending_) next = std::min(next, pending.until);
  return next;
}

std::optional<Fragments::Expired> Fragments::expire(Instant now) {
  for (auto it = pending_.begin(); it != pending_.end(); ++it) {
    if (it->second.until > now) continue;
    Expired expired{it->first, std::move(it->second.first_packet)};
    pending_.erase(it);
    return expired;
  }
  return std::nullopt;
}

}  // namespace koine::stack
