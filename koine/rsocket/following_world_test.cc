// Journeys of calls in a simulated internet: the same program as on loopback, and the stamps of
// both ends are the world's own.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "koine/app/server.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/journey/export.h"
#include "koine/journey/hops.h"
#include "koine/journey/spans.h"
#include "koine/rsocket/peer.h"
#include "koine/sim/world.h"
#include "koine/wire/pcapng.h"

namespace koine::rsocket {
namespace {

using namespace sim::literals;
using journey::Journey;
using journey::Leg;
using journey::Step;

/// A client and a server, far from each other; both follow.
class Both {
 public:
  explicit Both(std::uint64_t seed = 1, double loss = 0) : world(seed) {
    auto& router = world.router("router");
    world.link(client, router, {.rate = 50_Mbit, .delay = 2ms, .loss = loss});
    world.link(router, server, {.rate = 20_Mbit, .delay = 5ms, .loss = loss});
    asked.on_journey = [this](const Journey& journey) { journeys.push_back(journey); };
    answered.on_journey = [this](const Journey& journey) { halves[journey.trace_id] = journey; };
    server.run([this](Network& network) { return serve(network); });
  }

  Io<void> serve(Network& network) {
    Service service;
    service.on("answer", [](std::string name) -> Io<std::string> {
      co_return "<answer " + name + ">" + std::string(1000, '.');
    });
    service.on("slow", [](std::string name) -> Io<std::string> {
      co_await sleep(5s);
      co_return name;
    });
    service.on("note", [](std::string) -> Io<void> { co_return {}; });
    service.on("refuse", [](std::string name) -> Io<std::string> {
      co_return fail(Fault::refused, "refuse", name);
    });
    service.on("sums", [](Source<int>& in, Sink<int>& out) -> Io<void> {
      int sum = 0;
      while (const auto number = co_await attempt(in.next()))
        co_await attempt(out.send(sum += *number));
      co_return {};
    });
    Server serving(network, handler(std::move(service), {.journeys = &there}));
    auto listening = serving.listen("tcp://:7001");
    co_await attempt(std::move(listening));
    co_await serving.run();
    co_return {};
  }

  /// What `story` of a peer tells, once all is over.
  template <class Story>
  void run(Story story) {
    client.run([this, story](Network& network) -> Io<void> {
      auto connecting = connect(network, "rsocket+tcp://server:7001", {.journeys = &here});
      const auto peer = co_await attempt(std::move(connecting));
      auto telling = story(network, *peer);
      co_await attempt(std::move(telling));
      auto settling = peer->journeys_settled();
      co_await attempt(std::move(settling));
      co_return {};
    });
    world.run();
    const auto error = client.error();
    EXPECT_TRUE(client.finished()) << (error ? to_string(*error) : "");
  }

  journey::Recorder asked{{.every = 1}};
  journey::Recorder answered{{.every = 1'000'000}};
  Journeys here{asked};
  Journeys there{answered};
  std::vector<Journey> journeys;
  std::map<std::array<std::uint8_t, 16>, Journey> halves;  // the server's
  sim::World world;
  sim::Host& client = world.host("client");
  sim::Host& server = world.host("server");
};

void expect_whole(const Journey& journey) {
  const journey::Spans spans = spans_of(journey);
  std::int64_t sum = 0;
  for (const journey::Span& span : spans.spans) sum += span.ns();
  EXPECT_EQ(sum, spans.total_ns);
  EXPECT_EQ(journey::stamps_of(journey), 14) << json_line(journey);
  EXPECT_EQ(journey.offset.method, journey::Offset::Method::same_clock);
  for (const Step step : {Step::network_there, Step::network_back}) {
    const auto* const span = spans.find(step);
    ASSERT_NE(span, nullptr) << json_line(journey);
    std::int64_t hops_ns = 0;
    for (const journey::Hop& hop : hops_of(journey, step)) hops_ns += hop.ns();
    EXPECT_EQ(hops_ns, span->ns()) << json_line(journey);
  }
}

/// From one program to the other, over every hop.
void expect_one_way(const Journey& journey, bool is_reply) {
  const Leg& went = is_reply ? journey.reply : journey.request;
  EXPECT_EQ(journey::stamps_of(journey), 7) << json_line(journey);
  const journey::Spans spans = spans_of(journey);
  std::int64_t sum = 0;
  for (const journey::Span& span : spans.spans) sum += span.ns();
  EXPECT_EQ(sum, spans.total_ns);
  EXPECT_EQ(sum, went.recv_out.ns - went.write_in.ns);
  const Step step = is_reply ? Step::network_back : Step::network_there;
  ASSERT_NE(spans.find(step), nullptr) << json_line(journey);
  std::int64_t hops_ns = 0;
  for (const journey::Hop& hop : hops_of(journey, step)) hops_ns += hop.ns();
  EXPECT_EQ(hops_ns, spans.find(step)->ns()) << json_line(journey);
  EXPECT_GE(hops_ns, Duration(7ms).count()) << "two links";
}

/// When the world's capture has the first frame with that text at that node.
std::int64_t captured(const std::string& file, const std::string& text, const std::string& node,
                      wire::PcapngDirection direction) {
  wire::PcapngReader reader(as_bytes(file));
  for (auto frame = reader.next(); frame && *frame; frame = reader.next()) {
    const bool is_there = reader.interfaces()[(*frame)->interface].name.starts_with(node + ":");
    if (is_there && (*frame)->direction == direction &&
        as_text((*frame)->bytes).find(text) != std::string_view::npos)
      return Duration((*frame)->at).count();
  }
  return 0;
}

TEST(RsocketJourneyInAWorld, ACallHasTheStampsOfBothEndsAndEveryHop) {
  Both both;
  std::string file;
  both.world.capture(file);
  std::vector<std::shared_ptr<const Journey>> followed;
  both.run([&](Network&, Peer& peer) -> Io<void> {
    for (const char* name : {"one", "two", "three"}) {
      auto following = peer.call<std::string>("answer", std::string(name), journey::follow);
      auto answer = co_await attempt(std::move(following));
      followed.push_back(std::move(answer.journey));
    }
    co_return {};
  });
  ASSERT_EQ(followed.size(), 3U);
  using enum wire::PcapngDirection;
  const char* const names[] = {"one", "two", "three"};
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(followed[i]);
    const Journey& journey = *followed[i];
    expect_whole(journey);
    EXPECT_EQ(journey.frames.size(), 2U);
    const std::string reply = "<answer " + std::string(names[i]) + ">";
    EXPECT_EQ(journey.reply.sched.ns, captured(file, reply, "server", outbound));
    EXPECT_EQ(journey.reply.rx.ns, captured(file, reply, "client", inbound));
    EXPECT_EQ(journey.request.sched.ns, captured(file, names[i], "client", outbound));
    EXPECT_EQ(journey.request.rx.ns, captured(file, names[i], "server", inbound));
  }
}

TEST(RsocketJourneyInAWorld, BothEndsTellTheSameOfCallsThatTravelTogether) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Both both(seed);
    both.run([&](Network&, Peer& peer) -> Io<void> {
      auto agreeing = peer.journeys_agreed();
      co_await attempt(std::move(agreeing));
      Scope scope;
      const auto one = [&](int i) -> Io<void> {
        co_await attempt(peer.call<std::string>("answer", std::to_string(i)));
        co_return {};
      };
      for (int i = 0; i < 12; ++i) scope.spawn(one(i));
      co_await attempt(scope.join());
      co_return {};
    });
    ASSERT_EQ(both.journeys.size(), 12U) << seed;
    for (const Journey& journey : both.journeys) {
      expect_whole(journey);
      ASSERT_TRUE(both.halves.contains(journey.trace_id));
      const Journey& half = both.halves[journey.trace_id];
      EXPECT_EQ(journey.reply.snd, half.reply.snd) << seed;
      EXPECT_EQ(journey.reply.hops, half.reply.hops) << seed;
      EXPECT_EQ(journey.request.snd, half.request.snd) << seed;
      EXPECT_EQ(journey.request.hops, half.request.hops) << seed;
    }
  }
}

TEST(RsocketJourneyInAWorld, WhatHasOneWayIsFollowedAlongItsHopsAndLossIsTold) {
  for (const double loss : {0.0, 0.05}) {
    Both both(7, loss);
    FlowJourneys journeys;
    both.run([&](Network&, Peer& peer) -> Io<void> {
      auto firing = peer.fire("note", "x", journey::follow);
      const auto fired = co_await attempt(std::move(firing));
      if (!fired.journey) co_return fail(Fault::malformed, "follow");
      expect_one_way(*fired.journey, false);
      auto opening = peer.channel<int, int>("sums", 1, journey::follow);
      auto sums = co_await attempt(std::move(opening));
      for (int i = 2; i <= 5; ++i) {
        co_await attempt(sums.send(i));
        co_await sleep(20ms);
      }
      sums.complete();
      int last = 0;
      while (const auto sum = co_await attempt(sums.next())) last = *sum;
      EXPECT_EQ(last, 15);
      auto finding = sums.journeys();
      journeys = co_await attempt(std::move(finding));
      EXPECT_FALSE(co_await peer.call<std::string>("refuse", std::string("x")));
      EXPECT_EQ(peer.journey_counts().untold, 0U);
      co_return {};
    });
    ASSERT_TRUE(journeys.request);
    expect_one_way(*journeys.request, false);
    ASSERT_EQ(journeys.items.size(), 9U);
    for (const ItemJourney& item : journeys.items) {
      expect_one_way(*item.journey, item.is_reply);
      const std::string half = item.is_reply ? "reply" : "request";
      EXPECT_TRUE(both.halves.contains(item.journey->trace_id)) << half << " of " << item.item;
    }
    ASSERT_FALSE(both.journeys.empty());
    expect_whole(both.journeys.back());  // answered by ERROR
  }
}

/// TCP sends it again long after the server would tell: it waits, and knows which sending arrived.
TEST(RsocketJourneyInAWorld, AnAnswerThatIsSentAgainHasAllItsSendings) {
  Both both(3, 0.05);
  std::size_t sent_again = 0;
  both.run([&](Network&, Peer& peer) -> Io<void> {
    for (int i = 0; i < 60; ++i) {
      auto following = peer.call<std::string>("answer", std::to_string(i), journey::follow);
      const auto followed = co_await attempt(std::move(following));
      if (!followed.journey) co_return fail(Fault::malformed, "follow");
      const Journey& journey = *followed.journey;
      expect_whole(journey);
      const Journey& half = both.halves[journey.trace_id];
      EXPECT_EQ(journey.reply.snd, half.reply.snd);
      const std::int64_t left_ns = journey.reply.snd.back().ns;
      EXPECT_LT(journey.reply.rx.ns - left_ns, Duration(20ms).count()) << json_line(journey);
      if (journey.reply.sendings > 1) ++sent_again;
    }
    EXPECT_EQ(peer.journey_counts().untold, 0U);
    co_return {};
  });
  EXPECT_GE(sent_again, 3U);
}

TEST(RsocketJourneyInAWorld, HeadersAreKeptUntilNobodyWantsThemAnyMore) {
  Both both;
  std::size_t frames = 0;
  both.run([&](Network& network, Peer& first) -> Io<void> {
    auto connecting = connect(network, "rsocket+tcp://server:7001", {.journeys = &both.here});
    const auto second = co_await attempt(std::move(connecting));
    auto agreeing = second->journeys_agreed();
    co_await attempt(std::move(agreeing));
    Scope scope;
    const auto slow = [&]() -> Io<void> {
      auto following = first.call<std::string>("slow", std::string("1"), journey::follow);
      const auto answer = co_await attempt(std::move(following));
      frames += answer.journey->frames.size();
      co_return {};
    };
    scope.spawn(slow());
    auto following = second->call<std::string>("answer", std::string("2"), journey::follow);
    const auto answer = co_await attempt(std::move(following));
    frames += answer.journey->frames.size();
    co_return co_await scope.join();
  });
  EXPECT_EQ(frames, 4U) << "one each way";
}

TEST(RsocketJourneyInAWorld, AServerThatCrashesLeavesNobodyWaiting) {
  for (const Duration at : {36ms, 40ms, 44ms, 60ms, 61ms, 62ms, 75ms}) {
    Both both;
    both.world.after(at, [&] { both.server.crash(); });
    int answered = 0;
    both.run([&](Network&, Peer& peer) -> Io<void> {
      for (;;) {
        auto following = peer.call<std::string>("answer", std::string("x"), journey::follow);
        const auto answer = co_await following;
        if (!answer) co_return {};
        ++answered;
      }
    });
    EXPECT_LT(answered, 10);
  }
}

}  // namespace
}  // namespace koine::rsocket
