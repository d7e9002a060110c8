// Durations in words, as all of this folder writes them.
#pragma once

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string>

namespace koine::journey {

/// "0.42 us", "139.88 ms", "1.25 s"
inline std::string short_time(std::int64_t ns) {
  char text[40];
  const auto value = static_cast<double>(ns);
  if (ns < 1'000'000 && ns > -1'000'000) {
    std::snprintf(text, sizeof(text), "%.2f us", value / 1e3);
  } else if (ns < 1'000'000'000 && ns > -1'000'000'000) {
    std::snprintf(text, sizeof(text), "%.2f ms", value / 1e6);
  } else {
    std::snprintf(text, sizeof(text), "%.2f s", value / 1e9);
  }
  return text;
}

/// "415153.23 us": for columns.
inline std::string in_us(std::int64_t ns) {
  char text[40];
  std::snprintf(text, sizeof(text), "%.2f us", static_cast<double>(ns) / 1e3);
  return text;
}

}  // namespace koine::journey
