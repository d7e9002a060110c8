#include "koine/async/channel.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "koine/async/combine.h"
#include "koine/async/sleep.h"
#include "koine/async/story_test.h"
#include "koine/async/within.h"

namespace koine {
namespace {

struct World {
  explicit World(std::size_t items_max = 2) : channel(items_max) {}
  Channel<int> channel;
  std::vector<int> sent;
  std::vector<int> received;
  int ended = 0;
};

Task<void> send_all(World& world, int from, int count) {
  const Counted counted;
  for (int item = from; item < from + count; ++item) {
    if (!co_await world.channel.send(item)) co_return;
    world.sent.push_back(item);
  }
}

Task<void> receive_all(World& world) {
  const Counted counted;
  while (auto item = co_await world.channel.receive()) world.received.push_back(*item);
  ++world.ended;
}

std::vector<int> sorted(std::vector<int> items) {
  std::ranges::sort(items);
  return items;
}

/// Items of one sender are numbered in order within their hundred.
void expect_order_of_each_sender(const std::vector<int>& items) {
  std::map<int, int> last;
  for (const int item : items) {
    if (const auto before = last.find(item / 100); before != last.end()) {
      EXPECT_LT(before->second, item);
    }
    last[item / 100] = item;
  }
}

TEST(Channel, DeliversInOrderAndNeverHoldsMoreThanItMay) {
  VirtualTime time;
  World world(3);
  Started sender(time.loop(), send_all(world, 0, 50));
  time.run();
  EXPECT_EQ(world.channel.size(), 3U);
  EXPECT_EQ(world.sent, (std::vector<int>{0, 1, 2}));
  Started receiver(time.loop(), receive_all(world));
  time.run();
  EXPECT_EQ(world.received, world.sent);
  EXPECT_EQ(world.received.size(), 50U);
  EXPECT_TRUE(sender.done());
  EXPECT_FALSE(receiver.done());
}

TEST(Channel, ClosingLetsWhatIsInsideBeReceivedAndThenEnds) {
  VirtualTime time;
  World world(3);
  Started sender(time.loop(), send_all(world, 0, 3));
  time.run();
  {
    const Loop::Entered entered(time.loop());
    world.channel.close();
  }
  EXPECT_TRUE(world.channel.closed());
  auto answer = time.finish(world.channel.send(9));
  EXPECT_EQ(to_string(answer->error()), "send to a channel: closed");
  EXPECT_TRUE(time.finish(receive_all(world)));
  EXPECT_EQ(world.received, (std::vector<int>{0, 1, 2}));
}

TEST(Channel, ClosingSendsAwayAllWhoWait) {
  VirtualTime time;
  World full(1), empty(1);
  Started first(time.loop(), send_all(full, 0, 5));
  Started second(time.loop(), send_all(full, 100, 5));
  Started third(time.loop(), receive_all(empty));
  Started fourth(time.loop(), receive_all(empty));
  time.run();
  EXPECT_FALSE(first.done() || second.done() || third.done() || fourth.done());
  {
    const Loop::Entered entered(time.loop());
    full.channel.close();
    empty.channel.close();
  }
  time.run();
  EXPECT_TRUE(first.done() && second.done() && third.done() && fourth.done());
  EXPECT_EQ(full.sent, std::vector<int>{0});
  EXPECT_EQ(full.channel.size(), 1U) << "what was sent before is still there";
  EXPECT_EQ(empty.ended, 2);
}

TEST(Channel, AWokenSenderFindsItClosedAndTheRoomIsNotLost) {
  VirtualTime time;
  World world(1);
  Started sender(time.loop(), send_all(world, 0, 2));
  time.run();
  {
    const Loop::Entered entered(time.loop());
    EXPECT_EQ(world.channel.receive().attempt_once().value(), 0);  // wakes the sender
    world.channel.close();
  }
  time.run();
  EXPECT_TRUE(sender.done());
  EXPECT_EQ(world.sent, std::vector<int>{0});
  EXPECT_EQ(world.channel.size(), 0U);
}

// The one who was woken owns the place: a newcomer that runs before it queues up behind.
TEST(Channel, NobodyOvertakesWhoWaits) {
  VirtualTime time;
  World world(1);
  Started first(time.loop(), send_all(world, 0, 1));
  Started waiting(time.loop(), send_all(world, 100, 1));
  time.run();
  std::optional<Started<Task<void>>> newcomer(std::in_place, time.loop(),
                                              send_all(world, 200, 1));  // runs before `waiting`
  {
    const Loop::Entered entered(time.loop());
    EXPECT_EQ(world.channel.receive().attempt_once().value(), 0);
  }
  time.run();
  EXPECT_EQ(world.sent, (std::vector<int>{0, 100}));

  Started receiving(time.loop(), receive_all(world));
  time.run();
  EXPECT_EQ(world.received, (std::vector<int>{100, 200}));
  World other(1);
  auto one = [](World& from, int number, std::vector<int>& who) -> Task<void> {
    co_await from.channel.receive();
    who.push_back(number);
  };
  std::vector<int> who;
  Started longest(time.loop(), one(other, 1, who));
  time.run();
  Started late(time.loop(), one(other, 2, who));
  {
    const Loop::Entered entered(time.loop());
    EXPECT_TRUE(other.channel.send(5).attempt_once());
  }
  time.run();
  EXPECT_EQ(who, std::vector<int>{1});
}

TEST(Channel, PassesOnWhatOnlyMoves) {
  VirtualTime time;
  auto story = []() -> Task<int> {
    Channel<std::unique_ptr<int>> channel(1);
    auto item = std::make_unique<int>(6);
    EXPECT_TRUE(co_await channel.send(std::move(item)));
    auto received = co_await channel.receive();
    co_return **received;
  };
  EXPECT_EQ(time.finish(story()), 6);
}

TEST(Channel, DestroysWhatIsLeftInside) {
  VirtualTime time;
  {
    Channel<Counted> channel(3);
    EXPECT_TRUE(time.finish(channel.send(Counted()))->has_value());
    EXPECT_TRUE(time.finish(channel.send(Counted()))->has_value());
    EXPECT_EQ(Counted::alive, 2);
  }
  expect_nothing_left(time);
}

TEST(Channel, ATaskThatIsAlwaysServedDoesNotStarveOthers) {
  VirtualTime time;
  auto alone = [](bool& stop) -> Task<void> {  // sends to itself, and so never has to wait
    Channel<int> channel(1);
    while (!stop) {
      EXPECT_TRUE(co_await channel.send(1));
      EXPECT_TRUE(co_await channel.receive());
    }
  };
  auto other = [](bool& stop) -> Task<void> {
    co_await yield();
    stop = true;
  };
  bool stop = false;
  Started greedy(time.loop(), alone(stop));
  EXPECT_TRUE(time.finish(other(stop)));
  time.run();
  EXPECT_TRUE(greedy.done());
}

TEST(Channel, LosesAndDoublesNothingWhoeverIsCancelledWhenever) {
  cancel_each_at_every_step<World>(
      [](World& world) {
        std::vector<Task<void>> tasks;
        tasks.push_back(send_all(world, 0, 4));
        tasks.push_back(receive_all(world));
        tasks.push_back(send_all(world, 100, 5));
        tasks.push_back(receive_all(world));
        tasks.push_back(send_all(world, 200, 3));
        return tasks;
      },
      [](World& world) {
        EXPECT_EQ(sorted(world.received), sorted(world.sent));
        EXPECT_EQ(world.channel.size(), 0U);
        EXPECT_GE(world.sent.size(), 7U) << "a sender waits although there is room";
        world.channel.close();
      });
}

// Everything at random: patience, naps, and who is killed when.
Task<void> send_impatiently(World& world, int from, std::uint64_t seed) {
  Prng prng(seed);
  for (int item = from; item < from + 60; ++item) {
    if (prng.chance(0.3)) co_await sleep(Duration(prng.below(5)));
    if (prng.chance(0.5)) {
      if (co_await within(Duration(prng.below(8)), world.channel.send(item)))
        world.sent.push_back(item);
    } else {
      auto done = co_await first_of(world.channel.send(item), sleep(Duration(prng.below(8))));
      if (done.index() == 0) world.sent.push_back(item);
    }
  }
}

Task<void> receive_impatiently(World& world, std::uint64_t seed) {
  Prng prng(seed);
  for (;;) {
    if (prng.chance(0.3)) co_await sleep(Duration(prng.below(5)));
    if (prng.chance(0.5)) {
      auto item = co_await within(Duration(prng.below(8)), world.channel.receive());
      if (item && !*item) break;
      if (item) world.received.push_back(**item);
    } else {
      auto item = co_await first_of(sleep(Duration(prng.below(8))), world.channel.receive());
      if (item.index() == 0) continue;
      if (!std::get<1>(item)) break;
      world.received.push_back(*std::get<1>(item));
    }
  }
  ++world.ended;
}

TEST(Channel, LosesAndDoublesNothingHoweverTasksComeAndGo) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Prng prng(seed);
    VirtualTime time;
    World world(1 + prng.below(4));
    std::map<int, std::unique_ptr<Started<Task<void>>>> tasks;
    const auto start = [&](int number, Task<void> task) {
      tasks[number] = std::make_unique<Started<Task<void>>>(time.loop(), std::move(task));
    };
    for (int number = 0; number < 6; ++number)
      start(number, send_impatiently(world, 100 * number, prng()));
    for (int number = 6; number < 10; ++number) start(number, receive_impatiently(world, prng()));
    for (int killed = 0; killed < 12; ++killed) {
      for (std::uint64_t steps = prng.below(60); steps > 0; --steps) small_step(time);
      const int victim = static_cast<int>(prng.below(10));
      if (victim >= 6) {
        start(victim, receive_impatiently(world, prng()));  // a new one for the killed one
      } else {
        tasks[victim].reset();
      }
    }
    for (int step = 0; step < 20'000; ++step) small_step(time);  // until all senders are over
    {
      const Loop::Entered entered(time.loop());
      world.channel.close();
    }
    time.run();
    EXPECT_EQ(world.ended, 4);
    EXPECT_EQ(sorted(world.received), sorted(world.sent));
    expect_order_of_each_sender(world.sent);
    EXPECT_GT(world.received.size(), 60U);
  }
}

}  // namespace
}  // namespace koine
