// Journeys of calls between two peers, on the real kernel's loopback.
#include "koine/rsocket/following_test.h"

#include <chrono>

#include "koine/async/combine.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"

namespace koine::rsocket {
namespace {

TEST(RsocketJourney, ACallThatIsFollowedHasTheStampsOfBothEnds) {
  Both both;
  both.connect();
  const auto followed = both.follow("hello");
  EXPECT_EQ(followed.answer, "hello");
  ASSERT_TRUE(followed.journey);
  const Journey& journey = *followed.journey;
  EXPECT_EQ(journey::stamps_of(journey), 14) << journey::waterfall(journey);
  EXPECT_EQ(journey.offset.method, Offset::Method::same_clock);
  EXPECT_EQ(journey.offset.theta_ns, 0);
  EXPECT_EQ(journey::spans_of(journey).spans.size(), 13U);
  expect_sum(journey);
  EXPECT_TRUE(journey.handler_in);
  EXPECT_LE(journey.request.recv_out.ns, journey.handler_in.ns);
  EXPECT_LE(journey.handler_in.ns, journey.handler_out.ns);
  EXPECT_LE(journey.handler_out.ns, journey.reply.write_in.ns);
  EXPECT_NE(journey.trace_id, Journey().trace_id);
  EXPECT_EQ(both.client->journey_counts().malformed + both.server->journey_counts().malformed, 0U);
  if (journey::level_of(journey) == Level::both_with_frames) {
    EXPECT_EQ(journey.frames.size(), 2U) << "one each way";
  }
}

TEST(RsocketJourney, TheAnswererHasItsHalfForItsOwnRecorder) {
  Both both;
  both.connect();
  std::vector<Journey> halves;
  both.answered.on_journey = [&](const Journey& journey) { halves.push_back(journey); };
  const auto followed = both.follow("hello");
  ASSERT_TRUE(followed.journey);
  ASSERT_EQ(halves.size(), 1U);
  EXPECT_EQ(halves[0].trace_id, followed.journey->trace_id);
  EXPECT_EQ(halves[0].request.rx, followed.journey->request.rx);
  EXPECT_EQ(halves[0].reply.snd, followed.journey->reply.snd);
  EXPECT_FALSE(halves[0].request.write_in);
}

TEST(RsocketJourney, OneInSoManyCallsIsFollowedAndEveryOneOfThemComesToItsEnd) {
  Both both({.every = 10});
  both.connect();
  const auto story = [&]() -> Io<void> {
    auto agreeing = both.client->journeys_agreed();
    co_await attempt(std::move(agreeing));
    for (int i = 0; i < 100; ++i) {
      auto asking = both.ask("echo", std::to_string(i));
      EXPECT_EQ(co_await attempt(std::move(asking)), std::to_string(i));
    }
    co_return co_await both.client->journeys_settled();
  };
  ASSERT_TRUE(both.run(story()));
  EXPECT_EQ(both.asked.messages(), 100U);
  ASSERT_EQ(both.journeys.size(), 10U);
  for (std::size_t i = 0; i < both.journeys.size(); ++i) {
    EXPECT_EQ(journey::stamps_of(both.journeys[i]), 14) << i;
    expect_sum(both.journeys[i]);
  }
}

TEST(RsocketJourney, ManyCallsAtOnceAreAnsweredAndTheBudgetIsKept) {
  Both both;
  both.connect();
  ASSERT_TRUE(both.follow("warm").journey);
  const auto story = [&]() -> Io<void> {
    Scope scope;
    int right = 0;
    const auto one = [&](int i) -> Io<void> {
      auto asking = both.ask("echo", std::to_string(i));
      const std::string answer = co_await attempt(std::move(asking));
      right += answer == std::to_string(i) ? 1 : 0;
      co_return {};
    };
    for (int i = 0; i < 64; ++i) scope.spawn(one(i));
    co_await attempt(scope.join());
    EXPECT_EQ(right, 64);
    co_return co_await both.client->journeys_settled();
  };
  ASSERT_TRUE(both.run(story()));
  EXPECT_EQ(both.asked.journeys(), 65U);
  int stamped = 0;
  for (const Journey& journey : both.journeys) {
    expect_sum(journey);
    EXPECT_TRUE(journey.request.write_in);
    EXPECT_TRUE(journey.request.recv_out);
    stamped += journey.request.sched ? 1 : 0;
  }
  EXPECT_GE(stamped, 16);
  EXPECT_LT(stamped, 65) << "no more than the budget waits for reports at a time";
}

TEST(RsocketJourney, ManyLateBlocksFitIntoFramesOfAPeerThatTakesSmallOnes) {
  Both both;
  PeerOptions small{.connection = {.message_bytes_max = 300}, .journeys = &both.here};
  ASSERT_TRUE(both.run(both.connect(std::move(small), {.journeys = &both.there})));
  const auto story = [&]() -> Io<void> {
    auto agreeing = both.client->journeys_agreed();
    co_await attempt(std::move(agreeing));
    Scope scope;
    const auto one = [&]() -> Io<void> {
      auto asking = both.ask("echo", "x");
      EXPECT_EQ(co_await attempt(std::move(asking)), "x");
      co_return {};
    };
    for (int i = 0; i < 100; ++i) scope.spawn(one());
    co_await attempt(scope.join());
    co_return co_await both.client->journeys_settled();
  };
  ASSERT_TRUE(both.run(story()));
  EXPECT_TRUE(both.client->is_open());
  EXPECT_EQ(both.journeys.size(), 100U);
}

TEST(RsocketJourney, CallsAreAnsweredTheSameWithAndWithout) {
  const auto answers = [](bool follow) {
    Both both;
    PeerOptions ours;
    PeerOptions theirs;
    if (follow) {
      ours.journeys = &both.here;
      theirs.journeys = &both.there;
    }
    std::string all;
    EXPECT_TRUE(both.run(both.connect(std::move(ours), std::move(theirs))));
    const auto story = [&]() -> Io<void> {
      for (const char* route : {"echo", "note", "refuse", "metadata", "nowhere"}) {
        for (const std::string& text :
             {std::string("x"), std::string(), std::string(90'000, 'y')}) {
          auto asking = both.ask(route, text);
          all += co_await attempt(std::move(asking)) + "\n";
        }
      }
      const std::string largest(PeerOptions().connection.message_bytes_max - 64, 'z');
      auto asking = both.ask("echo", largest);
      const std::string back = co_await attempt(std::move(asking));
      EXPECT_EQ(back == largest, true) << back.substr(0, 100);
      co_await attempt(both.client->call<void>("note", "void"));
      co_return {};
    };
    EXPECT_TRUE(both.run(story()));
    if (follow) {
      EXPECT_GE(both.asked.messages(), 17U);
    }
    return all;
  };
  EXPECT_EQ(answers(true), answers(false));
}

TEST(RsocketJourney, APeerThatDeclinesGivesHalfAJourneyAndHearsNothing) {
  Both both;
  both.there.tells_whom = [](const Address& peer) {
    EXPECT_TRUE(peer.is_ip());
    return Tells::nothing;
  };
  both.connect();
  // The Journeys were attached before there was anybody to ask about: it asks for each peer.
  const auto followed = both.follow("hello");
  EXPECT_EQ(followed.answer, "hello");
  ASSERT_TRUE(followed.journey);
  EXPECT_EQ(journey::level_of(*followed.journey), Level::one_end);
  EXPECT_FALSE(followed.journey->request.rx);
  EXPECT_FALSE(followed.journey->reply.write_in);
  EXPECT_TRUE(followed.journey->request.sched);
  EXPECT_TRUE(followed.journey->reply.recv_out);
  expect_sum(*followed.journey);
  ASSERT_TRUE(both.run(both.server->journeys_settled()));
  EXPECT_EQ(both.answered.journeys(), 1U) << "its own first in a million";
}

TEST(RsocketJourney, APeerThatFollowsNothingGivesHalfAJourney) {
  Both both;
  ASSERT_TRUE(both.run(both.connect({.journeys = &both.here}, {})));
  const auto followed = both.follow("hello");
  ASSERT_TRUE(followed.journey);
  EXPECT_EQ(journey::level_of(*followed.journey), Level::one_end);
  EXPECT_EQ(followed.journey->offset.method, Offset::Method::unknown);
}

TEST(RsocketJourney, AServerMayFollowOnlyWithThoseWhoOffer) {
  Both both;
  both.there.only_who_offers = true;
  ASSERT_TRUE(both.run(both.connect({}, {.journeys = &both.there})));
  EXPECT_FALSE(both.follow("nobody records").journey);
  EXPECT_EQ(both.reactor->tracks, 0U);
  both.client->attach(&both.asked);
  const auto whole = both.follow("both do");
  ASSERT_TRUE(whole.journey);
  EXPECT_EQ(journey::stamps_of(*whole.journey), 14) << journey::waterfall(*whole.journey);
  EXPECT_EQ(both.reactor->tracks, 2U);
}

TEST(RsocketJourney, RecordersMayComeAndGoWhileThePeersTalk) {
  Both both;
  ASSERT_TRUE(both.run(both.connect({}, {})));
  EXPECT_FALSE(both.follow("nobody records").journey);
  both.client->attach(&both.asked);
  both.server->attach(&both.answered);
  const auto whole = both.follow("both do");
  ASSERT_TRUE(whole.journey);
  EXPECT_EQ(journey::stamps_of(*whole.journey), 14) << journey::waterfall(*whole.journey);
  both.server->attach(nullptr);
  const auto half = both.follow("one does");
  ASSERT_TRUE(half.journey);
  EXPECT_FALSE(half.journey->request.rx);
  both.client->attach(nullptr);
  EXPECT_FALSE(both.follow("nobody does").journey);
  EXPECT_EQ(both.reactor->tracks, 0U);
}

TEST(RsocketJourney, WhoIsShownAJourneyMayTakeTheRecorderAway) {
  Both both;
  both.connect();
  both.answered.on_journey = [&](const Journey&) { both.there.detach(); };
  const auto listener = both.asked.on_journey;
  both.asked.on_journey = [&](const Journey& journey) {
    listener(journey);
    both.here.detach();
  };
  const auto followed = both.follow("hello");
  ASSERT_TRUE(followed.journey);
  EXPECT_EQ(both.journeys.size(), 1U);
  EXPECT_EQ(both.reactor->tracks, 0U);
  EXPECT_EQ(both.run(both.ask("echo", "and on")).value_or(""), "and on");
  EXPECT_EQ(both.journeys.size(), 1U);
}

TEST(RsocketJourney, TheServerMayAskAsWell) {
  Both both;
  both.connect();
  ASSERT_TRUE(both.follow("first").journey);  // now the server has the client's SETUP
  const auto followed =
      both.run(both.server->call<std::string>("echo", "backwards", journey::follow));
  ASSERT_TRUE(followed);
  ASSERT_TRUE(followed->journey);
  EXPECT_EQ(journey::stamps_of(*followed->journey), 14) << journey::waterfall(*followed->journey);
}

TEST(RsocketJourney, ACallThatIsCancelledLeavesNothingBehind) {
  Both both;
  both.answers.on("never", [](std::string) -> Io<std::string> {
    co_await sleep(1h);
    co_return std::string();
  });
  both.connect();
  const auto story = [&]() -> Io<void> {
    auto asking = within(1ms, both.client->call("never", "x"));
    EXPECT_FALSE(co_await asking);
    EXPECT_EQ(both.client->connection().streams(), 0U);
    co_return co_await both.client->journeys_settled();
  };
  ASSERT_TRUE(both.run(story()));
  EXPECT_EQ(both.asked.journeys(), 0U);
  EXPECT_TRUE(both.follow("still here").journey);
}

/// A server that says what it likes.
TEST(RsocketJourney, BlocksThatAreNoneArePassedOverAndCounted) {
  Both both;
  const auto story = [&]() -> Io<void> {
    auto endpoint = parse_endpoint("tcp://127.0.0.1:0");
    both.listener = co_await attempt(both.network->listen(*endpoint));
    auto dialing = dial(*both.network, both.listener->endpoint());
    auto stream = co_await attempt(std::move(dialing));
    const auto raw = co_await attempt(accept(*both.listener));
    both.client.emplace(std::move(stream), Side::client, nullptr,
                        PeerOptions{.journeys = &both.here});
    ByteVector metadata;
    append_block(metadata, LateBlock{.stream_id = 77});  // of a call that nobody made
    append_block(metadata, ReplyBlock());                // not here
    for (const char* content : {"", "\x01", "\x04 too short", "\x09 what is that?"})
      co_await attempt(
          append_entry(metadata, journey_mime_type, as_bytes(std::string_view(content))));
    ByteVector out;
    FrameWriter writer(out);
    co_await attempt(writer.metadata_push(metadata));
    co_await attempt(writer.metadata_push(as_bytes(std::string_view("\x80 no composite"))));
    co_await attempt(write_all(*raw, Bytes(out)));
    while (both.client->connection().counts().frames < 2) co_await sleep(1ms);
    EXPECT_EQ(both.client->journey_counts().malformed, 5U);
    EXPECT_TRUE(both.client->is_open());
    both.client.reset();
    co_return {};
  };
  const auto done = both.run(story());
  EXPECT_TRUE(done) << to_string(done.error());
}

}  // namespace
}  // namespace koine::rsocket
