#include "koine/os/socket_listener.h"

#include "koine/os/fault_of.h"
#include "koine/os/sockaddr.h"
#include "koine/os/socket_stream.h"
#include "koine/os/system.h"

namespace koine::os {
namespace {

/// Connections that died in the queue are passed over, but not for ever in one go.
constexpr int dead_in_a_row_max = 64;

/// accept(2): these are the lost connection's errors, not the listener's; "treat them like EAGAIN".
bool is_of_the_connection(int error) {
  switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EOPNOTSUPP:
    case EPERM: return true;
    default: return false;
  }
}

}  // namespace

[[gnu::cold]] Result<std::unique_ptr<Listener>> SocketListener::make(Reactor& reactor,
                                                                     BoundSocket socket,
                                                                     int backlog) {
  if (!socket.inherited && sys::listen(socket.fd.get(), backlog) != 0)
    return std::unexpected(system_error("listen", to_string(socket.endpoint), errno));
  std::unique_ptr<SocketListener> listener(new SocketListener(reactor, std::move(socket)));
  if (auto watched = reactor.watch(listener->watcher_); !watched) {
    listener->socket_.fd.reset();
    return std::unexpected(std::move(watched.error()));
  }
  return listener;
}

[[gnu::cold]] std::unexpected<Error> SocketListener::failed(Fault fault, int error) const {
  return std::unexpected(Error(fault, "accept", to_string(socket_.endpoint), error));
}

Result<std::unique_ptr<Stream>> SocketListener::accept_now() {
  if (!socket_.fd) return failed(Fault::closed, 0);
  if (!watcher_.can_read()) return fail(Fault::would_block);
  for (int dead = 0; dead < dead_in_a_row_max; ++dead) {
    Sockaddr peer;
    Fd fd(sys::accept4(socket_.fd.get(), peer.get(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      return SocketStream::make(reactor_, std::move(fd), socket_.endpoint.transport(),
                                from_sockaddr(peer));
    }
    if (errno == EAGAIN) {
      watcher_.emptied();
      return fail(Fault::would_block);
    }
    if (!is_of_the_connection(errno)) return failed(fault_of(errno), errno);
  }
  return failed(Fault::reset, ECONNABORTED);
}

[[gnu::cold]] void SocketListener::close() {
  if (!socket_.fd) return;
  reactor_.unwatch(watcher_);
  socket_.fd.reset();
  socket_.file = {};
  watcher_.readers.wake_all(reactor_.loop());
}

}  // namespace koine::os
