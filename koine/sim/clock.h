// Clock: what a machine believes the time to be.
//
// It runs fast or slow by a rate, can be set forward, and never goes back: it is the monotonic
// clock of a machine that booted before the world began. Everything is integer arithmetic, and
// reading it at the world's time for one of its own times never answers less.
#pragma once

#include <cassert>
#include <cstdint>

#include "koine/base/time.h"

namespace koine::sim {

class Clock {
 public:
  /// Shows `shown` at the beginning of the world.
  explicit Clock(Instant shown) : shown_(shown) {}

  /// What it shows at `world`, which is not before the last change.
  Instant at(Instant world) const {
    return shown_ + scaled(world - since_, unit + drift_ppm_, unit);
  }

  /// The first time of the world at which it shows `shown` or more; Instant::max() for never.
  Instant world_at(Instant shown) const {
    if (shown == Instant::max()) return shown;
    if (shown <= shown_) return since_;
    Instant world = later(since_, scaled(shown - shown_, unit, unit + drift_ppm_));
    while (world != Instant::max() && at(world) < shown) world = later(world, 1ns);
    return world;
  }

  /// From `world` on it gains so many microseconds in each second, or loses them.
  void set_drift(Instant world, std::int64_t ppm) {
    assert(ppm > -unit && "a clock does not go back");
    shown_ = at(world);
    since_ = world;
    drift_ppm_ = ppm;
  }

  /// Shows `by` more from `world` on.
  void step(Instant world, Duration by) {
    assert(by >= Duration() && "a monotonic clock does not go back");
    shown_ = at(world) + by;
    since_ = world;
  }

 private:
  __extension__ using Wide = __int128;
  static constexpr std::int64_t unit = 1'000'000;

  static Duration scaled(Duration duration, std::int64_t by, std::int64_t of) {
    if (by == of) return duration;
    return Duration(static_cast<Duration::rep>(static_cast<Wide>(duration.count()) * by / of));
  }

  Instant shown_;    // at since_
  Instant since_{};  // the world's time of the last change
  std::int64_t drift_ppm_ = 0;
};

}  // namespace koine::sim
