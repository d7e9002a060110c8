// poll(2): the set of descriptors goes to the kernel with every call, so each wait costs in
// proportion to the connections there are, not to those that have something to say.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "koine/os/fault_of.h"
#include "koine/os/multiplexer.h"
#include "koine/os/system.h"

namespace koine::os {
namespace {

unsigned news_of(int events) {
  unsigned news = 0;
  if ((events & POLLIN) != 0) news |= readable_news;
  if ((events & POLLOUT) != 0) news |= writable_news;
  if ((events & POLLERR) != 0) news |= error_news;
  if ((events & (POLLHUP | POLLNVAL)) != 0) news |= readable_news | writable_news | ended_news;
  return news;
}

/// Drops reports that nobody is left to read: level-triggered, they would be news for ever.
void drop_reports(int fd) {
  std::byte none;
  while (::recv(fd, &none, sizeof(none), MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
  }
}

class Poll final : public Multiplexer {
 public:
  std::string_view name() const override { return "poll"; }

  Result<void> add(Watcher& watcher) override {
    watchers_.add(watcher);
    watcher.presume(writable_news);
    return {};
  }

  void remove(Watcher& watcher) override { watchers_.remove(watcher); }

  Result<void> wait(std::optional<Duration> timeout, Newsroom& newsroom) override {
    set_.clear();
    tokens_.clear();
    for (std::size_t slot = 0; slot < watchers_.slots(); ++slot) {
      const Watcher* watcher = watchers_.at(slot);
      if (watcher == nullptr) continue;
      const int events =
          (watcher->wants_read() ? POLLIN : 0) | (watcher->wants_write() ? POLLOUT : 0);
      // Errors are always reported: who waits for nothing else asks for nothing.
      if (events == 0 && !watcher->wants_reports()) continue;
      set_.push_back({watcher->fd, static_cast<short>(events), 0});
      tokens_.push_back(watchers_.token_of(*watcher));
    }
    timespec limit{};
    if (timeout) limit = timespec_of(std::max(*timeout, Duration::zero()));
    int found = sys::ppoll(set_.data(), set_.size(), timeout ? &limit : nullptr);
    if (found < 0) {
      if (errno == EINTR) return {};
      return std::unexpected(system_error("poll", {}, errno));
    }
    for (std::size_t i = 0; i < set_.size() && found > 0; ++i) {
      if (set_[i].revents == 0) continue;
      --found;
      if (Watcher* watcher = watchers_.find(tokens_[i])) {
        const bool is_over = (set_[i].revents & POLLHUP) != 0;
        if (is_over && watcher->error_queue != nullptr) watcher->error_queue->hung_up();
        if ((set_[i].revents & POLLERR) != 0 && watcher->error_queue == nullptr)
          drop_reports(watcher->fd);
        newsroom.heard(*watcher, news_of(set_[i].revents));
      }
    }
    return {};
  }

 private:
  Watchers watchers_;
  std::vector<pollfd> set_;
  std::vector<Token> tokens_;
};

}  // namespace

std::unique_ptr<Multiplexer> make_poll() { return std::make_unique<Poll>(); }

}  // namespace koine::os
