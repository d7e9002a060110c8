// What a journey needs of a host beside the socket's stamps: two clocks side by side, and how long
// a thread had to wait for a CPU.
#pragma once

#include <cstdint>
#include <optional>

#include "koine/journey/journey.h"
#include "koine/os/fd.h"

namespace koine::os {

/// CLOCK_REALTIME beside CLOCK_MONOTONIC.
journey::ClockPair read_clocks();

/// CLOCK_REALTIME, nanoseconds since 1970.
std::int64_t realtime_ns();

/// The second number of /proc/thread-self/schedstat: for how long this thread could have run and
/// had no CPU, since it began. Belongs to the thread that made it.
class RunDelay {
 public:
  RunDelay();

  /// Nothing where the kernel does not count.
  std::optional<std::int64_t> read() const;

 private:
  Fd file_;
};

/// What names this boot of this machine, and the time namespace; unknown if it cannot be told.
journey::ClockIdentity clock_identity();

}  // namespace koine::os
