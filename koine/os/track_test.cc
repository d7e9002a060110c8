// Messages followed through the real kernel, on loopback: the stamps that they have.
#include "koine/os/track.h"

#include <sys/ioctl.h>

#include "koine/async/combine.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/journey/spans.h"
#include "koine/os/followed_ends_test.h"
#include "koine/os/socket_stream.h"

namespace koine::os {
namespace {

using TrackTest = OnEachMultiplexer;

TEST_P(TrackTest, EveryStampOfAMessageOverTcpComesInOrderAndTheStepsAddUp) {
  Network network(reactor());
  for (const char* at : {"tcp://127.0.0.1:0", "tcp://[::1]:0"}) {
    Both both(network);
    const auto done = reactor().run(within(patience, both.connect(at)));
    ASSERT_TRUE(done) << to_string(done.error());
    EXPECT_EQ(both.asks->level(), journey::Level::one_end);
    for (int i = 0; i < 3; ++i) {
      const auto halves = reactor().run(within(patience, both.exchange("hello")));
      ASSERT_TRUE(halves) << to_string(halves.error());
      const Journey journey = joined(*halves);
      expect_whole(journey, at);
      EXPECT_TRUE(journey.request.ack) << at;
      EXPECT_TRUE(journey.reply.ack) << at;
      EXPECT_GT(journey.request.tcp.mss, 0U);
      EXPECT_TRUE(journey.request.cpu_wait_ns);
      EXPECT_EQ(journey::level_of(journey), journey::Level::both_ends);
    }
    EXPECT_EQ(both.asks->over_budget(), 0U);
  }
}

TEST_P(TrackTest, TrackersOfOneThreadAreReadyOneAfterAnother) {
  Network network(reactor());
  journey::Recorder recorder({.every = 1});
  Tracker first(recorder);
  Tracker second(recorder);
  for (Tracker* tracker : {&first, &second, &first})
    EXPECT_TRUE(reactor().run(tracker->ready()).value_or(false));
}

TEST_P(TrackTest, EveryStampOfADatagramComesInOrderAndTheStepsAddUp) {
  Network network(reactor());
  for (const char* at : {"udp://127.0.0.1:0", "udp://[::1]:0"}) {
    journey::Recorder recorder({.every = 1});
    Tracker tracker(recorder);
    EXPECT_TRUE(reactor().run(tracker.ready()).value_or(false));
    auto server = network.bind(*parse_endpoint(at)).value();
    auto client = network.bind(*parse_endpoint(at)).value();
    Track* asks = tracker.attach(*client).value();
    Track* answers = tracker.attach(*server).value();
    for (int i = 0; i < 3; ++i) {
      auto journey = recorder.begin(asks->connection());
      const auto story = [&]() -> Io<void> {
        std::array<std::byte, 100> room{};
        asks->send(journey, Way::there, 5);
        co_await attempt(send_to(*client, as_bytes("hello"), server->local()));
        const Received heard = co_await attempt(receive_from(*server, room));
        answers->receive(journey, Way::there);
        answers->send(journey, Way::back, 5);
        co_await attempt(send_to(*server, Bytes(room).first(heard.size), heard.from));
        co_await attempt(receive_from(*client, room));
        asks->receive(journey, Way::back);
        co_await attempt(settled(*asks));
        co_await attempt(settled(*answers));
        co_return {};
      };
      const auto told = reactor().run(within(patience, story()));
      ASSERT_TRUE(told) << to_string(told.error());
      journey->offset.method = journey::Offset::Method::same_clock;
      expect_whole(*journey, at);
      EXPECT_FALSE(journey->request.ack);
    }
  }
}

TEST_P(TrackTest, AUnixSocketHasTheProgramsStampsAndSaysWhy) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(
      within(patience, both.connect("unix:@koine-track-test-" + std::to_string(::getpid())))));
  EXPECT_EQ(both.asks->level(), journey::Level::programs);
  EXPECT_EQ(both.asks->timestamping().lacking, "the kernel stamps TCP and UDP only");
  const auto halves = reactor().run(within(patience, both.exchange("hello")));
  ASSERT_TRUE(halves) << to_string(halves.error());
  const Journey journey = joined(*halves);
  EXPECT_EQ(journey::level_of(journey), journey::Level::programs);
  EXPECT_TRUE(journey.request.write_in && journey.request.write_out && journey.request.recv_out);
  EXPECT_FALSE(journey.request.rx || journey.request.sched);
  EXPECT_EQ(spans_of(journey).total_ns, journey.reply.recv_out.ns - journey.request.write_in.ns);
}

/// The kernel kept the stamp of the last segment only, so it is too late for the others.
TEST_P(TrackTest, OfMessagesThatAreReadTogetherOnlyTheLastHasAnExactArrival) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const auto story = [&]() -> Io<void> {
    co_await attempt(write_all(*both.client, "onetwothree"));
    auto taking = Both::take(*both.server, 11);
    co_await attempt(std::move(taking));
    std::vector<std::shared_ptr<Journey>> journeys;
    for (int i = 0; i < 3; ++i) {
      journeys.push_back(both.answered.begin(both.answers->connection()));
      both.answers->receive(journeys.back(), Way::there);
    }
    EXPECT_EQ(journeys[0]->request.rx.quality, Quality::at_most);
    EXPECT_EQ(journeys[1]->request.rx.quality, Quality::at_most);
    EXPECT_EQ(journeys[2]->request.rx.quality, Quality::exact);
    EXPECT_EQ(journeys[0]->request.rx.ns, journeys[2]->request.rx.ns);
    co_return {};
  };
  const auto told = reactor().run(within(patience, story()));
  EXPECT_TRUE(told) << to_string(told.error());
}

TEST_P(TrackTest, AMessageWithBytesBehindItInTheSameReadArrivedThenOrEarlier) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const auto story = [&]() -> Io<void> {
    co_await attempt(write_all(*both.client, "followed, and not followed"));
    auto taking = Both::take(*both.server, 26);
    co_await attempt(std::move(taking));
    auto journey = both.answered.begin(both.answers->connection());
    both.answers->receive(journey, Way::there, 18);
    EXPECT_EQ(journey->request.rx.quality, Quality::at_most);
    auto alone = both.answered.begin(both.answers->connection());
    both.answers->receive(alone, Way::there);
    EXPECT_EQ(alone->request.rx.quality, Quality::exact);
    EXPECT_EQ(alone->request.rx.ns, journey->request.rx.ns);
    co_return {};
  };
  const auto told = reactor().run(within(patience, story()));
  EXPECT_TRUE(told) << to_string(told.error());
}

/// Segments that wait are joined, and keep the stamp of the last: a read that leaves some of them
/// has a stamp of what it did not read.
TEST_P(TrackTest, AReadThatLeavesBytesBehindHasArrivedThenOrEarlier) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const int fd = dynamic_cast<SocketStream&>(*both.server).descriptor();
  const auto story = [&]() -> Io<void> {
    for (const char* text : {"one", "two"}) {
      co_await attempt(write_all(*both.client, text));
      co_await attempt(flush(*both.client));
    }
    for (int waiting = 0; waiting < 6;) {
      co_await sleep(1ms);
      if (::ioctl(fd, FIONREAD, &waiting) != 0) co_return fail(Fault::system, "ask how much waits");
    }
    std::array<std::byte, 3> room{};
    co_await attempt(read_some(*both.server, room));
    auto first = both.answered.begin(both.answers->connection());
    both.answers->receive(first, Way::there);
    EXPECT_EQ(first->request.rx.quality, Quality::at_most);
    co_await attempt(read_some(*both.server, room));
    auto second = both.answered.begin(both.answers->connection());
    both.answers->receive(second, Way::there);
    EXPECT_TRUE(second->request.rx);
    EXPECT_EQ(first->request.rx.quality, Quality::at_most);
    co_return {};
  };
  const auto told = reactor().run(within(patience, story()));
  EXPECT_TRUE(told) << to_string(told.error());
}

TEST_P(TrackTest, WhoIsShownAJourneyMayTakeTheRecorderAway) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  int shown = 0;
  both.asked.on_journey = [&](const Journey& journey) {
    detach(*both.client);
    shown += journey.verdict.empty() ? 0 : 1;
  };
  const auto halves = reactor().run(within(patience, both.exchange("hello")));
  ASSERT_TRUE(halves) << to_string(halves.error());
  both.asks->finish(halves->first);
  EXPECT_EQ(shown, 1);
  EXPECT_EQ(both.client->track(), nullptr);
  const auto story = [&]() -> Io<std::string> {
    co_await attempt(write_all(*both.client, "goes on"));
    auto taking = Both::take(*both.server, 7);
    co_return co_await taking;
  };
  EXPECT_EQ(reactor().run(within(patience, story())).value_or(""), "goes on");
}

TEST_P(TrackTest, ARecorderMayComeAndGoInTheMiddleOfAConnection) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  detach(*both.client);
  detach(*both.server);
  EXPECT_EQ(reactor().tracks, 0U);
  const auto story = [&]() -> Io<void> {
    const std::string unfollowed(100'000, 'a');
    co_await attempt(write_all(*both.client, unfollowed));
    auto taking = Both::take(*both.server, 100'000);
    co_await attempt(std::move(taking));
    co_await attempt(write_all(*both.client, "collected and not yet sent"));
    both.asks = co_await attempt(both.here.attach(*both.client));
    auto journey = both.asked.begin(both.asks->connection());
    both.asks->send(journey, Way::there, 5);
    co_await attempt(write_all(*both.client, "hello"));
    auto taking_rest = Both::take(*both.server, 26 + 5);
    co_await attempt(std::move(taking_rest));
    co_await attempt(settled(*both.asks));
    EXPECT_EQ(journey->request.sched.quality, Quality::exact);
    EXPECT_GE(journey->request.sendings, 1U);
    EXPECT_TRUE(journey->request.ack);
    co_return {};
  };
  const auto told = reactor().run(within(patience, story()));
  EXPECT_TRUE(told) << to_string(told.error());
}

TEST_P(TrackTest, AMessageMayStandBehindBytesThatAreNotWrittenYet) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const auto story = [&]() -> Io<std::shared_ptr<Journey>> {
    auto journey = both.asked.begin(both.asks->connection());
    both.asks->send(journey, Way::there, 5, 12);
    EXPECT_TRUE(both.asks->awaits(*journey));
    co_await attempt(write_all(*both.client, "12 bytes and"));
    co_await attempt(flush(*both.client));
    EXPECT_FALSE(journey->request.write_out);
    co_await attempt(write_all(*both.client, "hello"));
    co_await attempt(settled(*both.asks));
    EXPECT_FALSE(both.asks->awaits(*journey));
    co_return journey;
  };
  const auto journey = reactor().run(within(patience, story()));
  ASSERT_TRUE(journey) << to_string(journey.error());
  EXPECT_EQ((*journey)->request.bytes, 5U);
  EXPECT_TRUE((*journey)->request.write_out);
  ASSERT_EQ((*journey)->request.snd.size(), 1U);
  EXPECT_EQ((*journey)->request.snd[0].quality, Quality::exact);
}

/// The server's clock is a second and a quarter ahead and drifts: the bounds hold each time.
TEST_P(TrackTest, TheOffsetOfAFakedClockIsAlwaysWithinTheBounds) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  journey::ClockOffset clocks;
  std::int64_t origin = 0;
  const auto fake = [&](std::int64_t ns) { return ns + 1'230'000'000 + (ns - origin) / 20'000; };
  for (int i = 0; i < 25; ++i) {
    const auto halves = reactor().run(within(patience, both.exchange("hello")));
    ASSERT_TRUE(halves) << to_string(halves.error());
    if (origin == 0) origin = halves->first->request.write_in.ns;
    Journey server = *halves->second;
    for (journey::Stamp* stamp :
         {&server.request.rx, &server.request.recv_in, &server.request.recv_out,
          &server.reply.write_in, &server.reply.write_out, &server.reply.sched, &server.reply.ack})
      if (*stamp) stamp->ns = fake(stamp->ns);
    for (journey::Stamp& sending : server.reply.snd) sending.ns = fake(sending.ns);
    const Journey journey = journey::join(*halves->first, server, {});
    clocks.learn(journey);
    const std::int64_t at = journey.reply.recv_out.ns;
    const journey::Offset offset = clocks.at(at);
    ASSERT_EQ(offset.method, journey::Offset::Method::bounds);
    ASSERT_LE(std::abs(offset.theta_ns - (fake(at) - at)), offset.half_ns) << "message " << i;
  }
  EXPECT_EQ(clocks.resets(), 0U);
}

INSTANTIATE_TEST_SUITE_P(, TrackTest, each_multiplexer, multiplexer_name);

TEST(Clocks, AClockThatWasSetContradictsWhatWasReadBefore) {
  const journey::ClockPair before = read_clocks();
  EXPECT_FALSE(before.contradicts(read_clocks()));
  const journey::ClockPair stepped{before.least_ns + 1'000'000'000, before.most_ns + 1'000'000'000};
  EXPECT_TRUE(before.contradicts(stepped));
  EXPECT_TRUE(stepped.contradicts(before));
}

TEST(Clocks, TwoProcessesOfOneBootReadTheSameClock) {
  EXPECT_TRUE(clock_identity().is_same_as(clock_identity()));
  EXPECT_EQ(clock_identity(), clock_identity());
}

}  // namespace
}  // namespace koine::os
