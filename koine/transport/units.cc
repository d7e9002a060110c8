#include "koine/transport/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "koine/transport/characters.h"
#include "koine/transport/mistake.h"

namespace koine {
namespace {

using url::is_digit;

__extension__ using Wide = unsigned __int128;

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// From large to small: printing takes the first that fits.
constexpr std::array time_units{
    Unit{"d", 86'400'000'000'000},
    Unit{"h", 3'600'000'000'000},
    Unit{"m", 60'000'000'000},
    Unit{"s", 1'000'000'000},
    Unit{"ms", 1'000'000},
    Unit{"us", 1'000},
    Unit{"ns", 1},
};
constexpr std::array size_units{
    Unit{"EiB", 1ULL << 60}, Unit{"EB", 1'000'000'000'000'000'000},
    Unit{"PiB", 1ULL << 50}, Unit{"PB", 1'000'000'000'000'000},
    Unit{"TiB", 1ULL << 40}, Unit{"TB", 1'000'000'000'000},
    Unit{"GiB", 1ULL << 30}, Unit{"GB", 1'000'000'000},
    Unit{"MiB", 1ULL << 20}, Unit{"MB", 1'000'000},
    Unit{"KiB", 1ULL << 10}, Unit{"kB", 1'000},
    Unit{"KB", 1'000},       Unit{"B", 1},
};
constexpr std::array rate_units{
    Unit{"G", 1'000'000'000},
    Unit{"M", 1'000'000},
    Unit{"k", 1'000},
    Unit{"", 1},
};

constexpr const char* time_unit_names = "ns, us, ms, s, m, h or d";
constexpr const char* size_unit_names = "B, kB, KiB, MB, MiB, GB, GiB, TB, TiB, PB, PiB, EB or EiB";
constexpr double rate_max = 1e12;

template <std::size_t count>
const Unit* find_unit(const std::array<Unit, count>& units, std::string_view name) {
  for (const Unit& unit : units)
    if (unit.name == name) return &unit;
  return nullptr;
}

/// A decimal number, digits / 10^decimals; zeros at the end of a fraction are dropped.
struct Decimal {
  std::uint64_t digits = 0;
  int decimals = 0;
  std::size_t size = 0;  // in the text
};

// Powers of ten up to 10^18 fit 64 bits, and so does every number of 18 digits.
constexpr int digits_max = 18;

constexpr std::uint64_t power_of_ten(int exponent) {
  std::uint64_t power = 1;
  while (exponent-- > 0) power *= 10;
  return power;
}

/// The number at `at`. Without a fraction it may be anything that fits 64 bits, with one it has at
/// most 18 digits.
Parsed<Decimal> read_decimal(std::string_view text, std::size_t at, const char* example) {
  const auto digits_end = [&](std::size_t from) {
    while (from < text.size() && is_digit(text[from])) ++from;
    return from;
  };
  const std::size_t point = digits_end(at);
  if (point == at)
    return mistaken(at,
                    std::string("expected a number, as in ") + example + ", " + found_at(text, at));
  std::size_t end = point;
  std::string digits(text.substr(at, point - at));
  Decimal decimal;
  if (point < text.size() && text[point] == '.') {
    end = digits_end(point + 1);
    if (end == point + 1)
      return mistaken(end, "expected a digit after the point, " + found_at(text, end));
    std::string_view fraction = text.substr(point + 1, end - point - 1);
    while (fraction.ends_with('0')) fraction.remove_suffix(1);
    digits += fraction;
    decimal.decimals = static_cast<int>(std::min<std::size_t>(fraction.size(), 1000));
  }
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  if (decimal.decimals > digits_max ||
      (decimal.decimals > 0 && digits.size() > static_cast<std::size_t>(digits_max)))
    return mistaken(at, "a number has at most 18 digits");
  const auto [rest, problem] =
      std::from_chars(digits.data(), digits.data() + digits.size(), decimal.digits);
  if (problem == std::errc::result_out_of_range)
    return mistaken(at, "a number is at most 18446744073709551615");
  decimal.size = end - at;
  return decimal;
}

enum class Misfit : std::uint8_t { too_fine, too_large };

/// number × factor, if that is a whole number and at most `max`.
std::expected<std::uint64_t, Misfit> scaled(const Decimal& decimal, std::uint64_t factor,
                                            std::uint64_t max) {
  const Wide product = static_cast<Wide>(decimal.digits) * factor;
  const std::uint64_t divisor = power_of_ten(decimal.decimals);
  if (product % divisor != 0) return std::unexpected(Misfit::too_fine);
  if (product / divisor > max) return std::unexpected(Misfit::too_large);
  return static_cast<std::uint64_t>(product / divisor);
}

std::size_t letters_end(std::string_view text, std::size_t at) {
  while (at < text.size() && !is_digit(text[at]) && text[at] != '.') ++at;
  return at;
}

Parsed<Duration> read_duration(std::string_view text) {
  constexpr auto max = static_cast<std::uint64_t>(std::numeric_limits<Duration::rep>::max());
  constexpr const char* example = "250ms or 1m30s";
  if (text == "0") return Duration();
  if (text.starts_with('-')) return mistaken(0, "a duration is not negative");
  std::uint64_t sum = 0;
  const Unit* last = nullptr;
  bool has_fraction = false;
  for (std::size_t at = 0; at < text.size() || last == nullptr;) {
    if (has_fraction) return mistaken(at, "only the last number of a duration may have a fraction");
    const auto number = read_decimal(text, at, example);
    if (!number) return std::unexpected(number.error());
    const std::size_t unit_at = at + number->size;
    const std::size_t unit_end = letters_end(text, unit_at);
    const std::string_view name = text.substr(unit_at, unit_end - unit_at);
    // Both characters that Unicode has for micro.
    const bool is_micro = name == "\xc2\xb5s" || name == "\xce\xbcs";
    const Unit* unit = find_unit(time_units, is_micro ? "us" : name);
    if (unit == nullptr)
      return mistaken(unit_at, std::string("expected a unit: ") + time_unit_names);
    if (last != nullptr && unit->factor >= last->factor)
      return mistaken(unit_at, "expected a unit smaller than " + std::string(last->name));
    const auto part = scaled(*number, unit->factor, max - sum);
    if (!part)
      return mistaken(at, part.error() == Misfit::too_fine ? "a duration is in whole nanoseconds"
                                                           : "a duration is at most 292 years");
    sum += *part;
    has_fraction = number->decimals > 0;
    last = unit;
    at = unit_end;
  }
  return Duration(static_cast<Duration::rep>(sum));
}

Parsed<std::uint64_t> read_size(std::string_view text) {
  if (text.starts_with('-')) return mistaken(0, "a size is not negative");
  const auto number = read_decimal(text, 0, "4096 or 64KiB");
  if (!number) return std::unexpected(number.error());
  const std::string_view name = text.substr(number->size);
  const Unit* unit = find_unit(size_units, name.empty() ? "B" : name);
  if (unit == nullptr) {
    if (name.size() == 1 && std::string_view("kKMGTPE").find(name[0]) != std::string_view::npos) {
      const std::string prefix(name == "k" ? "K" : name);
      return mistaken(number->size, "expected " + (prefix == "K" ? "k" : prefix) +
                                        "B for 1000s or " + prefix + "iB for 1024s");
    }
    return mistaken(number->size, std::string("expected a unit: ") + size_unit_names);
  }
  const auto bytes = scaled(*number, unit->factor, std::numeric_limits<std::uint64_t>::max());
  if (!bytes)
    return mistaken(0, bytes.error() == Misfit::too_fine ? "a size is in whole bytes"
                                                         : "a size is less than 16EiB");
  return *bytes;
}

Parsed<double> read_rate(std::string_view text) {
  if (text.starts_with('-')) return mistaken(0, "a rate is more than 0");
  const auto number = read_decimal(text, 0, "5000 or 10k");
  if (!number) return std::unexpected(number.error());
  std::string_view name = text.substr(number->size);
  if (name.ends_with("/s")) name.remove_suffix(2);
  const Unit* unit = find_unit(rate_units, name);
  if (unit == nullptr) return mistaken(number->size, "expected k, M, G, /s or the end");
  if (number->digits == 0) return mistaken(0, "a rate is more than 0");
  // The digits as text, with an exponent, so that the library rounds once.
  int exponent = -number->decimals;
  for (std::uint64_t factor = unit->factor; factor > 1; factor /= 10) ++exponent;
  const std::string plain = std::to_string(number->digits) + "e" + std::to_string(exponent);
  double rate = 0;
  std::from_chars(plain.data(), plain.data() + plain.size(), rate);
  if (rate > rate_max) return mistaken(0, "a rate is at most 1000G");
  return rate;
}

template <class T>
Result<T> or_error(std::string_view text, const Parsed<T>& parsed) {
  if (!parsed) return std::unexpected(malformed(text, parsed.error()));
  return *parsed;
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  return or_error(text, read_duration(text));
}

Result<std::uint64_t> parse_size(std::string_view text) { return or_error(text, read_size(text)); }

Result<double> parse_rate(std::string_view text) { return or_error(text, read_rate(text)); }

std::string format_duration(Duration duration) {
  if (duration == Duration()) return "0s";
  std::string text = duration < Duration() ? "-" : "";
  // The lowest duration has no positive counterpart in its own type.
  auto rest = static_cast<std::uint64_t>(duration.count());
  if (duration < Duration()) rest = 0 - rest;
  for (const Unit& unit : time_units) {
    if (rest < unit.factor) continue;
    text += std::to_string(rest / unit.factor);
    rest %= unit.factor;
    if (unit.factor <= 1'000'000'000 && rest != 0) {
      // From seconds down it is one number: 1.5s, not 1s500ms.
      std::string fraction = std::to_string(unit.factor + rest).substr(1);
      fraction.erase(fraction.find_last_not_of('0') + 1);
      text += "." + fraction;
      rest = 0;
    }
    text += unit.name;
    if (rest == 0) break;
  }
  return text;
}

std::string format_size(std::uint64_t bytes) {
  for (const Unit& unit : size_units)
    if (bytes >= unit.factor && bytes % unit.factor == 0)
      return std::to_string(bytes / unit.factor) + std::string(unit.name);
  return "0B";
}

std::string format_rate(double per_second) {
  const auto shortest = [](double number) {
    char text[400];  // the smallest double has 324 digits behind the point
    const auto end = std::to_chars(text, text + sizeof(text), number, std::chars_format::fixed);
    return std::string(text, end.ptr);
  };
  for (const Unit& unit : rate_units) {
    if (per_second < static_cast<double>(unit.factor) && unit.factor != 1) continue;
    std::string text =
        shortest(per_second / static_cast<double>(unit.factor)) + std::string(unit.name);
    if (unit.factor == 1 || parse_rate(text) == per_second) return text;
  }
  return shortest(per_second);
}

}  // namespace koine
