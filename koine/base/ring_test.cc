#include "koine/base/ring.h"

#include <deque>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "koine/base/random.h"

namespace koine {
namespace {

TEST(Ring, DoesWhatADequeWouldDo) {
  Prng prng(3);
  for (const std::size_t capacity : {1U, 2U, 7U, 64U}) {
    Ring<std::string> ring(capacity);
    std::deque<std::string> model;
    for (int step = 0; step < 5'000; ++step) {
      if (prng.chance(0.5) && !ring.full()) {
        ring.push_back("item number " + std::to_string(step));
        model.push_back("item number " + std::to_string(step));
      } else if (!ring.empty()) {
        ASSERT_EQ(ring.front(), model.front());
        ASSERT_EQ(ring.pop_front(), model.front());
        model.pop_front();
      }
      ASSERT_EQ(ring.size(), model.size());
      ASSERT_EQ(ring.empty(), model.empty());
      ASSERT_EQ(ring.full(), model.size() == capacity);
    }
  }
}

TEST(Ring, DestroysWhatIsLeftInIt) {
  const auto shared = std::make_shared<int>(0);
  {
    Ring<std::shared_ptr<int>> ring(3);
    for (int i = 0; i < 3; ++i) ring.push_back(shared);
    ring.pop_front();
    ring.push_back(shared);
    EXPECT_EQ(shared.use_count(), 4);
  }
  EXPECT_EQ(shared.use_count(), 1);
}

TEST(Ring, HoldsWhatOnlyMoves) {
  Ring<std::unique_ptr<int>> ring(1);
  ring.push_back(std::make_unique<int>(5));
  EXPECT_EQ(*ring.pop_front(), 5);
}

TEST(Ring, IsNeverOverfilledNorReadWhenEmpty) {
  Ring<int> ring(1);
  EXPECT_DEATH(ring.front(), "empty");
  EXPECT_DEATH(ring.pop_front(), "empty");
  ring.push_back(1);
  EXPECT_DEATH(ring.push_back(2), "full");
}

}  // namespace
}  // namespace koine
