// select(2): a bit for each descriptor below FD_SETSIZE (1024), and none above.
#include <sys/select.h>

#include <algorithm>
#include <vector>

#include "koine/base/joined.h"
#include "koine/os/fault_of.h"
#include "koine/os/multiplexer.h"
#include "koine/os/system.h"

namespace koine::os {
namespace {

class Select final : public Multiplexer {
 public:
  std::string_view name() const override { return "select"; }

  Result<void> add(Watcher& watcher) override {
    if (watcher.fd >= FD_SETSIZE) {
      return std::unexpected(
          Error(Fault::over_limit, "watch")
              .with_note(joined({"select cannot watch descriptor ",
                                 static_cast<unsigned>(watcher.fd), ": it takes only those below ",
                                 unsigned{FD_SETSIZE}, "; choose poll, epoll or io_uring"})));
    }
    watchers_.add(watcher);
    watcher.presume(writable_news);
    return {};
  }

  void remove(Watcher& watcher) override { watchers_.remove(watcher); }

  Result<void> wait(std::optional<Duration> timeout, Newsroom& newsroom) override {
    fd_set in;
    fd_set out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    int highest = -1;
    asked_.clear();
    for (std::size_t slot = 0; slot < watchers_.slots(); ++slot) {
      const Watcher* watcher = watchers_.at(slot);
      if (watcher == nullptr) continue;
      const bool reads = watcher->wants_read();
      const bool writes = watcher->wants_write();
      if (reads) FD_SET(watcher->fd, &in);
      if (writes) FD_SET(watcher->fd, &out);
      if (!reads && !writes) continue;
      highest = std::max(highest, watcher->fd);
      asked_.push_back({watchers_.token_of(*watcher), watcher->fd});
    }
    timespec limit{};
    if (timeout) limit = timespec_of(std::max(*timeout, Duration::zero()));
    if (sys::pselect(highest + 1, &in, &out, nullptr, timeout ? &limit : nullptr) < 0) {
      if (errno == EINTR) return {};
      return std::unexpected(system_error("select", {}, errno));
    }
    for (const Asked& asked : asked_) {
      unsigned news = 0;
      if (FD_ISSET(asked.fd, &in)) news |= readable_news;
      if (FD_ISSET(asked.fd, &out)) news |= writable_news;
      if (news == 0) continue;
      if (Watcher* watcher = watchers_.find(asked.token)) {
        // select(2) calls an error readable and writable, and says no more. Reports that nobody
        // waits beside are read by the clock (Track::run).
        if (watcher->error_queue != nullptr) watcher->error_queue->drain();
        newsroom.heard(*watcher, news);
      }
    }
    return {};
  }

 private:
  struct Asked {
    Token token;
    int fd;
  };
  Watchers watchers_;
  std::vector<Asked> asked_;
};

}  // namespace

std::unique_ptr<Multiplexer> make_select() { return std::make_unique<Select>(); }

}  // namespace koine::os
