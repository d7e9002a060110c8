// Once warm, shards that talk to each other do not allocate: a message's memory comes from the
// frame pool of who sends it, goes to that of who hears it, and comes back with an answer.
#include <gtest/gtest.h>

#include "koine/async/event.h"
#include "koine/async/within.h"
#include "koine/os/shards.h"
#include "tests/allocation/allocations.h"

namespace koine::os {
namespace {

constexpr int rounds = 100;

/// What the last hundred of some more rounds on shard 0 allocate.
template <class Round>
std::size_t when_warm(Round round) {
  auto shards = Shards::make(2, {});
  EXPECT_TRUE(shards);
  std::size_t allocated = 0;
  Event over;  // on shard 1
  const auto ended = (*shards)->run([&](Shard& shard) -> Io<void> {
    if (shard.number == 1) co_return co_await within(60s, over.wait());
    for (int i = 0; i < 3; ++i) co_await round(**shards, shard);
    const std::size_t before = allocations();
    for (int i = 0; i < rounds; ++i) co_await round(**shards, shard);
    allocated = allocations() - before;
    (*shards)->post(1, [&] { over.set(); });
    co_return {};
  });
  EXPECT_TRUE(ended) << to_string(ended.error());
  return allocated;
}

TEST(ShardAllocations, AreNoneForACall) {
  EXPECT_EQ(when_warm([](Shards& shards, Shard& here) -> Task<void> {
              int asked = 3;
              auto asking = shards.call(here, 1, [asked] { return asked * 2; });
              EXPECT_EQ(co_await asking, 6);
            }),
            0);
}

TEST(ShardAllocations, AreNoneForMessagesThatAreAnswered) {
  EXPECT_EQ(when_warm([](Shards& shards, Shard&) -> Task<void> {
              Event answered;
              int left = 10;
              for (int i = 0; i < 10; ++i) {
                shards.post(1, [&] {
                  shards.post(0, [&] {
                    if (--left == 0) answered.set();
                  });
                });
              }
              co_await answered.wait();
            }),
            0);
}

}  // namespace
}  // namespace koine::os
