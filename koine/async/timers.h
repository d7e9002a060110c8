// Timers in O(1): a hierarchical timing wheel that knows no clock.
//
// Nine wheels of 64 slots; a slot of the first is 2^12 ns (4 us) wide, one of the next 64 times
// that. A timer lies in the wheel of the highest digit in which its tick differs from the current
// one, and falls towards the first as time comes near. Deadlines are exact: within a slot they are
// compared, and equal ones fire in the order in which they were armed.
//
// As long as there are few, they need no wheel: they lie in one list, and whoever asks looks at
// all.
//
// Moving a deadline back, as every byte on a connection with an idle timeout does, only stores it:
// the timer is filed anew when its old slot comes up.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "koine/async/operation.h"
#include "koine/base/time.h"
#include "koine/base/unique_ptr.h"

namespace koine {

/// Something to run at a time. It leaves the wheel when it dies or is run. It waits there and
/// nowhere else: a Timer joins no WaitList and is not scheduled.
class Timer : public Runnable {
 public:
  /// When it is due; means nothing while it is not armed.
  Instant deadline() const { return deadline_; }

  /// True from arming until it runs or is cancelled.
  bool armed() const { return listed(); }

  void cancel() { leave(); }

 protected:
  Timer() = default;
  Timer(Timer&&) = default;
  ~Timer() = default;

 private:
  friend class Timers;
  Instant deadline_{};
  std::uint64_t order_ = 0;
  std::uint64_t filed_tick_ = 0;
  bool due_ = false;
};

/// All timers of one loop.
class Timers {
 public:
  explicit Timers(Instant now);
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;
  ~Timers();

  /// Arms `timer`, or moves it if it is armed. O(1). A deadline in the past is due at once.
  void arm(Timer& timer, Instant deadline);

  /// Hands what is due at `now` to `due`, earliest first.
  void expire(Instant now, List<Runnable>& due);

  /// No timer is due before this, and it is later than the last expire() unless one is due. It is
  /// the first deadline, or earlier by less than a slot of the wheel that holds many. Nothing if no
  /// timer is armed.
  std::optional<Instant> next();

 private:
  static constexpr int tick_shift = 12;
  static constexpr int slot_bits = 6;
  static constexpr int slots = 1 << slot_bits;
  static constexpr int wheels = 9;
  static constexpr int looked_at_max =
      4;  // timers in one slot, by next(): each may be a cache miss

  struct Wheel {
    std::array<List<Timer>, slots> slot;
    std::uint64_t occupied = 0;  // a set bit may be stale: its timers were cancelled
  };
  struct Wheels;
  Wheel& wheel_at(int index);
  struct Place {
    int wheel;
    int slot;
    std::uint64_t first_tick;
  };

  static std::uint64_t tick_of(Instant at) {
    const auto ns = at.time_since_epoch().count();
    return ns <= 0 ? 0 : static_cast<std::uint64_t>(ns) >> tick_shift;
  }
  static Instant start_of(std::uint64_t tick) {
    return Instant(Duration(static_cast<Duration::rep>(tick << tick_shift)));
  }

  static Instant end_of(const Place& place) {
    const std::uint64_t end = place.first_tick + (std::uint64_t{1} << (place.wheel * slot_bits));
    return end > tick_of(Instant::max()) ? Instant::max() : start_of(end);
  }

  void file(Timer& timer);
  bool has_room_among_few();
  void turn_wheels(Instant now);
  std::optional<Place> first_place();

  static constexpr std::size_t few_max = 16;

  List<Timer> few_;  // all of them, as long as there are no wheels
  std::size_t few_at_most_ = 0;
  std::unique_ptr<Wheels> wheels_;
  std::uint64_t current_;
  std::uint64_t armed_ = 0;
  std::vector<Timer*> sorting_;
};

}  // namespace koine
