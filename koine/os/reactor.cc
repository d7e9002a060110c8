#include "koine/os/reactor.h"

#include <sys/random.h>

#include <algorithm>
#include <cassert>

#include "koine/os/fault_of.h"
#include "koine/os/lingering.h"
#include "koine/os/system.h"

namespace koine::os {

/// A message in the mailbox: a stack that any thread pushes on and the reactor takes as a whole.
struct Reactor::Message {
  Function<void()> function;
  Message* next = nullptr;
};

namespace {

std::uint64_t entropy() {
  std::uint64_t seed = 0;
  if (::getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
    seed = static_cast<std::uint64_t>(monotonic_now().time_since_epoch().count());
  return seed;
}

}  // namespace

Result<std::unique_ptr<Reactor>> Reactor::make(const ReactorOptions& options) {
  auto multiplexer = make_multiplexer(options.multiplexer);
  if (!multiplexer) return std::unexpected(std::move(multiplexer.error()));
  Fd doorbell(sys::eventfd());
  if (!doorbell) return std::unexpected(system_error("eventfd", {}, errno));
  std::unique_ptr<Reactor> reactor(
      new Reactor(std::move(*multiplexer), std::move(doorbell), options.busy_poll));
  if (auto watched = reactor->watch(reactor->doorbell_watcher_); !watched)
    return std::unexpected(std::move(watched.error()));
  return reactor;
}

Reactor::Reactor(std::unique_ptr<Multiplexer> multiplexer, Fd doorbell, Duration busy_poll)
    : multiplexer_(std::move(multiplexer)),
      doorbell_(std::move(doorbell)),
      busy_poll_(busy_poll),
      loop_(monotonic_now(), entropy()) {
  doorbell_watcher_.fd = doorbell_.get();
}

Reactor::~Reactor() {
  Message* message = messages_.exchange(nullptr);
  while (message != nullptr) delete std::exchange(message, message->next);
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
  loop_.advance(clock_is_stale_ ? monotonic_now() : loop_.now());
  const bool more = loop_.run_ready();
  std::optional<Duration> timeout;
  if (more) {
    timeout = Duration::zero();
  } else if (const auto next = loop_.next_deadline()) {
    timeout = std::max(*next - loop_.now(), Duration::zero());
  }
  return wait(timeout);
}

Result<void> Reactor::wait(std::optional<Duration> timeout) {
  clock_is_stale_ = true;
  if (busy_poll_ > Duration::zero() && (!timeout || *timeout > Duration::zero())) {
    const Instant until = monotonic_now() + std::min(busy_poll_, timeout.value_or(busy_poll_));
    do {
      if (auto looked = multiplexer_->wait(Duration::zero(), *this); !looked) return looked;
      take_messages();
      if (!clock_is_stale_ || !loop_.idle()) return {};
    } while (monotonic_now() < until);
  }
  // Whoever posts after this sees the flag, or its message is seen here.
  sleeps_.store(true, std::memory_order_seq_cst);
  if (messages_.load(std::memory_order_seq_cst) != nullptr) timeout = Duration::zero();
  auto waited = multiplexer_->wait(timeout, *this);
  sleeps_.store(false, std::memory_order_relaxed);
  take_messages();
  return waited;
}

/// News for one descriptor. What it sets off is run, and its output sent, before the next is looked
/// at: the first peer has its answer while the second is being served.
void Reactor::heard(Watcher& watcher, unsigned news) {
  if (clock_is_stale_) read_clock();
  if (&watcher == &doorbell_watcher_) {
    std::uint64_t rings = 0;
    [[maybe_unused]] const auto got = sys::read(doorbell_.get(), &rings, sizeof(rings));
    return;
  }
  watcher.news(loop_, news);
  loop_.run_ready();
}

void Reactor::keep(std::unique_ptr<Lingering> lingering) {
  if (lingering_count_ >= lingering_max) return;  // closed at once
  ++lingering_count_;
  lingering_.push_back(*lingering.release());
}

void Reactor::linger_out() {
  const Loop::Entered entered(loop_);
  while (lingering_count_ != 0 && turn()) {
  }
}

void Reactor::end(Lingering& lingering) {
  --lingering_count_;
  lingering.leave();
  delete &lingering;
}

void Reactor::post(Function<void()> function) {
  auto* message = new Message{std::move(function)};
  message->next = messages_.load(std::memory_order_relaxed);
  while (!messages_.compare_exchange_weak(message->next, message, std::memory_order_seq_cst)) {
  }
  if (sleeps_.exchange(false, std::memory_order_seq_cst)) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto put = ::write(doorbell_.get(), &one, sizeof(one));
  }
}

void Reactor::take_messages() {
  if (messages_.load(std::memory_order_relaxed) == nullptr) return;
  Message* newest = messages_.exchange(nullptr, std::memory_order_acquire);
  Message* oldest = nullptr;
  while (newest != nullptr) {
    Message* next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest != nullptr) {
    const std::unique_ptr<Message> message(oldest);
    oldest = message->next;
    message->function();
  }
}

}  // namespace koine::os
