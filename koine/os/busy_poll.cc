#include "koine/os/busy_poll.h"

#include <sched.h>
#include <unistd.h>

#include <atomic>

namespace koine::os {
namespace {

/// The least that is worth looking, as a part of the bound.
constexpr int least_part = 8;

std::atomic<int> spinners = 0;

int cores() {
  static const int count = [] {
    cpu_set_t usable;
    CPU_ZERO(&usable);
    return ::sched_getaffinity(::getpid(), sizeof(usable), &usable) == 0 ? CPU_COUNT(&usable) : 1;
  }();
  return count;
}

}  // namespace

/// Cores are counted here, before whoever spins may have been bound to one of them.
BusyPoll::BusyPoll(Duration bound) : bound_(bound), window_(bound) {
  if (is_on()) cores();
}

void BusyPoll::waited(Duration time) {
  const Duration least = bound_ / least_part;
  if (time > bound_) {
    window_ /= 2;
    if (window_ < least) window_ = Duration::zero();
  } else if (time > window_) {
    window_ = std::min(std::max(2 * window_, least), bound_);
  }
}

BusyPoll::Spinner::Spinner()
    : has_a_core_(spinners.fetch_add(1, std::memory_order_relaxed) < cores()) {}

BusyPoll::Spinner::~Spinner() { spinners.fetch_sub(1, std::memory_order_relaxed); }

}  // namespace koine::os
