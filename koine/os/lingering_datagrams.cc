#include "koine/os/lingering_datagrams.h"

#include <cerrno>
#include <memory>

#include "koine/os/lingering.h"
#include "koine/os/system.h"

namespace koine::os {
namespace {

/// 0, or an errno.
int send(int fd, Bytes datagram, const std::optional<Sockaddr>& target) {
  iovec piece{const_cast<std::byte*>(datagram.data()), datagram.size()};
  msghdr message{};
  if (target) {
    message.msg_name = const_cast<sockaddr*>(target->get());
    message.msg_namelen = target->size;
  }
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  while (sys::sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return errno;
  return 0;
}

class LingeringDatagrams final : public LingeringFd {
 public:
  LingeringDatagrams(Reactor& reactor, Fd fd, std::vector<Train> trains)
      : LingeringFd(reactor, std::move(fd)), trains_(std::move(trains)) {}

 private:
  /// Sends what goes, one by one: the kernel may have refused them as a train.
  bool advance() override {
    for (Train& train : trains_) {
      while (!train.empty()) {
        int error = watcher_.can_write() ? send(fd_.get(), train.first(), train.target()) : EAGAIN;
        // That was the answer to an earlier one, and this one was not sent.
        if (error == ECONNREFUSED) error = send(fd_.get(), train.first(), train.target());
        if (error == EAGAIN) {
          watcher_.filled();
          watcher_.writers.join(sending_);
          return false;
        }
        train.consume(train.first().size());
      }
    }
    return true;
  }

  std::vector<Train> trains_;
};

}  // namespace

void linger(Reactor& reactor, Fd fd, std::vector<Train> trains) {
  LingeringFd::begin(
      std::make_unique<LingeringDatagrams>(reactor, std::move(fd), std::move(trains)),
      writable_news);
}

}  // namespace koine::os
