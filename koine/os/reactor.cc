#include "koine/os/reactor.h"

#include <sched.h>
#include <sys/random.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cassert>

#include "koine/os/clocks.h"
#include "koine/os/fault_of.h"
#include "koine/os/lingering.h"
#include "koine/os/system.h"

namespace koine::os {

namespace {

/// A deadline nearer than this is waited for from what the time is now, not from when the turn
/// began.
constexpr Duration soon = 10ms;

/// A deadline at least so far away is the alarm's.
constexpr Duration far = 100ms;

std::uint64_t entropy() {
  std::uint64_t seed = 0;
  if (::getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
    seed = static_cast<std::uint64_t>(monotonic_now().time_since_epoch().count());
  return seed;
}

}  // namespace

[[gnu::cold]] Result<std::unique_ptr<Reactor>> Reactor::make(const ReactorOptions& options,
                                                             std::shared_ptr<Mailbox> mailbox) {
  auto multiplexer = make_multiplexer(options.multiplexer);
  if (!multiplexer) return std::unexpected(std::move(multiplexer.error()));
  if (mailbox == nullptr) {
    auto made = Mailbox::make();
    if (!made) return std::unexpected(std::move(made.error()));
    mailbox = std::move(*made);
  }
  std::unique_ptr<Reactor> reactor(
      new Reactor(std::move(*multiplexer), std::move(mailbox), options.busy_poll));
  if (auto watched = reactor->watch(reactor->doorbell_.watcher); !watched)
    return std::unexpected(std::move(watched.error()));
  // Without the alarm every wait has a timeout of its own, which costs a little more.
  Watcher& alarm = reactor->alarm_.watcher;
  if (alarm.fd >= 0 && !reactor->watch(alarm)) alarm.fd = -1;
  return reactor;
}

[[gnu::cold]] Reactor::Reactor(std::unique_ptr<Multiplexer> multiplexer,
                               std::shared_ptr<Mailbox> mailbox, Duration busy_poll)
    : multiplexer_(std::move(multiplexer)),
      mailbox_(std::move(mailbox)),
      doorbell_(mailbox_->bell()),
      alarm_(Fd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC))),
      busy_poll_(busy_poll),
      loop_(monotonic_now(), entropy()) {}

[[gnu::cold]] Reactor::~Reactor() {
  {
    const Loop::Entered entered(loop_);  // what is destroyed may wake somebody
    mailbox_->close();
  }
  while (!lingering_.empty()) end(lingering_.front());
  multiplexer_.reset();
  frame_pool::trim();
}

void Reactor::read_clock() {
  loop_.tick(monotonic_now());
  clock_is_stale_ = false;
}

Result<void> Reactor::turn() {
  assert(Loop::has_current() && &Loop::current() == &loop_);
  if (auto waited = wait(time_to_wait()); !waited) return waited;
  if (clock_is_stale_) read_clock();
  loop_.advance(loop_.now());
  loop_.run_ready();
  return {};
}

/// Zero while something is ready; nothing if only news can end the wait, as the alarm is.
std::optional<Duration> Reactor::time_to_wait() {
  if (!loop_.idle()) return Duration::zero();
  const auto next = loop_.next_deadline();
  if (!next) return std::nullopt;
  // What the last turn took matters only to a deadline that is near; reading the clock is not free.
  if (*next - loop_.now() < soon) read_clock();
  const Duration left = std::max(*next - loop_.now(), Duration::zero());
  if (left >= far && alarm_.ring_by(*next, loop_.now())) return std::nullopt;
  return left;
}

Result<void> Reactor::wait(std::optional<Duration> timeout) {
  clock_is_stale_ = true;
  if (!busy_poll_.is_on() || (timeout && *timeout <= Duration::zero())) return sleep(timeout);
  const Instant began = monotonic_now();
  Result<void> ended;
  const auto look_once = [&] {
    ended = look(Duration::zero());
    take_messages();
    return !ended || !clock_is_stale_ || !loop_.idle();
  };
  const Duration limit = timeout.value_or(Duration::max());
  if (!busy_poll_.spin(limit, look_once, monotonic_now, ::sched_yield)) {
    if (timeout) timeout = std::max(*timeout - (monotonic_now() - began), Duration::zero());
    ended = sleep(timeout);
  }
  busy_poll_.waited((clock_is_stale_ ? monotonic_now() : loop_.now()) - began);
  return ended;
}

Result<void> Reactor::sleep(std::optional<Duration> timeout) {
  if ((!timeout || *timeout > Duration::zero()) && !mailbox_->fall_asleep())
    timeout = Duration::zero();
  auto waited = look(timeout);
  take_messages();
  return waited;
}

/// What is called now begins now.
void Reactor::take_messages() {
  if (clock_is_stale_ && mailbox_->has_messages()) read_clock();
  mailbox_->take_all();
}

Result<void> Reactor::look(std::optional<Duration> timeout) {
  // A turn in which nothing was run did not keep the program from waiting: it read the kernel's
  // reports.
  if (tracks != 0 && loop_.runs() != runs_before_waiting_) {
    runs_before_waiting_ = loop_.runs();
    waiting_since_ns = realtime_ns();
  }
  return multiplexer_->wait(timeout, *this);
}

/// News for one descriptor. What it sets off is run, and its output sent, before the next is looked
/// at: the first peer has its answer while the second is being served.
void Reactor::heard(Watcher& watcher, unsigned news) {
  if (clock_is_stale_) {
    read_clock();
    mailbox_->wake_up();  // what is posted from here on need not ring
  }
  watcher.news(loop_, news);
  loop_.run_ready();
}

void Reactor::keep(std::unique_ptr<Lingering> lingering) {
  if (lingering_count_ >= lingering_max) return;  // closed at once
  ++lingering_count_;
  lingering_.push_back(*lingering.release());
}

[[gnu::cold]] void Reactor::linger_out() {
  const Loop::Entered entered(loop_);
  while (lingering_count_ != 0 && turn()) {
  }
}

void Reactor::end(Lingering& lingering) {
  --lingering_count_;
  lingering.leave();
  delete &lingering;
}

Reactor::Doorbell::Doorbell(int bell) {
  watcher.fd = bell;
  watcher.readers.join(*this);
}

void Reactor::Doorbell::run() {
  std::uint64_t rings = 0;
  [[maybe_unused]] const auto got = sys::read(watcher.fd, &rings, sizeof(rings));
  watcher.drained();
  watcher.readers.join(*this);
}

Reactor::Alarm::Alarm(Fd timer) : timer_(std::move(timer)) {
  watcher.fd = timer_.get();
  watcher.readers.join(*this);
}

bool Reactor::Alarm::ring_by(Instant when, Instant now) {
  if (watcher.fd < 0) return false;
  if (rings_ > now && rings_ <= when) return true;
  const itimerspec once{.it_interval = {}, .it_value = timespec_of(when.time_since_epoch())};
  if (::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &once, nullptr) != 0) return false;
  rings_ = when;
  return true;
}

void Reactor::Alarm::run() {
  std::uint64_t times = 0;
  [[maybe_unused]] const auto got = sys::read(timer_.get(), &times, sizeof(times));
  rings_ = Instant::min();  // whatever the loop's clock says: it may have been read before
  watcher.drained();
  watcher.readers.join(*this);
}

}  // namespace koine::os
