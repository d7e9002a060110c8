#include "koine/sim/world.h"

#include <gtest/gtest.h>

#include "koine/app/server.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/sim/story_test.h"
#include "koine/wire/pcapng.h"

namespace koine::sim {
namespace {

TEST(World, SurvivesALossyPath) {
  World world{7};
  auto& client = world.host("client");
  auto& server = world.host("server");
  world.link(client, server, {.rate = 10_Mbit, .delay = 20ms, .loss = 0.05});
  server.run(greet_server);
  client.run(greet_client);
  EXPECT_TRUE(world.run());
  EXPECT_TRUE(client.finished()) << why(client);
  EXPECT_FALSE(server.finished()) << "a server runs for ever";
}

TEST(World, TakesTheTimeOfItsLinks) {
  World world{1};
  auto& client = world.host("client");
  auto& server = world.host("server");
  world.link(client, server, {.delay = 100ms});
  Duration took{};
  server.run(greet_server);
  client.run([&took, &world](Network& network) -> Io<void> {
    auto greeting = greet_client(network);
    co_await attempt(std::move(greeting));
    took = world.now();
    co_return {};
  });
  world.run();
  ASSERT_TRUE(client.finished()) << why(client);
  // The server announces its address, and 100 ms later the client knows it; then the handshake and
  // three questions with their answers, each there and back.
  EXPECT_EQ(took, 900ms);
}

// What is told twice.
TraceHash story(std::uint64_t seed, double loss = 0.05) {
  World world{seed};
  auto& client = world.host("client");
  auto& server = world.host("server");
  world.link(client, server,
             {.rate = 5_Mbit, .delay = 10ms, .jitter = 3ms, .loss = loss, .reorder = 0.02});
  server.run(greet_server);
  client.run(greet_client);
  client.run(greet_client);
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
  return world.trace();
}

TEST(World, TheSameSeedTellsTheSameStoryAndAnotherSeedAnother) {
  EXPECT_EQ(story(1), story(1));
  EXPECT_NE(story(1), story(2));
  EXPECT_NE(story(1), story(1, 0.2));
}

TEST(World, ItsHostsAndLinksHaveChancesOfTheirOwnInWhateverOrderTheyAreMade) {
  Timeline timeline{5};
  Prng first = timeline.chance_for("host a");
  (void)timeline.chance_for("host b");
  Prng again = timeline.chance_for("host a");
  EXPECT_EQ(first(), again());
  EXPECT_NE(timeline.chance_for("host a")(), timeline.chance_for("host b")());
  EXPECT_NE(Timeline{6}.chance_for("host a")(), timeline.chance_for("host a")());
}

TEST(World, EndsWhenNothingIsLeftThatAnybodyWaitsFor) {
  World world{1};
  auto& host = world.host("lonely");
  host.run([](Network&) -> Io<void> {
    co_await sleep(1h);
    co_return {};
  });
  EXPECT_TRUE(world.run());
  EXPECT_EQ(world.now(), 1h);
  EXPECT_TRUE(host.finished());
}

TEST(World, StopsAtTheLimitOfTime) {
  World world{1};
  auto& host = world.host("restless");
  host.run([](Network&) -> Io<void> {
    for (;;) co_await sleep(1s);
  });
  EXPECT_FALSE(world.run(10s));
  EXPECT_GE(world.now(), 9s);
  EXPECT_LE(world.now(), 10s);
}

TEST(World, ActsWhenItIsTime) {
  World world{1};
  std::string order;
  world.after(2s, [&] { order += "c"; });
  world.after(1s, [&] {
    order += "a";
    world.after(0s, [&] { order += "b"; });
  });
  world.after(2s, [&] { order += "d"; });
  world.run_for(1500ms);
  EXPECT_EQ(order, "ab");
  EXPECT_EQ(world.now(), 1500ms);
  world.run();
  EXPECT_EQ(order, "abcd");
}

TEST(World, HostsAreKnownByTheirNamesAndByOthers) {
  World world{1};
  auto& client = world.host("Client");
  auto& server = world.host("server");
  EXPECT_EQ(&world.host("client"), &client) << "names are the same in capitals";
  world.link(client, server);
  EXPECT_EQ(client.v4(), IpAddress::v4(10, 0, 0, 1));
  EXPECT_EQ(to_string(server.v6()), "fd00::2");
  EXPECT_EQ(world.addresses_of("SERVER"), server.addresses());
  world.add_name("www.example.org", {server.v6()});
  EXPECT_EQ(world.addresses_of("www.example.org"), std::vector{server.v6()});
  EXPECT_TRUE(world.addresses_of("nobody").empty());
}

TEST(World, DialingSaysWhoRefusesAndWhoIsNotThere) {
  World world{1};
  auto& client = world.host("client");
  auto& server = world.host("server");
  world.link(client, server, {.delay = 1ms});
  std::string refused;
  std::string gone;
  std::string unknown;
  client.run([&](Network& network) -> Io<void> {
    auto first = dial(network, "tcp://10.0.0.2:9");
    refused = why(co_await first);
    auto second = dial(network, "tcp://10.0.0.77:9");
    gone = why(co_await second);
    auto third = dial(network, "tcp://nobody:9");
    unknown = why(co_await third);
    co_return {};
  });
  world.run();
  EXPECT_EQ(refused, "connect tcp://10.0.0.2:9: refused (after 3.0 ms)");
  EXPECT_EQ(gone, "connect tcp://10.0.0.77:9: unreachable (after 3.0 s)");
  EXPECT_EQ(unknown, "resolve nobody: not found: no host of this world has that name");
}

TEST(World, CarriesFramesLargeAndSmallOverIpv6) {
  World world{1};
  auto& client = world.host("client");
  auto& server = world.host("server");
  world.link(client, server, {.rate = 1_Gbit, .delay = 1ms, .mtu = 9000});
  world.add_name("server", {server.v6()});
  server.run(echo_server);
  client.run(echo_client);
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
}

TEST(World, AllItsMishapsTogetherLoseNoByte) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    World world{seed};
    auto& client = world.host("client");
    auto& server = world.host("server");
    world.link(client, server,
               {.rate = 20_Mbit,
                .delay = 5ms,
                .jitter = 2ms,
                .queue_bytes = 30'000,
                .loss = 0.01,
                .bursts = GilbertElliott{.to_bad = 0.002, .to_good = 0.3},
                .reorder = 0.02,
                .duplicate = 0.02,
                .corrupt = 0.02});
    server.run(echo_server);
    client.run(echo_client);
    world.run();
    EXPECT_TRUE(client.finished()) << "seed " << seed << ": " << why(client);
  }
}

TEST(World, CapturesWhatInterfacesSeeAndWhatBecameOfTheRest) {
  std::string file;
  World world{3};
  auto& client = world.host("client");
  auto& server = world.host("server");
  Link& cable = world.link(client, server, {.rate = 10_Mbit, .delay = 5ms, .loss = 0.2});
  world.capture(file);
  server.run(greet_server);
  client.run(greet_client);
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);

  wire::PcapngReader reader(as_bytes(file));
  std::map<std::string, int> frames;
  int lost = 0;
  for (;;) {
    const auto frame = reader.next();
    ASSERT_TRUE(frame) << to_string(frame.error());
    if (!*frame) break;
    const auto& interface = reader.interfaces()[(*frame)->interface];
    ++frames[interface.name];
    lost += (*frame)->comment.starts_with("lost, from ") ? 1 : 0;
  }
  const LinkCounters& there = cable.towards(server).counters();
  const LinkCounters& back = cable.towards(client).counters();
  EXPECT_EQ(frames["client:eth0"], static_cast<int>(there.frames + back.delivered));
  EXPECT_EQ(frames["server:eth0"], static_cast<int>(back.frames + there.delivered));
  EXPECT_EQ(lost, static_cast<int>(there.lost + back.lost));
  EXPECT_GT(lost, 0);
}

}  // namespace
}  // namespace koine::sim
