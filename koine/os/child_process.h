// ChildProcess: a process that serves one connection, watched through a pidfd and always reaped. It
// is a copy of this one, made by fork(2), or one that somebody else started.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <memory>

#include "koine/async/wait.h"
#include "koine/base/function.h"
#include "koine/os/fd.h"
#include "koine/os/reactor.h"

namespace koine::os {

class ChildProcess {
 public:
  /// Tells the child to end at once, as SIGTERM tells it to come to an end by itself.
  static constexpr int stop_signal = SIGUSR2;

  explicit ChildProcess(Reactor& reactor) : reactor_(reactor) {}
  ChildProcess(const ChildProcess&) = delete;

  /// Kills it if it still runs, and reaps it.
  ~ChildProcess();

  /// Runs `work` in the new process, which has nothing open but the standard streams and a copy of
  /// `connection`, and which ends with it. SIGTERM, SIGINT and stop_signal are blocked there, so
  /// that none is missed. Fails with exhausted if there can be no more processes.
  Result<void> begin(const Fd& connection, Function<Result<void>(Fd)> work);

  /// Watches a child of this process that leads a process group, as a command does: signals go to
  /// the whole group.
  Result<void> adopt_group(pid_t pid);

  /// In the child, if it cannot heed signals: then they end it.
  static void let_signals_end_it();

  class Exit final : public Trying<Exit, void> {
   public:
    explicit Exit(ChildProcess& child) : child_(child) {}
    Result<void> attempt_once();
    void park() { child_.watcher_.readers.join(*this); }
    Activity activity() const override { return {"wait for a process", {}}; }

   private:
    ChildProcess& child_;
  };

  /// Waits until it has ended.
  Exit exit() { return Exit(*this); }
  bool is_over() const { return pid_ < 0; }
  void signal(int number);

  /// Its standard input, if that is a socket, ends after what has arrived. Best effort, like the
  /// next: a kernel may refuse to let us at it.
  void end_input();

  /// The connection that is its standard input will end with a reset, not with a proper end.
  void reset_input();

  /// How it ended, once it has: the error of `work`, its exit status, or the signal.
  Result<void> result() const;

 private:
  struct LastWords;

  Result<void> watch(pid_t pid);
  Fd input() const;

  Reactor& reactor_;
  Watcher watcher_;
  Fd pidfd_;
  LastWords* last_words_ = nullptr;  // memory that the child shares
  pid_t pid_ = -1;                   // until it is reaped
  pid_t name_ = -1;                  // for errors
  int status_ = 0;
  bool leads_group_ = false;
  bool watched_ = false;
};

}  // namespace koine::os
