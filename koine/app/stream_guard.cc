#include "koine/app/stream_guard.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "koine/async/frame_pool.h"
#include "koine/async/loop.h"
#include "koine/base/joined.h"

namespace koine {
namespace {

/// Sweeps look at every connection; they are never closer together.
constexpr Duration sweep_gap_min = 100ms;

/// While output waits, progress is looked at this often.
constexpr Duration unsent_gap = 1s;

enum class Verdict : std::uint8_t { fine, idle, slow, takes_slowly };

[[gnu::cold]] std::string words_of(Verdict verdict, const Limits& limits) {
  const auto seconds =
      static_cast<std::uint64_t>(std::chrono::round<std::chrono::seconds>(limits.idle).count());
  if (verdict == Verdict::idle) return joined({"no byte moved for ", seconds, " s"});
  const bool is_slow = verdict == Verdict::slow;
  return joined({is_slow ? "fewer than " : "the peer took fewer than ",
                 is_slow ? limits.bytes_per_second_min : limits.taken_bytes_per_second_min,
                 " bytes per second for ", seconds, " s"});
}

}  // namespace

/// There is one for each connection, so it is kept small.
class StreamGuard::Guarded final : public Stream, public ListNode {
 public:
  /// Of a count of ticks, which is what a moment is here.
  static constexpr int tick_bits = 36;

  Guarded(std::unique_ptr<Stream> inner, StreamGuard& guard)
      : inner_(std::move(inner)),
        guard_(&guard),
        last_moved_(tick_of(guard.loop_.now()) & tick_max) {
    if (guard.limits_.bytes_per_second_min != 0) {
      account_ = std::make_unique<Account>();
      account_->window_begins = guard.loop_.now();
    }
  }
  ~Guarded() override {
    release();
    if (drop_when_closed_) inner_->abort();
  }

  static void* operator new(std::size_t bytes) { return frame_pool::allocate(bytes); }
  static void operator delete(void* guarded) noexcept {
    frame_pool::release(guarded, sizeof(Guarded));
  }

  Result<std::size_t> read_now(MutableBytes into) override {
    if (end_told_) return std::size_t{0};
    auto count = inner_->read_now(into);
    if (count) {
      moved(*count);
    } else if (count.error() != Fault::would_block) {
      explain(count.error());
    } else if (input_ended_) {
      end_told_ = true;
      count = 0;
    }
    return count;
  }
  Result<Buffer> receive_now() override {
    if (end_told_) return Buffer();
    auto buffer = inner_->receive_now();
    if (buffer) {
      moved(buffer->size());
    } else if (buffer.error() != Fault::would_block) {
      explain(buffer.error());
    } else if (input_ended_) {
      end_told_ = true;
      buffer.emplace();
    }
    return buffer;
  }
  Result<std::size_t> write_now(Bytes from) override {
    auto count = inner_->write_now(from);
    if (count) {
      wrote(*count);
    } else {
      explain(count.error());
    }
    return count;
  }
  Result<void> flush_now() override {
    auto flushed = inner_->flush_now();
    if (!flushed) explain(flushed.error());
    return flushed;
  }
  std::size_t unsent() const override { return inner_->unsent(); }
  Result<void> finish() override {
    auto finished = inner_->finish();
    if (!finished) explain(finished.error());
    return finished;
  }
  void abort() override {
    inner_->abort();
    look_at_unsent();
  }
  WaitList& readable() override { return inner_->readable(); }
  WaitList& writable() override { return inner_->writable(); }
  Address local() const override { return inner_->local(); }
  Address peer() const override { return inner_->peer(); }
  std::string name() const override { return inner_->name(); }
  Result<void> attach(journey::Recorder* recorder) override { return inner_->attach(recorder); }
  journey::Track* track() override { return inner_->track(); }

  Verdict judge(const Limits& limits) {
    // Output that left is movement too, though nobody called us for it. Only if all of it has left
    // since it was written, then it did so at the end of that turn: that was no news.
    const std::uint64_t before = unsent_seen_;
    look_at_unsent();
    if (unsent_seen_ < before && (unsent_seen_ != 0 || judged_last_)) moved(before - unsent_seen_);
    judged_last_ = true;
    const Instant now = guard_->loop_.now();
    if (now - last_moved() >= limits.idle) return Verdict::idle;
    if (takes_too_slowly(now, limits)) return Verdict::takes_slowly;
    if (limits.bytes_per_second_min == 0) return Verdict::fine;
    if (now - account_->window_begins < limits.idle) return Verdict::fine;
    const auto wanted = expected(limits.bytes_per_second_min, now - account_->window_begins);
    if (static_cast<double>(std::exchange(account_->moved, 0)) < wanted) return Verdict::slow;
    account_->window_begins = now;
    return Verdict::fine;
  }
  /// Before this, judge() has nothing new to say unless bytes stop moving.
  Instant next_judgement(const Limits& limits) const {
    const bool has_window = limits.bytes_per_second_min != 0;
    return later(has_window ? std::min(last_moved(), account_->window_begins) : last_moved(),
                 limits.idle);
  }

  /// To a tick, and not later than it was.
  Instant last_moved() const {
    const Instant now = guard_->loop_.now();
    const auto ticks = static_cast<std::int64_t>((tick_of(now) - last_moved_) & tick_max);
    const Duration tick{std::int64_t{1} << guard_->tick_shift_};
    return now - now.time_since_epoch() % tick - ticks * tick;
  }
  std::size_t unsent_seen() const { return unsent_seen_; }

  void end_input() {
    if (input_ended_) return;
    input_ended_ = true;
    inner_->readable().wake_all(guard_->loop_);
  }
  void drop_when_closed() { drop_when_closed_ = true; }

  /// Ends it, and says why.
  [[gnu::cold]] void condemn(std::string why) {
    if (account_ == nullptr) account_ = std::make_unique<Account>();
    account_->why = std::move(why);
    release();
    inner_->abort();
  }
  /// It is guarded no more.
  void release() {
    leave();
    if (guard_ != nullptr) guard_->unsent_changed(unsent_seen_, 0);
    guard_ = nullptr;
  }

 private:
  void moved(std::size_t bytes) {
    if (guard_ == nullptr) return;
    if (account_ != nullptr) account_->moved = std::min(account_->moved + bytes, moved_bytes_max);
    last_moved_ = tick_of(guard_->loop_.now()) & tick_max;
  }
  void wrote(std::size_t bytes) {
    if (guard_ == nullptr) return;
    judged_last_ = false;
    if (account_ != nullptr) account_->written += bytes;
    moved(bytes);
    look_at_unsent();
  }
  void look_at_unsent() {
    if (guard_ == nullptr) return;
    const std::uint64_t before = unsent_seen_;
    unsent_seen_ = std::min<std::uint64_t>(inner_->unsent(), unsent_seen_max) & unsent_seen_max;
    guard_->unsent_changed(before, unsent_seen_);
  }
  static double expected(std::uint64_t bytes_per_second, Duration time) {
    const double bytes =
        static_cast<double>(bytes_per_second) * std::chrono::duration<double>(time).count();
    return std::min<double>(bytes, moved_bytes_max);
  }
  [[gnu::cold]] bool takes_too_slowly(Instant now, const Limits& limits) {
    if (unsent_seen_ == 0) {
      if (limits.bytes_per_second_min == 0) {
        account_ = nullptr;
      } else {
        account_->waits_since.reset();
      }
      return false;
    }
    if (account_ == nullptr) account_ = std::make_unique<Account>();
    if (account_->waits_since) {
      const Duration time = now - *account_->waits_since;
      if (time < limits.idle) return false;
      const std::uint64_t taken = account_->written - unsent_seen_;
      if (static_cast<double>(taken) < expected(limits.taken_bytes_per_second_min, time))
        return true;
    }
    account_->waits_since = now;
    account_->written = unsent_seen_;
    return false;
  }
  /// Says why, if we ended it.
  [[gnu::noinline]] void explain(Error& error) const {
    if (account_ != nullptr && !account_->why.empty() && error == Fault::closed)
      error = std::move(error).with_note(account_->why);
  }

  /// What most connections never have.
  struct Account {
    Instant window_begins;               // if bytes_per_second_min is a limit
    std::uint64_t moved = 0;             // in this window, both ways
    std::optional<Instant> waits_since;  // while output waits
    std::uint64_t written = 0;           // since then; first what waited then
    std::string why;                     // it was ended
  };

  static constexpr std::uint64_t tick_max = (std::uint64_t{1} << tick_bits) - 1;
  std::uint64_t tick_of(Instant at) const {
    return static_cast<std::uint64_t>(at.time_since_epoch().count() >> guard_->tick_shift_);
  }

  std::unique_ptr<Stream> inner_;
  StreamGuard* guard_;
  std::unique_ptr<Account> account_;
  static constexpr std::uint64_t moved_bytes_max = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::uint64_t unsent_seen_max = (std::uint64_t{1} << 24) - 1;
  std::uint64_t last_moved_ : tick_bits;
  std::uint64_t unsent_seen_ : 24 = 0;  // when we last looked: our part of the guard's sum
  bool judged_last_ : 1 = false;        // that was to judge, not to write
  bool input_ended_ : 1 = false;
  bool end_told_ : 1 = false;  // and an end stays an end
  bool drop_when_closed_ : 1 = false;
};

/// 131 us is what a turn of the loop may last, whose beginning is the time; 104 days of such ticks
/// are told apart. They are longer if the limit is: half of what is told apart has to be enough.
int StreamGuard::tick_shift_for(Duration idle) {
  constexpr int shift_min = 17;
  const auto ns = static_cast<std::uint64_t>(std::max(idle, Duration::zero()).count());
  return std::max(shift_min, static_cast<int>(std::bit_width(ns)) - (Guarded::tick_bits - 1));
}

[[gnu::cold]] StreamGuard::~StreamGuard() {
  while (!streams_.empty()) streams_.front().release();
}

std::unique_ptr<Stream> StreamGuard::guard(std::unique_ptr<Stream> stream) {
  static_assert(sizeof(Guarded) <= 56, "one word more costs two, times the connections");
  auto guarded = std::make_unique<Guarded>(std::move(stream), *this);
  streams_.push_back(*guarded);
  sweep_by(later(loop_.now(), limits_.idle));
  return guarded;
}

[[gnu::cold]] void StreamGuard::end_quiet(Duration quiet) {
  streams_.for_each([&](Guarded& stream) {
    if (loop_.now() - stream.last_moved() >= quiet) stream.end_input();
  });
}

[[gnu::cold]] void StreamGuard::drop_when_closed() {
  streams_.for_each([](Guarded& stream) { stream.drop_when_closed(); });
}

void StreamGuard::unsent_changed(std::size_t before, std::size_t now) {
  unsent_bytes_ += now - before;
  if (now > before && unsent_bytes_ > limits_.unsent_bytes)
    sweep_by(std::max(loop_.now(), later(swept_, sweep_gap_min)));
}

void StreamGuard::sweep_by(Instant when) {
  if (!armed() || deadline() > when) loop_.arm(*this, when);
}

/// Ends the connections that do not move, and finds out when to look again.
[[gnu::cold]] void StreamGuard::run() {
  swept_ = loop_.now();
  Instant next = Instant::max();
  std::vector<std::pair<Guarded*, Verdict>> condemned;
  streams_.for_each([&](Guarded& stream) {
    const Verdict verdict = stream.judge(limits_);
    if (verdict == Verdict::fine) {
      next = std::min(next, stream.next_judgement(limits_));
    } else {
      condemned.emplace_back(&stream, verdict);
    }
  });
  for (const auto& [stream, verdict] : condemned) {
    ++(verdict == Verdict::idle ? counts_.idle : counts_.slow);
    stream->condemn(words_of(verdict, limits_));
  }
  if (unsent_bytes_ > limits_.unsent_bytes) shed_unsent();
  if (unsent_bytes_ != 0) next = std::min(next, later(loop_.now(), unsent_gap));
  if (next != Instant::max()) sweep_by(std::max(next, later(loop_.now(), sweep_gap_min)));
}

/// Ends those that let the most wait, until what waits fits.
[[gnu::cold]] void StreamGuard::shed_unsent() {
  struct Waiting {
    std::size_t bytes;
    std::size_t age;  // of equal ones the oldest goes first
    Guarded* stream;
    bool operator<(const Waiting& other) const {
      return bytes != other.bytes ? bytes < other.bytes : age > other.age;
    }
  };
  std::vector<Waiting> waiting;
  streams_.for_each([&](Guarded& stream) {
    if (stream.unsent_seen() != 0)
      waiting.push_back({stream.unsent_seen(), waiting.size(), &stream});
  });
  std::make_heap(waiting.begin(), waiting.end());
  while (unsent_bytes_ > limits_.unsent_bytes && !waiting.empty()) {
    std::pop_heap(waiting.begin(), waiting.end());
    const Waiting most = waiting.back();
    waiting.pop_back();
    ++counts_.slow;
    most.stream->condemn(
        joined({"too much waits to be sent, and most of it here: ", most.bytes, " bytes"}));
  }
}

}  // namespace koine
