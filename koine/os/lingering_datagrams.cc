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

class LingeringDatagrams final : public Lingering, private Timer {
 public:
  LingeringDatagrams(Reactor& reactor, Fd fd, std::vector<Train> trains)
      : reactor_(reactor), fd_(std::move(fd)), trains_(std::move(trains)) {
    watcher_.fd = fd_.get();
  }
  ~LingeringDatagrams() override {
    if (watched_) reactor_.unwatch(watcher_);
  }

  /// False if it is over already.
  bool begin() {
    if (!reactor_.watch(watcher_)) return false;
    watched_ = true;
    watcher_.presume(writable_news);
    reactor_.loop().arm(*this, reactor_.loop().now() + linger_time_max);
    return !advance();
  }

 private:
  /// Runs when there is room.
  class Step final : public Runnable {
   public:
    explicit Step(LingeringDatagrams& datagrams) : datagrams_(datagrams) {}
    void run() override {
      if (datagrams_.advance()) datagrams_.reactor_.end(datagrams_);
    }

   private:
    LingeringDatagrams& datagrams_;
  };

  void run() override { reactor_.end(*this); }  // the time is up

  /// Sends what goes, one by one: the kernel may have refused them as a train. True if that was
  /// all.
  bool advance() {
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

  Reactor& reactor_;
  Watcher watcher_;
  Fd fd_;
  std::vector<Train> trains_;
  Step sending_{*this};
  bool watched_ = false;
};

}  // namespace

void linger(Reactor& reactor, Fd fd, std::vector<Train> trains) {
  auto datagrams = std::make_unique<LingeringDatagrams>(reactor, std::move(fd), std::move(trains));
  if (datagrams->begin()) reactor.keep(std::move(datagrams));
}

}  // namespace koine::os
