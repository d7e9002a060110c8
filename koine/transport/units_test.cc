#include "koine/transport/units.h"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "koine/base/random.h"

namespace koine {
namespace {

using Texts = std::vector<std::pair<std::string, std::string>>;

template <class T>
std::string why_not(const Result<T>& parsed) {
  return parsed ? "is good" : std::string(parsed.error().note());
}

TEST(Units, DurationsAreReadAsPeopleWriteThem) {
  const std::vector<std::pair<std::string, Duration>> durations{
      {"0", 0s},
      {"0s", 0s},
      {"0.0ms", 0s},
      {"1ns", 1ns},
      {"250ms", 250ms},
      {"10s", 10s},
      {"010s", 10s},
      {"1.5s", 1500ms},
      {"1.50s", 1500ms},
      {"0.000000001s", 1ns},
      {"1.000000000000000000000s", 1s},  // zeros say nothing
      {"7us", 7us},
      {"7\xc2\xb5s", 7us},
      {"7\xce\xbcs", 7us},
      {"1m30s", 90s},
      {"1m1.5s", 61500ms},
      {"2h", 2h},
      {"1d", 24h},
      {"1d2h3m4s5ms6us7ns", 26h + 3min + 4s + 5ms + 6us + 7ns},
      {"90m", 90min},
      {"0.5h", 30min},
      {"9223372036854775807ns", Duration::max()},
      {"106751d23h47m16.854775807s", Duration::max()},
  };
  for (const auto& [text, duration] : durations) {
    const auto parsed = parse_duration(text);
    ASSERT_TRUE(parsed) << to_string(parsed.error());
    EXPECT_EQ(*parsed, duration) << text;
    EXPECT_EQ(parse_duration(format_duration(duration)), duration) << text;
  }
}

TEST(Units, DurationsAreWrittenExactlyAndShortly) {
  EXPECT_EQ(format_duration(0s), "0s");
  EXPECT_EQ(format_duration(1ns), "1ns");
  EXPECT_EQ(format_duration(1234567ns), "1.234567ms");
  EXPECT_EQ(format_duration(1500ms), "1.5s");
  EXPECT_EQ(format_duration(90s), "1m30s");
  EXPECT_EQ(format_duration(1h + 500ms), "1h500ms");
  EXPECT_EQ(format_duration(36h), "1d12h");
  EXPECT_EQ(format_duration(-90s), "-1m30s");
  EXPECT_EQ(format_duration(Duration::max()), "106751d23h47m16.854775807s");
  EXPECT_EQ(format_duration(Duration::min()), "-106751d23h47m16.854775808s");
}

TEST(Units, WhatIsNoDurationIsPointedAt) {
  const Texts mistakes{
      {"", "at column 1: expected a number, as in 250ms or 1m30s, found the end"},
      {"s", "at column 1: expected a number, as in 250ms or 1m30s, found 's'"},
      {" 1s", "at column 1: expected a number, as in 250ms or 1m30s, found ' '"},
      {"forever", "at column 1: expected a number, as in 250ms or 1m30s, found 'f'"},
      {".5s", "at column 1: expected a number, as in 250ms or 1m30s, found '.'"},
      {"-1s", "at column 1: a duration is not negative"},
      {"+1s", "at column 1: expected a number, as in 250ms or 1m30s, found '+'"},
      {"10", "at column 3: expected a unit: ns, us, ms, s, m, h or d"},
      {"00", "at column 3: expected a unit: ns, us, ms, s, m, h or d"},
      {"10 s", "at column 3: expected a unit: ns, us, ms, s, m, h or d"},
      {"10s ", "at column 3: expected a unit: ns, us, ms, s, m, h or d"},
      {"10sec", "at column 3: expected a unit: ns, us, ms, s, m, h or d"},
      {"10S", "at column 3: expected a unit: ns, us, ms, s, m, h or d"},
      {"1h5", "at column 4: expected a unit: ns, us, ms, s, m, h or d"},
      {"1.s", "at column 3: expected a digit after the point, found 's'"},
      {"1.", "at column 3: expected a digit after the point, found the end"},
      {"1.2.3s", "at column 4: expected a unit: ns, us, ms, s, m, h or d"},
      {"30s1m", "at column 5: expected a unit smaller than s"},
      {"1s1s", "at column 4: expected a unit smaller than s"},
      {"1.5h30m", "at column 5: only the last number of a duration may have a fraction"},
      {"1.5ns", "at column 1: a duration is in whole nanoseconds"},
      {"0.0000000001s", "at column 1: a duration is in whole nanoseconds"},
      {"9223372036854775808ns", "at column 1: a duration is at most 292 years"},
      {"106751d23h47m16.854775808s", "at column 14: a duration is at most 292 years"},
      {"18446744073709551615d", "at column 1: a duration is at most 292 years"},
      {"18446744073709551616ns", "at column 1: a number is at most 18446744073709551615"},
      {"0.1234567890123456789s", "at column 1: a number has at most 18 digits"},
      {"1234567890.123456789s", "at column 1: a number has at most 18 digits"},
  };
  for (const auto& [text, reason] : mistakes)
    EXPECT_EQ(why_not(parse_duration(text)), reason) << text;
  EXPECT_EQ(to_string(parse_duration("10").error()),
            "parse 10: malformed: at column 3: expected a unit: ns, us, ms, s, m, h or d");
}

TEST(Units, SizesAreReadAsPeopleWriteThem) {
  const std::vector<std::pair<std::string, std::uint64_t>> sizes{
      {"0", 0},
      {"4096", 4096},
      {"4096B", 4096},
      {"64KiB", 65536},
      {"1kB", 1000},
      {"1KB", 1000},
      {"1MB", 1'000'000},
      {"1.5MiB", 1'572'864},
      {"0.5KiB", 512},
      {"1.001kB", 1001},
      {"1GiB", 1ULL << 30},
      {"1TiB", 1ULL << 40},
      {"1PiB", 1ULL << 50},
      {"1EiB", 1ULL << 60},
      {"15.5EiB", 31ULL << 59},
      {"3TB", 3'000'000'000'000},
      {"3PB", 3'000'000'000'000'000},
      {"3EB", 3'000'000'000'000'000'000},
      {"18446744073709551615", UINT64_MAX},
  };
  for (const auto& [text, size] : sizes) {
    const auto parsed = parse_size(text);
    ASSERT_TRUE(parsed) << to_string(parsed.error());
    EXPECT_EQ(*parsed, size) << text;
    EXPECT_EQ(parse_size(format_size(size)), size) << text;
  }
}

TEST(Units, SizesAreWrittenExactly) {
  EXPECT_EQ(format_size(0), "0B");
  EXPECT_EQ(format_size(1), "1B");
  EXPECT_EQ(format_size(1500), "1500B");
  EXPECT_EQ(format_size(2000), "2kB");
  EXPECT_EQ(format_size(65536), "64KiB");
  EXPECT_EQ(format_size(1'000'000), "1MB");
  EXPECT_EQ(format_size(1ULL << 63), "8EiB");
  EXPECT_EQ(format_size(UINT64_MAX), "18446744073709551615B");
}

TEST(Units, WhatIsNoSizeIsPointedAt) {
  const std::string units =
      "expected a unit: B, kB, KiB, MB, MiB, GB, GiB, TB, TiB, PB, PiB, EB or EiB";
  const Texts mistakes{
      {"", "at column 1: expected a number, as in 4096 or 64KiB, found the end"},
      {"KiB", "at column 1: expected a number, as in 4096 or 64KiB, found 'K'"},
      {"-1", "at column 1: a size is not negative"},
      {"0x10", "at column 2: " + units},
      {"1,5MB", "at column 2: " + units},
      {"64 KiB", "at column 3: " + units},
      {"64KiBs", "at column 3: " + units},
      {"64Kb", "at column 3: " + units},  // bits are something else
      {"64mib", "at column 3: " + units},
      // dd means 1024 by k, disks are sold by 1000.
      {"64k", "at column 3: expected kB for 1000s or KiB for 1024s"},
      {"64K", "at column 3: expected kB for 1000s or KiB for 1024s"},
      {"64M", "at column 3: expected MB for 1000s or MiB for 1024s"},
      {"0.5", "at column 1: a size is in whole bytes"},
      {"0.0001kB", "at column 1: a size is in whole bytes"},
      {"16EiB", "at column 1: a size is less than 16EiB"},
      {"19EB", "at column 1: a size is less than 16EiB"},
      {"18446744073709551616", "at column 1: a number is at most 18446744073709551615"},
  };
  for (const auto& [text, reason] : mistakes) EXPECT_EQ(why_not(parse_size(text)), reason) << text;
}

TEST(Units, RatesAreReadAsPeopleWriteThem) {
  const std::vector<std::pair<std::string, double>> rates{
      {"1", 1},
      {"5000", 5000},
      {"5000/s", 5000},
      {"10k", 10'000},
      {"10k/s", 10'000},
      {"1.5M", 1.5e6},
      {"2G", 2e9},
      {"0.2", 0.2},
      {"0.1k", 100},
      {"1000G", 1e12},
      {"0.000000000000000001", 1e-18},
  };
  for (const auto& [text, rate] : rates) {
    const auto parsed = parse_rate(text);
    ASSERT_TRUE(parsed) << to_string(parsed.error());
    EXPECT_EQ(*parsed, rate) << text;
    EXPECT_EQ(parse_rate(format_rate(rate)), rate) << text;
  }
}

TEST(Units, RatesAreWrittenShortly) {
  EXPECT_EQ(format_rate(1), "1");
  EXPECT_EQ(format_rate(0.2), "0.2");
  EXPECT_EQ(format_rate(999), "999");
  EXPECT_EQ(format_rate(1000), "1k");
  EXPECT_EQ(format_rate(1234), "1.234k");
  EXPECT_EQ(format_rate(1.5e6), "1.5M");
  EXPECT_EQ(format_rate(2e9), "2G");
  EXPECT_EQ(format_rate(std::numeric_limits<double>::min()).size(), 326U);  // long, but all there
}

TEST(Units, WhatIsNoRateIsPointedAt) {
  const Texts mistakes{
      {"", "at column 1: expected a number, as in 5000 or 10k, found the end"},
      {"k", "at column 1: expected a number, as in 5000 or 10k, found 'k'"},
      {"inf", "at column 1: expected a number, as in 5000 or 10k, found 'i'"},
      {"-1", "at column 1: a rate is more than 0"},
      {"0", "at column 1: a rate is more than 0"},
      {"0.0k", "at column 1: a rate is more than 0"},
      {"1K", "at column 2: expected k, M, G, /s or the end"},
      {"1m", "at column 2: expected k, M, G, /s or the end"},
      {"1/m", "at column 2: expected k, M, G, /s or the end"},
      {"1e3", "at column 2: expected k, M, G, /s or the end"},
      {"1 k", "at column 2: expected k, M, G, /s or the end"},
      {"1/s/s", "at column 2: expected k, M, G, /s or the end"},
      {"1000000000001", "at column 1: a rate is at most 1000G"},
  };
  for (const auto& [text, reason] : mistakes) EXPECT_EQ(why_not(parse_rate(text)), reason) << text;
}

TEST(Units, WhateverIsWrittenIsReadAsTheSame) {
  Prng random(7);
  for (int round = 0; round < 50'000; ++round) {
    // Of every magnitude, and as often round numbers as crooked ones.
    std::uint64_t number = random() >> (1 + random.below(63));
    if (random.chance(0.5)) {
      const std::uint64_t step = random.chance(0.5) ? 1000 : 60;
      for (std::uint64_t i = random.below(5); i > 0 && number < UINT64_MAX / 2 / step; --i)
        number *= step;
    }
    const Duration duration(static_cast<Duration::rep>(number));
    ASSERT_EQ(parse_duration(format_duration(duration)), duration) << number;
    ASSERT_EQ(parse_size(format_size(number)), number);
    if (number > 0 && number <= 1'000'000'000'000) {
      const auto rate = static_cast<double>(number);
      ASSERT_EQ(parse_rate(format_rate(rate)), rate) << number;
    }
  }
}

TEST(Units, MutatedTextsGiveAnErrorOrSurviveTheRoundTrip) {
  Prng random(8);
  const std::vector<std::string> seeds{"1m30s", "250ms", "64KiB",   "1.5MB",
                                       "10k/s", "0.25",  "1d2h3m4s"};
  constexpr std::string_view letters = "0123456789..smhdunkKMGTiB/ -";
  int good = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string text = seeds[random.below(seeds.size())];
    for (std::uint64_t changes = 1 + random.below(4); changes > 0 && !text.empty(); --changes) {
      const std::size_t at = random.below(text.size());
      const char letter = letters[random.below(letters.size())];
      switch (random.below(3)) {
        case 0: text[at] = letter; break;
        case 1: text.insert(at + random.below(2), 1, letter); break;
        default: text.erase(at, 1);
      }
    }
    if (const auto duration = parse_duration(text)) {
      ++good;
      ASSERT_EQ(parse_duration(format_duration(*duration)), *duration) << text;
    }
    if (const auto size = parse_size(text)) {
      ++good;
      ASSERT_EQ(parse_size(format_size(*size)), *size) << text;
    }
    if (const auto rate = parse_rate(text)) {
      ++good;
      ASSERT_EQ(parse_rate(format_rate(*rate)), *rate) << text;
    }
  }
  EXPECT_GT(good, 10'000);
}

}  // namespace
}  // namespace koine
