#include "koine/os/signals.h"

#include <pthread.h>

#include "koine/os/fault_of.h"
#include "koine/os/system.h"

namespace koine::os {

Result<std::unique_ptr<Signals>> Signals::make(Reactor& reactor,
                                               std::initializer_list<int> signals) {
  sigset_t set;
  sigset_t before;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, &before);
  Fd fd(sys::signalfd(-1, &set));
  if (!fd) {
    const int error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return std::unexpected(system_error("signalfd", {}, error));
  }
  std::unique_ptr<Signals> made(new Signals(reactor, std::move(fd), before));
  if (auto watched = reactor.watch(made->watcher_); !watched)
    return std::unexpected(std::move(watched.error()));
  made->watched_ = true;
  return made;
}

Signals::~Signals() {
  if (watched_) reactor_.unwatch(watcher_);
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
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
