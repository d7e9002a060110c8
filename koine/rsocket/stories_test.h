// A service and the stories its clients tell, for every network that runs them.
#pragma once

#include <charconv>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/rsocket/peer.h"

namespace koine::rsocket::stories {

inline int number(std::string_view text) {
  int value = -1;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// The service, and what happened in it.
struct Log {
  Log() {
    service.on("echo", [](Message message) -> Io<Message> { co_return message; });
    service.on("later", [](Message message) -> Io<Message> {
      co_await sleep(1s);
      co_return message;
    });
    service.on("fail", [](Message message) -> Io<Message> {
      co_return fail(Fault::denied, "answer", message.data);
    });
    service.on("throw", [](Message message) -> Io<Message> {
      if (!message.data.empty()) throw std::runtime_error("thrown");
      co_return message;
    });
    service.on("slow", [this](Message message) -> Io<Message> {
      const Witness witness{*this};
      text += "slow begins, ";
      co_await sleep(24h);
      co_return message;
    });
    service.on("note", [this](Message message) -> Io<void> {
      text += message.data + ", ";
      co_return {};
    });
    service.on("count", [this](Message to, Flow& out) -> Io<void> {
      for (int i = 0; i < number(to.data); ++i) {
        const std::string item = std::to_string(i);
        co_await attempt(out.send(item));
        ++items_sent;
      }
      co_return {};
    });
    service.on("sum", [](Message first, Flow& flow) -> Io<void> {
      int sum = number(first.data);
      for (;;) {
        const std::string so_far = std::to_string(sum);
        co_await attempt(flow.send(so_far));
        const auto item = co_await attempt(flow.next());
        if (!item) break;
        sum += number(item->data);
      }
      co_return {};
    });
  }

  struct Witness {
    Log& log;
    ~Witness() { log.text += "slow is destroyed, "; }
  };

  Service service;
  std::string text;
  int items_sent = 0;
};

inline std::unexpected<Error> wrong(std::string what) {
  return std::unexpected(Error(Fault::malformed, "story").with_note(std::move(what)));
}

inline Io<void> count_to(Peer& peer, int items, std::uint32_t window) {
  auto opening = peer.stream("count", std::to_string(items), {.window = window});
  auto counted = co_await attempt(std::move(opening));
  int expected = 0;
  for (;;) {
    const auto item = co_await attempt(counted.next());
    if (!item) break;
    if (number(item->data) != expected++) co_return wrong("item " + item->data);
  }
  if (expected != items) co_return wrong("ended after " + std::to_string(expected));
  co_return {};
}

/// A running sum: 1, 1 + 2, 1 + 2 + 3, ...
inline Io<void> sum_up(Peer& peer, int items) {
  auto opening = peer.channel("sum", "1", {.window = 2});
  auto channel = co_await attempt(std::move(opening));
  int sum = 1;
  for (int i = 2; i <= items; ++i) {
    const auto so_far = co_await attempt(channel.next());
    if (!so_far || number(so_far->data) != sum) co_return wrong("sum before " + std::to_string(i));
    const std::string item = std::to_string(i);
    co_await attempt(channel.send(item));
    sum += i;
  }
  channel.complete();
  const auto last = co_await attempt(channel.next());
  if (!last || number(last->data) != sum) co_return wrong("the last sum");
  const auto end = co_await attempt(channel.next());
  if (end) co_return wrong("no end");
  co_return {};
}

inline Io<void> call_once(Peer& peer, std::string data) {
  const Message answer = co_await attempt(peer.call("echo", data));
  if (answer.data != data) co_return wrong("'" + answer.data + "' for '" + data + "'");
  co_return {};
}

/// All of them at the same time.
inline Io<void> many_calls(Peer& peer, int calls) {
  Scope scope;
  for (int i = 0; i < calls; ++i) scope.spawn(call_once(peer, "call " + std::to_string(i)));
  co_return co_await scope.join();
}

inline Io<void> everything(Peer& peer) {
  auto calls = many_calls(peer, 50);
  co_await attempt(std::move(calls));
  auto counting = count_to(peer, 500, 8);
  co_await attempt(std::move(counting));
  auto summing = sum_up(peer, 50);
  co_await attempt(std::move(summing));
  auto large = call_once(peer, std::string(300'000, 'x'));
  co_await attempt(std::move(large));
  auto firing = peer.fire("note", "fired");
  co_await attempt(std::move(firing));
  co_return {};
}

/// The server's side of one connection.
inline Io<void> serve_one(std::unique_ptr<Stream> stream, const Service& service) {
  Peer peer(std::move(stream), Side::server, &service);
  auto running = peer.run();
  co_return co_await running;
}

inline Io<void> serve_all(Listener& listener, const Service& service) {
  Scope serving;
  for (;;) {
    auto stream = co_await attempt(accept(listener));
    serving.spawn(serve_one(std::move(stream), service));
  }
}

/// Connects to `url`, tells everything, and closes in peace.
inline Io<void> everything_at(Network& network, std::string url) {
  auto connecting = connect(network, std::move(url));
  auto peer = co_await attempt(std::move(connecting));
  auto telling = everything(*peer);
  co_await attempt(std::move(telling));
  peer->close();
  auto running = peer->run();
  co_return co_await running;
}

/// Server and client on one network.
inline Io<void> everything_here(Network& network, std::string url) {
  const auto at = co_await attempt(parse_endpoint(url));
  auto listener = co_await attempt(network.listen(at));
  Log log;
  Scope serving;
  serving.spawn(serve_all(*listener, log.service));
  auto telling = everything_at(network, to_string(listener->endpoint()));
  co_return co_await telling;
}

}  // namespace koine::rsocket::stories
