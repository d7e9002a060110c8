// koine's end of a conversation with another implementation of RSocket: peer.js has the other.
//
//     peer serve        prints "port N" and serves until its standard input ends
//     peer ask PORT     has the conversation, lets the other side have it too, and prints both
//
// Each end has the same service and the same conversation, so that each of four ways (who connects,
// who asks) can be compared with one text.
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <list>
#include <string>

#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/koine.h"
#include "koine/rsocket/peer.h"
#include "koine/rsocket/sessions.h"

namespace {

using namespace koine;
using rsocket::Flow;
using rsocket::Message;
using rsocket::Peer;

int number(std::string_view text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// A task that is destroyed before it has ended was cancelled.
struct Witness {
  int& cancelled;
  bool has_ended = false;
  ~Witness() { cancelled += has_ended ? 0 : 1; }
};

Io<std::string> conversation(Peer& peer);

struct Log {
  Log() {
    service.on("echo", [](Message message) -> Io<Message> { co_return message; });
    service.on("fail", [](Message) -> Io<Message> { co_return fail(Fault::denied, "answer"); });
    service.on("note", [this](Message message) -> Io<void> {
      noted += message.data;
      co_return {};
    });
    service.on("noted", [this](Message) -> Io<Message> { co_return Message{noted}; });
    service.on("cancelled",
               [this](Message) -> Io<Message> { co_return Message{std::to_string(cancelled)}; });
    service.on("never", [this](Message message) -> Io<Message> {
      const Witness witness{cancelled};
      co_await sleep(24h);
      co_return message;
    });
    service.on("count", [this](Message to, Flow& out) -> Io<void> {
      Witness witness{cancelled};
      for (int i = 0; i < number(to.data); ++i) {
        const std::string item = std::to_string(i);
        co_await attempt(out.send(item));
      }
      witness.has_ended = true;
      co_return {};
    });
    service.on("sum", [](Message first, Flow& flow) -> Io<void> {
      int sum = number(first.data);
      for (;;) {
        const std::string so_far = std::to_string(sum);
        co_await attempt(flow.send(so_far));
        const auto item = co_await attempt(flow.next());
        if (!item) co_return {};
        sum += number(item->data);
      }
    });
    service.on("turn", [this](Message) -> Io<Message> {
      auto talking = conversation(*peer);
      auto told = co_await attempt(std::move(talking));
      co_return Message{std::move(told)};
    });
  }

  rsocket::Service service;
  Peer* peer = nullptr;
  std::string noted;
  int cancelled = 0;
};

Io<std::string> said(Peer& peer, std::string route, std::string data) {
  auto call = peer.call(route, data);
  auto answer = co_await call;
  if (answer) co_return answer->data;
  co_return std::string(answer.error().note());
}

Io<void> call_never(Peer& peer) {
  auto call = peer.call("never", "");
  static_cast<void>(co_await call);
  co_return {};
}

Io<std::string> take(Peer& peer, std::string to, int items) {
  auto opening = peer.stream("count", to, {.window = 2});
  auto source = co_await attempt(std::move(opening));
  std::string text;
  for (int i = 0; i < items; ++i) {
    const auto item = co_await attempt(source.next());
    if (!item) break;
    text += " " + item->data;
  }
  co_return text;
}

Io<std::string> sum_up(Peer& peer) {
  auto opening = peer.channel("sum", "1", {.window = 2});
  auto channel = co_await attempt(std::move(opening));
  std::string text;
  for (int i = 2; i <= 6; ++i) {
    const auto sum = co_await attempt(channel.next());
    text += " " + (sum ? sum->data : "too few");
    if (i == 6) break;
    const std::string item = std::to_string(i);
    co_await attempt(channel.send(item));
  }
  channel.complete();
  const auto end = co_await attempt(channel.next());
  if (end) text += " and " + end->data;
  co_return text;
}

Io<std::string> conversation(Peer& peer) {
  std::string text;
  auto echo = said(peer, "echo", "hello");
  text += "echo: " + co_await attempt(std::move(echo)) + "\n";
  auto failing = said(peer, "fail", "");
  text += "fail: " + co_await attempt(std::move(failing)) + "\n";
  auto counting = take(peer, "5", 10);
  text += "count:" + co_await attempt(std::move(counting)) + "\n";
  auto summing = sum_up(peer);
  text += "sum:" + co_await attempt(std::move(summing)) + "\n";
  auto firing = peer.fire("note", "one");
  co_await attempt(std::move(firing));
  auto noted = said(peer, "noted", "");
  text += "noted: " + co_await attempt(std::move(noted)) + "\n";
  {
    Scope calling;
    calling.spawn(call_never(peer));
    auto meanwhile = said(peer, "echo", "meanwhile");  // it has begun when this is answered
    text += co_await attempt(std::move(meanwhile)) + "\n";
  }
  auto cancelled = said(peer, "cancelled", "");
  text += "cancelled: " + co_await attempt(std::move(cancelled)) + "\n";
  auto taking = take(peer, "1000000", 3);
  text += "taken:" + co_await attempt(std::move(taking)) + "\n";
  auto again = said(peer, "cancelled", "");
  text += "cancelled: " + co_await attempt(std::move(again)) + "\n";
  const std::string data(700'000, 'x');
  auto large = said(peer, "echo", data);
  const std::string back = co_await attempt(std::move(large));
  text += std::string("large: ") + (back == data ? "the same" : "different") + "\n";
  co_return text;
}

rsocket::PeerOptions options() {
  rsocket::PeerOptions options;
  options.connection.keepalive = 50ms;
  options.connection.lifetime = 60s;
  options.connection.lease = true;
  options.connection.frame_bytes_max = 16'384;
  return options;
}

Io<void> serve_one(std::unique_ptr<Stream> stream) {
  static rsocket::Sessions sessions;  // of the one loop there is
  Log log;
  rsocket::PeerOptions serving = options();
  serving.connection.resume = true;
  serving.sessions = &sessions;
  Peer peer(std::move(stream), rsocket::Side::server, &log.service, serving);
  log.peer = &peer;
  auto running = peer.run();
  auto ended = co_await running;
  if (!ended) std::fprintf(stderr, "%s\n", to_string(ended.error()).c_str());
  co_return {};
}

Io<void> ask(Network& network, std::string url) {
  Log log;
  rsocket::PeerOptions asking = options();
  asking.connection.lease = false;
  auto connecting = rsocket::connect(network, std::move(url), asking, &log.service);
  auto peer = co_await attempt(std::move(connecting));
  log.peer = peer.get();
  auto talking = conversation(*peer);
  const std::string told = co_await attempt(std::move(talking));
  auto turning = said(*peer, "turn", "");
  const std::string turned = co_await attempt(std::move(turning));
  const auto frames = peer->connection().counts().frames;
  while (peer->connection().counts().frames < frames + 3) co_await sleep(10ms);
  std::printf("%sthe other way round\n%skept alive\n", told.c_str(), turned.c_str());
  peer->close();
  auto running = peer->run();
  co_return co_await running;
}

}  // namespace

int main(int count, char** words) {
  if (count == 2 && std::string_view(words[1]) == "serve") {
    ServeOptions serving;
    serving.on_listening = [](const std::vector<Endpoint>& at) {
      std::printf("port %d\n", static_cast<int>(at.front().address()->port()));
      std::fflush(stdout);
    };
    return serve("tcp://127.0.0.1:0", serve_one, std::move(serving));
  }
  if (count == 3 && std::string_view(words[1]) == "ask") {
    const std::string url = std::string("rsocket+tcp://127.0.0.1:") + words[2];
    return run([&](Network& network) { return ask(network, url); });
  }
  std::fprintf(stderr, "usage: peer serve | peer ask PORT\n");
  return 2;
}
