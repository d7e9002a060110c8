#include "cli/standard_io.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>

#include "cli/exit_code.h"
#include "koine/os/fd.h"

namespace koine::cli {

namespace {

/// False for regular files, and for devices such as /dev/null that never keep anyone waiting.
bool can_be_waited_for(int fd) {
  const os::Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{.events = EPOLLIN, .data = {}};
  return epoll && ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

StandardInput::StandardInput(os::Reactor& reactor) : reactor_(reactor) {
  watcher_.fd = STDIN_FILENO;
  watched_ = can_be_waited_for(STDIN_FILENO) && reactor_.watch(watcher_).has_value();
}

StandardInput::~StandardInput() {
  if (watched_) reactor_.unwatch(watcher_);
}

Result<std::size_t> StandardInput::read_now(MutableBytes into) {
  if (watched_) {
    if (!watcher_.can_read()) return fail(Fault::would_block);
    pollfd question{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (::poll(&question, 1, 0) == 0) {
      watcher_.emptied();
      return fail(Fault::would_block);
    }
  }
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, into.data(), into.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR)
      return std::unexpected(Error(Fault::system, "read", "standard input", errno));
  }
}

Result<void> write_output(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (count >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {  // somebody made it non-blocking; wait all the same
      pollfd question{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
      ::poll(&question, 1, -1);
    } else if (errno != EINTR) {
      return std::unexpected(Error(Fault::system, output_operation, "standard output", errno));
    }
  }
  return {};
}

}  // namespace koine::cli
