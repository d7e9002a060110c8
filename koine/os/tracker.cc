#include "koine/async/sleep.h"
#include "koine/os/sockaddr.h"
#include "koine/os/socket_datagram.h"
#include "koine/os/socket_stream.h"
#include "koine/os/system.h"
#include "koine/os/track.h"

namespace koine::os {

Tracker::Tracker(journey::Recorder& recorder)
    : recorder_(recorder),
      holder_(sys::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
  // Without it everything works but, now and then, a connection's first arrival.
  if (holder_) enable_timestamping(holder_.get(), Transport::udp, false);
}

Io<bool> Tracker::ready() {
  constexpr int tries_max = 200;
  auto to = to_sockaddr(Address(loopback_v4, 0));
  if (!holder_ || !to || sys::bind(holder_.get(), to->get(), to->size) != 0) co_return false;
  to = to_sockaddr(local_address(holder_.get()));
  if (!to || sys::connect(holder_.get(), to->get(), to->size) != 0) co_return false;
  for (int tries = 0; tries < tries_max; ++tries) {
    std::byte letter{};
    if (sys::send(holder_.get(), &letter, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1) co_return false;
    ControlBuffer room;
    iovec piece{&letter, 1};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = room.bytes;
    message.msg_controllen = sizeof(room.bytes);
    if (sys::recvmsg(holder_.get(), &message, MSG_DONTWAIT) == 1 && arrival_of(message))
      co_return true;
    co_await sleep(1ms);
  }
  co_return false;
}

Result<Track*> Tracker::attach(Stream& stream) {
  auto* socket = dynamic_cast<SocketStream*>(&stream);
  if (socket == nullptr) return fail(Fault::unsupported, "follow", stream.name());
  return socket->attach(recorder_, run_delay_);
}

Result<Track*> Tracker::attach(Datagram& datagram) {
  auto* socket = dynamic_cast<SocketDatagram*>(&datagram);
  if (socket == nullptr) return fail(Fault::unsupported, "follow", datagram.name());
  return socket->attach(recorder_, run_delay_);
}

void detach(Stream& stream) {
  if (auto* socket = dynamic_cast<SocketStream*>(&stream)) socket->detach();
}

void detach(Datagram& datagram) {
  if (auto* socket = dynamic_cast<SocketDatagram*>(&datagram)) socket->detach();
}

}  // namespace koine::os
