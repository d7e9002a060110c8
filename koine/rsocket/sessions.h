// The sessions of a server, by the token of their client: where one that comes back finds its own.
//
// A table belongs to one loop, like its peers. With several shards each has its own, and a client
// whose new connection another shard has accepted is refused (REJECTED_RESUME).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace koine {

class Loop;

namespace rsocket {

class Peer;

class Sessions {
 public:
  /// Of `lost_max` sessions whose clients have lost their connections and not come back yet, one
  /// more ends the one that has waited longest.
  explicit Sessions(std::size_t lost_max = 1024) : lost_max_(lost_max) {}
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  /// False if the token is in use (section "Identification Token Handling").
  bool add(std::string_view token, Peer& peer);

  /// Null if nobody has that token.
  Peer* find(std::string_view token) const;

  /// Whether its client has a connection. A session that it ends is told by Peer::give_up().
  void set_lost(std::string_view token, bool is_lost);

  /// For a peer that ends; nothing if the token is another's.
  void remove(std::string_view token, const Peer& peer);

  std::size_t size() const { return sessions_.size(); }
  std::size_t lost() const { return lost_.size(); }

 private:
  struct Session {
    Peer* peer;
    std::uint64_t lost = 0;  // its place in lost_; 0 if it has a connection
  };

  std::size_t lost_max_;
  std::uint64_t losses_ = 0;
  std::map<std::string, Session, std::less<>> sessions_;
  std::map<std::uint64_t, std::string> lost_;  // in the order in which they were lost
};

/// A table for each loop that a server has.
class ShardedSessions {
 public:
  /// For the calling thread's loop, as long as `this` lives.
  Sessions& here();

 private:
  std::mutex mutex_;
  std::map<const Loop*, Sessions> of_loop_;
};

}  // namespace rsocket
}  // namespace koine
