// Clients and a server whose handlers run in threads or processes: for tests of those.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "koine/async/combine.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/os/network.h"
#include "koine/os/workers.h"
#include "koine/transport/reader.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KOINE_TSAN 1
#endif
#endif

namespace koine::os {

/// Nothing here takes long; if it does, the test has failed.
inline constexpr Duration patience = 60s;

/// Runs a story on a reactor of its own, and what it spawned in `scope` to its end.
template <class Story>
void run_story(Story story) {
  auto reactor = Reactor::make();
  ASSERT_TRUE(reactor) << to_string(reactor.error());
  Network network(**reactor);
  const auto ended = (*reactor)->run(within(patience, story(**reactor, network)));
  EXPECT_TRUE(ended) << to_string(ended.error());
  (*reactor)->linger_out();
}

using ServeIn = Io<void> (*)(Reactor& reactor, std::unique_ptr<Stream> stream,
                             std::shared_ptr<const ServeOne> serve, Orders& orders);

/// Accepts on loopback and serves each connection elsewhere, by `serve_in`.
class Elsewhere {
 public:
  Elsewhere(Reactor& reactor, Network& network, ServeIn serve_in, ServeOne serve)
      : reactor_(reactor),
        network_(network),
        serve_in_(serve_in),
        serve_(std::make_shared<const ServeOne>(std::move(serve))),
        listener_(*network.listen(Endpoint::tcp(loopback_v4, 0))) {}

  /// A client whose connection is being served.
  Io<std::unique_ptr<Stream>> connect() {
    auto dialling = dial(network_, listener_->endpoint());
    auto client = co_await attempt(std::move(dialling));
    auto accepted = co_await attempt(accept(*listener_));
    guests.spawn(guest(std::move(accepted)));
    co_return client;
  }

  /// Says a line to a new connection, and hears all of the answer.
  Io<std::string> ask(std::string line) {
    auto connecting = connect();
    const auto client = co_await attempt(std::move(connecting));
    co_await attempt(write_all(*client, line, "\n"));
    auto reading = read_to_end(*client);
    co_return co_await reading;
  }

  Orders orders;
  std::vector<std::string> errors;  // of those that ended with one
  int ended = 0;
  Scope guests;

 private:
  Task<void> guest(std::unique_ptr<Stream> stream) {
    auto serving = serve_in_(reactor_, std::move(stream), serve_, orders);
    const auto result = co_await serving;
    ++ended;
    if (!result) errors.push_back(to_string(result.error()));
  }

  Reactor& reactor_;
  Network& network_;
  ServeIn serve_in_;
  std::shared_ptr<const ServeOne> serve_;
  std::unique_ptr<Listener> listener_;
};

/// A test of every `serve_in`: more is written than the network holds, and then the handler ends.
inline void expect_that_all_that_was_written_arrives(ServeIn serve_in) {
  run_story([&](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in,
                     [](Reactor&, std::unique_ptr<Stream> client, Event&) -> Io<void> {
                       const std::string text(3'000'000, 'x');
                       co_await attempt(write_all(*client, text));
                       co_return {};
                     });
    auto asking = server.ask("go");
    const auto text = co_await attempt(std::move(asking));
    EXPECT_EQ(text.size(), 3'000'000);
    co_return co_await server.guests.join();
  });
}

/// The first line that a client says.
inline Io<std::string> order_of(Stream& client) {
  Reader lines(client);
  const auto line = co_await attempt(lines.line());
  co_return std::string(line.value_or("nothing"));
}

}  // namespace koine::os
