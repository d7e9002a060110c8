// Train: datagrams to one peer that were accepted in this turn of the loop and not yet sent, all of
// one size but the last, which may be shorter.
#pragma once

#include <algorithm>
#include <optional>

#include "koine/os/sockaddr.h"
#include "koine/os/socket_stream.h"
#include "koine/os/udp_offload.h"
#include "koine/transport/datagram.h"

namespace koine::os {

class Train {
 public:
  /// `target` is what the kernel calls `to`; nothing on a connected socket.
  Train(const Address& to, const std::optional<Sockaddr>& target) : to_(to), target_(target) {}

  /// An empty one to another peer.
  void turn_to(const Address& to, const std::optional<Sockaddr>& target) {
    to_ = to;
    target_ = target;
  }

  const Address& to() const { return to_; }
  const std::optional<Sockaddr>& target() const { return target_; }

  bool empty() const { return outbox_.empty(); }
  /// The first of the datagrams that are left, at most so many.
  Bytes first(std::size_t datagrams = 1) const {
    return rest().first(std::min(rest().size(), datagrams * datagram_bytes_));
  }
  std::size_t datagram_bytes() const { return datagram_bytes_; }

  /// True if a datagram of so many bytes, not zero, may be its next.
  bool takes(std::size_t bytes) const {
    return empty() || (bytes <= datagram_bytes_ && bytes <= room());
  }
  bool full() const { return room() < datagram_bytes_; }

  void append(Bytes datagram, BlockPool& pool) {
    if (empty()) {
      datagram_bytes_ = datagram.size();
      bytes_max_ = std::min(datagram_bytes_ * train_datagrams_max, datagram_bytes_max);
    }
    if (datagram.size() < datagram_bytes_) bytes_max_ = 0;  // a shorter one is the last
    outbox_.append(datagram, pool);
  }
  void consume(std::size_t bytes) { outbox_.consume(bytes); }

  /// Keeps what is left in memory of just its size.
  void shrink() { outbox_.shrink(); }

 private:
  Bytes rest() const { return outbox_.rest(); }
  std::size_t room() const { return bytes_max_ - std::min(bytes_max_, rest().size()); }

  Address to_;
  std::optional<Sockaddr> target_;
  Outbox outbox_;
  std::size_t datagram_bytes_ = 0;
  std::size_t bytes_max_ = 0;
};

}  // namespace koine::os
