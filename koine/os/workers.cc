#include "koine/os/workers.h"

#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "koine/async/combine.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/os/fault_of.h"
#include "koine/os/signals.h"
#include "koine/os/sockaddr.h"
#include "koine/os/socket_stream.h"
#include "koine/os/system.h"

namespace koine::os {
namespace {

/// What passes from one loop to another: the descriptor and what it is.
struct Handed {
  Fd fd;
  Transport transport = Transport::tcp;
  Address peer;
};

Result<Handed> take_socket(std::unique_ptr<Stream> stream) {
  auto* socket = dynamic_cast<SocketStream*>(stream.get());
  if (socket == nullptr) {
    return std::unexpected(
        Error(Fault::unsupported, "serve", stream->name())
            .with_note("only sockets of the kernel's have threads or processes"));
  }
  Handed handed;
  handed.peer = socket->peer();
  handed.fd = socket->release();
  handed.transport = transport_of(handed.fd.get()).value_or(Transport::tcp);
  return handed;
}

/// What the owner of a handler elsewhere can tell it.
struct Orders {
  Event drain;  ///< come to an end
  Event stop;   ///< now
};

/// Serves until the handler ends or is told to stop.
Io<void> serve_until_stopped(Reactor& reactor, const ServeOne& serve,
                             std::unique_ptr<Stream> stream, Orders& orders) {
  auto task = serve(reactor, std::move(stream), orders.drain);
  auto either = first_of(std::move(task), orders.stop.wait());
  auto first = co_await either;
  if (first.index() == 0) co_return std::move(std::get<0>(first));
  co_return fail(Fault::cancelled, "serve");
}

/// Runs the handler on a loop of its own, on this thread. `ready` hears of the loop before it runs,
/// and may give it more to do.
template <class Ready>
Result<void> serve_here(Handed handed, const ServeOne& serve, const std::string& multiplexer,
                        Ready ready) {
  auto reactor = Reactor::make({.multiplexer = multiplexer});
  if (!reactor) return std::unexpected(std::move(reactor.error()));
  auto stream =
      SocketStream::make(**reactor, std::move(handed.fd), handed.transport, std::move(handed.peer));
  if (!stream) return std::unexpected(std::move(stream.error()));
  Orders orders;
  [[maybe_unused]] const auto beside = ready(**reactor, orders);
  auto answer = (*reactor)->run(serve_until_stopped(**reactor, serve, std::move(*stream), orders));
  (*reactor)->linger_out();
  return answer;
}

/// A thread that serves one connection, and the ways between it and its owner.
class ThreadOfOne {
 public:
  ThreadOfOne(Reactor& home, Handed handed, std::shared_ptr<const ServeOne> serve)
      : link_(std::make_shared<Link>(home)) {
    thread_ = std::thread([link = link_, handed = std::move(handed), serve = std::move(serve),
                           multiplexer = std::string(home.multiplexer())]() mutable {
      const auto begin = [&](Reactor& mine, Orders& orders) {
        link->began(mine, orders);
        return 0;
      };
      auto result = serve_here(std::move(handed), *serve, multiplexer, begin);
      link->ended(std::move(result));
    });
  }
  ThreadOfOne(const ThreadOfOne&) = delete;
  ~ThreadOfOne() {
    link_->abandon();
    thread_.join();
  }

  Event::Wait over() { return link_->over.wait(); }
  bool is_over() const { return link_->over.is_set(); }
  Result<void> result() { return std::move(link_->result); }
  void drain() { link_->drain(); }

 private:
  /// Shared by both threads; the mutex guards what either may do while the other ends.
  struct Link : std::enable_shared_from_this<Link> {
    explicit Link(Reactor& home) : home_(&home) {}

    // In the worker's thread.
    void began(Reactor& mine, Orders& orders) {
      const std::lock_guard lock(mutex_);
      worker_ = &mine;
      orders_ = &orders;
      if (drains_) orders_->drain.set();
      if (home_ == nullptr) orders_->stop.set();
    }
    void ended(Result<void> answer) {
      const std::lock_guard lock(mutex_);
      worker_ = nullptr;
      if (home_ == nullptr) return;
      home_->post([self = shared_from_this(), answer = std::move(answer)]() mutable {
        self->result = std::move(answer);
        self->over.set();
      });
    }

    // In the owner's.
    void drain() {
      const std::lock_guard lock(mutex_);
      drains_ = true;
      if (worker_ != nullptr) worker_->post([orders = orders_] { orders->drain.set(); });
    }
    void abandon() {
      const std::lock_guard lock(mutex_);
      home_ = nullptr;
      if (worker_ != nullptr) worker_->post([orders = orders_] { orders->stop.set(); });
    }

    Event over;
    Result<void> result;

   private:
    std::mutex mutex_;
    Reactor* home_;
    Reactor* worker_ = nullptr;
    Orders* orders_ = nullptr;
    bool drains_ = false;
  };

  std::shared_ptr<Link> link_;
  std::thread thread_;
};

int pidfd_open(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

/// A child process; killed and reaped if nobody waits for it any more, with its group if it leads
/// one.
class ChildProcess {
 public:
  ChildProcess(Reactor& reactor, pid_t pid, Fd pidfd, bool leads_group = false)
      : reactor_(reactor), pid_(pid), pidfd_(std::move(pidfd)), leads_group_(leads_group) {
    watcher_.fd = pidfd_.get();
  }
  ChildProcess(const ChildProcess&) = delete;
  ~ChildProcess() {
    if (watched_) reactor_.unwatch(watcher_);
    if (pid_ > 0) {
      ::kill(leads_group_ ? -pid_ : pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }

  Result<void> begin() {
    auto begun = reactor_.watch(watcher_);
    watched_ = begun.has_value();
    return begun;
  }

  class Exit final : public Trying<Exit, int> {
   public:
    explicit Exit(ChildProcess& child) : child_(child) {}
    Result<int> attempt_once() {
      int status = 0;
      const pid_t ended = ::waitpid(child_.pid_, &status, WNOHANG);
      if (ended == 0) {
        child_.watcher_.emptied();
        return fail(Fault::would_block);
      }
      child_.pid_ = -1;
      return status;
    }
    void park() { child_.watcher_.readers.join(*this); }
    Activity activity() const override { return {"wait for a process", {}}; }

   private:
    ChildProcess& child_;
  };

  /// Its wait status, once it has ended.
  Exit exit() { return Exit(*this); }

  /// Its standard input, if that is a socket, ends after what has arrived. Best effort: a kernel
  /// may refuse to let us at it.
  void end_input() {
    const Fd input(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd_.get(), STDIN_FILENO, 0)));
    if (input) sys::shutdown(input.get(), SHUT_RD);
  }

 private:
  Reactor& reactor_;
  Watcher watcher_;
  pid_t pid_;
  Fd pidfd_;
  bool leads_group_;
  bool watched_ = false;
};

Task<void> drain_on_signal(Reactor& reactor, Orders& orders) {
  auto signals = Signals::make(reactor, {SIGTERM, SIGINT});
  if (!signals) co_return;  // then a signal ends the process at once
  auto next = (*signals)->next();
  if (co_await next) orders.drain.set();
}

/// The child's whole life. It never returns: what belongs to the parent must not be destroyed here.
[[noreturn]] void live_as_child(Handed handed, const ServeOne& serve,
                                const std::string& multiplexer) {
  // Everything but the connection belongs to the parent: the ring, the listener, other connections.
  const int mine = handed.fd.release();
  if (mine != 3) {
    ::dup3(mine, 3, O_CLOEXEC);
  }
  ::syscall(SYS_close_range, 4U, ~0U, 0U);
  handed.fd = Fd(3);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // nobody would reap or drain an orphan
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  Loop::forget_current();
  const auto heed_signals = [](Reactor& reactor, Orders& orders) {
    return std::make_unique<Started<Task<void>>>(reactor.loop(), drain_on_signal(reactor, orders));
  };
  const auto result = serve_here(std::move(handed), serve, multiplexer, heed_signals);
  if (!result) {
    const std::string line = "koine: " + to_string(result.error()) + "\n";
    [[maybe_unused]] const auto put = ::write(STDERR_FILENO, line.data(), line.size());
  }
  std::fflush(nullptr);
  ::_exit(result ? EXIT_SUCCESS : EXIT_FAILURE);
}

Error how_it_ended(pid_t pid, int status) {
  Error error(Fault::system, "serve", "in process " + std::to_string(pid));
  if (WIFSIGNALED(status)) {
    return std::move(error).with_note(std::string("killed by signal ") +
                                      std::to_string(WTERMSIG(status)) + " (" +
                                      ::strsignal(WTERMSIG(status)) + ")");
  }
  return std::move(error).with_note("exit status " + std::to_string(WEXITSTATUS(status)));
}

/// Starts `command` with `socket` as its standard input and output. The rest of its world is ours,
/// without our signal mask and our descriptors, all of which close on exec.
Result<pid_t> spawn(const std::vector<std::string>& command, int socket) {
  std::vector<char*> words;
  words.reserve(command.size() + 1);
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, socket, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, socket, STDOUT_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t signals;
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  sigaddset(&signals, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(
      &attributes,
      static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP));
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, words.front(), &files, &attributes, words.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return std::unexpected(system_error("run", command.front(), error));
  return pid;
}

/// After a while of draining, what waits for input has had all it will get.
Io<void> end_input_after(ChildProcess& child, Duration quiet, Event& drain) {
  co_await drain.wait();
  co_await sleep(quiet);
  child.end_input();
  co_return {};
}

}  // namespace

Io<void> serve_in_thread(Reactor& reactor, std::unique_ptr<Stream> stream,
                         std::shared_ptr<const ServeOne> serve, Event& drain) {
  auto handed = co_await attempt(take_socket(std::move(stream)));
  ThreadOfOne thread(reactor, std::move(handed), std::move(serve));
  auto either = first_of(thread.over(), drain.wait());
  co_await either;
  if (!thread.is_over()) {
    thread.drain();
    co_await thread.over();
  }
  co_return thread.result();
}

Io<void> serve_in_process(Reactor& reactor, std::unique_ptr<Stream> stream,
                          std::shared_ptr<const ServeOne> serve, Event& drain) {
  auto handed = co_await attempt(take_socket(std::move(stream)));
  const std::string multiplexer(reactor.multiplexer());
  std::fflush(nullptr);  // or the child would write what we have not written yet once more
  const pid_t pid = ::fork();
  if (pid < 0) co_return std::unexpected(system_error("fork", {}, errno));
  if (pid == 0) live_as_child(std::move(handed), *serve, multiplexer);
  handed.fd.reset();
  Fd pidfd(pidfd_open(pid));
  const int error = errno;
  const bool has_pidfd = static_cast<bool>(pidfd);
  ChildProcess child(reactor, pid, std::move(pidfd));
  if (!has_pidfd) co_return std::unexpected(system_error("pidfd_open", {}, error));
  co_await attempt(child.begin());
  auto either = first_of(child.exit(), drain.wait());
  auto first = co_await either;
  int status = 0;
  if (first.index() == 0) {
    status = co_await attempt(std::move(std::get<0>(first)));
  } else {
    ::kill(pid, SIGTERM);
    status = co_await attempt(child.exit());
  }
  if (status != 0) co_return std::unexpected(how_it_ended(pid, status));
  co_return {};
}

Io<void> serve_with_command(Reactor& reactor, std::unique_ptr<Stream> stream,
                            std::shared_ptr<const std::vector<std::string>> command,
                            Duration drain_quiet, Event& drain) {
  auto handed = co_await attempt(take_socket(std::move(stream)));
  // A command expects reads that wait.
  ::fcntl(handed.fd.get(), F_SETFL, ::fcntl(handed.fd.get(), F_GETFL) & ~O_NONBLOCK);
  const pid_t pid = co_await attempt(spawn(*command, handed.fd.get()));
  handed.fd.reset();
  Fd pidfd(pidfd_open(pid));
  const int error = errno;
  const bool has_pidfd = static_cast<bool>(pidfd);
  ChildProcess child(reactor, pid, std::move(pidfd), true);
  if (!has_pidfd) co_return std::unexpected(system_error("pidfd_open", {}, error));
  co_await attempt(child.begin());
  Scope attendants;
  attendants.spawn(end_input_after(child, drain_quiet, drain));
  const int status = co_await attempt(child.exit());
  if (status != 0) co_return std::unexpected(how_it_ended(pid, status));
  co_return {};
}

}  // namespace koine::os
