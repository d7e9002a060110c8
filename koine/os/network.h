// The kernel's network, behind koine's Network: TCP, UDP and Unix sockets, and sockets that were
// inherited.
#pragma once

#include <memory>

#include "koine/os/reactor.h"
#include "koine/os/resolver.h"
#include "koine/transport/network.h"

namespace koine::os {

class Network final : public koine::Network {
 public:
  /// `reactor` outlives it, and everything that it makes.
  explicit Network(Reactor& reactor, ResolverOptions resolver = {})
      : reactor_(reactor), resolver_(std::move(resolver)) {}

  Io<std::unique_ptr<Stream>> connect(Address peer, Transport transport) override;
  Result<std::unique_ptr<Listener>> listen(const Endpoint& at,
                                           const ListenOptions& options = {}) override;
  Result<std::unique_ptr<Datagram>> bind(const Endpoint& at,
                                         const ListenOptions& options = {}) override;
  Io<std::vector<IpAddress>> resolve(std::string name) override;
  Loop& loop() override { return reactor_.loop(); }

  Reactor& reactor() { return reactor_; }

 private:
  Reactor& reactor_;
  ResolverOptions resolver_;
};

}  // namespace koine::os
