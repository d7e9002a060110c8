// What the simulated internet costs: CPU seconds for work whose simulated time is fixed.
//
//     sim        one line for each scenario
//
// Every byte is real: written by a program, cut into segments, summed at both ends, forwarded by a
// router that looks up its route, and compared on arrival. The scenarios and the figures of others
// are those of docs/simulation.md.
#include <malloc.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/sim/world.h"

namespace koine::sim {
namespace {

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

constexpr std::size_t period = 65'521;  // a prime: every shift and gap shows

const std::vector<std::byte>& pattern() {
  static const std::vector<std::byte> bytes = [] {
    Prng chance(1);
    std::vector<std::byte> made(2 * period + 65'536);
    for (std::size_t i = 0; i < period; ++i) made[i] = static_cast<std::byte>(chance());
    for (std::size_t i = period; i < made.size(); ++i) made[i] = made[i - period];
    return made;
  }();
  return bytes;
}

Io<void> source(Network& network, std::size_t total) {
  auto dialing = dial(network, "tcp://sink:5001");
  auto stream = co_await attempt(std::move(dialing));
  for (std::size_t at = 0; at < total;) {
    const std::size_t count = std::min<std::size_t>(65'536, total - at);
    co_await attempt(write_all(*stream, Bytes(pattern()).subspan(at % period, count)));
    at += count;
  }
  co_return stream->finish();
}

Io<void> sink(Network& network, std::size_t total) {
  auto listener = co_await attempt(network.listen(Endpoint::tcp(any_v4, 5001)));
  auto stream = co_await attempt(accept(*listener));
  std::size_t at = 0;
  while (const Buffer bytes = co_await attempt(receive(*stream))) {
    if (std::memcmp(bytes.bytes().data(), pattern().data() + at % period, bytes.size()) != 0)
      co_return fail(Fault::malformed, "compare", "the bytes from " + std::to_string(at));
    at += bytes.size();
  }
  if (at != total) co_return fail(Fault::ended, "receive");
  co_return {};
}

struct Path {
  const char* name;
  std::size_t bytes;
  LinkOptions link;  // on both sides of the router
  double loss = 0;   // on one side
  bool has_router = true;
};

/// One stream from a host to another, with or without a router between them.
bool bulk(const Path& path) {
  const double before = cpu_seconds();
  World world{1};
  HostOptions wide;
  wide.profile.send_buffer_max = wide.profile.receive_buffer_max = 16u << 20;
  auto& from = world.host("source", wide);
  auto& to = world.host("sink", wide);
  LinkOptions lossy = path.link;
  lossy.loss = path.loss;
  if (path.has_router) {
    auto& router = world.router("router");
    world.link(from, router, path.link);
    world.link(router, to, lossy, path.link);
    world.run_for(1s);
  } else {
    world.link(from, to, lossy, path.link);
  }
  const Duration begun = world.now();
  Duration ended{};
  to.run([&](Network& network) -> Io<void> {
    auto receiving = sink(network, path.bytes);
    co_await attempt(std::move(receiving));
    ended = world.now();
    co_return {};
  });
  from.run([&](Network& network) { return source(network, path.bytes); });
  world.run();
  const double cost = cpu_seconds() - before;
  const double megabytes = static_cast<double>(path.bytes) / 1e6;
  if (!from.finished() || !to.finished()) {
    std::printf("%-34s FAILED\n", path.name);
    return false;
  }
  std::printf(
      "%-34s %7.3f CPU s  %6.0f MB/s  %7.2f s of its time, %6.1f Mbit/s  %5.2f M events/s\n",
      path.name, cost, megabytes / cost, seconds(ended - begun),
      megabytes * 8 / seconds(ended - begun), static_cast<double>(world.events()) / cost / 1e6);
  return true;
}

/// The hold model: as many appointments as stay, each replaced by a later one.
bool queue(std::size_t pending) {
  EventQueue events;
  Prng chance(1);
  std::uint64_t now = 0;
  const auto later = [&] { return now + 1 + chance.below(1'000'000); };
  for (std::size_t i = 0; i < pending; ++i) events.push(later(), 0);
  constexpr int rounds = 5'000'000;
  const double before = cpu_seconds();
  for (int i = 0; i < rounds; ++i) {
    now = events.pop().at;
    events.push(later(), static_cast<std::uint32_t>(i & 1023));
  }
  std::printf("%-26s %7zu %7.1f M events/s\n", "queue: push and pop at", pending,
              rounds / (cpu_seconds() - before) / 1e6);
  return true;
}

/// Many hosts in pairs, each pair on a cable of its own, ten datagrams each way.
bool crowd(std::size_t hosts) {
  const double before = cpu_seconds();
  const std::size_t memory_before = mallinfo2().uordblks;
  World world{1};
  const auto echo = [](Network& network) -> Io<void> {
    auto socket = co_await attempt(network.bind(Endpoint::udp(any_v4, 7)));
    std::array<std::byte, 64> room;
    for (int i = 0; i < 10; ++i) {
      const Received ping = co_await attempt(receive_from(*socket, room));
      co_await attempt(send_to(*socket, Bytes(room).first(ping.size), ping.from));
    }
    co_return {};
  };
  const auto ask = [](Network& network, Address peer) -> Io<void> {
    auto socket = co_await attempt(network.bind(Endpoint::udp(any_v4, 0)));
    std::array<std::byte, 64> room{};
    for (int i = 0; i < 10; ++i) {
      co_await attempt(send_to(*socket, room, peer));
      co_await attempt(receive_from(*socket, room));
    }
    co_return {};
  };
  std::vector<Host*> all;
  for (std::size_t i = 0; i < hosts; ++i) all.push_back(&world.host("h" + std::to_string(i)));
  for (std::size_t i = 0; i + 1 < hosts; i += 2) {
    world.link(*all[i], *all[i + 1], {.delay = 1ms});
    all[i]->run(echo);
    const Address peer(all[i]->v4(), 7);
    all[i + 1]->run([&ask, peer](Network& network) { return ask(network, peer); });
  }
  world.run();
  const double cost = cpu_seconds() - before;
  const std::size_t memory = mallinfo2().uordblks - memory_before;
  for (const Host* host : all)
    if (!host->finished()) return false;
  std::printf("%-26s %7zu %7.3f CPU s, %.0f bytes a host\n", "crowd: UDP echo, hosts", hosts, cost,
              static_cast<double>(memory) / static_cast<double>(hosts));
  return true;
}

const Path paths[] = {
    {"bulk 100 Mbit/s, 20 ms, router",
     100'000'000,
     {.rate = 100_Mbit, .delay = 5ms, .queue_bytes = 2'000 * 1514}},
    {"bulk 1 Gbit/s, 20 ms, router",
     100'000'000,
     {.rate = 1_Gbit, .delay = 5ms, .queue_bytes = 4'000 * 1514}},
    {"bulk, no rate, no delay", 1'000'000'000, {}, 0, false},
    {"bulk 100 Mbit/s, 20 ms, 0.1 % lost",
     100'000'000,
     {.rate = 100_Mbit, .delay = 5ms, .queue_bytes = 2'000 * 1514},
     0.001},
    {"bulk 100 Mbit/s, 20 ms, 1 % lost",
     20'000'000,
     {.rate = 100_Mbit, .delay = 5ms, .queue_bytes = 2'000 * 1514},
     0.01},
};

}  // namespace
}  // namespace koine::sim

// Without words all of it; `sim bulk N` is one stream alone, for sim_beside_ns3.py and a profiler.
int main(int count, char** words) {
  using namespace koine::sim;
  if (count == 3 && std::strcmp(words[1], "bulk") == 0) {
    const std::size_t which = std::strtoul(words[2], nullptr, 10);
    return which < std::size(paths) && bulk(paths[which]) ? 0 : 1;
  }
  bool all = true;
  for (const Path& path : paths) all = bulk(path) && all;
  for (const std::size_t pending : {100UL, 10'000UL, 1'000'000UL}) all = queue(pending) && all;
  for (const std::size_t hosts : {1'000UL, 20'000UL, 100'000UL}) all = crowd(hosts) && all;
  return all ? 0 : 1;
}
