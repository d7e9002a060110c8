#include "koine/rsocket/sessions.h"

#include <utility>

#include "koine/async/loop.h"
#include "koine/rsocket/peer.h"

namespace koine::rsocket {

bool Sessions::add(std::string_view token, Peer& peer) {
  return sessions_.emplace(std::string(token), Session{.peer = &peer}).second;
}

Peer* Sessions::find(std::string_view token) const {
  const auto at = sessions_.find(token);
  return at == sessions_.end() ? nullptr : at->second.peer;
}

void Sessions::set_lost(std::string_view token, bool is_lost) {
  const auto at = sessions_.find(token);
  if (at == sessions_.end() || (at->second.lost != 0) == is_lost) return;
  if (!is_lost) {
    lost_.erase(std::exchange(at->second.lost, 0));
    return;
  }
  at->second.lost = ++losses_;
  lost_.emplace(losses_, at->first);
  if (lost_.size() <= lost_max_) return;
  // It stays known until it has ended, in a moment, but waits for nobody any more.
  Session& longest = sessions_.find(lost_.begin()->second)->second;
  lost_.erase(std::exchange(longest.lost, 0));
  longest.peer->give_up();
}

void Sessions::remove(std::string_view token, const Peer& peer) {
  const auto at = sessions_.find(token);
  if (at == sessions_.end() || at->second.peer != &peer) return;
  if (at->second.lost != 0) lost_.erase(at->second.lost);
  sessions_.erase(at);
}

Sessions& ShardedSessions::here() {
  const std::lock_guard lock(mutex_);
  return of_loop_[&Loop::current()];
}

}  // namespace koine::rsocket
