// Two peers on the real kernel's loopback that follow each other's messages, for tests of journeys.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/journey/picture.h"
#include "koine/journey/spans.h"
#include "koine/os/network.h"
#include "koine/os/reactor.h"
#include "koine/os/track.h"
#include "koine/rsocket/peer.h"

namespace koine::rsocket {

using journey::Journey;
using journey::Level;
using journey::Offset;

inline constexpr Duration patience = 20s;

inline Io<std::string> echo(std::string text) { co_return text; }
inline Io<void> note(std::string) { co_return {}; }
inline Io<std::string> refuse(std::string text) { co_return fail(Fault::refused, "refuse", text); }
inline Io<Message> with_metadata(Message message) {
  ByteVector metadata;
  static_cast<void>(append_entry(metadata, json_mime_type, as_bytes(message.data)));
  message.metadata = std::string(as_text(metadata));
  co_return message;
}

inline Io<void> count(int to, Sink<int>& out) {
  for (int i = 0; i < to; ++i) co_await attempt(out.send(i));
  co_return {};
}
inline Io<void> doubled(Source<int>& in, Sink<int>& out) {
  while (const auto number = co_await attempt(in.next())) co_await attempt(out.send(2 * *number));
  co_return {};
}

inline Service service() {
  Service service;
  service.on("echo", echo).on("note", note).on("refuse", refuse).on("metadata", with_metadata);
  service.on("count", count).on("doubled", doubled);
  return service;
}

/// Keeps this thread on the core it is on. Where a sender moves to another one, what it sends there
/// may overtake what it has sent before, and then the kernel has no arrival to tell of.
class OneCore {
 public:
  OneCore() {
    const int core = ::sched_getcpu();
    if (core < 0 || ::sched_getaffinity(0, sizeof(before_), &before_) != 0) return;
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(static_cast<unsigned>(core), &here);
    is_kept_ = ::sched_setaffinity(0, sizeof(here), &here) == 0;
  }
  OneCore(const OneCore&) = delete;
  OneCore& operator=(const OneCore&) = delete;
  ~OneCore() {
    if (is_kept_) ::sched_setaffinity(0, sizeof(before_), &before_);
  }

 private:
  cpu_set_t before_{};
  bool is_kept_ = false;
};

/// Two peers on one loop; each may have a recorder.
class Both {
 public:
  explicit Both(journey::RecorderOptions options = {.every = 1})
      : asked(options), answered({.every = 1'000'000}), warm(asked) {
    network.emplace(*reactor);
    asked.on_journey = [this](const Journey& journey) { journeys.push_back(journey); };
  }

  template <class Op>
  auto run(Op op) {
    return reactor->run(within(patience, std::move(op)));
  }

  /// Arrivals are stamped from now on: where others take the CPU the kernel may need long to begin.
  Io<void> stamps_begin() {
    for (int tries = 0; tries < 20; ++tries) {
      auto beginning = warm.ready();
      if (co_await attempt(std::move(beginning))) co_return {};
      co_await sleep(1ms);
    }
    co_return std::unexpected(
        Error(Fault::unsupported, "follow").with_note("this system does not stamp arrivals"));
  }

  Io<void> connect(PeerOptions ours, PeerOptions theirs) {
    auto beginning = stamps_begin();
    co_await attempt(std::move(beginning));
    auto endpoint = parse_endpoint("tcp://127.0.0.1:0");
    listener = co_await attempt(network->listen(*endpoint));
    auto dialing = dial(*network, listener->endpoint());
    auto stream = co_await attempt(std::move(dialing));
    auto accepted = co_await attempt(accept(*listener));
    server.emplace(std::move(accepted), Side::server, &answers, std::move(theirs));
    client.emplace(std::move(stream), Side::client, &answers, std::move(ours));
    co_return {};
  }
  /// Both follow from the beginning on.
  void connect() { ASSERT_TRUE(run(connect({.journeys = &here}, {.journeys = &there}))); }

  Io<std::string> ask(std::string route, std::string text) {
    auto answer = co_await client->call(route, text);
    if (!answer) co_return to_string(answer.error());
    co_return answer->data + (answer->metadata ? " [" + *answer->metadata + "]" : "");
  }
  /// One call in full.
  Followed<std::string> follow(std::string text) {
    auto followed = run(client->call<std::string>("echo", text, journey::follow));
    EXPECT_TRUE(followed) << to_string(followed.error());
    return followed ? std::move(*followed) : Followed<std::string>{};
  }

  const OneCore one_core;
  std::unique_ptr<os::Reactor> reactor = std::move(*os::Reactor::make());
  std::optional<os::Network> network;
  Service answers = service();
  journey::Recorder asked;
  journey::Recorder answered;  // its first message, and those that it is asked for
  os::Tracker warm;
  Journeys here{asked};
  Journeys there{answered};
  std::vector<Journey> journeys;
  std::unique_ptr<Listener> listener;
  std::optional<Peer> server;
  std::optional<Peer> client;
};

inline void expect_sum(const Journey& journey) {
  const journey::Spans spans = journey::spans_of(journey);
  std::int64_t sum = 0;
  for (const journey::Span& span : spans.spans) sum += span.ns();
  EXPECT_EQ(sum, spans.total_ns);
  EXPECT_GT(sum, 0);
}

}  // namespace koine::rsocket
