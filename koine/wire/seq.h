// TCP's sequence numbers: positions on a circle of 2^32 (RFC 9293, section 3.4).
#pragma once

#include <cstdint>

namespace koine::wire {

/// A sequence or acknowledgment number.
///
/// Before and after are meaningful only between numbers less than 2^31 apart, and are no order in
/// the sense of std::map or std::sort: the circle has no first number.
struct Seq {
  std::uint32_t value = 0;

  constexpr Seq& operator+=(std::uint32_t count) {
    value += count;
    return *this;
  }
  constexpr Seq& operator-=(std::uint32_t count) {
    value -= count;
    return *this;
  }

  friend constexpr Seq operator+(Seq seq, std::uint32_t count) { return {seq.value + count}; }
  friend constexpr Seq operator-(Seq seq, std::uint32_t count) { return {seq.value - count}; }

  /// How far to go on from `from` to reach `to`.
  friend constexpr std::uint32_t operator-(Seq to, Seq from) { return to.value - from.value; }

  friend constexpr bool operator==(Seq, Seq) = default;
  friend constexpr bool operator<(Seq a, Seq b) {
    return static_cast<std::int32_t>(a.value - b.value) < 0;
  }
  friend constexpr bool operator>(Seq a, Seq b) { return b < a; }
  friend constexpr bool operator<=(Seq a, Seq b) { return !(b < a); }
  friend constexpr bool operator>=(Seq a, Seq b) { return !(a < b); }
};

/// True if `seq` is one of the `size` numbers that begin with `start`; exact for any size.
constexpr bool in_window(Seq seq, Seq start, std::uint32_t size) { return seq - start < size; }

constexpr Seq earlier(Seq a, Seq b) { return a < b ? a : b; }
constexpr Seq later(Seq a, Seq b) { return a < b ? b : a; }

}  // namespace koine::wire
