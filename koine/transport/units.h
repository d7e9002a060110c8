// Durations, sizes and rates as people write them, on a command line or in the query of an
// endpoint: `1m30s`, `64KiB`, `10k`.
//
// A number without a unit is never guessed at, and what cannot be represented exactly is refused
// rather than rounded. A mistake is Fault::malformed with its column (see mistake.h):
//
//     parse 10: malformed: at column 3: expected a unit: ns, us, ms, s, m, h or d
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "koine/base/error.h"
#include "koine/base/time.h"

namespace koine {

/// Reads `250ms`, `10s`, `1.5s`, `1m30s`, `2h`, `0`. Units, from large to small and each at most
/// once: d (24 hours), h, m, s, ms, us, ns. Only the last number may have a fraction, down to whole
/// nanoseconds. Not negative, and at most what Duration holds (292 years).
Result<Duration> parse_duration(std::string_view text);

/// In the form parse_duration() reads, exactly: `1m30s`, `1.5s`, `250ms`, `0s`; a minus in front of
/// what is below zero, which no parser here takes.
std::string format_duration(Duration duration);

/// Reads a number of bytes: `4096`, `64KiB`, `1MB`, `1.5GiB`. kB (or KB), MB, GB, TB, PB, EB are
/// powers of 1000, KiB, MiB, GiB, TiB, PiB, EiB powers of 1024 (IEC 80000-13); `64k` is asked back
/// about. A fraction must leave whole bytes.
Result<std::uint64_t> parse_size(std::string_view text);

/// In the form parse_size() reads, exactly, in the largest unit that leaves a whole number:
/// `64KiB`, `1MB`, `1500B`.
std::string format_size(std::uint64_t bytes);

/// Reads how many times a second: `5000`, `10k`, `1.5M`, `0.2`, with `/s` behind it or not. k, M
/// and G are powers of 1000. More than 0, at most 1e12, at most 18 digits.
Result<double> parse_rate(std::string_view text);

/// The shortest form that parse_rate() reads back as the same number: `10k`, `1.5M`, `0.2`.
std::string format_rate(double per_second);

}  // namespace koine
