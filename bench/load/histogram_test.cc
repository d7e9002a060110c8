// The buckets of the load generator's histogram, at their edges and beyond.
#include "histogram.h"

#include <gtest/gtest.h>

#include <memory>

namespace {

TEST(Histogram, HasNoQuantileWithoutValues) {
  const auto histogram = std::make_unique<::histogram>();
  EXPECT_EQ(histogram_quantile_ns(histogram.get(), 0.5), 0);
}

TEST(Histogram, IsExactBelow128Nanoseconds) {
  for (std::uint64_t ns = 0; ns < 128; ++ns) {
    const auto histogram = std::make_unique<::histogram>();
    histogram_add(histogram.get(), ns);
    EXPECT_EQ(histogram_quantile_ns(histogram.get(), 0.5), static_cast<double>(ns));
  }
}

TEST(Histogram, IsRightWithinAHundredthAtEveryPowerOfTwoAndBesideIt) {
  for (unsigned power = 7; power < 64; ++power) {
    for (const int offset : {-1, 0, 1}) {
      const std::uint64_t ns = (std::uint64_t{1} << power) + static_cast<std::uint64_t>(offset);
      const auto histogram = std::make_unique<::histogram>();
      histogram_add(histogram.get(), ns);
      histogram_add(histogram.get(), UINT64_MAX);  // so that the maximum does not help
      const double value = static_cast<double>(ns);
      EXPECT_NEAR(histogram_quantile_ns(histogram.get(), 0.5), value, value * 0.008) << ns;
    }
  }
}

TEST(Histogram, FindsQuantilesOfAThousandDifferentValues) {
  const auto histogram = std::make_unique<::histogram>();
  for (std::uint64_t us = 1000; us > 0; --us) histogram_add(histogram.get(), us * 1000);
  EXPECT_NEAR(histogram_quantile_ns(histogram.get(), 0.5), 500e3, 4e3);
  EXPECT_NEAR(histogram_quantile_ns(histogram.get(), 0.9), 900e3, 8e3);
  EXPECT_NEAR(histogram_quantile_ns(histogram.get(), 0.999), 999e3, 8e3);
  EXPECT_EQ(histogram_quantile_ns(histogram.get(), 1), 1000e3);
  EXPECT_EQ(histogram->total, 1000u);
  EXPECT_EQ(histogram->max_ns, 1000'000u);
}

}  // namespace
