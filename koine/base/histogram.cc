#include "koine/base/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace koine {

/// A value of 8 bits or fewer stands for itself; of a longer one the highest 8 count.
std::size_t Histogram::bucket_of(std::uint64_t value) {
  const auto shift =
      static_cast<unsigned>(std::max(0, static_cast<int>(std::bit_width(value)) - 8));
  return static_cast<std::size_t>(shift * buckets_per_octave + (value >> shift));
}

std::uint64_t Histogram::highest_in(std::size_t bucket) {
  if (bucket < 2 * buckets_per_octave) return bucket;
  const std::uint64_t shift = bucket / buckets_per_octave - 1;
  const std::uint64_t high_bits = bucket - shift * buckets_per_octave;
  return ((high_bits + 1) << shift) - 1;  // of the last bucket: 2^64 - 1, by wrapping round
}

void Histogram::record(std::uint64_t value, std::uint64_t times) {
  if (times == 0) return;
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = std::max(max_, value);
  count_ += times;
  sum_ += static_cast<long double>(value) * static_cast<long double>(times);
  times_[bucket_of(value)] += times;
}

void Histogram::add(const Histogram& other) {
  if (other.count_ == 0) return;
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  count_ += other.count_;
  sum_ += other.sum_;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) times_[bucket] += other.times_[bucket];
}

double Histogram::mean() const {
  return count_ == 0 ? 0 : static_cast<double>(sum_ / static_cast<long double>(count_));
}

std::uint64_t Histogram::at(double quantile) const {
  if (quantile <= 0) return min();
  if (quantile >= 1) return max_;
  // 0.9 is not quite 9/10 as a double; ten values' p90 is the ninth all the same.
  constexpr long double just_below_one = 1 - 0x1p-50L;
  const auto rank = static_cast<std::uint64_t>(
      std::ceil(just_below_one * quantile * static_cast<long double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    seen += times_[bucket];
    if (times_[bucket] != 0 && seen >= rank) return std::min(highest_in(bucket), max_);
  }
  return max_;
}

}  // namespace koine
