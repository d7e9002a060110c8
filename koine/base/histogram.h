// Histogram: how often which value occurred, in memory that never grows.
//
// Log-linear, in the manner of HdrHistogram (Tene): each power of two is cut into 128 equal
// buckets, values below 256 have one each. So a percentile is at most 1/128 (0.8 %) above the value
// that was recorded, over all 64 bits, and recording is a shift and an increment.
//
//     value  0 1 2 ... 255 | 256 258 260 ... 510 | 512 516 ... | ... up to 2^64 - 1
//     bucket 0 1 2 ... 255 | 256 257 258 ... 383 | 384 385 ... | ... 7423
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace koine {

/// 58 KiB, without an allocation. Values are of any unit; 0 is one like any other.
class Histogram {
 public:
  /// Buckets for each power of two; the relative error is 1 / buckets_per_octave.
  static constexpr std::uint64_t buckets_per_octave = 128;

  void record(std::uint64_t value, std::uint64_t times = 1);

  /// All that `other` has recorded as well.
  void add(const Histogram& other);

  std::uint64_t count() const { return count_; }

  /// The exact extremes; 0 if nothing was recorded.
  std::uint64_t min() const { return count_ == 0 ? 0 : min_; }
  std::uint64_t max() const { return max_; }

  /// The mean of what was recorded, exact up to rounding; 0 if nothing was.
  double mean() const;

  /// The value that at least the share `quantile` of what was recorded does not exceed (nearest
  /// rank): 0.5 for the median, 0.999 for p99.9. Never below the true one, at most 1/128 above it.
  /// 0 or less means min(), 1 or more max(); 0 if nothing was recorded.
  std::uint64_t at(double quantile) const;

 private:
  static constexpr int shift_max = 56;
  static constexpr std::size_t buckets = shift_max * buckets_per_octave + 2 * buckets_per_octave;

  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t highest_in(std::size_t bucket);

  std::uint64_t count_ = 0;
  std::uint64_t min_ = 0;
  std::uint64_t max_ = 0;
  long double sum_ = 0;
  std::array<std::uint64_t, buckets> times_{};
};

}  // namespace koine
