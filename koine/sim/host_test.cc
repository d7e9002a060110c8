#include "koine/sim/host.h"

#include <gtest/gtest.h>

#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/sim/story_test.h"
#include "koine/sim/world.h"

namespace koine::sim {
namespace {

class HostTest : public testing::Test {
 protected:
  World world{11};
  Host& client = world.host("client");
  Host& server = world.host("server");
  Link& cable = world.link(client, server, {.rate = 100_Mbit, .delay = 10ms});
};

/// Asks something each second and notes what happened.
Io<void> ask_each_second(Network& network, std::vector<std::string>& heard, int times) {
  for (int i = 0; i < times; ++i) {
    auto greeting = greet_client(network);
    const auto answer = co_await within(900ms, std::move(greeting));
    heard.push_back(answer ? "hello" : std::string(to_string(answer.error().fault())));
    co_await sleep(1s);
  }
  co_return {};
}

TEST_F(HostTest, WhoCrashesIsSilentAndRefusesOldConnectionsWhenItIsBack) {
  // A client that holds a connection across its server's crash.
  std::string after;
  server.run(greet_server);
  client.run([&](Network& network) -> Io<void> {
    auto dialing = dial(network, "tcp://server:4000");
    auto stream = co_await attempt(std::move(dialing));
    co_await sleep(10s);
    co_await attempt(write_all(*stream, "still there?\n"));
    const auto answer = co_await receive(*stream);
    after = answer ? "data" : to_string(answer.error().fault());
    co_return {};
  });
  world.after(2s, [&] { server.crash(); });
  world.after(5s, [&] { server.reboot(); });
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
  EXPECT_EQ(after, "connection reset") << "who was rebooted knows nothing of it (RFC 9293, 3.5.1)";
}

TEST_F(HostTest, AProgramRunsAgainAfterAReboot) {
  std::vector<std::string> heard;
  server.run(greet_server);
  client.run([&](Network& network) { return ask_each_second(network, heard, 4); });
  world.after(500ms, [&] { server.crash(); });
  world.after(2200ms, [&] { server.reboot(); });
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
  ASSERT_EQ(heard.size(), 4U);
  EXPECT_EQ(heard.front(), "hello");
  EXPECT_EQ(heard[1], "timed out");
  EXPECT_EQ(heard.back(), "hello");
}

TEST_F(HostTest, WhatAProgramHeldWhenItsMachineCrashedIsClosed) {
  std::unique_ptr<Stream> kept;
  server.run(greet_server);
  client.run([&](Network& network) -> Io<void> {
    auto dialing = dial(network, "tcp://server:4000");
    kept = co_await attempt(std::move(dialing));
    co_return {};
  });
  world.run();
  ASSERT_NE(kept, nullptr);
  client.crash();
  std::array<std::byte, 8> room;
  EXPECT_EQ(kept->read_now(room).error(), Fault::closed);
  EXPECT_EQ(kept->write_now(as_bytes("x")).error(), Fault::closed);
  EXPECT_EQ(client.open_sockets(), 1U) << "it is still in somebody's hands";
  kept.reset();
  EXPECT_EQ(client.open_sockets(), 0U);
}

TEST_F(HostTest, AMachineThatStandsStillGoesOnWhereItWas) {
  std::vector<std::string> heard;
  server.run(greet_server);
  client.run([&](Network& network) { return ask_each_second(network, heard, 3); });
  world.after(500ms, [&] { server.pause(); });
  world.after(1500ms, [&] { server.resume(); });
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
  EXPECT_EQ(heard, (std::vector<std::string>{"hello", "hello", "hello"}));
}

TEST_F(HostTest, ASleeperWakesByItsOwnClock) {
  Duration fast{};
  Duration slow{};
  client.set_clock_drift(100'000);  // gains a tenth
  server.set_clock_drift(-100'000);
  client.run([&](Network&) -> Io<void> {
    co_await sleep(11s);
    fast = world.now();
    co_return {};
  });
  server.run([&](Network&) -> Io<void> {
    co_await sleep(9s);
    slow = world.now();
    co_return {};
  });
  world.run();
  EXPECT_EQ(fast, 10s);
  EXPECT_EQ(slow, 10s);
}

TEST_F(HostTest, AClockThatJumpsAheadEndsASleep) {
  Duration woken{};
  client.run([&](Network&) -> Io<void> {
    co_await sleep(1h);
    woken = world.now();
    co_return {};
  });
  world.after(5s, [&] { client.step_clock(2h); });
  world.run();
  EXPECT_EQ(woken, 5s);
}

TEST_F(HostTest, ACutThatIsMendedInTimeIsOnlyADelay) {
  server.run(echo_server);
  client.run(echo_client);
  world.after(60ms, [&] { cable.cut(Cut::silently); });
  world.after(4s, [&] { cable.mend(); });
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
  EXPECT_GT(world.now(), 4s);
}

TEST_F(HostTest, APartitionThatLastsEndsInATimeoutNotInAWrongByte) {
  std::string after;
  server.run(greet_server);
  client.run([&](Network& network) -> Io<void> {
    auto dialing = dial(network, "tcp://server:4000");
    auto stream = co_await attempt(std::move(dialing));
    co_await sleep(1s);
    co_await attempt(write_all(*stream, "hello?\n"));
    const auto answer = co_await receive(*stream);
    after = answer ? "data" : to_string(answer.error().fault());
    co_return {};
  });
  world.after(500ms, [&] { cable.cut(Cut::silently); });
  world.run();
  EXPECT_TRUE(client.finished()) << why(client);
  EXPECT_EQ(after, "timed out");
}

TEST_F(HostTest, AProgramThatFailedSaysHow) {
  client.run([](Network& network) -> Io<void> {
    auto dialing = dial(network, "tcp://server:1");
    co_await attempt(std::move(dialing));
    co_return {};
  });
  world.run();
  EXPECT_FALSE(client.finished());
  ASSERT_TRUE(client.error());
  EXPECT_EQ(*client.error(), Fault::refused) << to_string(*client.error());
}

TEST_F(HostTest, SharedListenersAreGivenConnectionsInTurn) {
  ListenOptions shared;
  shared.shared = true;
  auto first = server.network().listen(Endpoint::tcp(any_v4, 80), shared).value();
  auto second = server.network().listen(Endpoint::tcp(any_v4, 80), shared).value();
  client.run([&](Network& network) -> Io<void> {
    std::vector<std::unique_ptr<Stream>> streams;
    for (int i = 0; i < 6; ++i) {
      auto dialing = dial(network, "tcp://server:80");
      streams.push_back(co_await attempt(std::move(dialing)));
    }
    co_await sleep(1s);
    co_return {};
  });
  world.run_for(900ms);
  for (const auto& listener : {first.get(), second.get()}) {
    int given = 0;
    while (listener->accept_now()) ++given;
    EXPECT_EQ(given, 3);
  }
}

TEST_F(HostTest, UdpHearsOfAClosedPort) {
  std::string heard;
  client.run([&](Network& network) -> Io<void> {
    auto socket = co_await attempt(network.bind(Endpoint::udp(any_v4, 0)));
    const Address nobody(server.v4(), 9);
    co_await attempt(socket->connect(nobody));
    co_await attempt(send_to(*socket, as_bytes("anyone?"), nobody));
    std::array<std::byte, 8> room;
    heard = why(co_await receive_from(*socket, room));
    co_return {};
  });
  world.run();
  EXPECT_TRUE(heard.ends_with(": refused")) << heard;
}

}  // namespace
}  // namespace koine::sim
