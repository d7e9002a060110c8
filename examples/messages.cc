// A service that talks in messages, and its client, from one source: on this machine's network, or
// in a simulated internet that loses every tenth frame.
//
//     messages serve [URL]            rsocket+tcp://127.0.0.1:7001; koine call can ask it, too
//     messages ask [URL]
//     messages sim [seed]             both of them, in a simulated internet
#include <cstdio>
#include <cstdlib>
#include <string>

#include "koine/messages.h"
#include "koine/rsocket/json.h"
#include "koine/sim/world.h"

using namespace koine;
using namespace koine::sim::literals;

// What they talk about: plain structs, in JSON.

struct Add {
  int a = 0;
  int b = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Add, a, b)

struct Sum {
  int value = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Sum, value)

// The server's side.

Io<Sum> add(Add request) { co_return Sum{request.a + request.b}; }

Io<void> count(int to, Sink<int>& out) {
  for (int i = 0; i < to; ++i) co_await attempt(out.send(i));
  co_return {};
}

Io<void> running_sum(Source<int>& in, Sink<Sum>& out) {
  Sum sum;
  while (const auto number = co_await attempt(in.next())) {
    sum.value += *number;
    co_await attempt(out.send(sum));
  }
  co_return {};
}

Service calculator() {
  Service service;
  service.on("add", add).on("count", count).on("running_sum", running_sum);
  return service;
}

// The client's. It is handed a Network and cannot tell which one it got.

Io<void> ask(Network& network, std::string url) {
  Peer peer = co_await attempt(dial(network, url));

  const Sum sum = co_await attempt(within(2s, peer.call<Sum>("add", Add{2, 3})));
  std::printf("2 + 3 = %d\n", sum.value);

  auto counting = peer.stream<int>("count", 5);
  auto numbers = co_await attempt(std::move(counting));
  while (const auto number = co_await attempt(numbers.next())) std::printf("%d ", *number);
  std::printf("and that was all\n");

  auto opening = peer.channel<Sum, int>("running_sum", 1);
  auto sums = co_await attempt(std::move(opening));
  for (int i = 2; i <= 4; ++i) co_await attempt(sums.send(i));
  sums.complete();
  while (const auto so_far = co_await attempt(sums.next())) std::printf("%d ", so_far->value);
  std::printf("in the end\n");

  peer.close();
  co_return co_await peer.run();
}

// The worlds.

Io<void> serve_in_a_world(Network& network) {
  Server server(network, calculator());
  auto listening = server.listen("rsocket+tcp://:7001");
  co_await attempt(std::move(listening));
  co_await server.run();
  co_return {};
}

int in_the_simulator(std::uint64_t seed) {
  sim::World world{seed};
  auto& client = world.host("client");
  auto& server = world.host("server");
  world.link(client, server, {.rate = 10_Mbit, .delay = 20ms, .loss = 0.1});
  server.run(serve_in_a_world);
  client.run([](Network& network) { return ask(network, "rsocket+tcp://server:7001"); });
  world.run();
  if (const auto error = client.error()) {
    std::fprintf(stderr, "seed %llu: %s\n", static_cast<unsigned long long>(seed),
                 to_string(*error).c_str());
  }
  return client.finished() ? 0 : 1;
}

int main(int count, char** words) {
  const std::string what = count > 1 ? words[1] : "";
  const std::string url = count > 2 ? words[2] : "rsocket+tcp://127.0.0.1:7001";
  if (what == "serve") return serve(url, calculator());
  if (what == "ask") return run([url](Network& network) { return ask(network, url); });
  if (what == "sim") return in_the_simulator(count > 2 ? std::strtoull(words[2], nullptr, 10) : 1);
  std::fprintf(stderr, "usage: messages serve|ask [URL], or messages sim [seed]\n");
  return 2;
}
