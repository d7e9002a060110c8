// koine: clients and servers.
//
// This is the front door: everything a program needs, and the functions that run it on the kernel's
// network. The library below takes any Network; this file and the programs are the only places that
// choose one.
//
//     koine::Io<void> greet(std::unique_ptr<koine::Stream> client) {
//       koine::Reader lines(*client);
//       while (auto line = co_await attempt(lines.line()))
//         co_await attempt(write_all(*client, "hello, ", *line, "\n"));
//       co_return {};
//     }
//
//     int main() { return koine::serve("tcp://127.0.0.1:4000", greet); }
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "koine/app/client.h"
#include "koine/app/server.h"
#include "koine/async/combine.h"
#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/task.h"
#include "koine/async/within.h"
#include "koine/base/function.h"
#include "koine/base/unique_ptr.h"
#include "koine/transport/network.h"
#include "koine/transport/reader.h"

namespace koine {

namespace os {
class Reactor;
}

class Conversation;
struct DatagramRequest;

/// Who answers datagrams: see koine/datagrams.h, which belongs to programs that do.
using DatagramHandler = Function<Io<void>(const DatagramRequest& request)>;
using ConversationHandler = Function<Io<void>(std::unique_ptr<Conversation>)>;

namespace detail {

// What serve() is made of beside a server of connections (see serving.h). Each part is linked into
// the programs that name it, here and below, and into no other.
struct Place;
class DatagramService;
using MakeDatagramService = std::unique_ptr<DatagramService> (*)(const Place& place);
using MakeWorkers = std::unique_ptr<Workers> (*)(const Place& place);
std::unique_ptr<DatagramService> make_datagram_service(const Place& place);
std::unique_ptr<Workers> make_thread_workers(const Place& place);
std::unique_ptr<Workers> make_process_workers(const Place& place);
std::unique_ptr<Workers> make_command_workers(const Place& place);

}  // namespace detail

/// Where a connection's handler runs.
class Concurrency {
 public:
  static const Concurrency coroutine;  ///< on the loop that accepted it
  static const Concurrency thread;     ///< in a thread of its own: it may block (see os/workers.h)
  static const Concurrency process;    ///< in a process of its own: it may crash

  friend bool operator==(Concurrency, Concurrency) = default;

  detail::MakeWorkers workers() const { return workers_; }

 private:
  constexpr explicit Concurrency(detail::MakeWorkers make) : workers_(make) {}
  detail::MakeWorkers workers_;
};
inline constexpr Concurrency Concurrency::coroutine{nullptr};
inline constexpr Concurrency Concurrency::thread{detail::make_thread_workers};
inline constexpr Concurrency Concurrency::process{detail::make_process_workers};

/// A command line that serves one connection: the socket is its standard input and output.
struct Command {
  std::vector<std::string> words;  ///< the first is looked for in PATH
};

/// What is served: connections, datagrams or both. What an endpoint carries decides which.
///
/// Functions and lambdas fit as they are: `serve("tcp://:7000", echo)`. A lambda that is a
/// coroutine may use its captures, since the service keeps it as long as any connection.
class Served {
 public:
  template <class Connection>
    requires std::is_convertible_v<Connection, Handler>
  Served(Connection connection) : on_connection(std::move(connection)) {}  // NOLINT

  /// One handler for each datagram.
  template <class EachDatagram>
    requires std::is_convertible_v<EachDatagram, DatagramHandler>
  Served(EachDatagram datagram)  // NOLINT
      : on_datagram_(std::move(datagram)), datagrams_(detail::make_datagram_service) {}

  /// One for each peer that sends datagrams.
  template <class EachPeer>
    requires std::is_convertible_v<EachPeer, ConversationHandler>
  Served(EachPeer peer)  // NOLINT
      : on_conversation_(std::move(peer)), datagrams_(detail::make_datagram_service) {}

  Served(Handler connection, DatagramHandler datagram)
      : on_connection(std::move(connection)),
        on_datagram_(std::move(datagram)),
        datagrams_(detail::make_datagram_service) {}
  Served(Handler connection, ConversationHandler peer)
      : on_connection(std::move(connection)),
        on_conversation_(std::move(peer)),
        datagrams_(detail::make_datagram_service) {}

  /// A command for each connection, as inetd(8) has it. Whatever ServeOptions::concurrency says, it
  /// is a process; limits of time and bytes do not reach into it.
  Served(Command line)  // NOLINT
      : command_(std::move(line.words)), commands_(detail::make_command_workers) {}

  Handler on_connection;  ///< it may be replaced; empty if there is none

  const DatagramHandler& on_datagram() const { return on_datagram_; }
  const ConversationHandler& on_conversation() const { return on_conversation_; }
  const std::vector<std::string>& command() const { return command_; }
  detail::MakeDatagramService datagrams() const { return datagrams_; }
  detail::MakeWorkers commands() const { return commands_; }

 private:
  DatagramHandler on_datagram_;
  ConversationHandler on_conversation_;
  std::vector<std::string> command_;
  detail::MakeDatagramService datagrams_ = nullptr;
  detail::MakeWorkers commands_ = nullptr;
};

struct ServeOptions {
  /// For all shards together: each keeps its part. Only the connections of one address are counted
  /// by each shard for itself.
  Limits limits = {};

  /// How long connections may go on after SIGTERM or SIGINT.
  Duration drain = 10s;

  /// "io_uring", "epoll", "poll", "select"; empty: KOINE_MULTIPLEXER, else the best that works.
  std::string multiplexer = {};

  /// Loops, each on a thread of its own. Handlers then run on several threads at once.
  std::size_t shards = 1;

  Concurrency concurrency = Concurrency::coroutine;

  /// Look for news again and again, at most so long, before sleeping: the time adapts to the
  /// traffic, and zero means to sleep at once. See os/busy_poll.h.
  Duration busy_poll = Duration::zero();

  /// Called once everything listens, with the real endpoints. By default they are printed:
  /// "listening on tcp://127.0.0.1:43121".
  Function<void(const std::vector<Endpoint>&)> on_listening = {};

  /// Called on the loop that it happened on, for each connection that ended with an error: see
  /// ServerOptions.
  Function<void(const std::string& peer, const Error& error)> on_error = {};
};

/// Serves `endpoints` until SIGTERM or SIGINT, then drains: what happened to the connections. A
/// second one cuts what still runs. SIGUSR1 writes all tasks and what they wait for to the standard
/// error. Fails if it cannot listen on one of them, or two cannot be served by one service.
///
/// It takes these signals over while it runs; threads that were started before should have them
/// blocked. The soft limit on descriptors is raised as far as the connections need it and the hard
/// limit allows.
Result<ServerCounts> serve_until_told(const std::vector<std::string>& endpoints, Served served,
                                      ServeOptions options = {});

/// Exit status of serve() when connections had to be cut (EX_TEMPFAIL of sysexits.h).
inline constexpr int exit_cut = 75;

/// The same as the body of main(): prints what went wrong. 0, exit_cut, or 1 if it could not serve.
int serve(std::string_view endpoint, Served served, ServeOptions options = {});

/// Runs a program's story on the kernel's network until it ends. Its answer, as an exit status: 0,
/// or 1 with the error printed.
///
///     koine::Io<void> fetch(koine::Network& network) { ... }
///     int main() { return koine::run(fetch); }
int run(Function<Io<void>(Network&)> story);

}  // namespace koine
