#include "koine/sim/event_queue.h"

#include <gtest/gtest.h>

#include "koine/base/random.h"

namespace koine::sim {
namespace {

TEST(EventQueue, AnswersInTheOrderOfTimeThenComponentThenPuttingIn) {
  EventQueue queue;
  queue.push(5, 1);
  queue.push(3, 2);
  queue.push(5, 0);
  queue.push(3, 2);
  queue.push(0, 9);
  std::vector<std::pair<std::uint64_t, std::uint32_t>> order;
  std::vector<std::uint64_t> numbers;
  while (!queue.empty()) {
    EXPECT_LE(queue.next(), 5U);
    const Appointment event = queue.pop();
    order.emplace_back(event.at, event.component());
    numbers.push_back(event.order);
  }
  EXPECT_EQ(order, (decltype(order){{0, 9}, {3, 2}, {3, 2}, {5, 0}, {5, 1}}));
  EXPECT_LT(numbers[1], numbers[2]);
}

TEST(EventQueue, TakesEventsForTheInstantThatIsGoingOn) {
  EventQueue queue;
  queue.push(10, 5);
  EXPECT_EQ(queue.pop().component(), 5U);
  queue.push(10, 7);
  queue.push(10, 3);
  queue.push(11, 1);
  EXPECT_EQ(queue.next(), 10U);
  EXPECT_EQ(queue.pop().component(), 3U);
  EXPECT_EQ(queue.pop().component(), 7U);
  EXPECT_EQ(queue.pop().component(), 1U);
}

// Against a sorted list, with gaps of every size up to 2^62 ns (146 years).
TEST(EventQueue, AgreesWithASortedListOverManySeeds) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Prng chance(seed);
    EventQueue queue;
    std::multimap<std::pair<std::uint64_t, std::uint32_t>, int> list;
    std::uint64_t now = 0;
    for (int step = 0; step < 2'000; ++step) {
      if (list.empty() || chance.chance(0.55)) {
        const std::uint64_t gap = chance() >> (2 + chance.below(62));
        const std::uint64_t at = std::min(now + gap, std::uint64_t{1} << 62);
        const auto component = static_cast<std::uint32_t>(chance.below(4));
        queue.push(at, component);
        list.emplace(std::pair(at, component), 0);
        continue;
      }
      ASSERT_EQ(queue.size(), list.size());
      ASSERT_EQ(queue.next(), list.begin()->first.first) << "seed " << seed;
      const Appointment event = queue.pop();
      ASSERT_EQ(std::pair(event.at, event.component()), list.begin()->first) << "seed " << seed;
      list.erase(list.begin());
      now = event.at;
    }
  }
}

}  // namespace
}  // namespace koine::sim
