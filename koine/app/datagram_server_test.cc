#include "koine/app/datagram_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "koine/app/served_datagrams_test.h"

namespace koine {
namespace {

using memory::settle;
using testing::ElementsAre;
using testing::IsEmpty;

Io<void> echo(const DatagramRequest& request) {
  co_await attempt(send_to(request.socket, request.bytes, request.from));
  co_return {};
}

TEST(DatagramServer, AnswersEachDatagramWhereItCameFrom) {
  ServedDatagrams served((DatagramHandler(echo)));
  auto ann = *served.network.bind(*parse_endpoint("udp://127.0.0.1:0"), {});
  auto bob = *served.network.bind(*parse_endpoint("udp://127.0.0.1:0"), {});
  ASSERT_TRUE(ann->send_now(as_bytes("a"), *served.place.address()));
  ASSERT_TRUE(bob->send_now(as_bytes("b"), *served.place.address()));
  ASSERT_TRUE(ann->send_now(as_bytes(""), *served.place.address()));
  EXPECT_EQ(heard(served.time, *ann), "[a][]");
  EXPECT_EQ(heard(served.time, *bob), "[b]");
  EXPECT_EQ(served.counts().datagrams, 3);
}

TEST(DatagramServer, LooksAtTheNextDatagramWhenTheOneBeforeIsAnswered) {
  std::string story;
  ServedDatagrams served(DatagramHandler([&](const DatagramRequest& request) -> Io<void> {
    const std::string text(as_text(request.bytes));
    story += "<" + text;
    co_await sleep(1s);
    story += text + ">";
    co_return {};
  }));
  for (const char* text : {"1", "2", "3"}) served.say(5, text);
  EXPECT_EQ(story, "<1");
  served.pass(3s);
  EXPECT_EQ(story, "<11><22><33>");
}

TEST(DatagramServer, ReportsErrorsAndExceptionsAndGoesOn) {
  ServedDatagrams served(DatagramHandler([](const DatagramRequest& request) -> Io<void> {
    const std::string order(as_text(request.bytes));
    if (order == "fail") co_return fail(Fault::malformed, "understand", "you");
    if (order == "throw") throw std::runtime_error("out of patience");
    if (order == "throw 7") throw 7;  // NOLINT: somebody may
    co_return {};
  }));
  for (const char* order : {"fail", "throw", "throw 7", "be kind"}) served.say(5, order);
  EXPECT_THAT(served.errors, ElementsAre("127.0.0.1:5 | understand you: malformed",
                                         "127.0.0.1:5 | serve: failed: out of patience",
                                         "127.0.0.1:5 | serve: failed: an exception"));
  EXPECT_EQ(served.counts().datagrams, 4);
  EXPECT_EQ(served.counts().failed, 3);
}

TEST(DatagramServer, ServesSeveralSocketsSideBySide) {
  ServedDatagrams served((DatagramHandler(echo)));
  const Endpoint second = *served.server.listen(*parse_endpoint("udp://127.0.0.1:0"));
  EXPECT_NE(second.port(), served.place.port());
  auto client = *served.network.bind(*parse_endpoint("udp://127.0.0.1:0"), {});
  ASSERT_TRUE(client->send_now(as_bytes("there"), *second.address()));
  EXPECT_EQ(heard(served.time, *client), "[there]");
}

TEST(DatagramServer, EndsAtOnceIfItHasNoSocket) {
  VirtualTime time;
  memory::MemoryNetwork network(time.loop());
  DatagramServer server(network, DatagramHandler(echo));
  EXPECT_TRUE(time.finish(server.run()));
}

TEST(DatagramServer, LetsTheHandlerOfADatagramFinishWhenItDrains) {
  std::string story;
  ServedDatagrams served(DatagramHandler([&](const DatagramRequest& request) -> Io<void> {
    const std::string text(as_text(request.bytes));
    co_await sleep(1s);
    story += text;
    co_return {};
  }));
  served.say(1, "a");
  served.say(1, "b");  // not looked at yet
  served.drain();
  EXPECT_FALSE(served.running->done());
  served.pass(1s);
  EXPECT_EQ(story, "a");
  ASSERT_TRUE(served.running->done());
  EXPECT_EQ(served.counts().cut, 0);
}

TEST(DatagramServer, LetsConversationsFinishWhenItDrains) {
  std::string story;
  ServedDatagrams served(ConversationHandler([&](std::unique_ptr<Conversation> peer) -> Io<void> {
    while (const auto bytes = co_await peer->next()) {
      story += as_text(*bytes);
      co_await sleep(1s);
    }
    story += " bye";
    co_return {};
  }));
  for (const char* text : {"a", "b", "c"}) served.say(1, text);
  served.drain();
  served.say(1, "too late");
  served.pass(3s);
  EXPECT_EQ(story, "abc bye");
  EXPECT_TRUE(served.running->done());
  EXPECT_EQ(served.counts().cut, 0);
  EXPECT_EQ(served.counts().finished, 1);
}

TEST(DatagramServer, CutsWhatTakesTooLong) {
  ServerOptions options;
  options.drain = 5s;
  ServedDatagrams each(DatagramHandler([](const DatagramRequest&) -> Io<void> {
                         co_await sleep(24h);
                         co_return {};
                       }),
                       std::move(options));
  each.say(1, "a");
  each.drain();
  each.pass(5s);
  ASSERT_TRUE(each.running->done());
  EXPECT_EQ(each.counts().cut, 1);

  ServedDatagrams peers(ignore_all());
  for (std::uint16_t port = 1; port <= 3; ++port) peers.say(port, "x");
  {
    const Loop::Entered entered(peers.time.loop());
    peers.server.cut();
  }
  settle(peers.time);
  ASSERT_TRUE(peers.running->done());
  EXPECT_EQ(peers.counts().cut, 3);
  EXPECT_EQ(peers.counts().finished, 0);
}

TEST(DatagramServer, LeavesNothingBehindWhereverItIsDestroyed) {
  for (int steps = 0; steps < 40; ++steps) {
    SCOPED_TRACE("destroyed after step " + std::to_string(steps));
    VirtualTime time;
    memory::MemoryNetwork network(time.loop());
    {
      DatagramServer server(network,
                            ConversationHandler([](std::unique_ptr<Conversation> peer) -> Io<void> {
                              const Counted counted;
                              while (const auto bytes = co_await peer->next()) co_await sleep(10ms);
                              co_return {};
                            }));
      const Endpoint place = *server.listen(*parse_endpoint("udp://127.0.0.1:0"));
      Started<Task<ServerCounts>> running(time.loop(), server.run());
      for (int step = 0; step < steps; ++step) {
        if (step < 20) {
          network.send(peer_at(static_cast<std::uint16_t>(step % 3)), *place.address(), "hello");
        } else if (step == 30) {
          server.drain();
        }
        small_step(time);
      }
    }
    expect_nothing_left(time);
  }
}

}  // namespace
}  // namespace koine
