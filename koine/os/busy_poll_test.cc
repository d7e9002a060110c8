#include "koine/os/busy_poll.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace koine::os {
namespace {

/// A clock on which a look takes a microsecond, and news that comes at some time.
struct Story {
  Instant now{};
  Instant news = Instant::max();
  int looks = 0;
  int yields = 0;

  bool spin(BusyPoll& busy_poll, Duration limit = Duration::max()) {
    return busy_poll.spin(
        limit,
        [this] {
          ++looks;
          now += 1us;
          return now >= news;
        },
        [this] { return now; }, [this] { ++yields; });
  }
};

TEST(BusyPoll, LooksUntilThereIsNews) {
  BusyPoll busy_poll(100us);
  Story story{.news = Instant(7us)};
  EXPECT_TRUE(story.spin(busy_poll));
  EXPECT_EQ(story.looks, 7);
}

TEST(BusyPoll, LooksNoLongerThanItsBound) {
  BusyPoll busy_poll(100us);
  Story story;
  EXPECT_FALSE(story.spin(busy_poll));
  EXPECT_EQ(story.looks, 100);
}

TEST(BusyPoll, LooksNoLongerThanADeadlineAllows) {
  BusyPoll busy_poll(100us);
  Story story;
  EXPECT_FALSE(story.spin(busy_poll, 30us));
  EXPECT_EQ(story.looks, 30);
}

TEST(BusyPoll, LetsOthersOnItsCoreRunAfterSomeLooks) {
  BusyPoll busy_poll(100us);
  Story story;
  story.spin(busy_poll);
  EXPECT_EQ(story.yields, 99 / static_cast<int>(BusyPoll::looks_between_yields));
}

TEST(BusyPoll, StopsLookingWhereNothingComes) {
  BusyPoll busy_poll(100us);
  Story story;
  for (int wait = 0; wait < 10; ++wait) {
    story.spin(busy_poll);
    busy_poll.waited(1s);
  }
  EXPECT_EQ(story.looks, 100 + 50 + 25 + 13);  // 12.5 us are over after the 13th
  EXPECT_EQ(busy_poll.window(), Duration::zero());
}

TEST(BusyPoll, LooksAgainOnceThatWouldHaveFoundSomething) {
  BusyPoll busy_poll(80us);
  for (int wait = 0; wait < 10; ++wait) busy_poll.waited(1s);
  ASSERT_EQ(busy_poll.window(), Duration::zero());
  std::vector<Duration> windows;
  for (int wait = 0; wait < 6; ++wait) {
    busy_poll.waited(70us);
    windows.push_back(busy_poll.window());
  }
  EXPECT_EQ(windows, (std::vector<Duration>{10us, 20us, 40us, 80us, 80us, 80us}));
}

TEST(BusyPoll, KeepsAWindowThatServes) {
  BusyPoll busy_poll(80us);
  busy_poll.waited(1s);
  for (int wait = 0; wait < 10; ++wait) busy_poll.waited(30us);
  EXPECT_EQ(busy_poll.window(), 40us);
}

TEST(BusyPoll, NeverLooksWithoutABound) {
  BusyPoll busy_poll(Duration::zero());
  EXPECT_FALSE(busy_poll.is_on());
  busy_poll.waited(Duration::zero());
  Story story;
  EXPECT_FALSE(story.spin(busy_poll));
  EXPECT_EQ(story.looks, 0);
}

/// Begins another spin within a look, as if on another thread, until `depth` spin at once.
int spinning_at_once(int depth) {
  if (depth == 0) return 0;
  BusyPoll busy_poll(1us);
  int others = 0;
  bool has_looked = false;
  busy_poll.spin(
      1us,
      [&] {
        has_looked = true;
        others = spinning_at_once(depth - 1);
        return true;
      },
      [] { return Instant(); }, [] {});
  return has_looked ? 1 + others : 0;
}

TEST(BusyPoll, NoMoreThreadsLookThanThereAreCores) {
  const int at_most = spinning_at_once(10'000);
  EXPECT_GE(at_most, 1);
  EXPECT_LE(at_most, static_cast<int>(std::thread::hardware_concurrency()));
  EXPECT_EQ(spinning_at_once(10'000), at_most);  // whoever has ended counts no more
}

}  // namespace
}  // namespace koine::os
