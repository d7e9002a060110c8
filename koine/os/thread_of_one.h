// ThreadOfOne: a thread that serves one connection, and the ways between it and its owner.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "koine/async/event.h"
#include "koine/base/function.h"
#include "koine/os/reactor.h"
#include "koine/os/workers.h"

namespace koine::os {

class ThreadOfOne {
 public:
  /// Shared by both threads; it outlives whoever goes first.
  class Link : public std::enable_shared_from_this<Link> {
   public:
    explicit Link(Reactor& home) : home_(&home) {}

   private:
    friend class ThreadOfOne;

    // In the worker's thread.
    void began(Reactor& worker, Orders& orders);
    void left();
    void ended(Result<void> result);

    // In the owner's.
    void tell_drain();
    void tell_stop();
    void abandon();
    bool wait_for_end();

    Event over_;           // the owner's own
    Result<void> result_;  // likewise, once it is over

    std::mutex mutex_;  // guards what follows
    std::condition_variable ended_;
    bool has_ended_ = false;
    Reactor* home_;              // null once the owner is gone
    Reactor* worker_ = nullptr;  // while the worker's loop runs
    Orders* orders_ = nullptr;   // while the worker's loop runs; its own
    bool drains_ = false;
    std::optional<std::chrono::steady_clock::time_point> stopped_at_;
  };

  /// Lives in the worker while its loop runs.
  class Attendant {
   public:
    Attendant(Link& link, Reactor& worker, Orders& orders) : link_(link) {
      link_.began(worker, orders);
    }
    Attendant(const Attendant&) = delete;
    ~Attendant() { link_.left(); }

   private:
    Link& link_;
  };

  explicit ThreadOfOne(Reactor& home) : link_(std::make_shared<Link>(home)) {}
  ThreadOfOne(const ThreadOfOne&) = delete;

  /// Stops it, and waits for it as long as `stop_time_max` after it was first told; then it is left
  /// to itself.
  ~ThreadOfOne();

  /// Runs `work` in the thread. Fails with exhausted if there can be no more threads.
  Result<void> begin(Function<Result<void>(Link&)> work);

  Event::Wait over() { return link_->over_.wait(); }
  bool is_over() const { return link_->over_.is_set(); }
  Result<void> result() { return std::move(link_->result_); }
  void drain() { link_->tell_drain(); }
  void stop() { link_->tell_stop(); }

 private:
  std::shared_ptr<Link> link_;
  std::thread thread_;
};

}  // namespace koine::os
