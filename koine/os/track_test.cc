// Messages followed through the real kernel, on loopback.
#include "koine/os/track.h"

#include <gtest/gtest.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include <cstdlib>
#include <cstring>

#include "koine/async/combine.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/journey/export.h"
#include "koine/journey/picture.h"
#include "koine/journey/spans.h"
#include "koine/os/each_multiplexer_test.h"
#include "koine/os/network.h"
#include "koine/os/socket_stream.h"

namespace koine::os {
namespace {

using journey::Journey;
using journey::Leg;
using journey::Quality;
using journey::Step;

constexpr Duration patience = 20s;

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

using TrackTest = OnEachMultiplexer;

/// Both halves as one, on the one clock that both ends read.
Journey joined(const std::pair<std::shared_ptr<Journey>, std::shared_ptr<Journey>>& halves) {
  return journey::join(*halves.first, *halves.second,
                       {.method = journey::Offset::Method::same_clock});
}

void expect_whole(const Journey& journey, const char* what) {
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

/// Many messages in flight: each has a segment of its own, so none has another's stamps.
TEST_P(TrackTest, NoMessageSharesItsStampsWithAnother) {
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
TEST_P(TrackTest, ReportsThatNobodyReadsLeaveThePeerItsRoom) {
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

TEST_P(TrackTest, TooManyMessagesAtOnceAreNotStampedAndStillArrive) {
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
TEST_P(TrackTest, ReportsFindTheirMessageWhereTheKernelsCountOfBytesBeginsAgain) {
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
TEST_P(TrackTest, MessagesAreToldApartWhereTheKernelsCountOfBytesBeginsAgain) {
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

TEST_P(TrackTest, TheFirstBytesOfALargeMessageAreStampedAsWellAsItsLast) {
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

TEST_P(TrackTest, TheKernelGivesBackTheFrameWithItsHeadersWithoutAnyRightToCapture) {
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

TEST_P(TrackTest, FramesMayBeAskedForAndNoLongerInTheMiddleOfAConnection) {
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

TEST_P(TrackTest, AConnectionThatBreaksKeepsNobodyWaitingForItsStamps) {
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

TEST_P(TrackTest, AReceiverThatDoesNotReadIsNamedAsWhatHeldAMessageBack) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const int fd = dynamic_cast<SocketStream&>(*both.client).descriptor();
  constexpr std::size_t bytes = 1'000'000;  // more than the window of somebody who does not read
  const std::string text(bytes, 'k');
  const auto write = [&]() -> Io<void> { co_return co_await write_all(*both.client, text); };
  const auto read = [&]() -> Io<void> {
    while (read_tcp_info(fd).value().window_limited_us < 100'000) co_await sleep(1ms);
    auto taking = Both::take(*both.server, bytes);
    co_await attempt(std::move(taking));
    co_return {};
  };
  auto journey = both.asked.begin(both.asks->connection());
  const auto story = [&]() -> Io<void> {
    both.asks->send(journey, Way::there, bytes);
    auto writing = write();
    auto reading = read();
    auto both_ways = co_await all(std::move(writing), std::move(reading));
    co_await attempt(std::move(both_ways));
    co_await attempt(settled(*both.asks));
    co_return {};
  };
  const auto told = reactor().run(within(patience, story()));
  ASSERT_TRUE(told) << to_string(told.error());
  EXPECT_EQ(journey->request.tcp.held_by, journey::HeldBy::receiver_window) << json_line(*journey);
}

/// The first segments are not paced, and a machine that stands still explains more than the rate
/// does: then it tries again.
TEST_P(TrackTest, APacedMessageIsNamedAsOne) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const std::uint32_t rate = 4'000'000;
  ASSERT_EQ(::setsockopt(dynamic_cast<SocketStream&>(*both.client).descriptor(), SOL_SOCKET,
                         SO_MAX_PACING_RATE, &rate, sizeof(rate)),
            0);
  auto held_by = journey::HeldBy::unknown;
  for (int tries = 0; tries < 20 && held_by != journey::HeldBy::pacing; ++tries) {
    const auto halves = reactor().run(within(patience, both.exchange(std::string(200'000, 'k'))));
    ASSERT_TRUE(halves) << to_string(halves.error());
    held_by = halves->first->request.tcp.held_by;
  }
  EXPECT_EQ(held_by, journey::HeldBy::pacing) << to_string(held_by);
}

/// The kernel may confirm sooner than it is asked to: then it tries again.
TEST_P(TrackTest, NaglesAlgorithmIsNamedAsWhatHeldAMessageBack) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const int off = 0;
  ASSERT_EQ(::setsockopt(dynamic_cast<SocketStream&>(*both.client).descriptor(), IPPROTO_TCP,
                         TCP_NODELAY, &off, sizeof(off)),
            0);
  const auto story = [&]() -> Io<journey::HeldBy> {
    ::setsockopt(dynamic_cast<SocketStream&>(*both.server).descriptor(), IPPROTO_TCP, TCP_QUICKACK,
                 &off, sizeof(off));
    co_await attempt(write_all(*both.client, "a"));
    co_await attempt(flush(*both.client));
    auto journey = both.asked.begin(both.asks->connection());
    both.asks->send(journey, Way::there, 1);
    co_await attempt(write_all(*both.client, "b"));
    auto taking = Both::take(*both.server, 2);
    co_await attempt(std::move(taking));
    co_await attempt(settled(*both.asks));
    co_return journey->request.tcp.held_by;
  };
  auto held_by = journey::HeldBy::unknown;
  for (int tries = 0; tries < 20 && held_by != journey::HeldBy::nagle; ++tries) {
    const auto told = reactor().run(within(patience, story()));
    ASSERT_TRUE(told) << to_string(told.error());
    held_by = *told;
  }
  EXPECT_EQ(held_by, journey::HeldBy::nagle) << to_string(held_by);
}

/// Errors and reports come as the same news.
TEST_P(TrackTest, AClosedPortIsNoticedWhileReportsCome) {
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
TEST_P(TrackTest, AFollowedConnectionEndsWhenItIsClosed) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(reactor().run(within(patience, both.exchange("hello"))));
  both.client.reset();
  const auto ended = reactor().run(within(patience, Both::take(*both.server, 1)));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error(), Fault::ended) << to_string(ended.error());
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
