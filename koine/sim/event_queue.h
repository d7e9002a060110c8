// What will happen, earliest first: a radix heap whose order is the same on every machine.
//
// Events leave in the order of (time, component, the order in which they were put in). Time never
// goes back, so an event lies in the bucket of the highest bit in which its time differs from the
// beginning of the stretch of time that was reached, and moves down at most 64 times. A bucket of
// few events is not spread any more: its stretch of time is the present, and lies in a small heap.
// Putting in and taking out touch memory that is close together, whether a hundred events wait or
// a million.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstdint>
#include <functional>
#include <vector>

namespace koine::sim {

/// At `at` nanoseconds, `component` has something to do.
struct Appointment {
  std::uint64_t at = 0;
  std::uint64_t order = 0;  // the component, and behind it a running number

  static constexpr int number_bits = 40;

  std::uint32_t component() const { return static_cast<std::uint32_t>(order >> number_bits); }

  friend constexpr auto operator<=>(const Appointment&, const Appointment&) = default;
};

class EventQueue {
 public:
  static constexpr std::uint32_t components_max = std::uint32_t{1}
                                                  << (64 - Appointment::number_bits);

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  /// `at` is not before what pop() answered last.
  void push(std::uint64_t at, std::uint32_t component) {
    const Appointment event{at,
                            std::uint64_t{component} << Appointment::number_bits | next_number()};
    ++size_;
    put(event);
  }

  /// When the first is due; the queue must not be empty.
  std::uint64_t next() const {
    assert(!empty());
    return current_.empty() ? earliest_[lowest()] : current_.front().at;
  }

  /// Takes the first out; the queue must not be empty.
  Appointment pop() {
    assert(!empty());
    if (current_.empty()) reach_next();
    std::pop_heap(current_.begin(), current_.end(), std::greater<>());
    const Appointment first = current_.back();
    current_.pop_back();
    --size_;
    return first;
  }

 private:
  static constexpr std::size_t buckets = 64;
  static constexpr std::size_t few = 8;  // events, for which a heap is quicker than more buckets

  std::uint64_t next_number() {
    constexpr std::uint64_t mask = (std::uint64_t{1} << Appointment::number_bits) - 1;
    assert(number_ < mask && "a world has at most 10^12 events");
    return number_++ & mask;
  }

  std::size_t lowest() const { return static_cast<std::size_t>(std::countr_zero(occupied_)); }

  void put(const Appointment& event) {
    if (event.at < present_end_) {
      assert(event.at >= present_ && "time does not go back");
      current_.push_back(event);
      std::push_heap(current_.begin(), current_.end(), std::greater<>());
      return;
    }
    const auto bucket = static_cast<std::size_t>(std::bit_width(event.at ^ present_) - 1);
    if ((occupied_ >> bucket & 1) == 0 || event.at < earliest_[bucket])
      earliest_[bucket] = event.at;
    occupied_ |= std::uint64_t{1} << bucket;
    bucket_[bucket].push_back(event);
  }

  /// Moves on to the bucket of the earliest time, and spreads it over lower ones if it holds many.
  void reach_next() {
    const std::size_t from = lowest();
    occupied_ &= ~(std::uint64_t{1} << from);
    if (bucket_[from].size() <= few) {
      const std::uint64_t width = std::uint64_t{1} << from;
      present_ = earliest_[from] & ~(width - 1);
      present_end_ = present_ + width;
      current_.swap(bucket_[from]);
      std::make_heap(current_.begin(), current_.end(), std::greater<>());
      return;
    }
    present_ = earliest_[from];
    present_end_ = present_ + 1;
    spreading_.swap(bucket_[from]);
    for (const Appointment& event : spreading_) put(event);
    spreading_.clear();
  }

  std::array<std::vector<Appointment>, buckets> bucket_;
  std::array<std::uint64_t, buckets> earliest_{};  // of each bucket that is not empty
  std::uint64_t occupied_ = 0;
  std::vector<Appointment> current_;  // due in the present: a heap, the least in front
  std::vector<Appointment> spreading_;
  std::uint64_t present_ = 0;
  std::uint64_t present_end_ = 1;
  std::uint64_t number_ = 0;
  std::size_t size_ = 0;
};

}  // namespace koine::sim
