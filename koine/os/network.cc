#include "koine/os/network.h"

#include <algorithm>

#include "koine/async/sleep.h"

#include "koine/os/bound_socket.h"
#include "koine/os/fault_of.h"
#include "koine/os/resolver.h"
#include "koine/os/sockaddr.h"
#include "koine/os/socket_datagram.h"
#include "koine/os/socket_listener.h"
#include "koine/os/socket_stream.h"
#include "koine/os/system.h"

namespace koine::os {
namespace {

/// Waits until a connection that was begun is complete, or has failed.
class Connected final : public Trying<Connected, void> {
 public:
  Connected(Watcher& watcher, const std::string& name) : watcher_(&watcher), name_(&name) {}

  Result<void> attempt_once() {
    if (!watcher_->can_write()) return fail(Fault::would_block);
    int error = 0;
    socklen_t size = sizeof(error);
    if (sys::getsockopt(watcher_->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error == 0) return {};
    return std::unexpected(system_error("connect", *name_, error));
  }
  void park() { watcher_->writers.join(*this); }
  Activity activity() const override { return {"connect", *name_}; }

 private:
  Watcher* watcher_;
  const std::string* name_;
};

/// Watches a descriptor as long as it lives.
class Watch {
 public:
  Watch(Reactor& reactor, int fd) : reactor_(reactor) { watcher.fd = fd; }
  Watch(const Watch&) = delete;
  ~Watch() {
    if (watching_) reactor_.unwatch(watcher);
  }
  Result<void> begin() {
    auto begun = reactor_.watch(watcher);
    watching_ = begun.has_value();
    return begun;
  }

  Watcher watcher;

 private:
  Reactor& reactor_;
  bool watching_ = false;
};

Io<std::unique_ptr<Stream>> connect(Reactor& reactor, Address peer, Transport transport) {
  if (transport != Transport::tcp && transport != Transport::unix_stream) {
    co_return std::unexpected(Error(Fault::unsupported, "connect", to_string(peer))
                                  .with_note("only TCP and Unix stream sockets connect"));
  }
  const std::string name = name_of(peer, transport);
  const auto target = co_await attempt(to_sockaddr(peer));
  Fd fd(sys::socket(family_of(peer), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) co_return std::unexpected(system_error("connect", name, errno));
  if (transport == Transport::tcp) set_tcp_options(fd.get());

  // A Unix listener whose backlog is full says EAGAIN and will never say more: try again by the
  // clock.
  Duration pause = 1ms;
  while (sys::connect(fd.get(), target.get(), target.size) != 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN && transport == Transport::unix_stream) {
      co_await sleep(pause);
      pause = std::min<Duration>(pause * 2, 100ms);
      continue;
    }
    if (errno != EINPROGRESS) co_return std::unexpected(system_error("connect", name, errno));
    const Instant begun = reactor.loop().now();
    Watch watch(reactor, fd.get());
    co_await attempt(watch.begin());
    // A level-triggered multiplexer presumes writability; here it is what we wait for.
    watch.watcher.filled();
    auto connected = co_await Connected(watch.watcher, name);
    if (!connected) {
      co_return std::unexpected(
          std::move(connected.error()).with_elapsed(reactor.loop().now() - begun));
    }
    break;
  }
  co_return SocketStream::make(reactor, std::move(fd), transport, std::move(peer));
}

}  // namespace

// Here, so that they are part of each program that has a network.
const Connector connector{&connect};
const DatagramMaker datagram_maker{&SocketDatagram::make};

Io<std::unique_ptr<Stream>> Network::connect_stream(Address peer, Transport transport,
                                                    const Connector* kernel) {
  return kernel->connect(reactor_, std::move(peer), transport);
}

Result<std::unique_ptr<Listener>> Network::listen(const Endpoint& at,
                                                  const ListenOptions& options) {
  auto bound = bind_socket(at, SOCK_STREAM, options);
  if (!bound) return std::unexpected(std::move(bound.error()));
  return SocketListener::make(reactor_, std::move(*bound), options.backlog);
}

Result<std::unique_ptr<Datagram>> Network::bind_datagram(const Endpoint& at,
                                                         const ListenOptions& options,
                                                         const DatagramMaker* kernel) {
  auto bound = bind_socket(at, SOCK_DGRAM, options);
  if (!bound) return std::unexpected(std::move(bound.error()));
  return kernel->make(reactor_, std::move(*bound));
}

Io<std::vector<IpAddress>> Network::resolve(std::string name) {
  return os::resolve(reactor_, std::move(name), resolver_);
}

}  // namespace koine::os
