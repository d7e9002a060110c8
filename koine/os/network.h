// The kernel's network, behind koine's Network: TCP, UDP and Unix sockets, and sockets that were
// inherited.
#pragma once

#include <memory>

#include "koine/os/reactor.h"
#include "koine/os/resolver.h"
#include "koine/transport/network.h"

namespace koine::os {

struct BoundSocket;

// Nobody names these but koine::Network::connect() and bind(), which hand them to the network.

struct Connector {
  Io<std::unique_ptr<Stream>> (*connect)(Reactor& reactor, Address peer, Transport transport);
};
extern const Connector connector;

struct DatagramMaker {
  Result<std::unique_ptr<Datagram>> (*make)(Reactor& reactor, BoundSocket socket);
};
extern const DatagramMaker datagram_maker;

class Network final : public koine::Network {
 public:
  /// `reactor` outlives it, and everything that it makes.
  explicit Network(Reactor& reactor, ResolverOptions resolver = {})
      : reactor_(reactor), resolver_(std::move(resolver)) {}

  Result<std::unique_ptr<Listener>> listen(const Endpoint& at,
                                           const ListenOptions& options = {}) override;
  Io<std::vector<IpAddress>> resolve(std::string name) override;
  Loop& loop() override { return reactor_.loop(); }

  Reactor& reactor() { return reactor_; }

 private:
  Io<std::unique_ptr<Stream>> connect_stream(Address peer, Transport transport,
                                             const Connector* kernel) override;
  Result<std::unique_ptr<Datagram>> bind_datagram(const Endpoint& at, const ListenOptions& options,
                                                  const DatagramMaker* kernel) override;

  Reactor& reactor_;
  ResolverOptions resolver_;
};

}  // namespace koine::os
