#include "koine/async/timers.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace koine {

void Timers::arm(Timer& timer, Instant deadline) {
  timer.deadline_ = deadline;
  timer.order_ = armed_++;
  const std::uint64_t tick = tick_of(deadline);
  // Later than where it lies: expire() will find the new deadline and file it anew.
  if (timer.armed() && !timer.due_ && tick >= timer.filed_tick_) return;
  file(timer);
}

void Timers::file(Timer& timer) {
  const std::uint64_t tick = std::max(tick_of(timer.deadline_), current_);
  const std::uint64_t difference = tick ^ current_;
  static_assert(wheels * slot_bits + tick_shift >= 63, "as many bits as an Instant has");
  const int wheel = difference == 0 ? 0 : (63 - std::countl_zero(difference)) / slot_bits;
  const auto slot = static_cast<int>((tick >> (wheel * slot_bits)) & (slots - 1));
  Wheel& home = wheels_[static_cast<std::size_t>(wheel)];
  home.slot[static_cast<std::size_t>(slot)].push_back(timer);
  home.occupied |= std::uint64_t{1} << slot;
  timer.filed_tick_ = tick;
  timer.due_ = false;
}

/// The earliest slot that holds a timer. A wheel's timers are all before those of the next wheel.
std::optional<Timers::Place> Timers::first_place() {
  for (int w = 0; w < wheels; ++w) {
    Wheel& wheel = wheels_[static_cast<std::size_t>(w)];
    while (wheel.occupied != 0) {
      const int slot = std::countr_zero(wheel.occupied);
      if (wheel.slot[static_cast<std::size_t>(slot)].empty()) {
        wheel.occupied &= wheel.occupied - 1;
        continue;
      }
      const int shift = w * slot_bits;
      const std::uint64_t above = current_ >> (shift + slot_bits) << (shift + slot_bits);
      return Place{w, slot, above | static_cast<std::uint64_t>(slot) << shift};
    }
  }
  return std::nullopt;
}

void Timers::expire(Instant now, List<Runnable>& due) {
  const std::uint64_t target = tick_of(now);
  sorting_.clear();
  while (const auto place = first_place()) {
    if (place->first_tick > target) break;
    current_ = std::max(current_, place->first_tick);
    Wheel& wheel = wheels_[static_cast<std::size_t>(place->wheel)];
    List<Timer> found;
    found.splice(wheel.slot[static_cast<std::size_t>(place->slot)]);
    wheel.occupied &= ~(std::uint64_t{1} << place->slot);
    bool stays = false;
    while (!found.empty()) {
      Timer& timer = found.pop_front();
      if (timer.deadline_ <= now) {
        sorting_.push_back(&timer);
      } else {
        file(timer);
        stays |= tick_of(timer.deadline_) == current_;
      }
    }
    if (stays) break;  // due within this tick, but not yet
  }
  current_ = std::max(current_, target);
  std::sort(sorting_.begin(), sorting_.end(), [](const Timer* a, const Timer* b) {
    return a->deadline_ != b->deadline_ ? a->deadline_ < b->deadline_ : a->order_ < b->order_;
  });
  for (Timer* timer : sorting_) {
    timer->due_ = true;
    due.push_back(*timer);
  }
}

std::optional<Instant> Timers::next() {
  const auto place = first_place();
  if (!place) return std::nullopt;
  const List<Timer>& slot =
      wheels_[static_cast<std::size_t>(place->wheel)].slot[static_cast<std::size_t>(place->slot)];
  // What lies elsewhere is due after this slot, and what was moved back since it was filed may be.
  Instant first = end_of(*place);
  int left = place->wheel == 0 ? std::numeric_limits<int>::max() : looked_at_max;
  const bool looked_at_all = slot.for_each_while([&](const Timer& timer) {
    first = std::min(first, timer.deadline_);
    return left-- > 0;
  });
  return looked_at_all ? first : start_of(place->first_tick);
}

}  // namespace koine
