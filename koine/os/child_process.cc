#include "koine/os/child_process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "koine/base/thrown.h"
#include "koine/os/fault_of.h"

namespace koine::os {

/// What the child's handler failed with, as text. It needs no descriptor, and a child that is
/// killed leaves it as it is.
struct ChildProcess::LastWords {
  std::size_t size;
  char text[1024];

  static LastWords* make() {
    void* memory = ::mmap(nullptr, sizeof(LastWords), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? nullptr : new (memory) LastWords{};
  }
  void put(const std::string& words) {
    size = std::min(words.size(), sizeof(text));
    std::memcpy(text, words.data(), size);
  }
  std::string get() const { return {text, std::min(size, sizeof(text))}; }
};

namespace {

constexpr int connection_fd = 3;

sigset_t set_of(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  return set;
}

/// Comes to an end when its parent does: nobody else would drain or reap it.
void end_with(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::raise(SIGTERM);  // it was faster
}

int pidfd_open(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

/// Everything but the standard streams and the connection belongs to the parent: its ring, its
/// listeners, other connections.
Fd keep_only(const Fd& connection) {
  const int fd = connection.get();
  if (fd == connection_fd) {
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  } else {
    ::dup3(fd, connection_fd, O_CLOEXEC);
    ::close(fd);  // where a parent without standard streams may have put it
  }
  ::syscall(SYS_close_range, static_cast<unsigned>(connection_fd) + 1, ~0U, 0U);
  return Fd(connection_fd);
}

}  // namespace

ChildProcess::~ChildProcess() {
  if (watched_) reactor_.unwatch(watcher_);
  if (pid_ > 0) {
    signal(SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (last_words_ != nullptr) ::munmap(last_words_, sizeof(LastWords));
}

Result<void> ChildProcess::begin(const Fd& connection, Function<Result<void>(Fd)> work) {
  last_words_ = LastWords::make();
  if (last_words_ == nullptr) return fail(Fault::exhausted, "serve", "in a process", errno);
  std::fflush(nullptr);  // or the child would write what we have not written yet once more

  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  const int error = errno;
  if (pid == 0) {
    const sigset_t heeded = set_of({SIGTERM, SIGINT, stop_signal});
    ::pthread_sigmask(SIG_SETMASK, &heeded, nullptr);
    end_with(parent);
    Loop::forget_current();
    Result<void> result;
    try {
      result = work(keep_only(connection));
    } catch (...) {
      result = std::unexpected(thrown_error("serve"));
    }
    if (!result) last_words_->put(to_string(result.error()));
    std::fflush(nullptr);
    ::_exit(result ? EXIT_SUCCESS : EXIT_FAILURE);  // what is the parent's is not destroyed here
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return fail(Fault::exhausted, "serve", "in a process", error);
  return watch(pid);
}

Result<void> ChildProcess::adopt_group(pid_t pid) {
  leads_group_ = true;
  return watch(pid);
}

Result<void> ChildProcess::watch(pid_t pid) {
  pid_ = name_ = pid;
  pidfd_ = Fd(pidfd_open(pid));
  if (!pidfd_) return std::unexpected(system_error("pidfd_open", {}, errno));
  watcher_.fd = pidfd_.get();
  auto watched = reactor_.watch(watcher_);
  watched_ = watched.has_value();
  return watched;
}

void ChildProcess::let_signals_end_it() {
  const sigset_t none = set_of({});
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

void ChildProcess::signal(int number) {
  if (pid_ > 0) ::kill(leads_group_ ? -pid_ : pid_, number);
}

Fd ChildProcess::input() const {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd_.get(), STDIN_FILENO, 0)));
}

void ChildProcess::end_input() {
  if (const Fd socket = input()) ::shutdown(socket.get(), SHUT_RD);
}

void ChildProcess::reset_input() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  if (const Fd socket = input())
    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

Result<void> ChildProcess::Exit::attempt_once() {
  if (child_.pid_ < 0) return {};
  const pid_t ended = ::waitpid(child_.pid_, &child_.status_, WNOHANG);
  if (ended == 0) {
    child_.watcher_.emptied();
    return fail(Fault::would_block);
  }
  child_.pid_ = -1;  // reaped; or, where SIGCHLD is ignored, by the kernel
  return {};
}

Result<void> ChildProcess::result() const {
  const std::string words = last_words_ == nullptr ? "" : last_words_->get();
  if (status_ == 0 && words.empty()) return {};
  Error error(Fault::system, "serve", "in process " + std::to_string(name_));
  if (WIFSIGNALED(status_)) {
    const int signal = WTERMSIG(status_);
    return std::unexpected(std::move(error).with_note("killed by signal " + std::to_string(signal) +
                                                      " (" + ::strsignal(signal) + ")"));
  }
  if (!words.empty()) return std::unexpected(std::move(error).with_note(words));
  return std::unexpected(
      std::move(error).with_note("exit status " + std::to_string(WEXITSTATUS(status_))));
}

}  // namespace koine::os
