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

/// What whoever started handlers elsewhere can tell them.
struct Orders {
  Event drain;  ///< come to an end by yourself
  Event stop;   ///< end now: the handler's task is destroyed
};

/// Serves one connection on `reactor`, the only one there: called in the new thread or process.
/// `drain` is set when it should come to an end by itself. An exception is an error.
using ServeOne = Function<Io<void>(Reactor& reactor, std::unique_ptr<Stream> stream, Event& drain)>;

/// A thread for each connection.
///
/// Destroying the task stops the handler and waits for its thread, though no longer than
/// `stop_time_max`: one whose handler still blocks outside koine then is left behind, and may use
/// only what lives as long as the process. Who destroys many sets `stop` first, so that they end
/// side by side.
Io<void> serve_in_thread(Reactor& reactor, std::unique_ptr<Stream> stream,
                         std::shared_ptr<const ServeOne> serve, Orders& orders);

inline constexpr Duration stop_time_max = 1s;

/// A process for each connection, made by fork(2). It inherits nothing open but this connection and
/// the standard streams. Setting `drain` sends SIGTERM, which sets the handler's; setting `stop`,
/// or destroying the task, kills it. What the handler fails with, an exit status other than 0 or
/// the signal that ended it is the error. SIGTERM and SIGINT should be blocked where it is called,
/// as Signals does: until the process has begun to heed them they would end it.
///
/// Where `reactor`'s process has several threads, the handler may use only what is safe after fork
/// in such a process, as glibc's malloc is.
Io<void> serve_in_process(Reactor& reactor, std::unique_ptr<Stream> stream,
                          std::shared_ptr<const ServeOne> serve, Orders& orders);

/// A command for each connection, with the socket as its standard input and output, as inetd(8) has
/// it: the first word is looked for in PATH. It has a process group of its own. Draining lets it
/// run; one that still waits for input `drain_quiet` later sees its end. An exit status other than
/// 0 or a signal is an error that names it. Setting `stop` resets the connection and kills the
/// group; destroying the task kills it.
Io<void> serve_with_command(Reactor& reactor, std::unique_ptr<Stream> stream,
                            std::shared_ptr<const std::vector<std::string>> command,
                            Duration drain_quiet, Orders& orders);

}  // namespace koine::os
