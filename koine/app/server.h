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
// Drain: the listeners close; connections go on; one that has been quiet for `drain_quiet` sees the
// end of its input, so a handler that waits for the next request ends; when the time is up, what
// still runs is cut and counted.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "koine/app/guarded_stream.h"
#include "koine/app/limits.h"
#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/base/function.h"
#include "koine/transport/network.h"

namespace koine {

/// Serves one connection. It owns the stream; when it ends the connection closes. An error it
/// returns is counted and reported, and harms nobody else.
using Handler = Function<Io<void>(std::unique_ptr<Stream>)>;

/// Where a handler runs, if not as a coroutine on the server's own loop: see os/workers.h.
class Workers {
 public:
  virtual ~Workers() = default;

  /// Serves `stream` elsewhere and answers when that is over. Destroying the task ends it there.
  virtual Io<void> serve(std::unique_ptr<Stream> stream) = 0;

  /// The server drains: those that run should come to an end by themselves.
  virtual void drain() {}
};

struct ServerOptions {
  Limits limits;

  /// How long a draining server lets its connections go on.
  Duration drain = 10s;

  /// While draining: a connection without movement for so long has nothing more to say.
  Duration drain_quiet = 1s;

  ListenOptions listen;

  /// Called for each connection that ended with an error: who, and why. For logs.
  Function<void(const std::string& peer, const Error& error)> on_error;
};

class Server {
 public:
  /// Lives on the loop of `network`, which outlives it.
  Server(Network& network, Handler handler, ServerOptions options = {});

  /// The same with handlers that run elsewhere.
  Server(Network& network, std::shared_ptr<Workers> workers, ServerOptions options = {});

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  /// Listens there too: the real endpoint. Before or during run(). The host must not be a name.
  Result<Endpoint> listen(const Endpoint& at);

  /// The same from text, with names resolved.
  Io<Endpoint> listen(std::string at);

  /// Serves a connection that was accepted elsewhere.
  void adopt(std::unique_ptr<Stream> stream);

  /// Serves until it has drained; what happened in all. A server without a listener ends when its
  /// last connection does.
  Task<ServerCounts> run();

  /// Stops accepting, lets the connections finish, then ends run().
  void drain();

  /// The same without letting them: what runs now is cut.
  void cut();

  const ServerCounts& counts() const { return counts_; }
  std::size_t connections() const { return connections_; }

 private:
  class Sweeper final : public Timer {
   public:
    explicit Sweeper(Server& server) : server_(server) {}
    void run() override { server_.sweep(); }

   private:
    Server& server_;
  };
  class Guest;
  struct InServer : ListNode {};
  using PerAddress = std::map<std::optional<IpAddress>, std::size_t>;  // nothing: no IP address

  Task<void> accept_from(Listener& listener);
  Io<void> story_of(std::unique_ptr<Stream> stream);
  void ended(Guest& guest, Result<void> over);
  void sweep();
  void sweep_later();
  void shed_unsent();
  void report(const std::string& peer, const Error& error);

  Network& network_;
  Loop& loop_;
  Handler handler_;
  std::shared_ptr<Workers> workers_;
  ServerOptions options_;
  ServerCounts counts_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  PerAddress per_address_;
  std::size_t connections_ = 0;
  bool draining_ = false;
  bool cutting_ = false;
  Event changed_;  // a connection ended, or drain() was called
  Event room_;     // a connection ended
  List<GuardedStream> streams_;
  Sweeper sweeper_;
  Scope acceptors_;
  List<Guest, InServer> guests_;
};

}  // namespace koine
