// Once warm, nothing that waits allocates. Frames, children and what they share come from the frame
// pool; lists, timers and operations live where they are used.
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "koine/async/channel.h"
#include "koine/async/combine.h"
#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/virtual_time.h"
#include "koine/async/within.h"
#include "tests/allocation/allocations.h"

namespace koine {
namespace {

/// What all rounds share; it is made before anybody counts.
struct World {
  Channel<int> channel{4};
  Channel<int> back{1};
  Semaphore permits{1};
  Event event;
};

using Round = Task<void> (*)(World&);

Task<std::size_t> count(Round round, World& world) {
  for (int i = 0; i < 3; ++i) co_await round(world);
  const std::size_t before = allocations();
  for (int i = 0; i < 100; ++i) co_await round(world);
  co_return allocations() - before;
}

/// How much a hundred rounds allocate after the first three.
std::size_t when_warm(Round round) {
  VirtualTime time;
  World world;
  auto counted = time.finish(count(round, world));
  EXPECT_TRUE(counted) << "the round waits for ever";
  return counted.value_or(~std::size_t{0});
}

Task<int> child(int value) { co_return value; }

Io<int> parent(int depth) {
  if (depth == 0) co_return 1;
  co_return 1 + co_await attempt(parent(depth - 1));
}

Io<void> wordless() { co_return fail(Fault::would_block); }

Task<void> call_tasks(World&) {
  co_await child(1);
  co_await parent(20);
  co_await wordless();
}

Task<void> nap(Duration duration) { co_await sleep(duration); }

Task<void> wait_for_time(World&) {
  co_await sleep(1ms);
  co_await yield();
  co_await within(1s, nap(2ms));
  co_await within(1h, within(1min, nap(0s)));
}

Task<void> echo(World& world, int number) {
  co_await world.channel.receive();
  co_await world.back.send(number);
}

Task<void> spawn(World& world) {
  Scope scope;
  for (int i = 0; i < 10; ++i) scope.spawn(nap(Duration(i)));
  scope.spawn(echo, std::ref(world), 7);
  scope.spawn(echo(world, 8));
  for (int i = 0; i < 2; ++i) {
    co_await world.channel.send(i);
    co_await world.back.receive();
  }
  co_await scope.join();
}

Task<void> cancel(World&) {
  Scope scope;
  for (int i = 0; i < 10; ++i) scope.spawn(nap(1h));
  co_await yield();
  scope.cancel();
  co_await scope.join();
  scope.spawn(nap(1h));
}

Task<void> pass_items(World& world) {
  for (int i = 0; i < 50; ++i) {
    co_await all(world.channel.send(i), world.channel.receive());
    co_await world.channel.send(i);
    co_await world.channel.send(i);
    co_await world.channel.receive();
    co_await within(1s, world.channel.receive());
  }
}

Task<void> set(World& world) {
  co_await yield();
  world.event.set();
}

Task<void> signal(World& world) {
  co_await all(world.event.wait(), set(world), world.event.wait());
  world.event.reset();
  auto permit = co_await world.permits.acquire();
  co_await first_of(world.permits.acquire(), sleep(1ms));
}

TEST(AsyncAllocates, NothingToCallTasks) { EXPECT_EQ(when_warm(call_tasks), 0U); }
TEST(AsyncAllocates, NothingToWaitForTime) { EXPECT_EQ(when_warm(wait_for_time), 0U); }
TEST(AsyncAllocates, NothingToSpawnAndJoin) { EXPECT_EQ(when_warm(spawn), 0U); }
TEST(AsyncAllocates, NothingToCancel) { EXPECT_EQ(when_warm(cancel), 0U); }
TEST(AsyncAllocates, NothingToPassItems) { EXPECT_EQ(when_warm(pass_items), 0U); }
TEST(AsyncAllocates, NothingToSignal) { EXPECT_EQ(when_warm(signal), 0U); }

// What goes wrong may say so in words, and those are allocated; it also shows that the count works.
TEST(AsyncAllocates, TheWordsOfAnErrorOnly) {
  const Round time_out = [](World&) -> Task<void> { co_await within(1ms, nap(1h)); };
  EXPECT_EQ(when_warm(time_out), 100U);
}

}  // namespace
}  // namespace koine
