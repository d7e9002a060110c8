// epoll(7), edge-triggered: a descriptor is registered once, for both directions, and never again.
#include <algorithm>
#include <array>

#include "koine/os/fault_of.h"
#include "koine/os/fd.h"
#include "koine/os/multiplexer.h"
#include "koine/os/system.h"

namespace koine::os {
namespace {

unsigned news_of(std::uint32_t events) {
  if (events == (EPOLLIN | EPOLLOUT)) return readable_news | writable_news;  // as nearly always
  unsigned news = 0;
  if ((events & EPOLLIN) != 0) news |= readable_news;
  if ((events & EPOLLOUT) != 0) news |= writable_news;
  if ((events & EPOLLERR) != 0) news |= error_news;
  if ((events & EPOLLHUP) != 0) news |= readable_news | writable_news | ended_news;
  // Urgent data ends a read short of what follows it: as after the end, only EAGAIN says that
  // nothing more is there.
  if ((events & (EPOLLRDHUP | EPOLLPRI)) != 0) news |= readable_news | ended_news;
  return news;
}

class Epoll final : public Multiplexer {
 public:
  explicit Epoll(Fd epoll) : epoll_(std::move(epoll)) {}

  std::string_view name() const override { return "epoll"; }

  Result<void> add(Watcher& watcher) override {
    watchers_.add(watcher);
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET,
                      .data = {.u64 = watchers_.token_of(watcher).packed()}};
    if (sys::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, watcher.fd, &event) == 0) return {};
    const int error = errno;
    watchers_.remove(watcher);
    return std::unexpected(system_error("watch", {}, error));
  }

  void remove(Watcher& watcher) override {
    // Closing would do, unless another process shares the open file.
    epoll_event none{};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watcher.fd, &none);
    watchers_.remove(watcher);
  }

  Result<void> wait(std::optional<Duration> timeout, Newsroom& newsroom) override {
    const int count = wait_for_events(timeout);
    if (count < 0) {
      if (errno == EINTR) return {};
      return std::unexpected(system_error("epoll_wait", {}, errno));
    }
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events_[static_cast<std::size_t>(i)];
      // A handler of an earlier event may have closed this one.
      if (Watcher* watcher = watchers_.find(Token::unpacked(event.data.u64)))
        newsroom.heard(*watcher, news_of(event.events));
    }
    return {};
  }

 private:
  /// epoll_pwait2 counts nanoseconds (Linux 5.11); before that, milliseconds, rounded up.
  int wait_for_events(std::optional<Duration> timeout) {
    const int room = static_cast<int>(events_.size());
    if (!timeout) return sys::epoll_wait(epoll_.get(), events_.data(), room, -1);
    if (*timeout <= Duration::zero()) return sys::epoll_wait(epoll_.get(), events_.data(), room, 0);
    if (has_pwait2_) {
      const timespec limit = timespec_of(*timeout);
      const int count = sys::epoll_pwait2(epoll_.get(), events_.data(), room, &limit);
      if (count >= 0 || errno != ENOSYS) return count;
      has_pwait2_ = false;
    }
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(*timeout).count();
    return sys::epoll_wait(epoll_.get(), events_.data(), room,
                           static_cast<int>(std::min<std::int64_t>(ms, 3'600'000)));
  }

  Fd epoll_;
  Watchers watchers_;
  std::array<epoll_event, 256> events_;
  bool has_pwait2_ = true;
};

}  // namespace

std::unique_ptr<Multiplexer> make_epoll(Error& why_not) {
  Fd epoll(sys::epoll_create());
  if (!epoll) {
    why_not = system_error("epoll_create", {}, errno);
    return nullptr;
  }
  return std::make_unique<Epoll>(std::move(epoll));
}

}  // namespace koine::os
