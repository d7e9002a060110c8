// How many bits a link carries in a second: `10_Mbit`.
#pragma once

#include <cstddef>
#include <cstdint>

#include "koine/base/time.h"

namespace koine::sim {

/// Bits a second, in powers of 1000 as data rates are counted. None: as fast as it comes.
struct Rate {
  std::uint64_t bits_per_second = 0;

  constexpr bool is_limited() const { return bits_per_second != 0; }

  /// How long `bytes` take, rounded up to whole nanoseconds; zero without a limit.
  constexpr Duration time_for(std::size_t bytes) const {
    if (!is_limited()) return {};
    const Wide bits = static_cast<Wide>(bytes) * 8 * 1'000'000'000;
    return Duration(static_cast<Duration::rep>((bits + bits_per_second - 1) / bits_per_second));
  }

  /// How many bytes that time is worth, rounded down.
  constexpr std::size_t bytes_in(Duration time) const {
    const Wide bits = static_cast<Wide>(time.count()) * bits_per_second;
    return static_cast<std::size_t>(bits / 8 / 1'000'000'000);
  }

  friend constexpr bool operator==(Rate, Rate) = default;

 private:
  __extension__ using Wide = unsigned __int128;
};

inline namespace literals {

constexpr Rate operator""_bit(unsigned long long count) { return {count}; }
constexpr Rate operator""_kbit(unsigned long long count) { return {count * 1'000}; }
constexpr Rate operator""_Mbit(unsigned long long count) { return {count * 1'000'000}; }
constexpr Rate operator""_Gbit(unsigned long long count) { return {count * 1'000'000'000}; }

}  // namespace literals
}  // namespace koine::sim
