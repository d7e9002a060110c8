#include "koine/sim/switch.h"

#include <gtest/gtest.h>

#include "koine/sim/story_test.h"
#include "koine/sim/world.h"

namespace koine::sim {
namespace {

TEST(Switch, LearnsWhoIsWhereAndFloodsNoMore) {
  World world{1};
  auto& fabric = world.ethernet_switch("fabric");
  auto& client = world.host("client");
  auto& server = world.host("server");
  auto& stranger = world.host("stranger");
  for (Host* host : {&client, &server, &stranger}) world.link(*host, fabric, {.rate = 1_Gbit});
  EXPECT_EQ(server.v4(), IpAddress::v4(10, 0, 0, 2));
  EXPECT_EQ(stranger.v4(), IpAddress::v4(10, 0, 0, 3)) << "one network";
  server.run(echo_server);
  client.run(echo_client);
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
  EXPECT_GT(fabric.counters().forwarded, 400U);
  EXPECT_LT(fabric.counters().flooded, 20U);
  EXPECT_LT(stranger.stack()->counters().frames_in, 20U);
}

TEST(Switch, ForgetsWhoWasSilentForLong) {
  World world{1};
  auto& fabric = world.ethernet_switch("fabric", {.ageing = 10s});
  auto& client = world.host("client");
  auto& server = world.host("server");
  auto& stranger = world.host("stranger");
  for (Host* host : {&client, &server, &stranger}) world.link(*host, fabric);
  server.run(greet_server);
  client.run(greet_client);
  world.run();
  const auto flooded = fabric.counters().flooded;
  world.run_for(11s);
  // The server's address is known to the client, and no longer to the switch.
  client.run(greet_client);
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
  EXPECT_GT(fabric.counters().flooded, flooded);
}

class Ring : public testing::Test {
 protected:
  void build(bool guarded) {
    for (int i = 0; i < 3; ++i)
      switches.push_back(&world.ethernet_switch("s" + std::to_string(i), {.loop_guard = guarded}));
    for (std::size_t i = 0; i < 3; ++i)
      cables.push_back(
          &world.link(*switches[i], *switches[(i + 1) % 3], {.rate = 10_Mbit, .delay = 10us}));
    world.link(client, *switches[0]);
    world.link(server, *switches[1]);
    server.run(greet_server);
    client.run(greet_client);
  }
  int blocked() const {
    int count = 0;
    for (Switch* each : switches)
      for (std::size_t port = 0; port < each->nic_count(); ++port)
        count += each->is_blocked(each->nic(port)) ? 1 : 0;
    return count;
  }

  World world{1};
  Host& client = world.host("client");
  Host& server = world.host("server");
  std::vector<Switch*> switches;
  std::vector<Link*> cables;
};

TEST_F(Ring, WithItsGuardOneCableCarriesNothing) {
  build(true);
  EXPECT_EQ(blocked(), 2) << "the two ends of one cable";
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
}

TEST_F(Ring, TheIdleCableTakesOverWhenAnotherIsPulledOut) {
  build(true);
  world.run();
  for (Link* cable : cables) {
    cable->cut();
    EXPECT_EQ(blocked(), 0);
    client.run(greet_client);
    world.run();
    EXPECT_TRUE(client.finished()) << why(client);
    cable->mend();
    EXPECT_EQ(blocked(), 2);
  }
}

TEST_F(Ring, WithoutItsGuardABroadcastCirclesForEver) {
  build(false);
  EXPECT_FALSE(world.run(2s)) << "a storm";
  EXPECT_GT(switches[0]->counters().flooded, 1'000U);
}

}  // namespace
}  // namespace koine::sim
