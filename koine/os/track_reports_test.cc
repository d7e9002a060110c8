// What the kernel reports of messages: which is whose, how much of it, and what else comes that
// way.
#include "koine/os/track.h"

#include <linux/errqueue.h>

#include <cstdlib>

#include "koine/async/combine.h"
#include "koine/async/within.h"
#include "koine/journey/export.h"
#include "koine/journey/picture.h"
#include "koine/os/followed_ends_test.h"
#include "koine/os/socket_stream.h"

namespace koine::os {
namespace {

using TrackReportsTest = OnEachMultiplexer;

/// Many messages in flight: each has a segment of its own, so none has another's stamps.
TEST_P(TrackReportsTest, NoMessageSharesItsStampsWithAnother) {
  Network network(reactor());
  Both both(network, {.every = 1, .budget = 16});
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const auto story = [&]() -> Io<int> {
    int shared = 0;
    for (int round = 0; round < 20; ++round) {
      std::vector<std::shared_ptr<Journey>> journeys;
      for (int i = 0; i < 8; ++i) {
        journeys.push_back(both.asked.begin(both.asks->connection()));
        const std::string text(static_cast<std::size_t>(1 + 40 * i), 'k');
        both.asks->send(journeys.back(), Way::there, text.size());
        co_await attempt(write_all(*both.client, text));
        co_await attempt(write_all(*both.client, "followed by nobody"));
      }
      auto taking = Both::take(*both.server, 8 * 18 + 8 + 40 * 28);
      co_await attempt(std::move(taking));
      co_await attempt(settled(*both.asks));
      for (const auto& journey : journeys) {
        const Leg& leg = journey->request;
        // On a busy machine TCP sends a tail again that was not lost; both are its own.
        bool exact = leg.sched.quality == Quality::exact && !leg.snd.empty() &&
                     leg.ack.quality == Quality::exact;
        for (const journey::Stamp& sending : leg.snd)
          exact = exact && sending.quality == Quality::exact;
        EXPECT_TRUE(exact) << json_line(*journey);
        shared += exact ? 0 : 1;
      }
    }
    co_return shared;
  };
  const auto shared = reactor().run(within(patience, story()));
  ASSERT_TRUE(shared) << to_string(shared.error());
  EXPECT_EQ(*shared, 0);
}

/// The kernel charges reports to the receive buffer until somebody reads them. Nobody does here,
/// and still most of the buffer is left for what the peer has to say.
TEST_P(TrackReportsTest, ReportsThatNobodyReadsLeaveThePeerItsRoom) {
  Network network(reactor());
  Both both(network, {.every = 1, .budget = 1000});
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const int fd = dynamic_cast<SocketStream&>(*both.client).descriptor();
  const auto story = [&]() -> Io<void> {
    for (int i = 0; i < 64; ++i) {
      auto journey = both.asked.begin(both.asks->connection());
      both.asks->send(journey, Way::there, 1);
      co_await attempt(write_all(*both.client, "k"));
      co_await attempt(flush(*both.client));  // no turn of the loop between them
    }
    co_return {};
  };
  ASSERT_TRUE(reactor().run(story()));
  std::array<std::uint32_t, 9> memory{};  // SO_MEMINFO, linux/sock_diag.h
  socklen_t size = sizeof(memory);
  ASSERT_EQ(::getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory.data(), &size), 0);
  EXPECT_LE(memory[0], memory[1] / 2);  // received and not read; the bound
  EXPECT_FALSE(both.asks->settled() && both.asks->over_budget() == 0);
}

TEST_P(TrackReportsTest, TooManyMessagesAtOnceAreNotStampedAndStillArrive) {
  Network network(reactor());
  Both both(network, {.every = 1, .budget = 4});
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const auto story = [&]() -> Io<int> {
    std::vector<std::shared_ptr<Journey>> journeys;
    int stamped = 0;
    for (int i = 0; i < 64; ++i) {
      journeys.push_back(both.asked.begin(both.asks->connection()));
      stamped += both.asks->send(journeys.back(), Way::there, 10) ? 1 : 0;
      co_await attempt(write_all(*both.client, "ten bytes."));  // collected until the turn ends
    }
    auto taking = Both::take(*both.server, 640);
    co_await attempt(std::move(taking));
    co_await attempt(settled(*both.asks));
    for (const auto& journey : journeys) EXPECT_TRUE(journey->request.write_in);
    co_return stamped;
  };
  const auto stamped = reactor().run(within(patience, story()));
  ASSERT_TRUE(stamped) << to_string(stamped.error());
  EXPECT_EQ(*stamped, 4);
  EXPECT_EQ(both.asks->over_budget(), 60U);
}

/// The kernel counts with 32 bits. What it would report is told by hand.
TEST_P(TrackReportsTest, ReportsFindTheirMessageWhereTheKernelsCountOfBytesBeginsAgain) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  Track& track = *both.asks;
  track.sent((std::size_t{1} << 32) - 3, false);
  std::vector<std::shared_ptr<Journey>> journeys;
  for (const std::size_t bytes : {1U, 15U, 11U}) {
    journeys.push_back(both.asked.begin(both.asks->connection()));
    track.send(journeys.back(), Way::there, bytes);
    track.sent(bytes, true);
  }
  const Leg& before = journeys[0]->request;
  const Leg& across = journeys[1]->request;
  const Leg& behind = journeys[2]->request;

  track.report(SCM_TSTAMP_SCHED, 0xffff'fffd, 1000);
  EXPECT_EQ(before.sched, journey::Stamp::exactly(1000));
  EXPECT_FALSE(across.sched);
  track.report(SCM_TSTAMP_SCHED, 12, 2000);
  EXPECT_EQ(before.sched, journey::Stamp::exactly(1000));
  EXPECT_EQ(across.sched, journey::Stamp::exactly(2000));
  EXPECT_FALSE(behind.sched);
  track.report(SCM_TSTAMP_ACK, 12, 3000);
  EXPECT_EQ(before.ack, (journey::Stamp{3000, Quality::at_most})) << "confirmed with the next";
  EXPECT_EQ(across.ack, journey::Stamp::exactly(3000));
  EXPECT_FALSE(track.settled());
  track.report(SCM_TSTAMP_ACK, 23, 4000);
  EXPECT_EQ(behind.ack, journey::Stamp::exactly(4000));
  EXPECT_TRUE(track.settled());
}

/// The same with the kernel itself. It takes seconds: KOINE_KEY_WRAP=1 asks for it.
TEST_P(TrackReportsTest, MessagesAreToldApartWhereTheKernelsCountOfBytesBeginsAgain) {
  if (std::getenv("KOINE_KEY_WRAP") == nullptr) GTEST_SKIP() << "KOINE_KEY_WRAP is not set";
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  constexpr std::uint64_t before = (std::uint64_t{1} << 32) - 3;
  const std::string piece(std::size_t{1} << 20, 'k');
  const auto write_up_to_there = [&]() -> Io<void> {
    for (std::uint64_t left = before; left != 0;) {
      const std::string_view next = std::string_view(piece).substr(0, left);
      co_await attempt(write_all(*both.client, next));
      left -= next.size();
    }
    co_return {};
  };
  const auto read_up_to_there = [&]() -> Io<void> {
    for (std::uint64_t left = before; left != 0;)
      left -= (co_await attempt(koine::receive(*both.server))).size();
    co_return {};
  };
  const auto story = [&]() -> Io<void> {
    auto writing = write_up_to_there();
    auto reading = read_up_to_there();
    auto both_ways = co_await all(std::move(writing), std::move(reading));
    co_await attempt(std::move(both_ways));
    std::vector<std::shared_ptr<Journey>> journeys;
    for (const char* text : {"k", "it begins again", "and goes on"}) {
      journeys.push_back(both.asked.begin(both.asks->connection()));
      both.asks->send(journeys.back(), Way::there, std::strlen(text));
      co_await attempt(write_all(*both.client, text));
    }
    auto taking = Both::take(*both.server, 1 + 15 + 11);
    co_await attempt(std::move(taking));
    co_await attempt(settled(*both.asks));
    for (const auto& journey : journeys) {
      EXPECT_EQ(journey->request.sched.quality, Quality::exact) << json_line(*journey);
      EXPECT_EQ(journey->request.ack.quality, Quality::exact) << json_line(*journey);
    }
    co_return {};
  };
  const auto told = reactor().run(within(10min, story()));
  EXPECT_TRUE(told) << to_string(told.error());
}

TEST_P(TrackReportsTest, TheFirstBytesOfALargeMessageAreStampedAsWellAsItsLast) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const auto halves = reactor().run(within(patience, both.exchange(std::string(1'000'000, 'k'))));
  ASSERT_TRUE(halves) << to_string(halves.error());
  const Leg& leg = halves->first->request;
  ASSERT_TRUE(leg.first_snd);
  ASSERT_FALSE(leg.snd.empty());
  EXPECT_LT(leg.first_snd.ns, leg.snd[0].ns);
  EXPECT_LE(leg.write_in.ns, leg.first_snd.ns);
}

TEST_P(TrackReportsTest, TheKernelGivesBackTheFrameWithItsHeadersWithoutAnyRightToCapture) {
  Network network(reactor());
  for (const char* at : {"tcp://127.0.0.1:0", "tcp://[::1]:0"}) {
    Both both(network, {.every = 1, .frames = true});
    ASSERT_TRUE(reactor().run(within(patience, both.connect(at))));
    if (!both.asks->timestamping().frames) GTEST_SKIP() << both.asks->timestamping().lacking;
    const auto halves = reactor().run(within(patience, both.exchange("a message with a frame")));
    ASSERT_TRUE(halves) << to_string(halves.error());
    const Journey journey = joined(*halves);
    ASSERT_EQ(journey.frames.size(), 2U);
    const std::string shown = layers(journey);
    for (const char* words : {"\"a message with a frame\"", "4 TCP", "2 Ethernet", "the answer's"})
      EXPECT_NE(shown.find(words), std::string::npos) << words << " in\n" << shown;
    EXPECT_NE(shown.find(at[6] == '[' ? "3 IPv6" : "3 IPv4"), std::string::npos) << shown;
    EXPECT_EQ(journey::level_of(journey), journey::Level::both_with_frames);
  }
}

TEST_P(TrackReportsTest, FramesMayBeAskedForAndNoLongerInTheMiddleOfAConnection) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const auto story = [&]() -> Io<std::string> {
    std::string frames;
    for (const bool wanted : {false, true, false}) {
      if (!both.asks->keep_frames(wanted)) co_return fail(Fault::unsupported, "keep frames");
      auto exchanging = both.exchange("hello");
      const auto halves = co_await attempt(std::move(exchanging));
      EXPECT_TRUE(halves.first->request.sched);
      EXPECT_FALSE(halves.first->request.snd.empty());
      frames += std::to_string(halves.first->frames.size());
    }
    co_return frames;
  };
  const auto frames = reactor().run(within(patience, story()));
  if (!frames && frames.error() == Fault::unsupported) GTEST_SKIP() << "no frames here";
  ASSERT_TRUE(frames) << to_string(frames.error());
  EXPECT_EQ(*frames, "010");
}

TEST_P(TrackReportsTest, AConnectionThatBreaksKeepsNobodyWaitingForItsStamps) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const auto story = [&]() -> Io<void> {
    auto journey = both.asked.begin(both.asks->connection());
    both.asks->send(journey, Way::there, 4);
    both.server->abort();
    co_await write_all(*both.client, "lost");
    co_await flush(*both.client);
    co_await attempt(settled(*both.asks));
    co_return {};
  };
  const auto told = reactor().run(within(patience, story()));
  EXPECT_TRUE(told) << to_string(told.error());
}

/// Errors and reports come as the same news.
TEST_P(TrackReportsTest, AClosedPortIsNoticedWhileReportsCome) {
  Network network(reactor());
  journey::Recorder recorder({.every = 1});
  Tracker tracker(recorder);
  const auto at = parse_endpoint("udp://127.0.0.1:0");
  auto client = network.bind(*at).value();
  auto server = network.bind(*at).value();
  Track* asks = tracker.attach(*client).value();
  ASSERT_TRUE(client->connect(server->local()));
  const auto send_followed = [&]() -> Io<std::shared_ptr<Journey>> {
    auto journey = recorder.begin(asks->connection());
    asks->send(journey, Way::there, 5);
    co_await attempt(send_to(*client, as_bytes("hello"), server->local()));
    co_await attempt(settled(*asks));
    co_return journey;
  };
  for (int i = 0; i < 3; ++i) {
    const auto sent = reactor().run(within(patience, send_followed()));
    ASSERT_TRUE(sent) << to_string(sent.error());
    EXPECT_EQ((*sent)->request.sched.quality, Quality::exact);
  }
  const Address closed = server->local();
  server.reset();
  const auto hear = [&]() -> Io<void> {
    auto journey = recorder.begin(asks->connection());
    asks->send(journey, Way::there, 5);
    co_await attempt(send_to(*client, as_bytes("hello"), closed));
    std::array<std::byte, 100> room{};
    co_await attempt(receive_from(*client, room));
    co_return {};
  };
  const auto heard = reactor().run(within(patience, hear()));
  ASSERT_FALSE(heard);
  EXPECT_EQ(heard.error(), Fault::refused) << to_string(heard.error());
}

/// Whatever the kernel was asked to tell of the socket.
TEST_P(TrackReportsTest, AFollowedConnectionEndsWhenItIsClosed) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(reactor().run(within(patience, both.exchange("hello"))));
  both.client.reset();
  const auto ended = reactor().run(within(patience, Both::take(*both.server, 1)));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error(), Fault::ended) << to_string(ended.error());
}

/// They would be news for ever.
TEST(TrackOnPoll, DropsReportsThatNobodyIsLeftToRead) {
  const auto made = Reactor::make({.multiplexer = "poll", .busy_poll = {}});
  ASSERT_TRUE(made) << to_string(made.error());
  Reactor& reactor = **made;
  Network network(reactor);
  Both both(network);
  ASSERT_TRUE(reactor.run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const int fd = dynamic_cast<SocketStream&>(*both.client).descriptor();
  const auto story = [&]() -> Io<void> {
    const auto journey = both.asked.begin(both.asks->connection());
    both.asks->send(journey, Way::there, 5);
    co_await attempt(write_all(*both.client, "hello"));
    co_await attempt(flush(*both.client));
    static_cast<void>(both.client->attach(nullptr));
    auto taking = Both::take(*both.server, 5);
    co_await attempt(std::move(taking));
    co_await attempt(write_all(*both.server, "hello"));
    auto answer = Both::take(*both.client, 5);  // waits, and so the socket is in the set
    co_await attempt(std::move(answer));
    co_return {};
  };
  ASSERT_TRUE(reactor.run(within(patience, story())));
  EXPECT_FALSE(next_report(fd, {}));
}

/// What was left over from who followed it before has keys that begin at 0 as well.
TEST_P(TrackReportsTest, ARecorderThatComesAnewHasNoStampsOfTheOneBefore) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const auto story = [&]() -> Io<std::shared_ptr<Journey>> {
    both.asks->send(both.asked.begin(both.asks->connection()), Way::there, 5);
    co_await attempt(write_all(*both.client, "hello"));
    co_await attempt(flush(*both.client));
    auto taking = Both::take(*both.server, 5);
    co_await attempt(std::move(taking));
    both.asks = co_await attempt(both.here.attach(*both.client));
    auto journey = both.asked.begin(both.asks->connection());
    both.asks->send(journey, Way::there, 5);
    co_await attempt(write_all(*both.client, "hello"));
    co_await attempt(flush(*both.client));
    auto again = Both::take(*both.server, 5);
    co_await attempt(std::move(again));
    co_await attempt(settled(*both.asks));
    co_return journey;
  };
  const auto journey = reactor().run(within(patience, story()));
  ASSERT_TRUE(journey) << to_string(journey.error());
  const Leg& there = (*journey)->request;
  EXPECT_EQ(there.sendings, 1U);
  EXPECT_LE(there.write_in.ns, there.sched.ns);
}

INSTANTIATE_TEST_SUITE_P(, TrackReportsTest, each_multiplexer, multiplexer_name);

}  // namespace
}  // namespace koine::os
