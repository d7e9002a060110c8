// A client whose server crashes, closes and refuses: what is asked again, and what never is.
#include "koine/rsocket/client.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "koine/app/server.h"
#include "koine/async/sleep.h"
#include "koine/sim/world.h"

namespace koine::rsocket {
namespace {

/// What the server's handlers did, however often it was started.
struct Log {
  std::string text;
  int calls = 0;
};

Service service(Log& log) {
  Service made;
  made.on("echo", [&log](std::string text) -> Io<std::string> {
    ++log.calls;
    co_return text;
  });
  made.on("slow", [&log](std::string text) -> Io<std::string> {
    ++log.calls;
    co_await sleep(2s);
    co_return text;
  });
  made.on("fail", [&log](std::string) -> Io<std::string> {
    ++log.calls;
    co_return fail(Fault::refused, "connect", "the database");
  });
  return made;
}

Io<void> serve(Network& network, Log& log, PeerOptions options) {
  Server server(network, handler(service(log), std::move(options)));
  auto listening = server.listen("tcp://:7001");
  co_await attempt(std::move(listening));
  co_await server.run();
  co_return {};
}

/// A client and a server that a link connects; the story is the client's.
class Lab {
 public:
  explicit Lab(PeerOptions options = {})
      : client(world.host("client")), server(world.host("server")), options_(std::move(options)) {
    world.link(client, server, {.delay = 5ms});
  }

  void start_server() {
    server.run([this](Network& network) { return serve(network, log, options_); });
  }

  void crash_at(Duration at, std::optional<Duration> restart_at = {}) {
    world.after(at, [this] { server.crash(); });
    if (restart_at) world.after(*restart_at, [this] { server.reboot(); });
  }

  std::string tell(Function<Io<std::string>(Client&)> story) {
    std::string told;
    client.run([this, &story, &told](Network& network) -> Io<void> {
      return run(network, story, told, *this);
    });
    world.run_for(5min);
    EXPECT_TRUE(client.finished());
    return told;
  }

  sim::World world{11};
  sim::Host& client;
  sim::Host& server;
  Log log;
  Client::Counts counts;

 private:
  static Io<void> run(Network& network, Function<Io<std::string>(Client&)>& story,
                      std::string& told, Lab& lab) {
    ClientOptions options;
    options.peer.connection.keepalive = 500ms;
    options.peer.connection.lifetime = 1500ms;
    Client client(network, "rsocket+tcp://server:7001", options);
    auto telling = story(client);
    auto result = co_await telling;
    told = result ? *result : to_string(result.error());
    lab.counts = client.counts();
    co_return {};
  }

  PeerOptions options_;
};

Function<Io<std::string>(Client&)> asks(std::string route, AskOptions options) {
  return [route, options](Client& client) {
    return client.call<std::string>(route, std::string("x"), options);
  };
}

TEST(RsocketClient, WaitsForAServerThatIsNotThereYet) {
  Lab lab;
  lab.world.after(3s, [&] { lab.start_server(); });
  EXPECT_EQ(lab.tell(asks("echo", {})), "x");
  EXPECT_EQ(lab.log.calls, 1);
  EXPECT_EQ(lab.counts.connections, 1u);
  EXPECT_GT(lab.counts.retries, 0u);
}

TEST(RsocketClient, AsksAgainWhatIsIdempotentWhenTheServerCrashes) {
  Lab lab;
  lab.start_server();
  lab.crash_at(1s, 2s);  // in the middle of it
  EXPECT_EQ(lab.tell(asks("slow", {.idempotent = true})), "x");
  EXPECT_EQ(lab.log.calls, 2);
  EXPECT_EQ(lab.counts.connections, 2u);
}

TEST(RsocketClient, AsksOnceWhatIsNot) {
  Lab lab;
  lab.start_server();
  lab.crash_at(1s, 2s);
  const std::string told = lab.tell(asks("slow", {}));
  EXPECT_EQ(told.find("rsocket tcp://"), 0u) << told;
  EXPECT_EQ(lab.log.calls, 1);
  EXPECT_EQ(lab.counts.retries, 0u);
}

TEST(RsocketClient, AnErrorOfTheHandlersIsAnAnswer) {
  Lab lab;
  lab.start_server();
  EXPECT_EQ(lab.tell(asks("fail", {.idempotent = true})),
            "call fail: failed: APPLICATION_ERROR: connect the database: refused");
  EXPECT_EQ(lab.log.calls, 1);
}

TEST(RsocketClient, GivesUpWhenTheTimeIsOverOrTheAttemptsAre) {
  Lab nobody;
  const std::string told = nobody.tell(asks("echo", {.timeout = 2s}));
  EXPECT_NE(told.find("refused"), std::string::npos) << told;
  EXPECT_NE(told.find(" attempts"), std::string::npos) << told;

  Lab slow;
  slow.start_server();
  const std::string late = slow.tell(asks("slow", {.idempotent = true, .timeout = 100ms}));
  EXPECT_NE(late.find("call slow: timed out"), std::string::npos) << late;
  EXPECT_EQ(slow.log.calls, 1);
}

Io<std::string> three_at_once(Client& client) {
  Scope scope;
  std::string all;
  const auto ask = [](Client& asked, std::string& told) -> Io<void> {
    auto asking = asked.call<std::string>("slow", std::string("x"));
    told += co_await attempt(std::move(asking));
    co_return {};
  };
  for (int i = 0; i < 3; ++i) scope.spawn(ask(client, all));
  auto joining = scope.join();
  co_await attempt(std::move(joining));
  co_return all;
}

TEST(RsocketClient, WhatTheServerRejectsIsAskedAgainOnTheSameConnection) {
  PeerOptions one_at_a_time;
  one_at_a_time.connection.requests_max = 1;
  Lab lab(one_at_a_time);
  lab.start_server();
  EXPECT_EQ(lab.tell(three_at_once), "xxx");
  EXPECT_EQ(lab.log.calls, 3);
  EXPECT_EQ(lab.counts.connections, 1u);
  EXPECT_GE(lab.counts.retries, 2u);
}

}  // namespace
}  // namespace koine::rsocket
