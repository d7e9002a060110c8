#include "koine/sim/router.h"

#include <gtest/gtest.h>

#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/sim/story_test.h"
#include "koine/sim/world.h"

namespace koine::sim {
namespace {

// client - a ---- b - server
//            \  /
//             c
class Triangle : public testing::Test {
 protected:
  World world{21};
  Host& client = world.host("client");
  Host& server = world.host("server");
  Router& a = world.router("a");
  Router& b = world.router("b");
  Router& c = world.router("c");
  Link& at_client = world.link(client, a, {.rate = 100_Mbit, .delay = 1ms});
  Link& direct = world.link(a, b, {.rate = 10_Mbit, .delay = 5ms});
  Link& first_half = world.link(a, c, {.rate = 5_Mbit, .delay = 5ms});
  Link& second_half = world.link(c, b, {.rate = 5_Mbit, .delay = 5ms});
  Link& at_server = world.link(b, server, {.rate = 100_Mbit, .delay = 1ms});

  /// The hop from `router` towards the server.
  IpAddress hop_from(const Router& router) const {
    const stack::Ip network = wire::Ipv4Address::of(10, 0, 4, 0);
    const auto found = router.routes().find({network, 24});
    return found == router.routes().end() ? any_v4 : ip_of_hop(found->second.front());
  }
  static IpAddress ip_of_hop(const stack::Route& route) {
    return parse_ip(stack::to_string(route.gateway)).value();
  }
};

TEST_F(Triangle, RoutersFindTheShortestWay) {
  world.run_for(2s);
  EXPECT_EQ(hop_from(a), IpAddress::v4(10, 0, 1, 2)) << "b, on the faster cable";
  EXPECT_EQ(a.link_state()->neighbors(), 2U);
  EXPECT_EQ(a.link_state()->routers(), 3U);
  EXPECT_TRUE(b.routes().contains({wire::Ipv4Address::of(10, 0, 0, 0), 24}));
  EXPECT_TRUE(b.routes().contains({wire::Ipv6Address{std::uint64_t{0xfd} << 56, 0}, 64}));
}

TEST_F(Triangle, PacketsTravelByIpv4AndIpv6) {
  world.run_for(1s);
  server.run(echo_server);
  client.run(echo_client);
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
  EXPECT_GT(a.stack()->counters().forwarded, 200U);
  const auto forwarded = a.stack()->counters().forwarded;
  world.add_name("server", {server.v6()});
  client.run(echo_client);
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
  EXPECT_GT(a.stack()->counters().forwarded, forwarded + 200);
}

TEST_F(Triangle, AStreamGoesAroundACableThatWasPulledOut) {
  world.run_for(1s);
  server.run(echo_server);
  client.run(echo_client);
  world.after(100ms, [&] { direct.cut(); });
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
  EXPECT_EQ(hop_from(a), IpAddress::v4(10, 0, 2, 2)) << "c";
  EXPECT_GT(c.stack()->counters().forwarded, 100U);
  direct.mend();
  world.run_for(3s);
  EXPECT_EQ(hop_from(a), IpAddress::v4(10, 0, 1, 2)) << "the old way is the best again";
  EXPECT_EQ(a.link_state()->neighbors(), 2U);
}

// Nobody sees that the cable is dead but by its silence: a second, and the news travels.
TEST_F(Triangle, AStreamGoesAroundABlackHoleAfterTheDeadInterval) {
  world.run_for(1s);
  server.run(echo_server);
  client.run(echo_client);
  world.after(100ms, [&] { direct.cut(Cut::silently); });
  world.run_for(1s);
  EXPECT_EQ(hop_from(a), IpAddress::v4(10, 0, 1, 2));
  world.run_for(500ms);
  EXPECT_EQ(hop_from(a), IpAddress::v4(10, 0, 2, 2));
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
}

TEST_F(Triangle, ARouterThatCrashesIsGoneAroundAndTakenBackWhenItBoots) {
  world.run_for(1s);
  EXPECT_EQ(c.link_state()->neighbors(), 2U);
  direct.cut();
  world.run_for(1s);
  EXPECT_EQ(hop_from(a), IpAddress::v4(10, 0, 2, 2));
  c.crash();
  world.run_for(3s);
  EXPECT_EQ(hop_from(a), any_v4) << "there is no way";
  c.reboot();
  world.run_for(3s);
  EXPECT_EQ(hop_from(a), IpAddress::v4(10, 0, 2, 2));
  EXPECT_GT(c.link_state()->counters().updates, 0U);
}

TEST_F(Triangle, WhereNoWayLeadsIsUnreachable) {
  world.run_for(1s);
  direct.cut();
  second_half.cut();
  world.run_for(3s);
  std::string heard;
  client.run([&](Network& network) -> Io<void> {
    auto dialing = dial(network, Endpoint::tcp(server.v4(), 4000));
    heard = why(co_await dialing);
    co_return {};
  });
  world.run();
  EXPECT_TRUE(heard.find(": unreachable") != std::string::npos) << heard;
}

TEST(Router, APacketThatTravelsTooFarDiesAndItsSenderHearsOfIt) {
  World world{22};
  auto& near = world.host("near", {.ttl = 1});
  auto& far = world.host("far");
  auto& middle = world.router("middle");
  world.link(near, middle);
  world.link(middle, far);
  world.run_for(1s);
  for (const IpAddress& address : far.addresses()) {
    const auto died = middle.stack()->counters().ttl_expired;
    std::string heard;
    near.run([&](Network& network) -> Io<void> {
      auto dialing = dial(network, Endpoint::tcp(address, 4000));
      heard = why(co_await dialing);
      co_return {};
    });
    world.run();
    EXPECT_TRUE(heard.find(": unreachable") != std::string::npos) << heard;
    EXPECT_EQ(middle.stack()->counters().ttl_expired, died + 1);
  }
}

TEST(Router, SpreadsFlowsOverEquallyLongWaysAndKeepsEachOnOne) {
  World world{5};
  auto& client = world.host("client");
  auto& server = world.host("server");
  auto& in = world.router("in");
  auto& left = world.router("left");
  auto& right = world.router("right");
  auto& out = world.router("out");
  const LinkOptions cable{.rate = 100_Mbit, .delay = 2ms};
  world.link(client, in, cable);
  world.link(in, left, cable);
  world.link(in, right, cable);
  world.link(left, out, cable);
  world.link(right, out, cable);
  world.link(out, server, cable);
  world.run_for(2s);
  server.run(greet_server);
  for (int i = 0; i < 40; ++i) client.run(greet_client);
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
  const auto by_left = left.stack()->counters().forwarded;
  const auto by_right = right.stack()->counters().forwarded;
  EXPECT_GT(by_left, 100U);
  EXPECT_GT(by_right, 100U);
}

// Neither end knows of the narrow cable between the routers.
TEST(Router, CutsDatagramsForASmallerLinkAndTellsTcpItsSize) {
  World world{5};
  auto& client = world.host("client");
  auto& server = world.host("server");
  auto& near = world.router("near");
  auto& far = world.router("far");
  world.link(client, near, {.delay = 1ms});
  world.link(near, far, {.delay = 1ms, .mtu = 1280});
  world.link(far, server, {.delay = 1ms});
  world.run_for(1s);
  server.run(echo_server);
  for (const IpAddress& address : server.addresses()) {
    const auto told = near.stack()->counters().icmp_out;
    world.add_name("server", {address});
    client.run(echo_client);
    world.run();
    EXPECT_TRUE(client.finished()) << to_string(address) << why(client);
    EXPECT_GT(near.stack()->counters().icmp_out, told) << "too big, for " << to_string(address);
  }
  const std::string text = pattern(4'000);
  std::string heard;
  server.run([&](Network& network) -> Io<void> {
    auto socket = co_await attempt(network.bind(Endpoint::udp(any_v4, 7)));
    heard.resize(5'000);
    const auto received =
        co_await attempt(receive_from(*socket, std::as_writable_bytes(std::span(heard))));
    heard.resize(received.size);
    co_return {};
  });
  client.run([&](Network& network) -> Io<void> {
    auto socket = co_await attempt(network.bind(Endpoint::udp(any_v4, 0)));
    co_await attempt(send_to(*socket, as_bytes(text), Address(server.v4(), 7)));
    co_return {};
  });
  world.run();
  EXPECT_TRUE(heard == text) << heard.size();
}

}  // namespace
}  // namespace koine::sim
