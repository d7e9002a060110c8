#include "koine/base/time.h"

#include <gtest/gtest.h>

namespace koine {
namespace {

TEST(Time, ASumStaysWithinWhatAnInstantCanHold) {
  EXPECT_EQ(later(Instant(1s), 2s), Instant(3s));
  EXPECT_EQ(later(Instant(1s), -2s), Instant(-1s));
  EXPECT_EQ(later(Instant(1s), Duration::max()), Instant::max());
  EXPECT_EQ(later(Instant::max(), 1ns), Instant::max());
  EXPECT_EQ(later(Instant(-1s), Duration::min()), Instant::min());
  EXPECT_EQ(later(Instant::max(), Duration::min()), Instant(-1ns));
  static_assert(later(Instant(), 1ns) == Instant(1ns));
}

}  // namespace
}  // namespace koine
