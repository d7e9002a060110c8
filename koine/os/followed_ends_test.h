// For tests of tracks: the two ends of a connection on one loop, each followed, through the real
// kernel on loopback.
#pragma once

#include <gtest/gtest.h>

#include "koine/async/combine.h"
#include "koine/async/within.h"
#include "koine/journey/export.h"
#include "koine/journey/spans.h"
#include "koine/os/each_multiplexer_test.h"
#include "koine/os/network.h"
#include "koine/os/track.h"

namespace koine::os {

using journey::Journey;
using journey::Leg;
using journey::Quality;
using journey::Step;

inline constexpr Duration patience = 20s;

/// Both ends on one loop, and a recorder at each.
class Both {
 public:
  explicit Both(Network& on, journey::RecorderOptions options = {.every = 1})
      : network(on), asked(options), answered(options), here(asked), there(answered) {}

  Io<void> connect(std::string at) {
    auto beginning = here.ready();
    EXPECT_TRUE(co_await attempt(std::move(beginning)));
    auto endpoint = parse_endpoint(at);
    listener = co_await attempt(network.listen(*endpoint));
    auto dialing = dial(network, listener->endpoint());
    client = co_await attempt(std::move(dialing));
    server = co_await attempt(accept(*listener));
    asks = co_await attempt(here.attach(*client));
    answers = co_await attempt(there.attach(*server));
    co_return {};
  }

  /// One message there and the same back, followed at both ends: the two halves.
  Io<std::pair<std::shared_ptr<Journey>, std::shared_ptr<Journey>>> exchange(std::string text) {
    auto question = asked.begin(asks->connection());
    auto answer = answered.begin(answers->connection());
    asks->send(question, Way::there, text.size());
    auto serving = serve(answer, text.size());
    auto asking = ask(question, text);
    auto both = co_await all(std::move(serving), std::move(asking));
    co_await attempt(std::move(both));
    co_await attempt(within(patience, settled(*asks)));
    co_await attempt(within(patience, settled(*answers)));
    co_return std::pair(question, answer);
  }

  static Io<std::string> take(Stream& stream, std::size_t bytes) {
    std::string text;
    while (text.size() < bytes) {
      const Buffer buffer = co_await attempt(koine::receive(stream));
      if (!buffer) co_return fail(Fault::ended, "read");
      text += buffer.text();
    }
    co_return text;
  }

  Network& network;
  journey::Recorder asked;
  journey::Recorder answered;
  Tracker here;
  Tracker there;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
  Track* asks = nullptr;
  Track* answers = nullptr;

 private:
  Io<void> serve(std::shared_ptr<Journey> answer, std::size_t bytes) {
    auto taking = take(*server, bytes);
    const std::string text = co_await attempt(std::move(taking));
    answers->receive(answer, Way::there);
    answers->send(answer, Way::back, bytes);
    co_await attempt(write_all(*server, text));
    co_await attempt(flush(*server));
    co_return {};
  }
  Io<void> ask(std::shared_ptr<Journey> question, std::string text) {
    co_await attempt(write_all(*client, text));
    co_await attempt(flush(*client));
    auto taking = take(*client, text.size());
    const std::string back = co_await attempt(std::move(taking));
    if (back != text) co_return fail(Fault::malformed, "compare");
    asks->receive(question, Way::back);
    co_return {};
  }
};

/// Both halves as one, on the one clock that both ends read.
inline Journey joined(const std::pair<std::shared_ptr<Journey>, std::shared_ptr<Journey>>& halves) {
  return journey::join(*halves.first, *halves.second,
                       {.method = journey::Offset::Method::same_clock});
}

inline void expect_whole(const Journey& journey, const char* what) {
  EXPECT_EQ(journey::stamps_of(journey), 14) << what << json_line(journey);
  const journey::Spans spans = spans_of(journey);
  EXPECT_EQ(spans.spans.size(), 13U) << what;
  std::int64_t sum = 0;
  for (const journey::Span& span : spans.spans) sum += span.ns();
  EXPECT_EQ(sum, spans.total_ns) << what;
  EXPECT_EQ(spans.total_ns, journey.reply.recv_out.ns - journey.request.write_in.ns) << what;
  for (const Leg* leg : {&journey.request, &journey.reply}) {
    // On a busy machine TCP sends again what was not lost; it counts that as well.
    EXPECT_GE(leg->sendings, 1U) << what;
    EXPECT_LE(leg->sendings, 1 + leg->tcp.retransmits) << what;
    EXPECT_EQ(leg->sched.quality, Quality::exact) << what;
    EXPECT_EQ(leg->snd.at(0).quality, Quality::exact) << what;
    EXPECT_EQ(leg->rx.quality, Quality::exact) << what;
    EXPECT_LE(leg->write_in.ns, leg->sched.ns) << what;
    EXPECT_LE(leg->sched.ns, leg->snd[0].ns) << what;
    EXPECT_LE(leg->snd[0].ns, leg->rx.ns) << what;
    EXPECT_LE(leg->rx.ns, leg->recv_out.ns) << what;
    EXPECT_LE(leg->recv_in.ns, leg->recv_out.ns) << what;
  }
}

}  // namespace koine::os
