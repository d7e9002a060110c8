// The same stories in a simulated internet that loses, reorders and cuts.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "koine/app/server.h"
#include "koine/rsocket/stories_test.h"
#include "koine/sim/world.h"

namespace koine::rsocket {
namespace {

using namespace sim::literals;

Io<void> server_program(Network& network, std::shared_ptr<stories::Log> log) {
  Server server(network, log->service);
  auto listening = server.listen("tcp://:7001");
  co_await attempt(std::move(listening));
  co_await server.run();
  co_return {};
}

struct Told {
  sim::TraceHash trace;
  std::string error;  // the client's
  bool finished = false;
};

Told tell(std::uint64_t seed, double loss) {
  sim::World world{seed};
  auto& client = world.host("client");
  auto& server = world.host("server");
  world.link(client, server,
             {.rate = 20_Mbit, .delay = 5ms, .jitter = 2ms, .loss = loss, .reorder = 0.02});
  const auto log = std::make_shared<stories::Log>();
  server.run([log](Network& network) { return server_program(network, log); });
  client.run([](Network& network) {
    return stories::everything_at(network, "rsocket+tcp://server:7001");
  });
  world.run();
  const auto error = client.error();
  return {world.trace(), error ? to_string(*error) : "", client.finished()};
}

TEST(RsocketInAWorld, EveryAnswerIsRightHoweverManyFramesAreLost) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Told told = tell(seed, 0.03);
    EXPECT_TRUE(told.finished) << "seed " << seed << ": " << told.error;
  }
}

TEST(RsocketInAWorld, TheSameSeedTellsTheSameStory) {
  EXPECT_EQ(tell(7, 0.05).trace, tell(7, 0.05).trace);
}

TEST(RsocketInAWorld, AClientWhoseServerCrashesHearsOfIt) {
  sim::World world{3};
  auto& client = world.host("client");
  auto& server = world.host("server");
  world.link(client, server, {.delay = 5ms});
  const auto log = std::make_shared<stories::Log>();
  server.run([log](Network& network) { return server_program(network, log); });
  Fault fault = Fault::system;
  client.run([&fault](Network& network) -> Io<void> {
    PeerOptions options;
    options.connection.keepalive = 1s;
    options.connection.lifetime = 3s;
    auto connecting = connect(network, "rsocket+tcp://server:7001", options);
    auto peer = co_await attempt(std::move(connecting));
    auto call = peer->call("slow", "x");
    auto answer = co_await call;
    if (answer) co_return stories::wrong("an answer");
    fault = answer.error().fault();
    co_return {};
  });
  world.after(500ms, [&] { server.crash(); });
  world.run();
  EXPECT_TRUE(client.finished());
  EXPECT_EQ(fault, Fault::timed_out);
}

}  // namespace
}  // namespace koine::rsocket
