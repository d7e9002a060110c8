// A listening socket of the kernel's.
#pragma once

#include <memory>

#include "koine/os/bound_socket.h"
#include "koine/os/reactor.h"

namespace koine::os {

class SocketListener final : public Listener {
 public:
  static Result<std::unique_ptr<Listener>> make(Reactor& reactor, BoundSocket socket, int backlog);
  ~SocketListener() override { close(); }

  Result<std::unique_ptr<Stream>> accept_now() override;
  WaitList& acceptable() override { return watcher_.readers; }
  void close() override;
  const Endpoint& endpoint() const override { return socket_.endpoint; }

 private:
  SocketListener(Reactor& reactor, BoundSocket socket)
      : reactor_(reactor), socket_(std::move(socket)) {
    watcher_.fd = socket_.fd.get();
  }
  std::unexpected<Error> failed(Fault fault, int error) const;

  Reactor& reactor_;
  Watcher watcher_;
  BoundSocket socket_;
};

}  // namespace koine::os
