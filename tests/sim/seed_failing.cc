// Tests that fail, for seed_test.py: what do they say about their seeds?
#include "koine/sim/test_seed.h"

#include "koine/sim/world.h"

namespace koine {
namespace {

TEST(Failing, SaysItsSeed) {
  sim::World world{test_seed()};
  EXPECT_EQ(world.seed(), test_seed()) << "one test, one seed";
  ADD_FAILURE() << "seed=" << world.seed();
  ADD_FAILURE() << "and again";
}

class Parameters : public testing::TestWithParam<int> {};
TEST_P(Parameters, HaveSeedsOfTheirOwn) { ADD_FAILURE() << "seed=" << test_seed(); }
INSTANTIATE_TEST_SUITE_P(Two, Parameters, testing::Values(1, 2));

TEST(Passing, SaysNothing) { EXPECT_EQ(test_seed(), test_seed()); }

TEST(Failing, WithoutASeedSaysNothing) { ADD_FAILURE() << "seed=none"; }

TEST(Many, StopAtTheFirstThatFails) {
  try_seeds(10, [](std::uint64_t seed) {
    std::printf("tried %d\n", static_cast<int>(seed));
    EXPECT_NE(seed, 4U) << "seed=4";
  });
}

}  // namespace
}  // namespace koine
