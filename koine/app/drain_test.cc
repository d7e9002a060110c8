// How a server ends: what is let finish, what is cut, and that nothing accepted is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "koine/app/served_test.h"
#include "koine/async/event.h"
#include "koine/transport/reader.h"

namespace koine {
namespace {

using memory::heard;
using memory::settle;

/// Answers each line after a second.
Io<void> ponder(std::unique_ptr<Stream> client) {
  Reader lines(*client);
  while (const auto line = co_await attempt(lines.line())) {
    const std::string answer = "re: " + std::string(*line) + "\n";
    co_await sleep(1s);
    co_await attempt(write_all(*client, answer));
  }
  co_return {};
}

/// Goes on for ever, whatever the client does.
Io<void> never_end(std::unique_ptr<Stream> client) {
  for (;;) {
    co_await attempt(write_all(*client, "."));
    co_await sleep(100ms);
  }
}

ServerOptions drain_in(Duration time) {
  ServerOptions options;
  options.drain = time;
  return options;
}

TEST(Drain, EndsAtOnceWhenNobodyIsConnected) {
  Served served;
  served.drain();
  ASSERT_TRUE(served.ended());
  EXPECT_EQ(served.ended()->cut, 0);
  EXPECT_EQ(served.network.connect_now(good_client, *served.place.address()),
            std::unexpected(Fault::refused));
}

TEST(Drain, ShowsQuietConnectionsTheEndOfTheirInput) {
  Served served;
  auto quiet = served.connect();
  served.pass(10s);
  served.drain();
  EXPECT_EQ(heard(*quiet), "<end>");
  ASSERT_TRUE(served.ended());
  EXPECT_EQ(served.ended()->finished, 1);
  EXPECT_EQ(served.ended()->cut, 0);
}

TEST(Drain, LetsAConnectionGoOnUntilItHasBeenQuietForASecond) {
  Served served;
  auto busy = served.connect();
  served.drain();
  for (int i = 0; i < 5; ++i) {
    served.pass(900ms);
    EXPECT_EQ(served.ask(*busy, "more"), "more");
  }
  served.pass(900ms);
  EXPECT_FALSE(served.ended());
  served.pass(350ms);  // looked at four times a second
  EXPECT_EQ(heard(*busy), "<end>");
  EXPECT_TRUE(served.ended());
}

TEST(Drain, AnswersWhatWasAskedBefore) {
  Served served(ponder);
  auto client = served.connect();
  served.say(*client, "one\ntwo\nthree\n");
  served.drain();
  served.pass(10s);
  EXPECT_EQ(heard(*client), "re: one\nre: two\nre: three\n<end>");
  ASSERT_TRUE(served.ended());
  EXPECT_EQ(served.ended()->failed, 0);
}

TEST(Drain, CutsAndCountsWhatStillRunsWhenTheTimeIsUp) {
  Served served(never_end, drain_in(3s));
  auto first = served.connect();
  auto second = served.connect();
  served.drain();
  served.pass(2900ms);
  EXPECT_FALSE(served.ended());
  served.pass(100ms);
  ASSERT_TRUE(served.ended());
  EXPECT_EQ(served.ended()->cut, 2);
  EXPECT_EQ(served.ended()->finished, 0);
  EXPECT_EQ(served.server.connections(), 0);
  EXPECT_EQ(heard(*first), "<connection reset>") << "half an answer must not look like a whole one";
  EXPECT_THAT(served.errors, testing::IsEmpty());
}

TEST(Drain, CutsAtOnceWhenToldTo) {
  Served served(never_end);
  auto client = served.connect();
  served.cut();
  ASSERT_TRUE(served.ended());
  EXPECT_EQ(served.ended()->cut, 1);
  EXPECT_EQ(heard(*client), "<connection reset>");
}

TEST(Drain, MayBecomeACut) {
  Served served(never_end);
  auto client = served.connect();
  served.drain();
  served.pass(1s);
  EXPECT_FALSE(served.ended());
  served.cut();
  ASSERT_TRUE(served.ended());
  EXPECT_EQ(served.ended()->cut, 1);
}

TEST(Drain, ServesThoseWhoseConnectionWasCompleteButNotAccepted) {
  ServerOptions options;
  options.limits.connections = 3;
  Served served(echo, std::move(options));
  std::vector<std::unique_ptr<Stream>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(*served.network.connect_now(good_client, *served.place.address()));
    (void)clients.back()->write_now(as_bytes("just in time"));
  }
  served.drain();  // before anything could be accepted
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(heard(*clients[i]), "just in time");
  EXPECT_EQ(heard(*clients[3]), "<connection reset>") << "one more than may be";
}

TEST(Drain, DoesNotWaitForRoomWhenItIsFull) {
  ServerOptions options;
  options.limits.connections = 1;
  options.drain = 2s;
  Served served(never_end, std::move(options));
  auto client = served.connect();
  auto waiting = served.connect();
  served.drain();
  EXPECT_EQ(heard(*waiting), "<connection reset>");
  served.pass(2s);
  ASSERT_TRUE(served.ended());
  EXPECT_EQ(served.ended()->cut, 1);
}

TEST(Drain, DoesNotWaitForDescriptors) {
  Served served;
  served.network.accept_faults.assign(1000, Fault::exhausted);
  auto client = served.connect();
  served.drain();
  EXPECT_TRUE(served.ended());
}

TEST(Drain, ListensNowhereAnyMore) {
  Served served(never_end);
  auto client = served.connect();
  served.drain();
  const Loop::Entered entered(served.time.loop());
  EXPECT_EQ(served.server.listen(*parse_endpoint("tcp://127.0.0.1:0")),
            std::unexpected(Fault::closed));
}

TEST(Drain, KeepsAnEndThatItHasShownAnEnd) {
  // It reads on after the end, as it should not.
  std::string story;
  Served served([&](std::unique_ptr<Stream> client) -> Io<void> {
    for (int i = 0; i < 3; ++i) {
      const Buffer bytes = co_await attempt(receive(*client));
      story += "[" + std::string(bytes.text()) + "]";
      co_await sleep(1s);
    }
    co_return {};
  });
  auto client = served.connect();
  served.say(*client, "hello");
  served.pass(10s);
  served.drain();
  served.pass(1100ms);
  served.say(*client, "too late");
  served.pass(10s);
  EXPECT_EQ(story, "[hello][][]");
}

TEST(Drain, UnderLoadLosesNothingThatWasAccepted) {
  // Wherever in the story it begins, each connection that was complete gets a whole answer.
  for (int begin = 0; begin < 40; ++begin) {
    SCOPED_TRACE("drain begins at " + std::to_string(begin));
    Served served(ponder, drain_in(1min));
    std::vector<std::unique_ptr<Stream>> clients;
    int refused = 0;
    for (int moment = 0; moment < 60; ++moment) {
      auto client = served.network.connect_now(good_client, *served.place.address());
      if (client) {
        (void)(*client)->write_now(as_bytes("ask"));
        clients.push_back(std::move(*client));
      } else {
        ++refused;
      }
      if (moment % 2 == 0) settle(served.time);
      if (moment % 7 == 0) {
        for (const auto& each : clients) (void)each->write_now(as_bytes("\n"));
      }
      if (moment == begin) {
        const Loop::Entered entered(served.time.loop());
        served.server.drain();
      }
      served.pass(10ms);
    }
    for (const auto& client : clients) (void)client->write_now(as_bytes("\n"));
    served.pass(1min);
    ASSERT_TRUE(served.ended());
    EXPECT_EQ(served.ended()->cut, 0);
    EXPECT_EQ(served.ended()->failed, 0);
    EXPECT_EQ(served.ended()->finished, clients.size());
    EXPECT_GT(refused, 0);
    for (const auto& client : clients) {
      const std::string answer = heard(*client);
      EXPECT_TRUE(answer.starts_with("re: ask\n")) << answer;
      EXPECT_TRUE(answer.ends_with("<end>")) << answer;
    }
  }
}

/// Handlers elsewhere that end when told to, or only when their task is destroyed.
class Elsewhere final : public Workers {
 public:
  explicit Elsewhere(bool deaf) : deaf_(deaf) {}

  Io<void> serve(std::unique_ptr<Stream> stream) override { return work(std::move(stream)); }
  void drain() override {
    story += "drain ";
    if (!deaf_) told_.set();
  }
  void cut() override {
    story += "cut ";
    if (!deaf_) told_.set();
  }

  std::string story;

 private:
  Io<void> work(std::unique_ptr<Stream> stream) {
    co_await told_.wait();
    stream.reset();
    story += "ended ";
    co_return {};
  }

  bool deaf_;
  Event told_;
};

TEST(Drain, TellsWorkersElsewhere) {
  VirtualTime time;
  memory::MemoryNetwork network(time.loop());
  for (const bool deaf : {false, true}) {
    auto made = std::make_unique<Elsewhere>(deaf);
    const Elsewhere& workers = *made;
    Server server(network, std::move(made), drain_in(5s));
    const Endpoint place = *server.listen(*parse_endpoint("tcp://127.0.0.1:0"));
    Started<Task<ServerCounts>> running(time.loop(), server.run());
    auto client = network.connect_now(good_client, *place.address());
    settle(time);
    EXPECT_EQ(server.connections(), 1);
    const Instant begun = time.now();
    {
      const Loop::Entered entered(time.loop());
      server.drain();
    }
    time.run();
    ASSERT_TRUE(running.done());
    EXPECT_EQ(workers.story, deaf ? "drain cut " : "drain ended ");
    EXPECT_EQ(server.counts().cut, deaf ? 1 : 0);
    // A deaf one has a second to hear that it is cut.
    EXPECT_EQ(time.now() - begun, deaf ? 6s : 0s);
  }
}

}  // namespace
}  // namespace koine
