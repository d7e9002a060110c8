#include "koine/async/timers.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace koine {

struct Timers::Wheels {
  std::array<Wheel, wheels> wheel;
};

Timers::Timers(Instant now) : current_(tick_of(now)) {}
[[gnu::cold]] Timers::~Timers() = default;

Timers::Wheel& Timers::wheel_at(int index) {
  return wheels_->wheel[static_cast<std::size_t>(index)];
}

void Timers::arm(Timer& timer, Instant deadline) {
  timer.deadline_ = deadline;
  timer.order_ = armed_++;
  const std::uint64_t tick = tick_of(deadline);
  // Later than where it lies: expire() will find the new deadline and file it anew.
  if (timer.armed() && !timer.due_ && (!wheels_ || tick >= timer.filed_tick_)) return;
  file(timer);
}

/// Some of those that are counted may have been cancelled since: they say so to nobody.
bool Timers::has_room_among_few() {
  if (few_at_most_ < few_max) return true;
  few_at_most_ = 0;
  few_.for_each([this](const Timer&) { ++few_at_most_; });
  return few_at_most_ <= few_max / 2;  // so that it is not counted again at once
}

void Timers::file(Timer& timer) {
  if (!wheels_ && has_room_among_few()) {
    ++few_at_most_;
    few_.push_back(timer);
    timer.due_ = false;
    return;
  }
  if (!wheels_) {
    wheels_ = std::make_unique<Wheels>();
    while (!few_.empty()) file(few_.front());
  }
  const std::uint64_t tick = std::max(tick_of(timer.deadline_), current_);
  const std::uint64_t difference = tick ^ current_;
  static_assert(wheels * slot_bits + tick_shift >= 63, "as many bits as an Instant has");
  const int wheel = difference == 0 ? 0 : (63 - std::countl_zero(difference)) / slot_bits;
  const auto slot = static_cast<int>((tick >> (wheel * slot_bits)) & (slots - 1));
  Wheel& home = wheel_at(wheel);
  home.slot[static_cast<std::size_t>(slot)].push_back(timer);
  home.occupied |= std::uint64_t{1} << slot;
  timer.filed_tick_ = tick;
  timer.due_ = false;
}

/// The earliest slot that holds a timer. A wheel's timers are all before those of the next wheel.
std::optional<Timers::Place> Timers::first_place() {
  for (int w = 0; w < wheels; ++w) {
    Wheel& wheel = wheel_at(w);
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
  sorting_.clear();
  if (wheels_) {
    turn_wheels(now);
  } else {
    few_.for_each([&](Timer& timer) {
      if (timer.deadline_ <= now) sorting_.push_back(&timer);
    });
  }
  current_ = std::max(current_, tick_of(now));
  if (sorting_.empty()) return;
  // Rarely more than a few: std::sort() would be the largest piece of code here.
  const auto is_before = [](const Timer* a, const Timer* b) {
    return a->deadline_ != b->deadline_ ? a->deadline_ < b->deadline_ : a->order_ < b->order_;
  };
  std::make_heap(sorting_.begin(), sorting_.end(), is_before);
  std::sort_heap(sorting_.begin(), sorting_.end(), is_before);
  for (Timer* timer : sorting_) {
    timer->due_ = true;
    due.push_back(*timer);
  }
}

/// Moves what is due to sorting_.
void Timers::turn_wheels(Instant now) {
  const std::uint64_t target = tick_of(now);
  while (const auto place = first_place()) {
    if (place->first_tick > target) break;
    current_ = std::max(current_, place->first_tick);
    Wheel& wheel = wheel_at(place->wheel);
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
}

std::optional<Instant> Timers::next() {
  if (!wheels_) {
    Instant first = Instant::max();
    few_.for_each([&](const Timer& timer) { first = std::min(first, timer.deadline_); });
    return few_.empty() ? std::nullopt : std::optional(first);
  }
  const auto place = first_place();
  if (!place) return std::nullopt;
  const List<Timer>& slot = wheel_at(place->wheel).slot[static_cast<std::size_t>(place->slot)];
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
