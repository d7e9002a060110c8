// StreamGuard: keeps the limits of a server's connections. It sees that bytes move, bounds what
// waits to be sent, and ends the connections that break a limit.
//
// Each connection is wrapped before its handler gets it. What breaks a limit is dropped: whatever
// the handler then does with it fails with Fault::closed, and with words that say which.
#pragma once

#include <cstddef>
#include <memory>

#include "koine/app/limits.h"
#include "koine/base/list.h"
#include "koine/transport/stream.h"

namespace koine {

class StreamGuard final : private Timer {
 public:
  /// All of them outlive it. Counted are `idle` and `slow`.
  StreamGuard(Loop& loop, const Limits& limits, ServerCounts& counts)
      : loop_(loop), limits_(limits), counts_(counts), tick_shift_(tick_shift_for(limits.idle)) {}
  StreamGuard(const StreamGuard&) = delete;

  /// Streams that outlive it are guarded no more.
  ~StreamGuard();

  /// The same connection, guarded.
  std::unique_ptr<Stream> guard(std::unique_ptr<Stream> stream);

  /// From now on a read of a connection on which nothing moved for `quiet`, and which would wait,
  /// answers that the peer has finished. What has arrived is still read.
  void end_quiet(Duration quiet);

  /// Closing any of them drops it, instead of sending the rest and a proper end: peers must not
  /// take half an answer for a whole one.
  void drop_when_closed();

 private:
  class Guarded;

  static int tick_shift_for(Duration idle);

  void run() override;
  void sweep_by(Instant when);
  void unsent_changed(std::size_t before, std::size_t now);
  void shed_unsent();

  Loop& loop_;
  const Limits& limits_;
  ServerCounts& counts_;
  const int tick_shift_;  // 2^so many nanoseconds are a tick of the streams' clock
  List<Guarded> streams_;

  // The output of all that waits for the network. Output leaves by itself, so this is what it was
  // when each was last looked at, which is never too little.
  std::size_t unsent_bytes_ = 0;
  Instant swept_ = Instant::min();
};

}  // namespace koine
