#include "koine/os/signals.h"

#include <pthread.h>

#include <ctime>

#include "koine/os/fault_of.h"
#include "koine/os/system.h"

namespace koine::os {

namespace {

sigset_t set_of(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  return set;
}

}  // namespace

BlockedSignals::BlockedSignals(std::initializer_list<int> signals) : blocked_(set_of(signals)) {
  ::pthread_sigmask(SIG_BLOCK, &blocked_, &before_);
  for (const int signal : signals) {
    if (sigismember(&before_, signal) == 1) sigdelset(&blocked_, signal);
  }
}

BlockedSignals::~BlockedSignals() {
  const timespec at_once{};
  while (::sigtimedwait(&blocked_, nullptr, &at_once) > 0) {
  }
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

Result<std::unique_ptr<Signals>> Signals::make(Reactor& reactor,
                                               std::initializer_list<int> signals) {
  std::unique_ptr<Signals> made(new Signals(reactor, signals));
  const sigset_t set = set_of(signals);
  made->fd_ = Fd(sys::signalfd(-1, &set));
  if (!made->fd_) return std::unexpected(system_error("signalfd", {}, errno));
  made->watcher_.fd = made->fd_.get();
  if (auto watched = reactor.watch(made->watcher_); !watched)
    return std::unexpected(std::move(watched.error()));
  made->watched_ = true;
  return made;
}

Result<int> Signals::Next::attempt_once() {
  Watcher& watcher = signals_.watcher_;
  if (!watcher.can_read()) return fail(Fault::would_block);
  signalfd_siginfo info{};
  const ssize_t got = sys::read(watcher.fd, &info, sizeof(info));
  if (got == sizeof(info)) return static_cast<int>(info.ssi_signo);
  const int error = errno;
  if (got < 0 && error != EAGAIN && error != EINTR)
    return std::unexpected(system_error("signalfd", {}, error));
  watcher.emptied();
  return fail(Fault::would_block);
}

}  // namespace koine::os
