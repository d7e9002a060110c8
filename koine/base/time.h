// Time as koine counts it: nanoseconds on a clock that never goes back.
//
// Instant has no now(). Only koine/os reads a clock; everybody else is handed the time, which is
// why the same code runs in real and in virtual time.
#pragma once

#include <cstdint>

// libstdc++'s <chrono> brings calendars and streams along: an eighth of what including koine costs.
#if defined(__GLIBCXX__) && __has_include(<bits/chrono.h>)
#include <bits/chrono.h>
#else
#include <chrono>
#endif

namespace koine {

using Duration = std::chrono::nanoseconds;

/// The clock of a Loop: monotonic, its origin is nobody's business (boot, or a world's beginning).
struct MonotonicTime {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicTime>;
  static constexpr bool is_steady = true;
};

using Instant = MonotonicTime::time_point;

/// `from` + `by`, kept within what an Instant can hold: "no limit" is not a moment in the past.
constexpr Instant later(Instant from, Duration by) {
  Duration::rep sum = 0;
  if (__builtin_add_overflow(from.time_since_epoch().count(), by.count(), &sum))
    return by > Duration() ? Instant::max() : Instant::min();
  return Instant(Duration(sum));
}

using namespace std::chrono_literals;

}  // namespace koine
