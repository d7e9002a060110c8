#include "koine/base/fifo.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "koine/base/random.h"

namespace koine {
namespace {

TEST(Fifo, DoesWhatADequeWouldDo) {
  Prng chance(1);
  Fifo<int> fifo;
  std::deque<int> expected;
  for (int i = 0; i < 20'000; ++i) {
    // Grows and shrinks in turn.
    const bool grows = chance.below(100) < (i / 1000 % 2 == 0 ? 60U : 45U);
    if (grows || expected.empty()) {
      fifo.push_back(i);
      expected.push_back(i);
    } else {
      ASSERT_EQ(fifo.front(), expected.front());
      fifo.pop_front();
      expected.pop_front();
    }
    ASSERT_EQ(fifo.size(), expected.size());
    ASSERT_EQ(fifo.empty(), expected.empty());
    if (expected.empty()) continue;
    const std::size_t index = chance.below(expected.size());
    ASSERT_EQ(fifo[index], expected[index]);
  }
}

TEST(Fifo, HoldsNothingOfWhatLeft) {
  Fifo<std::shared_ptr<int>> fifo;
  const auto item = std::make_shared<int>(1);
  for (int i = 0; i < 9; ++i) fifo.push_back(item);
  EXPECT_EQ(item.use_count(), 10);
  fifo.pop_front();
  EXPECT_EQ(item.use_count(), 9);
  fifo.clear();
  EXPECT_EQ(item.use_count(), 1);
  EXPECT_TRUE(fifo.empty());
  fifo.push_back(item);
  EXPECT_EQ(fifo.front(), item);
}

}  // namespace
}  // namespace koine
