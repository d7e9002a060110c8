// Tells stories, and prints the hash of each: equal lines from every process, compiler and machine.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/sim/story_test.h"
#include "koine/sim/world.h"

namespace koine::sim {
namespace {

void tell(const char* name, World& world, Host& client) {
  if (!client.finished()) {
    std::printf("%s seed %llu failed: %s\n", name, static_cast<unsigned long long>(world.seed()),
                why(client).c_str());
    std::exit(1);
  }
  std::printf("%-14s seed %llu: %s, %llu events, %lld ns\n", name,
              static_cast<unsigned long long>(world.seed()), to_string(world.trace()).c_str(),
              static_cast<unsigned long long>(world.events()),
              static_cast<long long>(world.now().count()));
}

void bad_path(std::uint64_t seed) {
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
              .corrupt = 0.01});
  server.run(echo_server);
  for (int i = 0; i < 3; ++i) client.run(echo_client);
  world.run();
  tell("bad path", world, client);
}

void mishaps(std::uint64_t seed) {
  World world{seed};
  auto& client = world.host("client");
  auto& server = world.host("server");
  auto& first = world.ethernet_switch("first");
  auto& second = world.ethernet_switch("second");
  Link& cable = world.link(first, second, {.rate = 10_Mbit, .delay = 2ms});
  world.link(client, first);
  world.link(server, second);
  server.run(greet_server);
  client.set_clock_drift(120);
  client.run([](Network& network) -> Io<void> {
    int heard = 0;
    while (heard < 5) {
      auto asking = greet_client(network);
      const auto answer = co_await within(2s, std::move(asking));
      heard += answer ? 1 : 0;
      co_await sleep(1s);
    }
    co_return {};
  });
  world.after(1500ms, [&] { server.crash(); });
  world.after(4s, [&] { server.reboot(); });
  world.after(6s, [&] { cable.cut(Cut::silently); });
  world.after(9s, [&] { cable.mend(); });
  world.after(10s, [&] { client.pause(); });
  world.after(11s, [&] { client.resume(); });
  world.run();
  tell("mishaps", world, client);
}

void routes(std::uint64_t seed) {
  World world{seed};
  auto& client = world.host("client");
  auto& server = world.host("server");
  std::vector<Router*> ring;
  for (int i = 0; i < 6; ++i) ring.push_back(&world.router("r" + std::to_string(i)));
  std::vector<Link*> cables;
  const LinkOptions cable{.rate = 5_Mbit, .delay = 3ms, .loss = 0.005};
  for (std::size_t i = 0; i < 6; ++i)
    cables.push_back(&world.link(*ring[i], *ring[(i + 1) % 6], cable));
  world.link(client, *ring[0], cable);
  world.link(server, *ring[3], cable);
  world.run_for(2s);
  server.run(echo_server);
  for (int i = 0; i < 4; ++i) client.run(echo_client);
  world.after(200ms, [&] { cables[1]->cut(Cut::silently); });
  world.after(3s, [&] { ring[4]->crash(); });
  world.after(5s, [&] { cables[1]->mend(); });
  world.run();
  tell("routes", world, client);
}

}  // namespace
}  // namespace koine::sim

int main() {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    koine::sim::bad_path(seed);
    koine::sim::mishaps(seed);
    koine::sim::routes(seed);
  }
}
