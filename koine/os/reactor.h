// Reactor: runs a Loop on a thread of the kernel's. It reads the clock, waits for news, and lets
// other threads in.
//
// A turn: wait for news; for each descriptor with news, let its readers and writers run and send
// what they wrote; then timers. A reactor belongs to the thread that made it; only post() may be
// called from elsewhere.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "koine/async/frame_pool.h"
#include "koine/async/loop.h"
#include "koine/async/started.h"
#include "koine/base/block_pool.h"
#include "koine/os/busy_poll.h"
#include "koine/os/fd.h"
#include "koine/os/mailbox.h"
#include "koine/os/multiplexer.h"

namespace koine::os {

/// A closed connection that still has something to send; see lingering.h.
class Lingering : public ListNode {
 public:
  virtual ~Lingering() = default;
};

struct ReactorOptions {
  /// "io_uring", "epoll", "poll", "select"; empty: KOINE_MULTIPLEXER, else the best that works.
  std::string multiplexer;

  /// Before sleeping, look again and again for news, at most for so long: wakes up in a microsecond
  /// instead of thirteen, and costs a core while there is traffic. The time adapts (busy_poll.h): a
  /// loop to which nothing comes sleeps. Zero: sleep at once.
  Duration busy_poll = Duration::zero();
};

class Reactor final : private Newsroom {
 public:
  /// Fails if the multiplexer that was asked for cannot be had, or no descriptor is left. It reads
  /// `mailbox`, which has no other reader, or one of its own, and closes it when it dies.
  static Result<std::unique_ptr<Reactor>> make(const ReactorOptions& options = {},
                                               std::shared_ptr<Mailbox> mailbox = nullptr);

  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;
  ~Reactor();

  Loop& loop() { return loop_; }
  std::string_view multiplexer() const { return multiplexer_->name(); }

  /// Runs `op` to its end and gives its answer, or the error if the multiplexer fails, which ends
  /// everything on this loop.
  template <Operation Op>
  AnswerOf<Op> run(Op op) {
    const Loop::Entered entered(loop_);
    Started<Op> started(loop_, std::move(op));
    while (!started.done()) {
      if (Result<void> turned = turn(); !turned) return std::unexpected(std::move(turned.error()));
    }
    return started.take();
  }

  /// Runs until no closed connection has anything left to send; see lingering.h.
  void linger_out();

  /// One turn: waits for news unless something is ready, then runs what is. Whoever calls it has
  /// Entered the loop.
  Result<void> turn();

  /// Calls `f`, which must not throw, on this reactor's thread, in its next turn, after what the
  /// same thread posted before it. Any thread may call it, while the reactor lives; it wakes the
  /// reactor only if it sleeps. What was not called when the reactor dies is destroyed with it.
  template <class F>
  void post(F&& f) {
    mailbox_->post(std::forward<F>(f));
  }
  Mailbox& mailbox() { return *mailbox_; }

  // For the sockets of this loop.
  Result<void> watch(Watcher& watcher) { return multiplexer_->add(watcher); }
  void unwatch(Watcher& watcher) { multiplexer_->remove(watcher); }
  BlockPool& blocks() { return blocks_; }

  /// Owns what lingers, until it ends or the reactor does.
  void keep(std::unique_ptr<Lingering> lingering);
  void end(Lingering& lingering);

  /// Sockets whose messages are followed: while there are any, the clock is read whenever the loop
  /// begins to wait.
  std::size_t tracks = 0;
  std::int64_t waiting_since_ns = 0;  ///< CLOCK_REALTIME; only while there are any

  /// Bytes that all connections of this loop have collected and not yet sent.
  std::size_t unsent_bytes = 0;

 private:
  /// Hears that somebody rang, having posted something to a reactor that sleeps.
  class Doorbell final : public Runnable {
   public:
    explicit Doorbell(int bell);
    void run() override;

    Watcher watcher;
  };

  /// Ends long waits. A timeout is armed and taken back at each wait; this is armed once, so that a
  /// deadline far away, such as that of an idle limit, costs nothing.
  class Alarm final : public Runnable {
   public:
    explicit Alarm(Fd timer);
    /// Rings at `when`, or before. False if there is no such timer.
    bool ring_by(Instant when, Instant now);
    void run() override;  // it rang

    Watcher watcher;

   private:
    Fd timer_;
    Instant rings_ = Instant::min();
  };

  Reactor(std::unique_ptr<Multiplexer> multiplexer, std::shared_ptr<Mailbox> mailbox,
          Duration busy_poll);

  void heard(Watcher& watcher, unsigned news) override;
  void read_clock();
  void take_messages();
  std::optional<Duration> time_to_wait();
  Result<void> wait(std::optional<Duration> timeout);
  Result<void> sleep(std::optional<Duration> timeout);
  Result<void> look(std::optional<Duration> timeout);

  std::unique_ptr<Multiplexer> multiplexer_;
  BlockPool blocks_;
  const std::shared_ptr<Mailbox> mailbox_;
  Doorbell doorbell_;
  Alarm alarm_;
  BusyPoll busy_poll_;
  Loop loop_;
  bool clock_is_stale_ = true;
  std::uint64_t runs_before_waiting_ = 0;
  List<Lingering> lingering_;
  std::size_t lingering_count_ = 0;
};

}  // namespace koine::os
