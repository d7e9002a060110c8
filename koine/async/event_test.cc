#include "koine/async/event.h"

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "koine/async/combine.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/story_test.h"
#include "koine/async/within.h"

namespace koine {
namespace {

Task<void> note_when(Event& event, int number, std::vector<int>& numbers) {
  co_await event.wait();
  numbers.push_back(number);
}

/// Runs what is ready, without moving the clock.
void settle(VirtualTime& time) {
  const Loop::Entered entered(time.loop());
  while (time.loop().run_ready()) {
  }
}

template <class Act>
void act(VirtualTime& time, Act what) {
  const Loop::Entered entered(time.loop());
  what();
}

TEST(Event, AllWhoWaitGoOnInTheOrderInWhichTheyCame) {
  VirtualTime time;
  Event event;
  std::vector<int> numbers;
  Started one(time.loop(), note_when(event, 1, numbers));
  Started two(time.loop(), note_when(event, 2, numbers));
  settle(time);
  EXPECT_TRUE(numbers.empty());
  EXPECT_FALSE(event.is_set());
  act(time, [&] { event.set(); });
  Started three(time.loop(), note_when(event, 3, numbers));
  settle(time);
  EXPECT_TRUE(event.is_set());
  EXPECT_EQ(numbers, (std::vector<int>{1, 2, 3}));
}

TEST(Event, ASetThatIsResetAtOnceStillWakesThoseWhoWaited) {
  VirtualTime time;
  Event event;
  std::vector<int> numbers;
  Started before(time.loop(), note_when(event, 1, numbers));
  settle(time);
  act(time, [&] {
    event.set();
    event.reset();
  });
  Started after(time.loop(), note_when(event, 2, numbers));
  settle(time);
  EXPECT_EQ(numbers, std::vector<int>{1});
  act(time, [&] { event.set(); });
  settle(time);
  EXPECT_EQ(numbers, (std::vector<int>{1, 2}));
}

TEST(Event, CanBeUsedAgainAfterReset) {
  VirtualTime time;
  Event event;
  std::vector<int> numbers;
  for (int round = 0; round < 3; ++round) {
    Started waiter(time.loop(), note_when(event, round, numbers));
    settle(time);
    act(time, [&] { event.set(); });
    act(time, [&] { event.set(); });
    settle(time);
    event.reset();
  }
  EXPECT_EQ(numbers, (std::vector<int>{0, 1, 2}));
}

TEST(Event, WhoIsCancelledAfterBeingWokenTakesNothingFromTheOthers) {
  VirtualTime time;
  Event event;
  std::vector<int> numbers;
  std::optional<Started<Task<void>>> one(std::in_place, time.loop(), note_when(event, 1, numbers));
  Started two(time.loop(), note_when(event, 2, numbers));
  settle(time);
  act(time, [&] { event.set(); });
  one.reset();
  settle(time);
  EXPECT_EQ(numbers, std::vector<int>{2});
}

TEST(Event, DyingLeavesThoseWhoWaitWaiting) {
  VirtualTime time;
  std::optional<Event> event(std::in_place);
  std::vector<int> numbers;
  std::optional<Started<Task<void>>> one(std::in_place, time.loop(), note_when(*event, 1, numbers));
  settle(time);
  event.reset();
  settle(time);
  EXPECT_FALSE(one->done());
  one.reset();
  expect_nothing_left(time);
}

Task<void> hold(Semaphore& semaphore, int number, Duration duration, std::vector<int>& order) {
  auto permit = co_await semaphore.acquire();
  order.push_back(number);
  co_await sleep(duration);
}

TEST(Semaphore, LetsInAsManyAsItHasPermitsAndTheOthersInTheirOrder) {
  VirtualTime time;
  Semaphore semaphore(2);
  std::vector<int> order;
  auto story = [](Semaphore& shared, std::vector<int>& numbers) -> Io<void> {
    Scope scope;
    for (int number = 0; number < 6; ++number)
      scope.spawn(hold, std::ref(shared), number, 1s, std::ref(numbers));
    co_await sleep(500ms);
    EXPECT_EQ(numbers.size(), 2U);
    EXPECT_EQ(shared.available(), 0U);
    co_return co_await scope.join();
  };
  EXPECT_TRUE(time.finish(story(semaphore, order)));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(semaphore.available(), 2U);
  EXPECT_EQ(time.now(), Instant(3s));
}

TEST(Semaphore, NobodyOvertakesWhoWaits) {
  VirtualTime time;
  Semaphore semaphore(1);
  std::vector<int> order;
  auto greedy = [](Semaphore& shared, std::vector<int>& numbers) -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      auto permit = co_await shared.acquire();
      numbers.push_back(100);
      permit = {};  // and asks for the next one at once
    }
  };
  Started one(time.loop(), hold(semaphore, 1, 1s, order));
  Started two(time.loop(), hold(semaphore, 2, 1s, order));
  Started three(time.loop(), greedy(semaphore, order));
  Started four(time.loop(), hold(semaphore, 4, 1s, order));
  time.run();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 100, 4, 100, 100}));
  EXPECT_EQ(semaphore.available(), 1U);
}

TEST(Semaphore, APermitCanBeHandedOn) {
  VirtualTime time;
  Semaphore semaphore(1);
  auto story = [](Semaphore& shared) -> Task<void> {
    auto permit = co_await shared.acquire();
    Semaphore::Permit kept = std::move(permit);
    permit = {};
    EXPECT_EQ(shared.available(), 0U);
    kept = Semaphore::Permit();
    EXPECT_EQ(shared.available(), 1U);
  };
  EXPECT_TRUE(time.finish(story(semaphore)));
}

TEST(Semaphore, WhoNeverWaitsForAPermitDoesNotStarveOthers) {
  VirtualTime time;
  Semaphore semaphore(1);
  bool stop = false;
  auto greedy = [](Semaphore& shared, const bool& enough) -> Task<void> {
    while (!enough) auto permit = co_await shared.acquire();
  };
  auto other = [](bool& enough) -> Task<void> {
    for (int i = 0; i < 3; ++i) co_await yield();
    enough = true;
  };
  Started one(time.loop(), greedy(semaphore, stop));
  EXPECT_TRUE(time.finish(other(stop)));
  time.run();
  EXPECT_TRUE(one.done());
  EXPECT_EQ(semaphore.available(), 1U);
}

struct PermitWorld {
  Semaphore semaphore{2};
  int inside = 0;
  int finished = 0;
};

struct Inside {
  explicit Inside(int& given) : count(given) { EXPECT_LE(++count, 2); }
  ~Inside() { --count; }
  int& count;
};

Task<void> visit(PermitWorld& world, int number) {
  const Counted counted;
  for (int i = 0; i < 2; ++i) {
    auto permit = co_await world.semaphore.acquire();
    const Inside inside(world.inside);
    if (number % 2 == 0) co_await yield();
    co_await sleep(Duration(number));
  }
  ++world.finished;
}

TEST(Semaphore, LosesNoPermitWhoeverIsCancelledWhenever) {
  cancel_each_at_every_step<PermitWorld>(
      [](PermitWorld& world) {
        std::vector<Task<void>> tasks;
        for (int number = 0; number < 5; ++number) tasks.push_back(visit(world, number));
        return tasks;
      },
      [](PermitWorld& world) {
        EXPECT_GE(world.finished, 4) << "somebody waits for a permit that is gone";
        EXPECT_EQ(world.semaphore.available(), 2U);
      });
}

// Patience runs out at random while permits come and go.
Task<void> impatient(PermitWorld& world, std::uint64_t seed) {
  Prng prng(seed);
  for (int i = 0; i < 50; ++i) {
    auto permit = co_await within(Duration(prng.below(6)), world.semaphore.acquire());
    if (permit) {
      const Inside inside(world.inside);
      co_await sleep(Duration(prng.below(4)));
    }
    auto either = co_await first_of(world.semaphore.acquire(), sleep(Duration(prng.below(4))),
                                    world.semaphore.acquire());
    if (either.index() != 1) {
      const Inside inside(world.inside);
      co_await sleep(Duration(prng.below(4)));
    }
  }
  ++world.finished;
}

TEST(Semaphore, LosesNoPermitWhenPatienceRunsOut) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    VirtualTime time;
    PermitWorld world;
    std::deque<Started<Task<void>>> tasks;
    for (std::uint64_t i = 0; i < 6; ++i)
      tasks.emplace_back(time.loop(), impatient(world, 100 * seed + i));
    time.run();
    EXPECT_EQ(world.finished, 6);
    EXPECT_EQ(world.semaphore.available(), 2U);
  }
}

}  // namespace
}  // namespace koine
