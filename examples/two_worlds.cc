// One program, two worlds: the same functions greet each other on this machine's network and on a
// simulated one whose cable loses every fifth frame.
//
//     two_worlds os
//     two_worlds sim [seed]
#include <cstdio>
#include <cstdlib>
#include <string>

#include "koine/koine.h"
#include "koine/sim/world.h"

using namespace koine;
using namespace koine::sim::literals;

// The program. It is handed a Network and cannot tell which one it got.

Io<void> greet(std::unique_ptr<Stream> guest) {
  Reader lines(*guest);
  while (auto line = co_await attempt(lines.line()))
    co_await attempt(write_all(*guest, "hello, ", *line, "\n"));
  co_return {};
}

Io<void> greet_server(Network& network) {
  Server server(network, greet);
  auto listening = server.listen("tcp://:4000");
  co_await attempt(std::move(listening));
  co_await server.run();
  co_return {};
}

Io<void> greet_client(Network& network, std::string server) {
  auto dialing = dial(network, "tcp://" + server + ":4000");
  auto stream = co_await attempt(std::move(dialing));
  Reader lines(*stream);
  for (const char* name : {"ann", "bob", "cleo"}) {
    const Instant asked = network.loop().now();
    co_await attempt(write_all(*stream, name, "\n"));
    const auto answer = co_await attempt(lines.line());
    const auto took = std::chrono::duration<double, std::milli>(network.loop().now() - asked);
    const std::string text(answer.value_or("nothing more"));
    std::printf("%s (after %.1f ms)\n", text.c_str(), took.count());
  }
  co_return stream->finish();
}

// The worlds.

Io<void> both_here(Network& network) {
  Scope serving;
  serving.spawn(greet_server(network));
  auto asking = greet_client(network, "localhost");
  co_return co_await asking;  // and when it is over, so is the server
}

int in_the_simulator(std::uint64_t seed) {
  sim::World world{seed};
  auto& client = world.host("client");
  auto& server = world.host("server");
  world.link(client, server, {.rate = 10_Mbit, .delay = 20ms, .loss = 0.2});
  server.run(greet_server);
  client.run([](Network& network) { return greet_client(network, "server"); });
  world.run();
  if (const auto error = client.error()) {
    std::fprintf(stderr, "seed %llu: %s\n", static_cast<unsigned long long>(seed),
                 to_string(*error).c_str());
  }
  return client.finished() ? 0 : 1;
}

int main(int count, char** words) {
  const std::string world = count > 1 ? words[1] : "os";
  if (world == "os") return koine::run(both_here);
  if (world == "sim") return in_the_simulator(count > 2 ? std::strtoull(words[2], nullptr, 10) : 1);
  std::fprintf(stderr, "usage: two_worlds os|sim [seed]\n");
  return 2;
}
