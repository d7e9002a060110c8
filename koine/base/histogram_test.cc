#include "koine/base/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "koine/base/random.h"

namespace koine {
namespace {

TEST(Histogram, HasNothingToSayBeforeSomethingIsRecorded) {
  const Histogram nothing;
  EXPECT_EQ(nothing.count(), 0U);
  EXPECT_EQ(nothing.min(), 0U);
  EXPECT_EQ(nothing.max(), 0U);
  EXPECT_EQ(nothing.mean(), 0);
  EXPECT_EQ(nothing.at(0.5), 0U);
}

TEST(Histogram, IsExactForSmallValues) {
  Histogram histogram;
  for (std::uint64_t value = 0; value < 256; ++value) histogram.record(value);
  EXPECT_EQ(histogram.min(), 0U);
  EXPECT_EQ(histogram.at(0.5), 127U);  // 128 of 256 values are at most 127
  EXPECT_EQ(histogram.at(0.75), 191U);
  EXPECT_EQ(histogram.max(), 255U);
  EXPECT_EQ(histogram.mean(), 127.5);
}

TEST(Histogram, TakesTheNearestRankAlsoWhereTheQuantileHasNoExactDouble) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 100; ++value) histogram.record(value);
  for (std::uint64_t percent = 1; percent <= 100; ++percent)
    EXPECT_EQ(histogram.at(static_cast<double>(percent) / 100), percent);
}

TEST(Histogram, NeverAnswersBelowTheTruthNorMoreThanOnePercentAboveIt) {
  // From nanoseconds to centuries: every order of magnitude equally often.
  Prng chance(2026);
  Histogram histogram;
  std::vector<std::uint64_t> all;
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t value = chance() >> chance.below(64);
    all.push_back(value);
    histogram.record(value);
  }
  std::sort(all.begin(), all.end());
  for (std::size_t rank = 1; rank <= all.size(); rank += 49) {
    const std::uint64_t truth = all[rank - 1];
    const std::uint64_t answer =
        histogram.at(static_cast<double>(rank) / static_cast<double>(all.size()));
    ASSERT_GE(answer, truth) << rank;
    ASSERT_LE(answer - truth, truth / Histogram::buckets_per_octave) << rank;
  }
  EXPECT_EQ(histogram.at(0), all.front());
  EXPECT_EQ(histogram.at(1), all.back());
}

TEST(Histogram, TellsTheEdgesOfItsBucketsApart) {
  // Around each power of two the width of the buckets doubles.
  for (int bit = 8; bit < 64; ++bit) {
    const std::uint64_t edge = std::uint64_t{1} << bit;
    Histogram histogram;
    histogram.record(edge - 1);
    histogram.record(edge);
    EXPECT_EQ(histogram.at(0.5), edge - 1) << bit;
    EXPECT_EQ(histogram.max(), edge) << bit;
  }
}

TEST(Histogram, HoldsTheLargestValueThereIs) {
  constexpr std::uint64_t largest = std::numeric_limits<std::uint64_t>::max();
  Histogram histogram;
  histogram.record(largest, 2);
  EXPECT_EQ(histogram.at(0.5), largest);
  EXPECT_EQ(histogram.mean(), static_cast<double>(largest));
}

TEST(Histogram, CountsOneValueManyTimes) {
  Histogram histogram;
  histogram.record(10, 999);
  histogram.record(500, 0);  // not at all
  histogram.record(2000, 1);
  EXPECT_EQ(histogram.count(), 1000U);
  EXPECT_EQ(histogram.at(0.999), 10U);
  EXPECT_EQ(histogram.at(0.9991), 2000U);
  EXPECT_NEAR(histogram.mean(), 11.99, 1e-9);
}

TEST(Histogram, AddedToAnotherIsAsIfAllHadBeenRecordedThere) {
  Prng chance(7);
  Histogram left;
  Histogram right;
  Histogram both;
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t value = chance.below(1'000'000);
    (chance.chance(0.3) ? left : right).record(value);
    both.record(value);
  }
  Histogram sum;
  sum.add(Histogram());  // nothing, and no minimum of 0
  sum.add(left);
  sum.add(right);
  EXPECT_EQ(sum.count(), both.count());
  EXPECT_EQ(sum.min(), both.min());
  EXPECT_EQ(sum.max(), both.max());
  EXPECT_DOUBLE_EQ(sum.mean(), both.mean());
  for (const double quantile : {0.01, 0.5, 0.9, 0.99, 0.999})
    EXPECT_EQ(sum.at(quantile), both.at(quantile)) << quantile;
}

}  // namespace
}  // namespace koine
