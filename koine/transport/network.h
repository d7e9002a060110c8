// What an application may ask of a network, and nothing about which network it is.
//
// Two worlds implement these interfaces: koine/os speaks to the kernel, koine/sim to a simulated
// internet whose clock and faults a test controls. Code above this folder is handed a Network& and
// cannot tell which one it got; only main() and tests choose.
//
// Streams, listeners and datagram sockets must not outlive the Network that made them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "koine/async/task.h"
#include "koine/async/wait.h"
#include "koine/base/unique_ptr.h"
#include "koine/transport/address.h"
#include "koine/transport/datagram.h"
#include "koine/transport/endpoint.h"
#include "koine/transport/stream.h"

namespace koine {

namespace os {
struct Connector;
struct DatagramMaker;
}  // namespace os

/// Where connections arrive.
class Listener {
 public:
  virtual ~Listener() = default;

  /// The next connection that is complete. Fails with would_block; exhausted when no descriptor or
  /// memory is left for it (it stays in the queue); closed after close().
  virtual Result<std::unique_ptr<Stream>> accept_now() = 0;

  /// Woken when accept_now() may do something again.
  virtual WaitList& acceptable() = 0;

  /// Stops listening: peers are refused from now on, and who waits for a connection gets
  /// Fault::closed.
  virtual void close() = 0;

  /// Where peers reach us, with the real port.
  virtual const Endpoint& endpoint() const = 0;
};

class [[nodiscard]] Accept final : public Trying<Accept, std::unique_ptr<Stream>> {
 public:
  explicit Accept(Listener& listener) : listener_(listener) {}
  Result<std::unique_ptr<Stream>> attempt_once() { return listener_.accept_now(); }
  void park() { listener_.acceptable().join(*this); }
  Activity activity() const override { return {"accept", to_string(listener_.endpoint())}; }

 private:
  Listener& listener_;
};

extern template class Trying<Accept, std::unique_ptr<Stream>>;

/// `auto stream = co_await attempt(accept(*listener))`
inline Accept accept(Listener& listener) { return Accept(listener); }

struct ListenOptions {
  /// Connections that may be complete and not yet accepted; the kernel may allow fewer.
  int backlog = 4096;

  /// Several listeners share the port, and connections are spread over them: one for each shard.
  bool shared = false;
};

class Network {
 public:
  virtual ~Network() = default;

  /// Connects to one address. For names, several addresses and deadlines see dial().
  Io<std::unique_ptr<Stream>> connect(Address peer, Transport transport);

  /// Listens for connections. The host must be an IP address or open; a name is Fault::not_found
  /// here (resolve it first). Port 0 asks for any.
  virtual Result<std::unique_ptr<Listener>> listen(const Endpoint& at,
                                                   const ListenOptions& options = {}) = 0;

  /// A datagram socket at `at`: to serve from there, or any port for a client.
  Result<std::unique_ptr<Datagram>> bind(const Endpoint& at, const ListenOptions& options = {});

  /// The addresses of a host name, best first, at least one. Fault::not_found if it has none.
  virtual Io<std::vector<IpAddress>> resolve(std::string name) = 0;

  /// The loop that everything of this network lives on.
  virtual Loop& loop() = 0;

 protected:
  // connect() and bind(). `kernel` is how the kernel's sockets do it, and null in a program without
  // them: connect() and bind() name it, so that a program which only listens is linked without it.
  virtual Io<std::unique_ptr<Stream>> connect_stream(Address peer, Transport transport,
                                                     const os::Connector* kernel) = 0;
  virtual Result<std::unique_ptr<Datagram>> bind_datagram(const Endpoint& at,
                                                          const ListenOptions& options,
                                                          const os::DatagramMaker* kernel) = 0;
};

struct DialOptions {
  /// For everything together: resolving, and every address that is tried.
  Duration timeout = 10s;

  /// The next address is tried when the one before has not answered for so long: RFC 8305, section
  /// 5, "Connection Attempt Delay".
  Duration attempt_delay = 250ms;
};

/// Connects to `peer`, by whichever of its addresses answers first (Happy Eyeballs, RFC 8305). An
/// open host means loopback.
Io<std::unique_ptr<Stream>> dial(Network& network, Endpoint peer, DialOptions options = {});

/// The same from text; a malformed one is an error like any other.
Io<std::unique_ptr<Stream>> dial(Network& network, std::string peer, DialOptions options = {});

/// The endpoint with its host name resolved; itself if there is none.
Io<Endpoint> resolved(Network& network, Endpoint endpoint);

}  // namespace koine
