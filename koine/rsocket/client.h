// Client: a service that is reached again when its connection is lost, and asked again when that is
// safe.
//
//     rsocket::Client client(network, "rsocket+tcp://10.0.0.2:7001");
//     auto asking = client.call<Sum>("add", Add{2, 3}, {.idempotent = true, .timeout = 2s});
//     Sum sum = co_await attempt(std::move(asking));
//
// What is asked again: a request that was not sent, one that the server says it has not processed
// (REJECTED), and, if it is idempotent, one whose fate nobody knows because the connection was
// lost. Nothing else: an error of the handler's is an answer, and so is its having taken too long.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "koine/app/client.h"
#include "koine/async/event.h"
#include "koine/rsocket/peer.h"

namespace koine::rsocket {

struct ClientOptions {
  PeerOptions peer = {};

  /// How often a call is tried, connecting included, and the pauses between. Its `timeout` is not
  /// looked at: each call has its own.
  RetryOptions retry = {};
};

struct AskOptions {
  /// Doing it twice does no harm.
  bool idempotent = false;

  /// For all attempts and pauses together. The server is told what is left of it.
  Duration timeout = 30s;
};

class Client {
 public:
  /// `network` outlives it. Nothing is connected before the first request.
  Client(Network& network, std::string url, ClientOptions options = {});
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Asks, and again while it is safe and there is time. The error is that of the last attempt, and
  /// says how many there were.
  template <class T = Message, class Request>
    requires Encodable<Request>
  Io<T> call(std::string_view route, const Request& request, AskOptions options = {}) {
    return ask<T>(std::string(route), Encoded(request).owned(), options);
  }

  /// The connection, made if there is none, for what has several answers or none; it is tried once.
  /// Whoever holds the peer keeps it, and its flows, alive.
  Io<std::shared_ptr<Peer>> peer();

  struct Counts {
    std::uint64_t connections = 0;  ///< that were made
    std::uint64_t retries = 0;      ///< requests that were asked again
  };
  const Counts& counts() const { return counts_; }

 private:
  template <class T>
  Io<T> ask(std::string route, Encoded request, AskOptions options) {
    if (!request.failure()) {
      Error error = request.failure().error();
      co_return std::unexpected(std::move(error).with_operation("encode", route));
    }
    const Instant deadline = later(network_.loop().now(), options.timeout);
    for (int attempts = 1;; ++attempts) {
      Fate fate = Fate::unsent;
      auto asking = ask_once<T>(route, request.payload(), deadline, fate);
      auto answer = co_await asking;
      if (answer) co_return answer;
      auto pausing =
          pause_after_failure(std::move(answer.error()), fate, attempts, options, deadline);
      co_await attempt(std::move(pausing));
    }
  }

  template <class T>
  Io<T> ask_once(std::string_view route, const Payload& request, Instant deadline, Fate& fate) {
    auto connecting = within(deadline - network_.loop().now(), peer());
    const std::shared_ptr<Peer> peer = co_await attempt(std::move(connecting));
    Call<T> call(*peer, route, Encoded(request));
    call.tells_fate(fate);
    auto calling = within(deadline - network_.loop().now(), std::move(call));
    co_return co_await calling;
  }

  /// Fails with `error` if there should be no further attempt.
  Io<void> pause_after_failure(Error error, Fate fate, int attempts, AskOptions options,
                               Instant deadline);

  Network& network_;
  std::string url_;
  ClientOptions options_;
  Semaphore connecting_{1};
  std::shared_ptr<Peer> peer_;
  Counts counts_;
};

}  // namespace koine::rsocket
