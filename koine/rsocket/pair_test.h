// Two peers on a network in memory, in virtual time.
#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "koine/async/within.h"
#include "koine/rsocket/peer.h"
#include "koine/transport/memory_test.h"

namespace koine::rsocket {

/// A client and a server that are connected, and both answer with the same service.
class Pair {
 public:
  explicit Pair(Service answers, PeerOptions options = {})
      : network(time.loop()), service(std::move(answers)) {
    const Loop::Entered entered(time.loop());
    auto listener = std::move(*network.listen(*parse_endpoint("tcp://127.0.0.1:0"), {}));
    auto ours = std::move(*network.connect_now(loopback_v4, *listener->endpoint().address()));
    auto theirs = std::move(*listener->accept_now());
    client.emplace(std::move(ours), Side::client, &service, options);
    server.emplace(std::move(theirs), Side::server, &service, options);
    memory::settle(time);
  }
  Pair(const Pair&) = delete;
  ~Pair() {
    const Loop::Entered entered(time.loop());
    client.reset();
    server.reset();
    memory::settle(time);
  }

  /// What `op` answers; Fault::would_block if it never ends.
  template <class Op>
  AnswerOf<Op> finish(Op op) {
    auto result = time.finish(std::move(op));
    if (!result) return fail(Fault::would_block, "finish");
    return std::move(*result);
  }

  /// The same as text: the data of a message, nothing for nothing, the error's words if it fails.
  template <class Op>
  std::string answer(Op op) {
    auto result = finish(std::move(op));
    if (!result) return to_string(result.error());
    if constexpr (std::is_same_v<decltype(result), Result<Message>>) {
      return result->data;
    } else {
      return "";
    }
  }

  VirtualTime time;
  memory::MemoryNetwork network;
  Service service;
  std::optional<Peer> client;
  std::optional<Peer> server;
};

}  // namespace koine::rsocket
