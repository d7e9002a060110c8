// Journeys of calls between two peers, on the real kernel's loopback.
#include "koine/rsocket/following.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "koine/async/combine.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/journey/picture.h"
#include "koine/journey/spans.h"
#include "koine/os/network.h"
#include "koine/os/reactor.h"
#include "koine/os/track.h"
#include "koine/rsocket/pair_test.h"
#include "koine/rsocket/peer.h"
#include "koine/rsocket/sessions.h"

namespace koine::rsocket {
namespace {

using journey::Journey;
using journey::Level;
using journey::Offset;

constexpr Duration patience = 20s;

Io<std::string> echo(std::string text) { co_return text; }
Io<void> note(std::string) { co_return {}; }
Io<std::string> refuse(std::string text) { co_return fail(Fault::refused, "refuse", text); }
Io<Message> with_metadata(Message message) {
  ByteVector metadata;
  static_cast<void>(append_entry(metadata, json_mime_type, as_bytes(message.data)));
  message.metadata = std::string(as_text(metadata));
  co_return message;
}

Service service() {
  Service service;
  service.on("echo", echo).on("note", note).on("refuse", refuse).on("metadata", with_metadata);
  return service;
}

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

  Io<void> connect(PeerOptions ours, PeerOptions theirs) {
    auto beginning = warm.ready();
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

  std::unique_ptr<os::Reactor> reactor = std::move(*os::Reactor::make());
  std::optional<os::Network> network;
  Service answers = service();
  journey::Recorder asked;
  journey::Recorder answered;
  os::Tracker warm;
  Journeys here{asked};
  Journeys there{answered};
  std::vector<Journey> journeys;
  std::unique_ptr<Listener> listener;
  std::optional<Peer> server;
  std::optional<Peer> client;
};

void expect_sum(const Journey& journey) {
  const journey::Spans spans = journey::spans_of(journey);
  std::int64_t sum = 0;
  for (const journey::Span& span : spans.spans) sum += span.ns();
  EXPECT_EQ(sum, spans.total_ns);
  EXPECT_GT(sum, 0);
}

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
  EXPECT_EQ(both.client->journeys_malformed() + both.server->journeys_malformed(), 0U);
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
    EXPECT_EQ(both.client->journeys_malformed(), 5U);
    EXPECT_TRUE(both.client->is_open());
    both.client.reset();
    co_return {};
  };
  const auto done = both.run(story());
  EXPECT_TRUE(done) << to_string(done.error());
}

/// A session whose connection can be cut: its client connects again by itself.
class Resumable {
 public:
  explicit Resumable(Both& both) : both_(both) {}

  Io<void> begin() {
    auto endpoint = parse_endpoint("tcp://127.0.0.1:0");
    both_.listener = co_await attempt(both_.network->listen(*endpoint));
    auto connecting = connect(*both_.network, to_string(both_.listener->endpoint()),
                              PeerOptions{.connection = {.resume = true}, .journeys = &both_.here});
    client_ = co_await attempt(std::move(connecting));
    auto accepted = co_await attempt(accept(*both_.listener));
    raw_ = accepted.get();
    session_.emplace(std::move(accepted), Side::server, &both_.answers, theirs_);
    co_return {};
  }
  Peer& client() { return *client_; }
  void cut() { raw_->abort(); }
  Io<void> accept_again() {
    second_ = co_await attempt(accept(*both_.listener));
    co_return {};
  }
  void go_on() { fresh_.emplace(std::move(second_), Side::server, &both_.answers, theirs_); }

 private:
  Both& both_;
  Sessions sessions_;
  const PeerOptions theirs_{
      .connection = {.resume = true}, .sessions = &sessions_, .journeys = &both_.there};
  Stream* raw_ = nullptr;
  std::unique_ptr<Stream> second_;
  std::unique_ptr<Peer> client_;
  std::optional<Peer> session_;
  std::optional<Peer> fresh_;
};

TEST(RsocketJourney, ASessionThatIsResumedIsFollowedOnItsNewConnection) {
  Both both;
  const auto story = [&]() -> Io<void> {
    Resumable session(both);
    auto beginning = session.begin();
    co_await attempt(std::move(beginning));
    Peer& client = session.client();
    const auto ask = [&](std::string text) -> Io<int> {
      auto following = client.call<std::string>("echo", text, journey::follow);
      const auto followed = co_await attempt(std::move(following));
      EXPECT_EQ(followed.answer, text);
      co_return followed.journey ? journey::stamps_of(*followed.journey) : 0;
    };
    auto before = ask("before");
    EXPECT_EQ(co_await attempt(std::move(before)), 14);
    session.cut();
    auto accepting = session.accept_again();
    co_await attempt(std::move(accepting));
    session.go_on();
    auto meanwhile = ask("meanwhile");
    co_await attempt(std::move(meanwhile));  // perhaps on no connection: then without a journey
    auto after = ask("after");
    EXPECT_EQ(co_await attempt(std::move(after)), 14);
    EXPECT_EQ(client.connection().counts().resumed, 1U);
    co_return {};
  };
  const auto done = both.run(story());
  EXPECT_TRUE(done) << to_string(done.error());
}

// Who comes back may be at another address.
TEST(RsocketJourney, ASessionThatIsResumedIsToldWhatItsNewConnectionMayHear) {
  Both both;
  Tells allowed = Tells::stamps_and_frames;
  both.there.tells_whom = [&](const Address&) { return allowed; };
  const auto story = [&]() -> Io<void> {
    Resumable session(both);
    auto beginning = session.begin();
    co_await attempt(std::move(beginning));
    Peer& client = session.client();
    auto before = client.call<std::string>("echo", std::string("before"), journey::follow);
    EXPECT_TRUE((co_await attempt(std::move(before))).journey->request.rx);
    session.cut();
    allowed = Tells::nothing;
    auto accepting = session.accept_again();
    co_await attempt(std::move(accepting));
    both.there.attach(both.answered);  // with no connection to ask about
    session.go_on();
    co_await attempt(client.call<std::string>("echo", std::string("meanwhile")));
    auto after = client.call<std::string>("echo", std::string("after"), journey::follow);
    const auto followed = co_await attempt(std::move(after));
    EXPECT_TRUE(followed.journey && !followed.journey->request.rx);
    EXPECT_EQ(client.connection().counts().resumed, 1U);
    co_return {};
  };
  const auto done = both.run(story());
  EXPECT_TRUE(done) << to_string(done.error());
}

// How old a request is.

TEST(RsocketRequestAge, IsCountedFromTheReadWhenNobodyRecords) {
  Service aged;
  aged.on("age", [](Received<std::string> request) -> Io<std::string> {
    EXPECT_EQ(request.value, "x");
    const Duration first = request.age();
    co_await sleep(50ms);
    co_return std::to_string(first / 1ms) + " " + std::to_string(request.age() / 1ms);
  });
  Pair pair(std::move(aged));
  EXPECT_EQ(pair.answer(within(1s, pair.client->call("age", "x"))), "0 50");
}

/// The client is played by hand, so that its request is in the kernel and nobody has read it while
/// this loop does something else.
TEST(RsocketRequestAge, IsCountedFromTheKernelsStampWhenThereIsOne) {
  Both both;
  std::optional<Duration> age;
  both.answers.on("age", [&](Received<std::string> request) -> Io<std::string> {
    age = request.age();
    co_return request.value;
  });
  Duration busy{};
  const auto story = [&]() -> Io<void> {
    auto beginning = both.warm.ready();
    co_await attempt(std::move(beginning));
    auto endpoint = parse_endpoint("tcp://127.0.0.1:0");
    both.listener = co_await attempt(both.network->listen(*endpoint));
    auto dialing = dial(*both.network, both.listener->endpoint());
    const auto raw = co_await attempt(std::move(dialing));
    auto accepted = co_await attempt(accept(*both.listener));
    both.server.emplace(std::move(accepted), Side::server, &both.answers,
                        PeerOptions{.journeys = &both.there});
    ByteVector out;
    FrameWriter writer(out);
    const rsocket::Setup setup{.keepalive_ms = 20'000,
                               .lifetime_ms = 90'000,
                               .metadata_mime_type = composite_mime_type,
                               .data_mime_type = binary_mime_type};
    co_await attempt(writer.setup(setup));
    co_await attempt(write_all(*raw, Bytes(out)));
    while (both.server->connection().counts().frames == 0) co_await sleep(1ms);
    ByteVector metadata;
    co_await attempt(append_route(metadata, "age"));
    const Request request{.type = FrameType::request_response,
                          .payload = {as_bytes(std::string_view("x")), Bytes(metadata)}};
    out.clear();
    co_await attempt(writer.request(1, request));
    co_await attempt(write_all(*raw, Bytes(out)));
    co_await attempt(flush(*raw));
    const auto begun = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begun < 30ms) continue;
    busy = std::chrono::steady_clock::now() - begun;
    while (!age) co_await sleep(1ms);
    co_return {};
  };
  const auto done = both.run(story());
  ASSERT_TRUE(done) << to_string(done.error());
  EXPECT_GE(*age, busy / 2);
}

}  // namespace
}  // namespace koine::rsocket
