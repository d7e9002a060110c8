// A datagram socket of the kernel's.
#pragma once

#include <memory>

#include "koine/os/bound_socket.h"
#include "koine/os/reactor.h"
#include "koine/transport/datagram.h"

namespace koine::os {

class SocketDatagram final : public Datagram {
 public:
  static Result<std::unique_ptr<Datagram>> make(Reactor& reactor, BoundSocket socket);
  ~SocketDatagram() override;

  Result<Received> receive_now(MutableBytes into) override;
  Result<void> send_now(Bytes from, const Address& to) override;
  Result<void> connect(const Address& peer) override;
  WaitList& readable() override { return watcher_.readers; }
  WaitList& writable() override { return watcher_.writers; }
  Address local() const override;
  std::string name() const override { return to_string(socket_.endpoint); }

 private:
  SocketDatagram(Reactor& reactor, BoundSocket socket)
      : reactor_(reactor), socket_(std::move(socket)) {
    watcher_.fd = socket_.fd.get();
    watcher_.presume(writable_news);
  }

  Reactor& reactor_;
  Watcher watcher_;
  BoundSocket socket_;
  bool connected_ = false;
};

}  // namespace koine::os
