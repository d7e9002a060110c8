// Lingering: what happens to a connection that was closed before everything was sent and read.
//
// The owner is gone; the reactor sends the rest, promises the end, and reads and drops what the
// peer still sends until it ends too. Closing right away would answer unread data with a reset, and
// a reset makes the peer's kernel drop what it had received but not delivered (RFC 9293,
// section 3.10.7.4).
#pragma once

#include <memory>
#include <utility>

#include "koine/os/fd.h"
#include "koine/os/reactor.h"
#include "koine/os/socket_stream.h"

namespace koine::os {

/// Bounds: time in all, and what is read and dropped.
inline constexpr Duration linger_time_max = 5s;
inline constexpr std::size_t linger_read_bytes_max = std::size_t{1} << 20;

/// How many connections and datagram sockets of a loop may linger; a further one is closed at once.
inline constexpr std::size_t lingering_max = 1024;

/// A descriptor that is watched until advance() has done all there was to do, or the time is up.
class LingeringFd : public Lingering, private Timer {
 public:
  ~LingeringFd() override { stop_watching(); }

  /// What is over at once, or one too many, is closed.
  static void begin(std::unique_ptr<LingeringFd> lingering, unsigned presumed_news);

 private:
  /// Runs when there is news.
  class Step final : public Runnable {
   public:
    explicit Step(LingeringFd& lingering) : lingering_(lingering) {}
    void run() override {
      if (lingering_.advance()) lingering_.reactor_.end(lingering_);
    }

   private:
    LingeringFd& lingering_;
  };

  void run() override { reactor_.end(*this); }  // the time is up

 protected:
  LingeringFd(Reactor& reactor, Fd fd) : reactor_(reactor), fd_(std::move(fd)) {
    watcher_.fd = fd_.get();
  }

  /// Does what can be done; true if that was all. Else a step waits for news.
  virtual bool advance() = 0;

  /// Before the descriptor is closed.
  void stop_watching() {
    if (std::exchange(watched_, false)) reactor_.unwatch(watcher_);
  }

  Reactor& reactor_;
  Watcher watcher_;
  Fd fd_;
  Step reading_{*this};
  Step sending_{*this};

 private:
  bool watched_ = false;
};

/// What could not be delivered in the end is no secret: then the peer sees a reset.
void linger(Reactor& reactor, Fd fd, Outbox outbox);

/// Closes at once and drops what is unsent; the peer sees a reset (RFC 9293, section 3.10.5). Unix
/// sockets have no such thing, their peer sees the end.
void close_with_reset(Fd fd);

}  // namespace koine::os
