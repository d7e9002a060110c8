// A server in a memory network, and its clients: for tests of servers.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "koine/app/server.h"
#include "koine/async/started.h"
#include "koine/transport/memory_test.h"

namespace koine {

inline constexpr IpAddress good_client = IpAddress::v4(127, 0, 0, 1);
inline constexpr IpAddress bad_client = IpAddress::v4(127, 0, 0, 2);

/// Sends everything back.
inline Io<void> echo(std::unique_ptr<Stream> client) {
  while (Buffer bytes = co_await attempt(receive(*client)))
    co_await attempt(write_all(*client, bytes));
  co_return {};
}

/// Time, a network, and a server that runs there.
class Served {
 public:
  explicit Served(Handler handler = echo, ServerOptions options = {})
      : network(time.loop()), server(network, std::move(handler), noting(std::move(options))) {
    const Loop::Entered entered(time.loop());
    place = *server.listen(*parse_endpoint("tcp://127.0.0.1:0"));
    running.emplace(time.loop(), server.run());
    memory::settle(time);
  }

  /// A client whose connection is complete; what the server makes of it has happened.
  std::unique_ptr<Stream> connect(IpAddress from = good_client) {
    auto stream = network.connect_now(from, *place.address());
    memory::settle(time);
    EXPECT_TRUE(stream.has_value());
    return std::move(*stream);
  }

  void say(Stream& client, std::string_view text) {
    EXPECT_EQ(client.write_now(as_bytes(text)), text.size());
    memory::settle(time);
  }

  std::string ask(Stream& client, std::string_view text) {
    say(client, text);
    return memory::heard(client);
  }

  void pass(Duration duration) { memory::pass(time, duration); }

  /// What run() answered; nothing while it runs.
  std::optional<ServerCounts> ended() {
    if (!running->done()) return std::nullopt;
    return server.counts();
  }

  void drain() {
    const Loop::Entered entered(time.loop());
    server.drain();
    memory::settle(time);
  }
  void cut() {
    const Loop::Entered entered(time.loop());
    server.cut();
    memory::settle(time);
  }

  const ServerCounts& counts() const { return server.counts(); }

  VirtualTime time;
  memory::MemoryNetwork network;
  std::vector<std::string> errors;  // that were reported
  Server server;
  Endpoint place;
  std::optional<Started<Task<ServerCounts>>> running;

 private:
  ServerOptions noting(ServerOptions options) {
    options.on_error = [this](const std::string& peer, const Error& error) {
      errors.push_back(peer + " | " + to_string(error));
    };
    return options;
  }
};

}  // namespace koine
