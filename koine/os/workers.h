// Handlers that run elsewhere than on the loop that accepts: a thread or a process for each
// connection.
//
// The handler is the same coroutine as ever; it just has a loop of its own. It may block without
// harming others; in a process of its own it may even crash.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "koine/async/event.h"
#include "koine/async/task.h"
#include "koine/base/function.h"
#include "koine/os/reactor.h"
#include "koine/transport/stream.h"

namespace koine::os {

/// Serves one connection on `reactor`, the only one there: called in the new thread or process.
/// `drain` is set when it should come to an end by itself.
using ServeOne = Function<Io<void>(Reactor& reactor, std::unique_ptr<Stream> stream, Event& drain)>;

/// A thread for each connection. Setting `drain` sets the handler's. Destroying the task cancels
/// the handler and waits for its thread; so a handler that blocks outside koine holds up whoever
/// does that.
Io<void> serve_in_thread(Reactor& reactor, std::unique_ptr<Stream> stream,
                         std::shared_ptr<const ServeOne> serve, Event& drain);

/// A process for each connection, made by fork(2). It inherits nothing open but this connection and
/// the standard streams. Setting `drain` sends SIGTERM, which sets the handler's. An exit status
/// other than 0 or a signal is an error that names it. Destroying the task kills the process. Where
/// `reactor`'s process has several threads, the handler may use only what is safe after fork in
/// such a process, as glibc's malloc is.
Io<void> serve_in_process(Reactor& reactor, std::unique_ptr<Stream> stream,
                          std::shared_ptr<const ServeOne> serve, Event& drain);

/// A command for each connection, with the socket as its standard input and output, as inetd(8) has
/// it: the first word is looked for in PATH. It has a process group of its own. Draining lets it
/// run; one that still waits for input `drain_quiet` later sees its end. An exit status other than
/// 0 or a signal is an error that names it. Destroying the task kills the group.
Io<void> serve_with_command(Reactor& reactor, std::unique_ptr<Stream> stream,
                            std::shared_ptr<const std::vector<std::string>> command,
                            Duration drain_quiet, Event& drain);

}  // namespace koine::os
