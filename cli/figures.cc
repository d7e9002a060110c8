#include "cli/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace koine::cli {
namespace {

struct Scaled {
  double number;
  std::size_t steps;
};

/// `number` divided by 1000 so often that three digits show it, at most `steps_max` times.
Scaled scaled(double number, std::size_t steps_max) {
  Scaled result{number, 0};
  while (result.number >= 999.5 && result.steps < steps_max) {
    result.number /= 1000;
    ++result.steps;
  }
  return result;
}

}  // namespace

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

std::string three_digits(double number) {
  if (number >= 999.5) return grouped(static_cast<std::uint64_t>(std::llround(number)));
  if (number <= 0) return "0";
  // 9.996 is 10.0, not 10.00.
  const int before = static_cast<int>(std::floor(std::log10(number * 1.0005))) + 1;
  return fmt::format("{:.{}f}", number, std::clamp(3 - before, 0, 6));
}

std::string short_time(Duration duration) {
  constexpr std::array units{"ns", "us", "ms", "s"};
  const auto ns = static_cast<double>(duration.count());
  if (ns < 1000) return fmt::format("{} ns", duration.count());
  const auto [number, steps] = scaled(ns, units.size() - 1);
  return three_digits(number) + " " + units[steps];
}

std::string byte_rate(double per_second) {
  constexpr std::array units{"B/s", "kB/s", "MB/s", "GB/s", "TB/s"};
  const auto [number, steps] = scaled(per_second, units.size() - 1);
  return three_digits(number) + " " + units[steps];
}

std::string short_count(double number) {
  constexpr std::array units{"", "k", "M", "G"};
  if (number < 999.5) return three_digits(number);
  const auto [short_number, steps] = scaled(number, units.size() - 1);
  return three_digits(short_number) + units[steps];
}

}  // namespace koine::cli
