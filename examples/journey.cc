// Where did a message's time go? One program asks a server on this machine, and one in a simulated
// internet whose slow line somebody else fills. Each time it prints the way of its last message.
//
//     journey [seed]
#include <cstdio>
#include <cstdlib>
#include <string>

#include "koine/journey/picture.h"
#include "koine/journey/track.h"
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
  journey::Recorder recorder({.every = 1, .frames = true});
  auto dialing = dial(network, "tcp://" + server + ":4000");
  auto stream = co_await attempt(std::move(dialing));
  co_await attempt(stream->attach(&recorder));
  journey::Track& track = *stream->track();
  Reader lines(*stream);
  std::string picture;
  for (const std::string name : {"ann", "bob", "cleo", "dora", "emil", "fay", "gus"}) {
    auto journey = recorder.begin(track.connection());
    track.send(journey, journey::Way::there, name.size() + 1);
    co_await attempt(write_all(*stream, name, "\n"));
    co_await attempt(lines.line());
    track.receive(journey, journey::Way::back, lines.buffered());
    co_await sleep(20ms);  // the kernel's last words about it
    track.finish(journey);
    picture = waterfall(*journey) + "\n" + layers(*journey);
  }
  std::printf("%s\n", picture.c_str());
  co_return stream->finish();
}

// The worlds.

Io<void> both_here(Network& network) {
  Scope serving;
  serving.spawn(greet_server(network));
  auto asking = greet_client(network, "localhost");
  co_return co_await asking;
}

/// Sends as fast as the slow line cannot.
Io<void> flood(Network& network) {
  auto socket = co_await attempt(network.bind(Endpoint::udp(any_v4, 0)));
  const auto targets = co_await attempt(network.resolve("server"));
  const std::string data(1200, 'x');
  for (int i = 0; i < 100; ++i) {
    co_await attempt(send_to(*socket, as_bytes(data), Address(targets.front(), 9)));
    co_await sleep(900us);
  }
  co_return {};
}

int in_the_simulator(std::uint64_t seed) {
  sim::World world{seed};
  auto& client = world.host("client");
  auto& other = world.host("other");
  auto& server = world.host("server");
  auto& office = world.ethernet_switch("office");
  auto& r1 = world.router("r1");
  auto& r2 = world.router("r2");
  world.link(client, office, {.rate = 100_Mbit, .delay = 1us});
  world.link(other, office, {.rate = 100_Mbit, .delay = 1us});
  world.link(office, r1, {.rate = 1_Gbit, .delay = 1us});
  world.link(r1, r2, {.rate = 10_Mbit, .delay = 4ms});
  world.link(r2, server, {.rate = 100_Mbit, .delay = 10us});
  world.run_for(1s);  // routers find their ways
  server.run(greet_server);
  client.run([](Network& network) { return greet_client(network, "server"); });
  world.after(140ms, [&] { other.run(flood); });
  world.run();
  if (const auto error = client.error()) {
    std::fprintf(stderr, "seed %llu: %s\n", static_cast<unsigned long long>(seed),
                 to_string(*error).c_str());
  }
  return client.finished() ? 0 : 1;
}

int main(int count, char** words) {
  std::printf("On this machine, by the kernel's stamps:\n\n");
  std::fflush(stdout);
  if (const int failed = koine::run(both_here); failed != 0) return failed;
  std::printf("In a simulated internet, by its own record:\n\n");
  return in_the_simulator(count > 1 ? std::strtoull(words[1], nullptr, 10) : 1);
}
