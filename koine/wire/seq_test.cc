#include "koine/wire/seq.h"

#include <gtest/gtest.h>

namespace koine::wire {
namespace {

// Every comparison has to hold wherever on the circle it takes place (RFC 9293, section 3.4).
constexpr std::uint32_t places[] = {0,           1,           0x7fff'fffe, 0x7fff'ffff,
                                    0x8000'0000, 0x8000'0001, 0xffff'fffe, 0xffff'ffff};

TEST(Seq, ComparesAcrossTheWrap) {
  for (const std::uint32_t place : places) {
    const Seq seq{place};
    for (const std::uint32_t step : {1u, 2u, 65'535u, 0x4000'0000u, 0x7fff'ffffu}) {
      EXPECT_LT(seq, seq + step);
      EXPECT_LE(seq, seq + step);
      EXPECT_GT(seq + step, seq);
      EXPECT_GE(seq + step, seq);
      EXPECT_FALSE(seq + step < seq);
      EXPECT_FALSE(seq + step <= seq);
      EXPECT_EQ((seq + step) - seq, step);
      EXPECT_EQ((seq + step) - step, seq);
      EXPECT_EQ(later(seq, seq + step), seq + step);
      EXPECT_EQ(earlier(seq, seq + step), seq);
    }
    EXPECT_LE(seq, seq);
    EXPECT_GE(seq, seq);
    EXPECT_FALSE(seq < seq);
  }
}

TEST(Seq, IsInAWindowUpToItsLastNumber) {
  for (const std::uint32_t place : places) {
    const Seq start{place};
    EXPECT_FALSE(in_window(start, start, 0));
    EXPECT_TRUE(in_window(start, start, 1));
    EXPECT_FALSE(in_window(start + 1, start, 1));
    EXPECT_FALSE(in_window(start - 1, start, 1));
    EXPECT_TRUE(in_window(start + 0x3fff'ffff, start, 0x4000'0000));
    EXPECT_FALSE(in_window(start + 0x4000'0000, start, 0x4000'0000));
  }
}

}  // namespace
}  // namespace koine::wire
