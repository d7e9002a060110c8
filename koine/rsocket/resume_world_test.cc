// Sessions in a simulated internet that loses, reorders and cuts: a model knows which request was
// answered, how often it was served, and in which order items came.
//
// KOINE_SEEDS=1000 runs more of them, KOINE_SEED=17 one alone: see sim/test_seed.h.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "koine/app/server.h"
#include "koine/async/combine.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/rsocket/peer.h"
#include "koine/rsocket/stories_test.h"
#include "koine/sim/test_seed.h"
#include "koine/sim/world.h"

namespace koine::rsocket {
namespace {

using namespace sim::literals;

/// What both sides did.
struct Model {
  std::map<std::string, int> served;    // how often, by the request's own name
  std::map<std::string, int> answered;  // the same, as its caller saw it
  int items = 0;
  std::uint64_t resumed = 0;
  std::size_t bytes_kept_max = 0;
  std::string error;  // why the client ended
};

PeerOptions options() {
  PeerOptions options;
  options.connection.keepalive = 300ms;
  options.connection.lifetime = 1s;
  options.connection.setup = 1s;
  options.connection.resume = true;
  options.connection.session = 60s;
  options.connection.retained_bytes_max = 20'000;
  options.connection.output_bytes_max = 8'000;
  options.connection.frame_bytes_max = 2'000;
  return options;
}

Service service_of(Model& model) {
  Service service;
  service.on("once", [&model](Message name) -> Io<Message> {
    ++model.served[name.data.substr(0, name.data.find(' '))];
    const auto pause =
        Duration(static_cast<Duration::rep>(Loop::current().chance().below(100'000'000)));
    co_await sleep(pause);
    co_return name;
  });
  service.on("note", [&model](Message name) -> Io<void> {
    ++model.served[name.data];
    co_return {};
  });
  service.on("count", [](Message to, Flow& out) -> Io<void> {
    for (int i = 0; i < stories::number(to.data); ++i) {
      const std::string item =
          std::to_string(i) + " " + std::string(static_cast<std::size_t>(i) % 700, 'x');
      co_await attempt(out.send(item));
    }
    co_return {};
  });
  return service;
}

Io<void> server_program(Network& network, Model& model) {
  Server server(network, handler(service_of(model), options()));
  auto listening = server.listen("tcp://:7001");
  co_await attempt(std::move(listening));
  co_await server.run();
  co_return {};
}

Io<void> call_often(Peer& peer, Model& model, std::string who) {
  for (int i = 0; i < 25; ++i) {
    const std::string name = who + std::to_string(i);
    const std::string request = name + " " + std::string(static_cast<std::size_t>(i) * 200, 'x');
    auto calling = peer.call("once", request);
    const Message answer = co_await attempt(std::move(calling));
    if (answer.data != request) co_return stories::wrong("an answer to another request");
    ++model.answered[name];
    model.bytes_kept_max = std::max(model.bytes_kept_max, peer.connection().bytes_kept());
    auto firing = peer.fire("note", "note " + name);
    co_await attempt(std::move(firing));
    co_await sleep(
        Duration(static_cast<Duration::rep>(Loop::current().chance().below(300'000'000))));
  }
  co_return {};
}

Io<void> count_up(Peer& peer, Model& model) {
  auto opening = peer.stream("count", std::string_view("400"), {.window = 8});
  auto source = co_await attempt(std::move(opening));
  for (;;) {
    const auto item = co_await attempt(source.next());
    if (!item) break;
    if (stories::number(item->data) != model.items) co_return stories::wrong("item " + item->data);
    ++model.items;
    co_await sleep(10ms);
  }
  co_return {};
}

Io<void> client_program(Network& network, Model& model) {
  auto connecting = connect(network, "rsocket+tcp://server:7001", options());
  auto peer = co_await attempt(std::move(connecting));
  Scope scope;
  for (const char* who : {"a", "b", "c"}) scope.spawn(call_often(*peer, model, who));
  scope.spawn(count_up(*peer, model));
  auto joining = scope.join();
  auto ended = co_await joining;
  model.resumed = peer->connection().counts().resumed;
  if (!ended) {
    model.error = to_string(ended.error());
    co_return {};
  }
  peer->close();
  auto running = peer->run();
  co_return co_await running;
}

struct Mishaps {
  bool cuts = true;
  bool crashes = false;
};

sim::TraceHash tell(std::uint64_t seed, Mishaps mishaps, Model& model) {
  sim::World world{seed};
  auto& client = world.host("client");
  auto& server = world.host("server");
  auto& link =
      world.link(client, server,
                 {.rate = 20_Mbit, .delay = 5ms, .jitter = 2ms, .loss = 0.02, .reorder = 0.02});
  server.run([&model](Network& network) { return server_program(network, model); });
  client.run([&model](Network& network) { return client_program(network, model); });
  Prng random(seed);
  if (mishaps.cuts) {
    Duration at = 0s;
    for (int i = 0; i < 4; ++i) {
      at += 500ms + 10ms * static_cast<int>(random.below(200));
      world.after(at, [&link] { link.cut(sim::Cut::silently); });
      at += 1500ms + 10ms * static_cast<int>(random.below(200));
      world.after(at, [&link] { link.mend(); });
    }
  }
  if (mishaps.crashes) {
    const Duration at = 1s + 10ms * static_cast<int>(random.below(300));
    world.after(at, [&server] { server.crash(); });
    world.after(at + 2s, [&server] { server.reboot(); });
  }
  world.run();
  EXPECT_TRUE(client.finished()) << (client.error() ? to_string(*client.error()) : "");
  for (const auto& [name, times] : model.served) EXPECT_EQ(times, 1) << name;
  for (const auto& [name, times] : model.answered) {
    EXPECT_EQ(times, 1) << name;
    EXPECT_EQ(model.served[name], 1) << name;
  }
  EXPECT_LE(model.bytes_kept_max, 100'000u);
  return world.trace();
}

TEST(RsocketSessions, LoseNothingAndServeNothingTwiceHoweverOftenTheyAreCut) {
  std::uint64_t resumed = 0;
  try_seeds(6, [&](std::uint64_t seed) {
    Model model;
    tell(seed, {}, model);
    EXPECT_EQ(model.error, "");
    EXPECT_EQ(model.answered.size(), 75u);
    EXPECT_EQ(model.served.size(), 150u) << "calls and notes";
    EXPECT_EQ(model.items, 400);
    resumed += model.resumed;
  });
  EXPECT_GE(resumed, 3u) << "or there was nothing to see";
}

TEST(RsocketSessions, OfAServerThatCrashedAreRefusedAndNothingIsServedTwice) {
  try_seeds(4, [](std::uint64_t seed) {
    Model model;
    tell(seed, {.cuts = false, .crashes = true}, model);
    EXPECT_NE(model.error.find("REJECTED_RESUME: the session is not known here"), std::string::npos)
        << model.error;
  });
}

TEST(RsocketSessions, AreTheSameStoryWithTheSameSeed) {
  Model first;
  Model second;
  EXPECT_EQ(tell(3, {}, first), tell(3, {}, second));
}

// A network that lets a session be resumed and cuts it at once.

Io<void> pass_on(Stream& from, Stream& to) {
  auto copying = copy(from, to);
  co_await attempt(std::move(copying));
  co_return to.finish();
}

Io<void> pass_for_a_moment(std::unique_ptr<Stream> client, Network& network, Duration moment) {
  auto dialing = dial(network, "tcp://server:7001");
  const auto server = co_await attempt(std::move(dialing));
  auto both = all(pass_on(*client, *server), pass_on(*server, *client));
  co_await within(moment, std::move(both));
  co_return {};
}

Io<void> cutter_program(Network& network, Duration moment, int& connections) {
  Server cutter(network, [&network, moment, &connections](std::unique_ptr<Stream> client) {
    ++connections;
    return pass_for_a_moment(std::move(client), network, moment);
  });
  auto listening = cutter.listen("tcp://:7002");
  co_await attempt(std::move(listening));
  co_await cutter.run();
  co_return {};
}

Io<void> stay(Network& network) {
  auto connecting = connect(network, "rsocket+tcp://cutter:7002", options());
  auto peer = co_await attempt(std::move(connecting));
  co_await sleep(60s);
  co_return {};
}

/// How often a client connects within a minute if each connection is cut after `moment`.
int connections_cut_after(Duration moment) {
  sim::World world{1};
  auto& client = world.host("client");
  auto& cutter = world.host("cutter");
  auto& server = world.host("server");
  world.link(client, cutter, {.rate = 20_Mbit, .delay = 1ms});
  world.link(cutter, server, {.rate = 20_Mbit, .delay = 1ms});
  Model model;
  int connections = 0;
  server.run([&model](Network& network) { return server_program(network, model); });
  cutter.run([moment, &connections](Network& network) {
    return cutter_program(network, moment, connections);
  });
  client.run(stay);
  world.run();
  EXPECT_TRUE(client.finished()) << (client.error() ? to_string(*client.error()) : "");
  return connections;
}

TEST(RsocketSessions, AreNotResumedAtOnceAgainAndAgain) {
  const int connections = connections_cut_after(50ms);
  EXPECT_GE(connections, 8);
  EXPECT_LE(connections, 30);
}

TEST(RsocketSessions, ThatLastedAreResumedAtOnce) {
  EXPECT_GE(connections_cut_after(6s), 10);  // of a minute; no pause in between
}

}  // namespace
}  // namespace koine::rsocket
