// Server: accepts connections, gives each to a handler, and keeps its limits. It runs for ever, or
// until it is told to drain.
//
//     Io<void> echo(std::unique_ptr<Stream> client) { co_await attempt(copy(*client, *client)); ...
//     }
//
//     Server server(network, echo);
//     co_await attempt(server.listen("tcp://:7000"));
//     co_await server.run();
//
// It knows no world: the network may be the kernel's or a simulated one. What a real program adds
// (signals, several cores, threads and processes) is in koine/koine.h.
//
// Drain: the listeners close once what waits in their queues is accepted; connections go on; one
// that has been quiet for `drain_quiet` sees the end of its input, so a handler that waits for the
// next request ends; when the time is up, what still runs is cut and counted.
#pragma once

#include <string>

#include "koine/app/limits.h"
#include "koine/base/function.h"
#include "koine/base/unique_ptr.h"
#include "koine/transport/network.h"

namespace koine {

/// Serves one connection. It owns the stream; when it ends the connection closes. An error it
/// returns, or an exception that leaves it, is counted and reported, and harms nobody else.
///
/// A connection that breaks a limit is dropped: what the handler does with it then fails with
/// Fault::closed and a note that says which.
using Handler = Function<Io<void>(std::unique_ptr<Stream>)>;

/// Where a handler runs, if not as a coroutine on the server's own loop: see os/workers.h.
class Workers {
 public:
  virtual ~Workers() = default;

  /// Serves `stream` elsewhere and answers when that is over. Destroying the task ends it there.
  virtual Io<void> serve(std::unique_ptr<Stream> stream) = 0;

  /// The server drains: those that run should come to an end by themselves.
  virtual void drain() {}

  /// Those that run are to end at once. The tasks of those that have not ended a second later are
  /// destroyed.
  virtual void cut() {}
};

struct ServerOptions {
  Limits limits = {};

  /// How long a draining server lets its connections go on.
  Duration drain = 10s;

  /// While draining: a connection without movement for so long has nothing more to say.
  Duration drain_quiet = 1s;

  ListenOptions listen = {};

  /// Called for each connection that ended with an error: who, and why. For logs. Without a name it
  /// is about accepting: running out of descriptors, for one, which is told once.
  Function<void(const std::string& peer, const Error& error)> on_error = {};
};

class Server {
 public:
  /// Lives on the loop of `network`, which outlives it.
  Server(Network& network, Handler handler, ServerOptions options = {});

  /// The same with handlers that run elsewhere.
  Server(Network& network, std::unique_ptr<Workers> workers, ServerOptions options = {});

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Cancels what still runs. No task of run() or listen() may be left then.
  ~Server();

  /// Listens there too, and accepts from now on: the real endpoint. The host must not be a name.
  /// Fault::closed once it drains.
  Result<Endpoint> listen(const Endpoint& at);

  /// The same from text, with names resolved.
  Io<Endpoint> listen(std::string at);

  /// Serves a connection that was accepted elsewhere, however many there are already; one from an
  /// address that has too many is refused like any other.
  void adopt(std::unique_ptr<Stream> stream);

  /// Serves until it has drained; what happened in all. A server without a listener ends when its
  /// last connection does.
  Task<ServerCounts> run();

  /// Stops accepting, lets the connections finish, then ends run().
  void drain();

  /// The same without letting them: what runs now is cut. Peers see a reset, never a proper end.
  void cut();

  const ServerCounts& counts() const;
  std::size_t connections() const;

 private:
  class Body;
  std::unique_ptr<Body> body_;
};

}  // namespace koine
