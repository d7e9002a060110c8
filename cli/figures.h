// Numbers as people read them: three digits are enough, and units make them short.
#pragma once

#include <cstdint>
#include <string>

#include "koine/base/time.h"

namespace koine::cli {

/// "1,234,567"
std::string grouped(std::uint64_t number);

/// Three significant digits: "0.0123", "12.3", "123", "123,456".
std::string three_digits(double number);

/// "812 ns", "81.2 us", "1.02 ms", "12.0 s"
std::string short_time(Duration duration);

/// "812 B/s", "4.00 MB/s": powers of 1000.
std::string byte_rate(double per_second);

/// "812", "62.5k", "1.20M": for narrow columns.
std::string short_count(double number);

}  // namespace koine::cli
