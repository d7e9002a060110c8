// serve_with_command(): any program serves a connection.
#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "koine/async/combine.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/os/child_process.h"
#include "koine/os/fault_of.h"
#include "koine/os/handed.h"
#include "koine/os/workers.h"

namespace koine::os {
namespace {

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
  // fork(2): "a system-imposed limit on the number of threads". Waiting does not help.
  if (error == EAGAIN) return fail(Fault::exhausted, "run", command.front(), error);
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

Io<void> serve_with_command(Reactor& reactor, std::unique_ptr<Stream> stream,
                            std::shared_ptr<const std::vector<std::string>> command,
                            Duration drain_quiet, Orders& orders) {
  auto handed = co_await attempt(take_socket(std::move(stream)));
  // A command expects reads that wait.
  ::fcntl(handed.fd.get(), F_SETFL, ::fcntl(handed.fd.get(), F_GETFL) & ~O_NONBLOCK);
  const pid_t pid = co_await attempt(spawn(*command, handed.fd.get()));
  handed.fd.reset();
  ChildProcess child(reactor);
  auto adopted = child.adopt_group(pid);
  co_await attempt(std::move(adopted));
  Scope attendants;
  attendants.spawn(end_input_after(child, drain_quiet, orders.drain));
  if (!orders.stop.is_set()) {
    auto news = first_of(child.exit(), orders.stop.wait());
    co_await news;
  }
  if (!child.is_over()) {
    child.reset_input();
    child.signal(SIGKILL);
    co_await child.exit();
  }
  co_return child.result();
}

}  // namespace koine::os
