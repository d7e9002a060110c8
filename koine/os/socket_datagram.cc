#include "koine/os/socket_datagram.h"

#include "koine/os/fault_of.h"
#include "koine/os/sockaddr.h"
#include "koine/os/system.h"

namespace koine::os {

Result<std::unique_ptr<Datagram>> SocketDatagram::make(Reactor& reactor, BoundSocket socket) {
  std::unique_ptr<SocketDatagram> made(new SocketDatagram(reactor, std::move(socket)));
  if (auto watched = reactor.watch(made->watcher_); !watched) {
    made->socket_.fd.reset();
    return std::unexpected(std::move(watched.error()));
  }
  return made;
}

SocketDatagram::~SocketDatagram() {
  if (socket_.fd) reactor_.unwatch(watcher_);
}

Result<Received> SocketDatagram::receive_now(MutableBytes into) {
  if (!watcher_.can_read()) return fail(Fault::would_block);
  Sockaddr from;
  iovec piece{into.data(), into.size()};
  msghdr message{};
  message.msg_name = from.get();
  message.msg_namelen = from.size;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  for (;;) {
    const ssize_t count = sys::recvmsg(socket_.fd.get(), &message, 0);
    if (count >= 0) {
      from.size = message.msg_namelen;
      return Received{.size = static_cast<std::size_t>(count),
                      .from = from_sockaddr(from),
                      .truncated = (message.msg_flags & MSG_TRUNC) != 0};
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      watcher_.emptied();
      return fail(Fault::would_block);
    }
    const int error = errno;
    return std::unexpected(system_error("receive at", name(), error));
  }
}

Result<void> SocketDatagram::send_now(Bytes from, const Address& to) {
  if (!watcher_.can_write()) return fail(Fault::would_block);
  Sockaddr target;
  if (!connected_) {
    // A dual-stack socket reaches IPv4 peers by their mapped addresses.
    const bool maps = to.is_ip() && to.ip().is_v4() && socket_.endpoint.is_any();
    auto made = to_sockaddr(
        maps && family_of(local()) == AF_INET6 ? Address(to.ip().mapped(), to.port()) : to);
    if (!made) return std::unexpected(std::move(made.error()));
    target = *made;
  }
  iovec piece{const_cast<std::byte*>(from.data()), from.size()};
  msghdr message{};
  message.msg_name = connected_ ? nullptr : target.get();
  message.msg_namelen = connected_ ? 0 : target.size;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  for (;;) {
    if (sys::sendmsg(socket_.fd.get(), &message, MSG_NOSIGNAL) >= 0) return {};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      watcher_.filled();
      return fail(Fault::would_block);
    }
    const int error = errno;
    return std::unexpected(system_error("send to", to_string(to), error));
  }
}

Result<void> SocketDatagram::connect(const Address& peer) {
  const auto target = to_sockaddr(peer);
  if (!target) return std::unexpected(target.error());
  if (sys::connect(socket_.fd.get(), target->get(), target->size) != 0) {
    const int error = errno;
    return std::unexpected(system_error("connect", to_string(peer), error));
  }
  connected_ = true;
  return {};
}

Address SocketDatagram::local() const { return local_address(socket_.fd.get()); }

}  // namespace koine::os
