#include "koine/os/lingering.h"

#include "koine/os/system.h"

namespace koine::os {
namespace {

class LingeringSocket final : public Lingering, private Timer {
 public:
  LingeringSocket(Reactor& reactor, Fd fd, Outbox outbox)
      : reactor_(reactor), fd_(std::move(fd)), outbox_(std::move(outbox)) {
    watcher_.fd = fd_.get();
  }
  ~LingeringSocket() override {
    if (watched_) reactor_.unwatch(watcher_);
    if (!outbox_.empty()) close_with_reset(std::move(fd_));
  }

  /// False if it is over already.
  bool begin() {
    if (!reactor_.watch(watcher_)) return false;
    watched_ = true;
    watcher_.presume(readable_news | writable_news);
    reactor_.loop().arm(*this, reactor_.loop().now() + linger_time_max);
    return !advance();
  }

 private:
  /// Runs when there is news.
  class Step final : public Runnable {
   public:
    explicit Step(LingeringSocket& socket) : socket_(socket) {}
    void run() override {
      if (socket_.advance()) socket_.reactor_.end(socket_);
    }

   private:
    LingeringSocket& socket_;
  };

  void run() override { reactor_.end(*this); }  // the time is up

  /// Does what can be done; true if that was all. Input is dropped while output waits, because a
  /// peer that has to be read before it reads would otherwise wait for us as we wait for it.
  bool advance() {
    if (!send() || !drain()) return true;
    if (outbox_.empty() && input_is_over_) return true;
    if (!input_is_over_) watcher_.readers.join(reading_);
    if (!outbox_.empty()) watcher_.writers.join(sending_);
    return false;
  }

  /// Sends what goes, and the end after it; false if the connection broke.
  bool send() {
    while (!outbox_.empty() && watcher_.can_write()) {
      Bytes rest = outbox_.rest();
      rest = rest.first(allowed(Call::send, rest.size()));
      const ssize_t sent =
          sys::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) {
        outbox_.consume(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        watcher_.filled();
      } else if (errno != EINTR) {
        return false;
      }
    }
    if (!outbox_.empty() || finished_) return true;
    finished_ = true;
    return sys::shutdown(fd_.get(), SHUT_WR) == 0;
  }

  /// Reads and drops what there is, up to the bound; false if the connection broke.
  bool drain() {
    std::byte* block = reactor_.blocks().take();
    const Buffer home(reactor_.blocks(), block, 0);
    while (!input_is_over_) {
      const ssize_t got = sys::recv(fd_.get(), block, BlockPool::block_bytes, MSG_DONTWAIT);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) {
        watcher_.emptied();
        return true;
      }
      if (got < 0) return false;
      read_ += static_cast<std::size_t>(got);
      input_is_over_ = got == 0 || read_ > linger_read_bytes_max;
    }
    return true;
  }

  Reactor& reactor_;
  Watcher watcher_;
  Fd fd_;
  Outbox outbox_;
  Step reading_{*this};
  Step sending_{*this};
  std::size_t read_ = 0;
  bool finished_ = false;       // we have promised the end
  bool input_is_over_ = false;  // the peer has, or there is more than we are willing to drop
  bool watched_ = false;
};

}  // namespace

void close_with_reset(Fd fd) {
  const struct linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

void linger(Reactor& reactor, Fd fd, Outbox outbox) {
  auto socket = std::make_unique<LingeringSocket>(reactor, std::move(fd), std::move(outbox));
  if (socket->begin()) reactor.keep(std::move(socket));
}

}  // namespace koine::os
