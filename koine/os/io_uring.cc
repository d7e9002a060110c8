// io_uring: one multishot poll request for each descriptor, submitted together with the next wait.
//
// Readiness only: data moves by recv(2) and send(2), so the ring never holds a pointer into
// anybody's memory. A poll request does hold its file, so remove() takes it back and sees it end:
// otherwise closing the descriptor would not close the connection.
//
// From Linux 6.18 on the ring also brings what sockets report about stamped messages, once the
// first such report was there: half as dear as reading the error queue (docs/decisions/0007). Each
// is a completion of two places in the ring, the others have one. Debian 12's headers and liburing
// know neither, so the constants are here, and so is the way through the ring.
#include <liburing.h>
#include <poll.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <span>

#include "koine/os/fault_of.h"
#include "koine/os/fd.h"
#include "koine/os/multiplexer.h"
#include "koine/os/system.h"

namespace koine::os {
namespace {

constexpr unsigned submissions = 256;
constexpr unsigned completions = 4096;
constexpr std::uint64_t nobody =
    ~std::uint64_t{0};  // the token of requests whose answer is not news
constexpr std::uint64_t of_reports = std::uint64_t{1} << 31;  // in a token: the request for them

constexpr unsigned completions_of_two_sizes = 1U << 18;  // IORING_SETUP_CQE_MIXED, Linux 6.18
constexpr unsigned is_filler = 1U << 5;                  // IORING_CQE_F_SKIP: up to the ring's end
constexpr unsigned has_two_places = 1U << 15;            // IORING_CQE_F_32
constexpr unsigned bring_reports = 4;                    // SOCKET_URING_OP_TX_TIMESTAMP, Linux 6.17
constexpr unsigned report_type_bit = 17;  // IORING_TIMESTAMP_TYPE_SHIFT, of a completion's flags

/// What is asked about.
constexpr unsigned interest = POLLIN | POLLOUT | POLLPRI | POLLRDBAND | POLLRDHUP;

/// Urgent data (POLLPRI) ends a read short of what follows it: as after the end, only EAGAIN says
/// that nothing more is there. A wake-up that comes alone brings POLLPRI for whatever has arrived,
/// and POLLRDBAND with it. When several came since the last time, the kernel looks at the socket
/// itself; and urgent data wakes twice, once as such and once as what arrived.
bool is_urgent(int events) { return (events & (POLLPRI | POLLRDBAND)) == POLLPRI; }

unsigned news_of(int events) {
  unsigned news = 0;
  if ((events & POLLIN) != 0) news |= readable_news;
  if ((events & POLLOUT) != 0) news |= writable_news;
  if ((events & POLLERR) != 0) news |= error_news;
  if ((events & POLLHUP) != 0) news |= readable_news | writable_news | ended_news;
  if ((events & POLLRDHUP) != 0 || is_urgent(events)) news |= readable_news | ended_news;
  return news;
}

/// A ring may get the memory that another thread's had. The kernel orders the two; this says so to
/// ThreadSanitizer, which does not see liburing's own mmap(2) and munmap(2).
std::atomic<int> rings = 0;

class IoUring final : public Multiplexer {
 public:
  [[gnu::cold]] ~IoUring() override {
    if (!ready_) return;
    rings.fetch_sub(1, std::memory_order_release);
    io_uring_queue_exit(&ring_);
  }

  /// 0 or an errno. Newer flags first: tasks' work is done when we wait, not by interrupting us.
  [[gnu::cold]] int set_up() {
    constexpr unsigned when_we_wait =
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN;
    int result = -EINVAL;
    for (const unsigned flags :
         {when_we_wait | completions_of_two_sizes, when_we_wait, IORING_SETUP_COOP_TASKRUN, 0U}) {
      io_uring_params params{};
      params.flags = flags | IORING_SETUP_CQSIZE;
      params.cq_entries = completions;
      result = -injected(Call::ring_setup);
      if (result == 0) result = io_uring_queue_init_params(submissions, &ring_, &params);
      brings_reports_ = (flags & completions_of_two_sizes) != 0;
      if (result != -EINVAL) break;
    }
    if (result < 0) return -result;
    ready_ = true;
    rings.fetch_add(1, std::memory_order_acquire);
    io_uring_register_ring_fd(&ring_);  // 35 ns a wait; not every kernel can
    return 0;
  }

  std::string_view name() const override { return "io_uring"; }

  Result<void> add(Watcher& watcher) override {
    watchers_.add(watcher);
    if (Result<void> armed = arm(watcher); !armed) {
      watchers_.remove(watcher);
      return armed;
    }
    return {};
  }

  void remove(Watcher& watcher) override {
    const std::uint64_t token = watchers_.token_of(watcher).packed();
    const bool reported = watchers_.mark_of(watcher);
    watchers_.remove(watcher);
    if (reported) take_back(token | of_reports);
    take_back(token);
  }

  Result<void> wait(std::optional<Duration> timeout, Newsroom& newsroom) override {
    if (const int error = enter(timeout); error != 0)
      return std::unexpected(system_error("io_uring_enter", {}, error));
    // Copied out first: who hears the news may well submit and reap himself.
    std::array<News, 256> heard;
    for (;;) {
      const std::size_t count = take(heard);
      for (std::size_t i = 0; i < count; ++i) tell(heard[i], newsroom);
      if (count < heard.size()) return {};
    }
  }

 private:
  struct News {
    std::uint64_t token;
    int result;
    unsigned flags;
    std::int64_t ns;  // of a report
  };

  unsigned tail() const { return io_uring_smp_load_acquire(ring_.cq.ktail); }
  const io_uring_cqe& completion_at(unsigned place) const {
    return ring_.cq.cqes[place & ring_.cq.ring_mask];
  }
  static unsigned places_of(const io_uring_cqe& completion) {
    return (completion.flags & has_two_places) != 0 ? 2 : 1;
  }

  /// Takes the oldest completions, as many as there is room for: how many.
  std::size_t take(std::span<News> into) {
    std::size_t count = 0;
    unsigned place = *ring_.cq.khead;
    for (const unsigned end = tail(); place != end && count < into.size();) {
      const io_uring_cqe& completion = completion_at(place);
      place += places_of(completion);
      if ((completion.flags & is_filler) != 0) continue;
      News& news = into[count++];
      news = {completion.user_data, result_of(completion), completion.flags, 0};
      if ((news.flags & has_two_places) != 0)
        news.ns = static_cast<std::int64_t>(completion.big_cqe[0] * 1'000'000'000 +
                                            completion.big_cqe[1]);
    }
    io_uring_smp_store_release(ring_.cq.khead, place);
    return count;
  }

  /// Ends a request of the kernel's.
  void take_back(std::uint64_t token) {
    io_uring_sqe* request = next_request();
    if (request == nullptr) return;
    io_uring_prep_cancel64(request, token, 0);
    request->user_data = nobody;
    // The kernel ends a request in work that it puts off, behind whatever else happened meanwhile,
    // and does some of that each time we look. Nothing of this is reaped here: the tail only moves
    // on.
    unsigned seen = tail();
    io_uring_submit_and_get_events(&ring_);
    while (!has_ended(token, seen)) {
      const unsigned before = tail();
      io_uring_get_events(&ring_);
      if (tail() == before) return;  // no room for completions; it ends when there is some
    }
  }

  /// Looks through the completions from `seen` on, which moves along, for the last one of `token`,
  /// or for the answer that there is no such request.
  bool has_ended(std::uint64_t token, unsigned& seen) const {
    for (const unsigned end = tail(); seen != end;) {
      const io_uring_cqe& completion = completion_at(seen);
      seen += places_of(completion);
      if ((completion.flags & is_filler) != 0) continue;
      if (completion.user_data == token && (completion.flags & IORING_CQE_F_MORE) == 0) return true;
      if (completion.user_data == nobody && completion.res == -ENOENT) return true;
    }
    return false;
  }

  static int result_of(const io_uring_cqe& completion) {
    const int error = injected(Call::ring_completion);
    return error != 0 ? -error : completion.res;
  }

  /// Submits what is queued and waits; 0 or an errno that ends everything. Others pass: the time
  /// was up, a signal came, or the kernel wants us to reap before it takes more (EAGAIN, EBUSY).
  int enter(std::optional<Duration> timeout) {
    int result = -injected(Call::ring_enter);
    if (result == 0) result = enter_kernel(timeout);
    switch (result) {
      case -ETIME:
      case -EINTR:
      case -EAGAIN:
      case -EBUSY: return 0;
      default: return result < 0 ? -result : 0;
    }
  }

  /// A count, or a negative errno.
  int enter_kernel(std::optional<Duration> timeout) {
    if (!timeout) return io_uring_submit_and_wait(&ring_, 1);
    if (*timeout <= Duration::zero()) return io_uring_submit_and_get_events(&ring_);
    __kernel_timespec limit{timeout->count() / 1'000'000'000, timeout->count() % 1'000'000'000};
    io_uring_cqe* first = nullptr;
    return io_uring_submit_and_wait_timeout(&ring_, &first, 1, &limit, nullptr);
  }

  void tell(const News& news, Newsroom& newsroom) {
    if ((news.token & of_reports) != 0) return tell_report(news);
    Watcher* watcher = watchers_.find(Token::unpacked(news.token));
    if (watcher == nullptr) return;  // removed meanwhile
    const bool failed = news.result < 0;
    if ((news.flags & IORING_CQE_F_MORE) == 0) {
      // The kernel ended it, for want of memory or of room for completions: ask anew.
      if (!arm(*watcher)) return;
    }
    // After a failure nothing is known: everybody tries, and whoever would block waits again.
    constexpr unsigned all = readable_news | writable_news | ended_news;
    const unsigned what = failed ? all : news_of(news.result);
    if ((what & error_news) != 0 && watcher->error_queue != nullptr) ask_for_reports(*watcher);
    newsroom.heard(*watcher, what);
  }

  [[gnu::cold]] void tell_report(const News& news) {
    if (news.token == nobody) return;
    Watcher* watcher = watchers_.find(Token::unpacked(news.token & ~of_reports));
    if (watcher == nullptr) return;
    if ((news.flags & IORING_CQE_F_MORE) == 0) {
      // Nothing is lost: what the kernel does not bring stays in the error queue, and is news.
      watchers_.mark_of(*watcher) = false;
      brings_reports_ = false;
    } else if (watcher->error_queue != nullptr) {
      watcher->error_queue->report(news.flags >> report_type_bit,
                                   static_cast<std::uint32_t>(news.result), news.ns);
    }
  }

  /// From now on the ring brings this socket's reports. Those with a frame it leaves in the queue.
  [[gnu::cold]] void ask_for_reports(const Watcher& watcher) {
    bool& reported = watchers_.mark_of(watcher);
    if (!brings_reports_ || reported) return;
    io_uring_sqe* request = next_request();
    if (request == nullptr) return;
    io_uring_prep_rw(IORING_OP_URING_CMD, request, watcher.fd, nullptr, 0, 0);
    request->cmd_op = bring_reports;
    request->user_data = watchers_.token_of(watcher).packed() | of_reports;
    reported = true;
  }

  Result<void> arm(Watcher& watcher) {
    io_uring_sqe* request = next_request();
    if (request == nullptr) return fail(Fault::exhausted, "watch");
    io_uring_prep_poll_multishot(request, watcher.fd, interest);
    request->user_data = watchers_.token_of(watcher).packed();
    return {};
  }

  /// A free place in the submission queue; null only if the kernel takes nothing.
  io_uring_sqe* next_request() {
    if (io_uring_sqe* request = io_uring_get_sqe(&ring_)) return request;
    io_uring_submit(&ring_);
    return io_uring_get_sqe(&ring_);
  }

  io_uring ring_{};
  bool ready_ = false;
  bool brings_reports_ = false;  // the kernel can, as far as we know
  Watchers watchers_;            // marked: whose reports it brings
};

/// Hears whether a ring that was set up also works.
class SelfTest final : public Newsroom {
 public:
  void heard(Watcher&, unsigned news) override { readable |= (news & readable_news) != 0; }
  bool readable = false;
};

/// Some sandboxes let a ring be set up and refuse what goes through it: try it.
[[gnu::cold]] bool works(IoUring& ring) {
  const Fd event(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return true;  // no descriptors left; that says nothing about the ring
  Watcher watcher;
  watcher.fd = event.get();
  SelfTest test;
  if (!ring.add(watcher)) return false;
  const bool waited = ring.wait(100ms, test).has_value();
  ring.remove(watcher);
  return waited && test.readable;
}

}  // namespace

[[gnu::cold]] std::unique_ptr<Multiplexer> make_io_uring(Error& why_not) {
  auto ring = std::make_unique<IoUring>();
  if (const int error = ring->set_up(); error != 0) {
    why_not = Error(fault_of(error), "io_uring_setup", {}, error);
    return nullptr;
  }
  if (!works(*ring)) {
    why_not = Error(Fault::unsupported, "io_uring")
                  .with_note("the ring can be set up, but poll requests do not work");
    return nullptr;
  }
  return ring;
}

}  // namespace koine::os
