// Signals as something that can be awaited.
#pragma once

#include <csignal>

#include <initializer_list>
#include <memory>

#include "koine/os/reactor.h"

namespace koine::os {

/// Takes the given signals of this process over as long as it lives. They are blocked in the
/// calling thread, and so in the threads that it starts: make it before the others. One per process
/// and signal.
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
  Signals(Reactor& reactor, Fd fd, sigset_t before)
      : reactor_(reactor), fd_(std::move(fd)), before_(before) {
    watcher_.fd = fd_.get();
  }

  Reactor& reactor_;
  Watcher watcher_;
  Fd fd_;
  sigset_t before_;  // the mask to go back to
  bool watched_ = false;
};

}  // namespace koine::os
