#include "koine/journey/recorder.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "koine/journey/made_test.h"

namespace koine::journey {
namespace {

/// A journey like all others, whose clients and servers took longer for these steps.
std::shared_ptr<Journey> slowed(Recorder& recorder, const Connection& connection,
                                const std::function<void(Journey&, std::int64_t)>& by = {}) {
  auto journey = recorder.begin(connection);
  const std::uint64_t id = journey->id;
  *journey = made_journey();
  journey->id = id;
  if (by) by(*journey, 140'000'000);
  return journey;
}

void shift(Leg& leg, std::int64_t ns) {
  for (Stamp* stamp :
       {&leg.write_in, &leg.write_out, &leg.sched, &leg.rx, &leg.recv_in, &leg.recv_out, &leg.ack})
    stamp->ns += ns;
  for (Stamp& stamp : leg.snd) stamp.ns += ns;
}

std::string verdict_after(const std::function<void(Journey&, std::int64_t)>& by) {
  Recorder recorder;
  Connection connection;
  for (int i = 0; i < 20; ++i) recorder.finish(connection, slowed(recorder, connection));
  auto journey = slowed(recorder, connection, by);
  recorder.finish(connection, journey);
  if (by) {
    EXPECT_EQ(recorder.slowest(1).at(0), journey);
  }
  return journey->verdict;
}

TEST(Recorder, FollowsTheFirstMessageAndOneInSoManyFromThenOn) {
  Recorder recorder;
  int followed = 0;
  EXPECT_TRUE(recorder.samples());
  for (int i = 1; i < 1000; ++i) followed += recorder.samples() ? 1 : 0;
  EXPECT_EQ(followed, 9);
  Recorder all({.every = 0});
  EXPECT_TRUE(all.samples() && all.samples());
}

TEST(Recorder, NeverLetsMoreMessagesWaitThanTheReceiveBufferBears) {
  EXPECT_EQ(Recorder({.budget = 1000}).options().budget, 16U);
  EXPECT_EQ(Recorder({.budget = 0}).options().budget, 1U);
}

TEST(Recorder, KeepsTheSlowest) {
  Recorder recorder({.keep_slowest = 3});
  Connection connection;
  for (const std::int64_t by : {5, 9, 1, 7, 3, 8}) {
    recorder.finish(connection, slowed(recorder, connection, [&](Journey& journey, std::int64_t) {
                      journey.reply.recv_out.ns += by * 1'000'000;
                    }));
  }
  std::vector<std::int64_t> totals;
  for (const auto& journey : recorder.slowest())
    totals.push_back(spans_of(*journey).total_ns / 1'000'000);
  EXPECT_EQ(totals, (std::vector<std::int64_t>{9, 8, 7}));
  EXPECT_EQ(recorder.slowest(1).size(), 1U);
  EXPECT_EQ(recorder.journeys(), 6U);
}

TEST(Recorder, DiscardsAJourneyWhoseClockWasStepped) {
  Recorder recorder;
  Connection connection;
  recorder.finish(connection, slowed(recorder, connection, [](Journey& journey, std::int64_t) {
                    journey.clock_stepped = true;
                  }));
  EXPECT_EQ(recorder.discarded(), 1U);
  EXPECT_TRUE(recorder.slowest().empty());
}

TEST(Latest, KnowsTheMedianOfTheLatestValues) {
  Latest latest;
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < 500; ++i) {
    all.push_back(i * 7919 % 101);  // each value several times
    latest.push(all.back());
    std::vector<std::int64_t> kept(all.end() - std::min<std::ptrdiff_t>(i + 1, Latest::values_max),
                                   all.end());
    std::ranges::sort(kept);
    ASSERT_EQ(latest.count(), kept.size());
    ASSERT_EQ(latest.median(), kept[kept.size() / 2]) << "after " << i;
  }
}

TEST(Verdict, WhatIsUsualIsNoFault) { EXPECT_EQ(verdict_after({}), "as usual (median 78.00 us)"); }

TEST(Verdict, WithoutAnythingToCompareWithItSaysSo) {
  const Journey journey = made_journey();
  const Verdict verdict = judge(journey, spans_of(journey), {});
  EXPECT_FALSE(verdict.compared);
  EXPECT_EQ(verdict.words,
            "nothing to compare with yet; longest: client's thread took 13.00 us to wake up");
}

TEST(Verdict, NamesAThreadThatHadNoCpu) {
  EXPECT_EQ(verdict_after([](Journey& journey, std::int64_t ns) {
              journey.request.recv_out.ns += ns;
              journey.request.cpu_wait_ns = ns;
              shift(journey.reply, ns);
            }),
            "server's thread waited 140.00 ms for a CPU, usually 6.00 us");
  EXPECT_EQ(verdict_after([](Journey& journey, std::int64_t ns) {
              journey.request.recv_in.ns += ns;
              journey.request.recv_out.ns += ns;
              journey.request.cpu_wait_ns = ns;
              shift(journey.reply, ns);
            }),
            "server's thread waited 140.00 ms for a CPU before it could ask, usually 5.00 us");
}

TEST(Verdict, NamesAThreadThatHadNoCpuToSendWith) {
  // What its CPU was to pass on did not move either, so the time shows on the network.
  EXPECT_EQ(verdict_after([](Journey& journey, std::int64_t ns) {
              Leg& there = journey.request;
              there.write_out.ns += ns;
              there.write_cpu_wait_ns = ns + 50'000;  // and a little before
              for (Stamp* stamp : {&there.rx, &there.recv_in, &there.recv_out}) stamp->ns += ns;
              shift(journey.reply, ns);
            }),
            "client's thread waited 140.00 ms for a CPU while it handed the message over, usually "
            "4.00 us");
}

TEST(Verdict, DoesNotTellApartWhatAStampThatCameLateDoesNot) {
  // Segments that waited together: in the network, or unread?
  EXPECT_EQ(verdict_after([](Journey& journey, std::int64_t ns) {
              Leg& there = journey.request;
              for (Stamp* stamp : {&there.rx, &there.recv_in, &there.recv_out}) stamp->ns += ns;
              there.rx.quality = Quality::at_most;
              shift(journey.reply, ns);
            }),
            "140.01 ms in the network on the way there, or unread at the server, usually 9.00 us");
  // A server that says nothing but that it has it, 40 ms late on purpose.
  EXPECT_EQ(verdict_after([](Journey& journey, std::int64_t ns) {
              Leg& there = journey.request;
              there.ack = Stamp::exactly(there.rx.ns + ns);
              there.rx = there.recv_in = there.recv_out = {};
              Leg& back = journey.reply;
              back.write_in = back.write_out = back.sched = {};
              back.snd.clear();
              for (Stamp* stamp : {&back.rx, &back.recv_in, &back.recv_out}) stamp->ns += ns;
            }),
            "140.05 ms in the network and at the other end, usually 50.00 us");
}

// An answer that waited for another to be sent again has no arrival, and its server told its end
// before TCP was done.
TEST(Verdict, DoesNotTakeWhatIsOftenWrongForUsual) {
  Recorder recorder;
  Connection connection;
  for (int i = 0; i < 40; ++i) {
    const bool is_lost = i > 10 && i % 3 == 0;
    auto journey = slowed(recorder, connection, [&](Journey& each, std::int64_t) {
      if (!is_lost) return;
      each.reply.tcp.mss = 1448;
      each.reply.rx = {};
      each.reply.recv_in.ns += 10'000'000;
      each.reply.recv_out.ns += 20'000'000;
    });
    recorder.finish(connection, journey);
    if (!is_lost) continue;
    EXPECT_EQ(journey->verdict,
              "20.04 ms in the network on the way back, or until the client woke up, or lost and "
              "sent again, usually 36.00 us")
        << i;
    EXPECT_EQ(spans_of(*journey).find(Step::wake_back), nullptr);
  }
}

TEST(Verdict, NamesALossByHowOftenAndWhere) {
  EXPECT_EQ(verdict_after([](Journey& journey, std::int64_t ns) {
              Leg& there = journey.request;
              there.snd = {there.snd[0], Stamp::exactly(there.snd[0].ns + ns / 2),
                           Stamp::exactly(there.snd[0].ns + ns)};
              there.sendings = 3;
              for (Stamp* stamp : {&there.rx, &there.recv_in, &there.recv_out}) stamp->ns += ns;
              shift(journey.reply, ns);
            }),
            "lost twice on the way there (140.00 ms)");
}

TEST(Verdict, DoesNotCallLostWhatMayHaveBeenLate) {
  const auto sent_again = [](Journey& journey, std::int64_t ns, std::int64_t after) {
    Leg& there = journey.request;
    there.rx = there.recv_in = there.recv_out = {};
    there.snd.push_back(Stamp::exactly(there.snd[0].ns + ns));
    there.sendings = 2;
    Leg& back = journey.reply;
    back.write_in = back.write_out = back.sched = {};
    back.snd.clear();
    for (Stamp* stamp : {&back.rx, &back.recv_in, &back.recv_out}) stamp->ns += ns + after;
  };
  EXPECT_EQ(verdict_after([&](Journey& journey, std::int64_t ns) { sent_again(journey, ns, 0); }),
            "lost once on the way there (140.00 ms)");
  EXPECT_EQ(verdict_after(
                [&](Journey& journey, std::int64_t ns) { sent_again(journey, ns, 20'000'000); }),
            "sent again after 140.00 ms: lost on the way there, or late");
}

TEST(Verdict, NamesAQueueAtOurOwnDeviceAndOneElsewhere) {
  EXPECT_EQ(verdict_after([](Journey& journey, std::int64_t ns) {
              Leg& there = journey.request;
              there.snd[0].ns += ns;
              for (Stamp* stamp : {&there.rx, &there.recv_in, &there.recv_out}) stamp->ns += ns;
              shift(journey.reply, ns);
            }),
            "140.00 ms in the queue of the client's own device, usually 2.00 us");
  EXPECT_EQ(
      verdict_after([](Journey& journey, std::int64_t ns) {
        for (Stamp* stamp : {&journey.reply.rx, &journey.reply.recv_in, &journey.reply.recv_out})
          stamp->ns += ns;
      }),
      "140.01 ms in the network on the way back, usually 11.00 us");
}

TEST(Verdict, NamesAProgramThatDidNotAskOneThatThoughtAndASystemThatHeldBack) {
  EXPECT_EQ(verdict_after([](Journey& journey, std::int64_t ns) {
              journey.request.recv_in.ns += ns;
              journey.request.recv_out.ns += ns;
              shift(journey.reply, ns);
            }),
            "server's program did not ask for it for 140.00 ms, usually 5.00 us");
  EXPECT_EQ(verdict_after([](Journey& journey, std::int64_t ns) { shift(journey.reply, ns); }),
            "server's program took 140.01 ms to answer, usually 7.00 us");
  EXPECT_EQ(
      verdict_after([](Journey& journey, std::int64_t ns) {
        Leg& back = journey.reply;
        for (Stamp* stamp : {&back.sched, &back.snd[0], &back.rx, &back.recv_in, &back.recv_out})
          stamp->ns += ns;
        back.tcp.unsent_bytes = 70'000;
      }),
      "server's system held it back for 140.00 ms (70000 bytes before it were not yet sent),"
      " usually 8.00 us");
}

TEST(Verdict, NamesWhatHeldAMessageBack) {
  const auto held = [](HeldBy by) {
    return verdict_after([by](Journey& journey, std::int64_t ns) {
      Leg& there = journey.request;
      for (Stamp* stamp : {&there.sched, &there.snd[0], &there.rx, &there.recv_in, &there.recv_out})
        stamp->ns += ns;
      shift(journey.reply, ns);
      there.tcp = {.cwnd = 10, .unsent_bytes = 70'000, .held_by = by};
    });
  };
  const std::string begin = "client's system held it back for 140.00 ms: ";
  const std::string end = " (70000 bytes before it were not yet sent), usually ";
  const auto why = [&](HeldBy by) {
    const std::string words = held(by);
    EXPECT_TRUE(words.starts_with(begin)) << words;
    EXPECT_NE(words.find(end), std::string::npos) << words;
    return words.substr(begin.size(), words.find(end) - begin.size());
  };
  EXPECT_EQ(why(HeldBy::receiver_window), "the receiver's window was full");
  EXPECT_EQ(why(HeldBy::congestion_window), "the congestion window was full (10 segments)");
  EXPECT_EQ(why(HeldBy::pacing), "TCP paces what it sends");
  EXPECT_EQ(why(HeldBy::send_buffer), "the send buffer is too small");
  EXPECT_EQ(why(HeldBy::nagle), "less than a segment waits for confirmations (Nagle)");
}

TEST(Verdict, TellsAMessageForWhichThereWasNoRoomFromOneThatWasHeldBack) {
  const std::string words = verdict_after([](Journey& journey, std::int64_t ns) {
    Leg& there = journey.request;
    for (Stamp* stamp : {&there.write_out, &there.sched, &there.snd[0], &there.rx, &there.recv_in,
                         &there.recv_out})
      stamp->ns += ns;
    shift(journey.reply, ns);
    there.tcp.held_by = HeldBy::receiver_window;
  });
  const std::string begin = "client took 140.00 ms to hand it over: the receiver's window was full";
  EXPECT_TRUE(words.starts_with(begin)) << words;
}

}  // namespace
}  // namespace koine::journey
