// Signals as something that can be awaited.
#pragma once

#include <csignal>

#include <initializer_list>
#include <memory>

#include "koine/os/reactor.h"

namespace koine::os {

/// Keeps signals from this thread, and from the threads that it starts, as long as it lives. A
/// signal goes to any thread that does not block it, so a program that takes signals over blocks
/// them in main, before it starts threads.
class BlockedSignals {
 public:
  explicit BlockedSignals(std::initializer_list<int> signals);
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals();

 private:
  sigset_t before_;
};

/// Takes the given signals of this process over as long as it lives; all other threads have to
/// block them (BlockedSignals). One per process and signal.
class Signals {
 public:
  static Result<std::unique_ptr<Signals>> make(Reactor& reactor,
                                               std::initializer_list<int> signals);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

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
      : blocked_(signals), reactor_(reactor) {}

  BlockedSignals blocked_;
  Reactor& reactor_;
  Watcher watcher_;
  Fd fd_;
  bool watched_ = false;
};

}  // namespace koine::os
