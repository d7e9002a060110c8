#include "koine/os/lingering.h"

#include "koine/os/system.h"

namespace koine::os {
namespace {

class LingeringSocket final : public LingeringFd {
 public:
  LingeringSocket(Reactor& reactor, Fd fd, Outbox outbox)
      : LingeringFd(reactor, std::move(fd)), outbox_(std::move(outbox)) {}
  ~LingeringSocket() override {
    stop_watching();
    if (!outbox_.empty()) close_with_reset(std::move(fd_));
  }

 private:
  /// Input is dropped while output waits, because a peer that has to be read before it reads would
  /// otherwise wait for us as we wait for it.
  bool advance() override {
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

  Outbox outbox_;
  std::size_t read_ = 0;
  bool finished_ = false;       // we have promised the end
  bool input_is_over_ = false;  // the peer has, or there is more than we are willing to drop
};

}  // namespace

void LingeringFd::begin(std::unique_ptr<LingeringFd> lingering, unsigned presumed_news) {
  Reactor& reactor = lingering->reactor_;
  if (!reactor.watch(lingering->watcher_)) return;
  lingering->watched_ = true;
  lingering->watcher_.presume(presumed_news);
  reactor.loop().arm(*lingering, reactor.loop().now() + linger_time_max);
  if (!lingering->advance()) reactor.keep(std::move(lingering));
}

void close_with_reset(Fd fd) {
  const struct linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

void linger(Reactor& reactor, Fd fd, Outbox outbox) {
  LingeringFd::begin(std::make_unique<LingeringSocket>(reactor, std::move(fd), std::move(outbox)),
                     readable_news | writable_news);
}

}  // namespace koine::os
