#include "koine/os/socket_datagram.h"

#include <algorithm>

#include "koine/os/fault_of.h"
#include "koine/os/sockaddr.h"
#include "koine/os/system.h"
#include "koine/os/track.h"

namespace koine::os {

Result<std::unique_ptr<Datagram>> SocketDatagram::make(Reactor& reactor, BoundSocket socket) {
  std::unique_ptr<SocketDatagram> made(new SocketDatagram(reactor, std::move(socket)));
  if (auto watched = reactor.watch(made->watcher_); !watched) {
    made->socket_.fd.reset();
    return std::unexpected(std::move(watched.error()));
  }
  return made;
}

SocketDatagram::SocketDatagram(Reactor& reactor, BoundSocket socket)
    : reactor_(reactor), socket_(std::move(socket)) {
  watcher_.fd = socket_.fd.get();
  watcher_.presume(writable_news);
}

SocketDatagram::~SocketDatagram() {
  detach();
  if (socket_.fd) reactor_.unwatch(watcher_);
}

Result<Received> SocketDatagram::receive_now(MutableBytes into) {
  if (refused_) {
    refused_ = false;
    return std::unexpected(Error(Fault::refused, "receive at", name(), ECONNREFUSED));
  }
  if (!watcher_.can_read()) return nothing_yet();
  Sockaddr from;
  iovec piece{into.data(), into.size()};
  msghdr message{};
  message.msg_name = from.get();
  message.msg_namelen = from.size;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  ControlBuffer room;
  std::int64_t called_ns = 0;
  if (track_) {
    track_->give_room(message, room);
    called_ns = realtime_ns();
  }
  for (;;) {
    const ssize_t count = sys::recvmsg(socket_.fd.get(), &message, 0);
    if (count >= 0) {
      if (track_) track_->arrived(message, called_ns);
      from.size = message.msg_namelen;
      return Received{.size = static_cast<std::size_t>(count),
                      .from = from_sockaddr(from),
                      .truncated = (message.msg_flags & MSG_TRUNC) != 0};
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      watcher_.emptied();
      return nothing_yet();
    }
    const int error = errno;
    return std::unexpected(system_error("receive at", name(), error));
  }
}

Result<Received> SocketDatagram::nothing_yet() {
  if (track_) track_->asks();
  return fail(Fault::would_block);
}

Result<void> SocketDatagram::send_now(Bytes from, const Address& to) {
  waits_by_clock_ = false;
  if (!watcher_.can_write()) return fail(Fault::would_block);
  Sockaddr target;
  if (!connected_) {
    auto made = to_sockaddr(to);
    if (!made) return std::unexpected(std::move(made.error()).with_operation("send to", {}));
    target = *made;
  }
  iovec piece{const_cast<std::byte*>(from.data()), from.size()};
  msghdr message{};
  message.msg_name = connected_ ? nullptr : target.get();
  message.msg_namelen = connected_ ? 0 : target.size;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  ControlBuffer room;
  bool asked = track_ && track_->ask(message, room, from.size());
  for (bool is_second_try = false;;) {
    if (sys::sendmsg(socket_.fd.get(), &message, MSG_NOSIGNAL) >= 0) {
      if (track_) track_->sent(from.size(), asked);
      pause_ = pause_min;
      return {};
    }
    const int error = errno;
    if (error == EINTR) continue;
    if (track_ && track_->refused(error, asked)) {
      asked = track_->ask(message, room, from.size());
      continue;
    }
    if (error == EAGAIN) {
      wait_for_room();
      return fail(Fault::would_block);
    }
    if (error == ECONNREFUSED && connected_ && is_udp() && !is_second_try) {
      // The answer to an earlier datagram, and this one was not sent: see Datagram::connect().
      is_second_try = true;
      refused_ = true;
      watcher_.presume(readable_news);
      watcher_.readers.wake_all(reactor_.loop());
      continue;
    }
    return std::unexpected(system_error("send to", to_string(to), error));
  }
}

/// A socket without room of its own tells when there is some. A Unix socket whose target is full
/// does not, unless it is connected: then it has to be tried again by the clock.
void SocketDatagram::wait_for_room() {
  if (is_udp() || connected_) {
    watcher_.filled();
    return;
  }
  waits_by_clock_ = true;
  reactor_.loop().arm(*this, reactor_.loop().now() + pause_);
  pause_ = std::min<Duration>(pause_ * 2, pause_max);
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

Result<Track*> SocketDatagram::attach(journey::Recorder& recorder) {
  detach();
  track_ = std::make_unique<Track>(reactor_, recorder, socket_.fd.get(),
                                   socket_.endpoint.transport(), nullptr);
  // Only then is there an error queue: a Unix socket gives what has arrived instead.
  if (track_->timestamping().sending) watcher_.error_queue = track_.get();
  journey::Connection& connection = track_->connection();
  connection.client = name();
  const Address peer = peer_address(socket_.fd.get());
  if (peer.kind() != Address::Kind::none)
    connection.server = to_string(Endpoint::of(peer, socket_.endpoint.transport()));
  return track_.get();
}

void SocketDatagram::detach() {
  if (!track_) return;
  watcher_.error_queue = nullptr;
  track_.reset();
  disable_timestamping(socket_.fd.get());
}

Address SocketDatagram::local() const { return local_address(socket_.fd.get()); }

}  // namespace koine::os
