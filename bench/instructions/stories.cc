// Work whose instructions are counted: instructions.py runs this under valgrind.
//
//     instructions STORY COUNT
//
// Each story does something COUNT times on one thread, and nothing that depends on time or chance:
// who asks and who answers share a loop and are joined by a Unix socket, which the kernel fills
// while it is written to, so that the loop turns as often every time.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "koine/async/virtual_time.h"
#include "koine/koine.h"
#include "koine/messages.h"
#include "koine/os/network.h"
#include "koine/os/reactor.h"
#include "koine/sim/world.h"

namespace koine {
namespace {

constexpr std::size_t request_bytes = 64;
constexpr std::size_t lines_together = 16;

// Without any network.

Task<void> trivial() { co_return; }

Task<void> spawn_all(std::size_t count) {
  Scope scope;
  for (std::size_t i = 0; i < count; ++i) {
    scope.spawn(trivial());
    if (i % 8 == 7) co_await scope.join();
  }
  co_await scope.join();
}

bool spawn(std::size_t count) {
  VirtualTime time;
  return time.finish(spawn_all(count));
}

class Alarm final : public Timer {
 public:
  void run() override {}
};

/// Among 10'000, a little later each time, as bytes move idle timeouts.
bool timer(std::size_t count) {
  Timers timers{Instant()};
  std::vector<Alarm> alarms(10'000);
  for (Alarm& alarm : alarms) timers.arm(alarm, Instant(60s));
  List<Runnable> due;
  Instant now;
  for (std::size_t i = 0; i < count; ++i) {
    now += 10us;
    timers.expire(now, due);
    timers.arm(alarms[i % alarms.size()], now + 60s);
  }
  return due.empty();
}

// One connection to a server on the same loop.

Io<void> echo(std::unique_ptr<Stream> client) {
  while (Buffer bytes = co_await attempt(receive(*client)))
    co_await attempt(write_all(*client, bytes));
  co_return {};
}

Io<void> echo_lines(std::unique_ptr<Stream> client) {
  Reader reader(*client);
  while (auto line = co_await attempt(reader.line()))
    co_await attempt(write_all(*client, *line, "\n"));
  co_return {};
}

/// Sends `together` requests and takes their answers, until there were `count`.
Io<void> ask_in_turns(Stream& server, std::size_t count, std::size_t together) {
  std::string request(request_bytes, 'k');
  request.back() = '\n';
  Reader answers(server);
  for (std::size_t asked = 0; asked < count; asked += together) {
    for (std::size_t i = 0; i < together; ++i) co_await attempt(write_all(server, request));
    co_await attempt(answers.exactly(together * request_bytes));
  }
  co_return {};
}

std::string place(std::string_view scheme) {
  return std::string(scheme) + ":@koine-instructions-" + std::to_string(::getpid());
}

Io<void> ask_bytes(Network& network, std::size_t count, std::size_t together) {
  auto stream = co_await attempt(dial(network, place("unix")));
  auto asking = ask_in_turns(*stream, count, together);
  co_await attempt(std::move(asking));
  co_return {};
}

Io<std::string> same(std::string text) { co_return text; }

Io<void> ask_calls(Network& network, std::size_t count) {
  Peer peer = co_await attempt(dial(network, place("rsocket+unix")));
  const std::string question(request_bytes, 'k');
  for (std::size_t i = 0; i < count; ++i) {
    auto call = peer.call<std::string>("same", question);
    co_await attempt(std::move(call));
  }
  peer.close();
  co_return co_await peer.run();
}

/// Serves with `handler` while `asking` lasts.
Io<void> beside(Network& network, Handler handler, std::string at, Io<void> asking) {
  Server server(network, std::move(handler));
  auto listening = server.listen(std::move(at));
  co_await attempt(std::move(listening));
  co_await attempt(std::move(asking));
  co_return {};
}

template <class Ask>
bool with_server(Handler handler, std::string_view scheme, Ask ask) {
  auto reactor = os::Reactor::make({.multiplexer = "epoll"});
  if (!reactor) return false;
  os::Network network(**reactor);
  const auto ended =
      (*reactor)->run(beside(network, std::move(handler), place(scheme), ask(network)));
  if (!ended) std::fprintf(stderr, "instructions: %s\n", to_string(ended.error()).c_str());
  return ended.has_value();
}

bool echo_requests(std::size_t count) {
  return with_server(echo, "unix", [&](Network& network) { return ask_bytes(network, count, 1); });
}

bool lines(std::size_t count) {
  return with_server(echo_lines, "unix",
                     [&](Network& network) { return ask_bytes(network, count, lines_together); });
}

bool calls(std::size_t count) {
  Service service;
  service.on("same", same);
  return with_server(Handler(service), "rsocket+unix",
                     [&](Network& network) { return ask_calls(network, count); });
}

// A simulated internet: datagrams there and back between two hosts on one cable.

Io<void> answer_all(Network& network) {
  auto socket = co_await attempt(network.bind(Endpoint::udp(any_v4, 7)));
  std::array<std::byte, request_bytes> room;
  for (;;) {
    const Received ping = co_await attempt(receive_from(*socket, room));
    co_await attempt(send_to(*socket, Bytes(room).first(ping.size), ping.from));
  }
}

Io<void> ask_all(Network& network, std::size_t count) {
  auto looking = network.resolve("server");
  const auto addresses = co_await attempt(std::move(looking));
  const Address server(addresses.front(), 7);
  auto socket = co_await attempt(network.bind(Endpoint::udp(any_v4, 0)));
  std::array<std::byte, request_bytes> room{};
  for (std::size_t i = 0; i < count; ++i) {
    co_await attempt(send_to(*socket, room, server));
    co_await attempt(receive_from(*socket, room));
  }
  co_return {};
}

bool simulator(std::size_t count) {
  sim::World world{1};
  auto& client = world.host("client");
  auto& server = world.host("server");
  world.link(client, server);
  server.run(answer_all);
  client.run([count](Network& network) { return ask_all(network, count); });
  for (int step = 0; step < 1'000'000 && !client.finished(); ++step) world.run_for(1ms);
  return client.finished();
}

struct Story {
  std::string_view name;
  bool (*tell)(std::size_t count);
};
constexpr std::array stories{Story{"spawn", spawn},        Story{"timer", timer},
                             Story{"echo", echo_requests}, Story{"line", lines},
                             Story{"call", calls},         Story{"simulator", simulator}};

int tell(int count, char** words) {
  const long long times = count == 3 ? std::atoll(words[2]) : 0;
  for (const Story& story : stories) {
    if (count != 3 || words[1] != story.name || times <= 0) continue;
    return story.tell(static_cast<std::size_t>(times)) ? EXIT_SUCCESS : EXIT_FAILURE;
  }
  std::fprintf(stderr, "usage: instructions spawn|timer|echo|line|call|simulator COUNT\n");
  return 2;
}

}  // namespace
}  // namespace koine

int main(int count, char** words) { return koine::tell(count, words); }
