#include "koine/async/sleep.h"
#include "koine/os/sockaddr.h"
#include "koine/os/socket_datagram.h"
#include "koine/os/system.h"
#include "koine/os/track.h"

namespace koine::os {
namespace {

/// A socket whose arrivals are stamped; none if no descriptor is left.
Fd stamped_socket() {
  Fd fd(sys::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd) enable_timestamping(fd.get(), Transport::udp, false);
  return fd;
}

}  // namespace

// Without it everything works but, now and then, a connection's first arrival.
OfThread::OfThread() : holder(stamped_socket()) {}

std::shared_ptr<const OfThread> OfThread::get() {
  thread_local std::weak_ptr<const OfThread> last;
  auto shared = last.lock();
  if (!shared) last = shared = std::make_shared<const OfThread>();
  return shared;
}

Io<bool> Tracker::ready() {
  constexpr int tries_max = 1000;     // a worker of the kernel's begins it, when it gets a CPU
  const Fd probe = stamped_socket();  // its own: the holder is everybody's
  auto to = to_sockaddr(Address(loopback_v4, 0));
  if (!probe || !to || sys::bind(probe.get(), to->get(), to->size) != 0) co_return false;
  to = to_sockaddr(local_address(probe.get()));
  if (!to || sys::connect(probe.get(), to->get(), to->size) != 0) co_return false;
  for (int tries = 0; tries < tries_max; ++tries) {
    std::byte letter{};
    if (sys::send(probe.get(), &letter, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1) co_return false;
    ControlBuffer room;
    iovec piece{&letter, 1};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = room.bytes;
    message.msg_controllen = sizeof(room.bytes);
    if (sys::recvmsg(probe.get(), &message, MSG_DONTWAIT) == 1 && arrival_of(message))
      co_return true;
    co_await sleep(1ms);
  }
  co_return false;
}

Result<Track*> Tracker::attach(Stream& stream) {
  if (auto attached = stream.attach(&recorder_); !attached)
    return std::unexpected(std::move(attached.error()));
  auto* track = dynamic_cast<Track*>(stream.track());
  if (track == nullptr) return fail(Fault::unsupported, "follow", stream.name());
  return track;
}

Result<Track*> Tracker::attach(Datagram& datagram) {
  auto* socket = dynamic_cast<SocketDatagram*>(&datagram);
  if (socket == nullptr) return fail(Fault::unsupported, "follow", datagram.name());
  return socket->attach(recorder_);
}

void detach(Stream& stream) { static_cast<void>(stream.attach(nullptr)); }

void detach(Datagram& datagram) {
  if (auto* socket = dynamic_cast<SocketDatagram*>(&datagram)) socket->detach();
}

}  // namespace koine::os
