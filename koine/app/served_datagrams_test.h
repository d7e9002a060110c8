// A datagram server in a network of memory: for tests of what it does.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "koine/app/datagram_server.h"
#include "koine/async/started.h"
#include "koine/async/story_test.h"
#include "koine/transport/memory_test.h"

namespace koine {

inline Address peer_at(std::uint16_t port) { return {loopback_v4, port}; }

/// Time, a network, and a datagram server that runs there.
class ServedDatagrams {
 public:
  template <class Handler>
  explicit ServedDatagrams(Handler handler, ServerOptions options = {})
      : time(),
        network(time.loop()),
        server(network, std::move(handler), noting(std::move(options))) {
    const Loop::Entered entered(time.loop());
    place = *server.listen(*parse_endpoint("udp://127.0.0.1:0"));
    running.emplace(time.loop(), server.run());
    memory::settle(time);
  }

  void say(std::uint16_t port, std::string_view text) {
    network.send(peer_at(port), *place.address(), text);
    memory::settle(time);
  }
  void pass(Duration duration) { memory::pass(time, duration); }
  void drain() {
    const Loop::Entered entered(time.loop());
    server.drain();
    memory::settle(time);
  }
  const ServerCounts& counts() const { return server.counts(); }

  VirtualTime time;
  memory::MemoryNetwork network;
  std::string story;  // for handlers to write in
  std::vector<std::string> errors;
  DatagramServer server;
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

/// A socket of a client's.
inline std::string heard(VirtualTime& time, Datagram& socket) {
  memory::settle(time);
  std::string text;
  std::vector<std::byte> room(100);
  while (auto received = socket.receive_now(room))
    text += "[" + std::string(as_text(Bytes(room).first(received->size))) + "]";
  return text;
}

/// Never looks at what it is sent.
inline ConversationHandler ignore_all() {
  return [](std::unique_ptr<Conversation> peer) -> Io<void> {
    co_await sleep(24h);
    peer.reset();
    co_return {};
  };
}

}  // namespace koine
