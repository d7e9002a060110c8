// Signals as something that can be awaited.
#pragma once

#include <csignal>

#include <initializer_list>
#include <memory>

#include "koine/os/reactor.h"

namespace koine::os {

/// Keeps signals from ending the process as long as it lives: they are blocked in the calling
/// thread, and in the threads that it starts from now on. One that came meanwhile is forgotten in
/// the end, unless it was blocked before.
class BlockedSignals {
 public:
  explicit BlockedSignals(std::initializer_list<int> signals);
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals();

 private:
  sigset_t blocked_;  // by us
  sigset_t before_;   // the mask to go back to
};

/// Takes the given signals of this process over as long as it lives. They are blocked in the
/// calling thread, and so in the threads that it starts; where there are threads already, a signal
/// may reach one of them, unless they inherited BlockedSignals. One per process and signal.
class Signals {
 public:
  static Result<std::unique_ptr<Signals>> make(Reactor& reactor,
                                               std::initializer_list<int> signals);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals() {
    if (watched_) reactor_.unwatch(watcher_);
  }

  class [[nodiscard]] Next final : public Trying<Next, int> {
   public:
    explicit Next(Signals& signals) : signals_(signals) {}
    Result<int> attempt_once();
    void park() { signals_.watcher_.readers.join(*this); }
    Activity activity() const override { return {"wait for a signal", {}}; }

   private:
    Signals& signals_;
  };

  /// `const int signal = co_await attempt(signals.next())`
  Next next() { return Next(*this); }

 private:
  Signals(Reactor& reactor, std::initializer_list<int> signals)
      : reactor_(reactor), blocked_(signals) {}

  Reactor& reactor_;
  Watcher watcher_;
  BlockedSignals blocked_;
  Fd fd_;
  bool watched_ = false;
};

}  // namespace koine::os
