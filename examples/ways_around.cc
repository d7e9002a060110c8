// How long is a stream interrupted when the way it takes is destroyed, and how long until it takes
// the short way again? The same network twice: its routers speak a link-state protocol, or RIP.
//
//     client -- a ------- b -- server        the short way
//                \       /
//                 c --- d                    the long way
//
//     ways_around [seed]
#include <cstdio>
#include <cstdlib>

#include "koine/koine.h"
#include "koine/sim/world.h"

using namespace koine;
using namespace koine::sim::literals;

// The program: a number every tenth of a second, and who receives them notes the longest silence.

Io<void> count_server(Network& network, Duration& longest) {
  auto listener = co_await attempt(network.listen(Endpoint::tcp(any_v4, 4000)));
  auto stream = co_await attempt(accept(*listener));
  Instant last = network.loop().now();
  while (const Buffer numbers = co_await attempt(receive(*stream))) {
    longest = std::max(longest, network.loop().now() - last);
    last = network.loop().now();
  }
  co_return {};
}

Io<void> count_client(Network& network, int numbers) {
  auto dialing = dial(network, "tcp://server:4000");
  auto stream = co_await attempt(std::move(dialing));
  for (int i = 0; i < numbers; ++i) {
    co_await attempt(write_all(*stream, "1\n"));
    co_await sleep(100ms);
  }
  co_return stream->finish();
}

// The world.

struct Outage {
  Duration interrupted{};
  Duration restored{};  // from the mending until the short way is taken
};

Outage outage(std::uint64_t seed, sim::Routing routing, sim::Cut how) {
  sim::World world{seed};
  auto& client = world.host("client");
  auto& server = world.host("server");
  const auto router = [&](const char* name) -> sim::Router& {
    return world.router(name, {.routing = routing});
  };
  auto& a = router("a");
  auto& b = router("b");
  auto& c = router("c");
  auto& d = router("d");
  const sim::LinkOptions line{.rate = 10_Mbit, .delay = 5ms};
  world.link(client, a, line);
  auto& short_way = world.link(a, b, line);
  world.link(a, c, line);
  world.link(c, d, line);
  world.link(d, b, line);
  world.link(b, server, line);
  world.run_for(60s);
  const auto before = a.routes();

  Outage result;
  server.run([&](Network& network) { return count_server(network, result.interrupted); });
  client.run([](Network& network) { return count_client(network, 6000); });
  world.run_for(10s);
  short_way.cut(how);
  world.run_for(400s);
  short_way.mend();
  const Duration mended = world.now();
  while (a.routes() != before && world.now() - mended < 400s) world.run_for(100ms);
  result.restored = world.now() - mended;
  world.run();
  if (!client.finished() || !server.finished()) std::printf("the stream broke\n");
  return result;
}

int main(int count, char** words) {
  const std::uint64_t seed = count > 1 ? std::strtoull(words[1], nullptr, 10) : 1;
  std::printf("%-12s %-28s %14s %14s\n", "", "the line is", "interrupted", "restored");
  for (const auto routing : {sim::Routing::link_state, sim::Routing::rip}) {
    for (const auto how : {sim::Cut::visibly, sim::Cut::silently}) {
      const Outage seen = outage(seed, routing, how);
      const auto seconds = [](Duration time) {
        return std::chrono::duration<double>(time).count();
      };
      std::printf("%-12s %-28s %12.1f s %12.1f s\n",
                  routing == sim::Routing::rip ? "RIP" : "link state",
                  how == sim::Cut::visibly ? "pulled out" : "silently cut",
                  seconds(seen.interrupted), seconds(seen.restored));
    }
  }
}
