#include "koine/app/datagram_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "koine/async/event.h"
#include "koine/async/started.h"
#include "koine/async/story_test.h"
#include "koine/transport/memory_test.h"

namespace koine {
namespace {

using memory::settle;
using testing::ElementsAre;
using testing::IsEmpty;

Address peer_at(std::uint16_t port) { return {loopback_v4, port}; }

/// Time, a network, and a datagram server that runs there.
class Served {
 public:
  template <class Handler>
  explicit Served(Handler handler, ServerOptions options = {})
      : time(),
        network(time.loop()),
        server(network, std::move(handler), noting(std::move(options))) {
    const Loop::Entered entered(time.loop());
    place = *server.listen(*parse_endpoint("udp://127.0.0.1:0"));
    running.emplace(time.loop(), server.run());
    settle(time);
  }

  void say(std::uint16_t port, std::string_view text) {
    network.send(peer_at(port), *place.address(), text);
    settle(time);
  }
  void pass(Duration duration) { memory::pass(time, duration); }
  void drain() {
    const Loop::Entered entered(time.loop());
    server.drain();
    settle(time);
  }
  const ServerCounts& counts() const { return server.counts(); }

  VirtualTime time;
  memory::MemoryNetwork network;
  std::string story;  // for handlers to write in
  std::vector<std::string> errors;
  DatagramServer server;
  Endpoint place;
  std::optional<Started<Task<ServerCounts>>> running;

 private:
  ServerOptions noting(ServerOptions options) {
    options.on_error = [this](const std::string& peer, const Error& error) {
      errors.push_back(peer + " | " + to_string(error));
    };
    return options;
  }
};

Io<void> echo(const DatagramRequest& request) {
  co_await attempt(send_to(request.socket, request.bytes, request.from));
  co_return {};
}

/// A socket of a client's.
std::string heard(VirtualTime& time, Datagram& socket) {
  settle(time);
  std::string text;
  std::vector<std::byte> room(100);
  while (auto received = socket.receive_now(room))
    text += "[" + std::string(as_text(Bytes(room).first(received->size))) + "]";
  return text;
}

TEST(DatagramServer, AnswersEachDatagramWhereItCameFrom) {
  Served served((DatagramHandler(echo)));
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
  Served served(DatagramHandler([&](const DatagramRequest& request) -> Io<void> {
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
  Served served(DatagramHandler([](const DatagramRequest& request) -> Io<void> {
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
  Served served((DatagramHandler(echo)));
  const Endpoint second = *served.server.listen(*parse_endpoint("udp://127.0.0.1:0"));
  EXPECT_NE(second.port(), served.place.port());
  auto client = *served.network.bind(*parse_endpoint("udp://127.0.0.1:0"), {});
  ASSERT_TRUE(client->send_now(as_bytes("there"), *second.address()));
  EXPECT_EQ(heard(served.time, *client), "[there]");
}

/// Writes down what each peer says, and when it ends.
ConversationHandler note_all(std::string& story) {
  return [&story](std::unique_ptr<Conversation> peer) -> Io<void> {
    const std::string name = std::to_string(peer->peer().port());
    story += name + "( ";
    while (const auto bytes = co_await peer->next())
      story += name + ":" + std::string(as_text(*bytes)) + " ";
    story += ")" + name + " ";
    co_return {};
  };
}

TEST(Conversation, IsOneForEachPeer) {
  std::string story;
  Served served(note_all(story));
  served.say(1, "a");
  served.say(2, "b");
  served.say(1, "c");
  EXPECT_EQ(story, "1( 1:a 2( 2:b 1:c ");
  EXPECT_EQ(served.server.peers(), 2);
  EXPECT_EQ(served.counts().accepted, 2);
  EXPECT_EQ(served.counts().datagrams, 3);
}

TEST(Conversation, AnswersItsPeer) {
  Served served(ConversationHandler([](std::unique_ptr<Conversation> peer) -> Io<void> {
    for (int number = 1; const auto bytes = co_await peer->next(); ++number) {
      const std::string text = std::to_string(number) + std::string(as_text(*bytes));
      co_await attempt(peer->send(as_bytes(text)));
    }
    co_return {};
  }));
  auto ann = *served.network.bind(*parse_endpoint("udp://127.0.0.1:0"), {});
  auto bob = *served.network.bind(*parse_endpoint("udp://127.0.0.1:0"), {});
  for (Datagram* client : {ann.get(), bob.get(), ann.get()})
    ASSERT_TRUE(client->send_now(as_bytes("!"), *served.place.address()));
  EXPECT_EQ(heard(served.time, *ann), "[1!][2!]");
  EXPECT_EQ(heard(served.time, *bob), "[1!]");
}

TEST(Conversation, EndsWhenItsPeerIsSilent) {
  std::string story;
  Served served(note_all(story));
  served.say(1, "a");
  served.pass(30s);
  served.say(2, "b");
  served.pass(30s);
  EXPECT_EQ(story, "1( 1:a 2( 2:b )1 ");
  served.say(1, "again");  // a new conversation
  served.pass(1h);
  EXPECT_EQ(story, "1( 1:a 2( 2:b )1 1( 1:again )2 )1 ");
  EXPECT_EQ(served.counts().idle, 3);
  EXPECT_EQ(served.counts().finished, 3);
  EXPECT_FALSE(served.time.loop().next_deadline()) << "no timer is left when nobody is";
}

TEST(Conversation, GoesOnAsLongAsItsPeerTalks) {
  std::string story;
  Served served(note_all(story));
  for (int i = 0; i < 10; ++i) {
    served.say(1, "x");
    served.pass(59s);
  }
  EXPECT_EQ(served.counts().idle, 0);
}

TEST(Conversation, BeginsAnewAfterItsHandlerEnded) {
  std::string story;
  Served served(ConversationHandler([&](std::unique_ptr<Conversation> peer) -> Io<void> {
    story += "[" + std::string(as_text(*co_await peer->next())) + "]";
    co_return {};
  }));
  served.say(1, "a");
  served.say(1, "b");
  EXPECT_EQ(story, "[a][b]");
  EXPECT_EQ(served.counts().accepted, 2);
  EXPECT_EQ(served.server.peers(), 0);
}

TEST(Conversation, ReportsErrorsAndExceptionsAndHarmsNoOther) {
  std::string story;
  Served served(ConversationHandler([&](std::unique_ptr<Conversation> peer) -> Io<void> {
    while (const auto bytes = co_await peer->next()) {
      if (as_text(*bytes) == "fail") co_return fail(Fault::malformed, "understand", "you");
      if (as_text(*bytes) == "throw") throw std::runtime_error("out of patience");
      story += as_text(*bytes);
    }
    co_return {};
  }));
  served.say(1, "good");
  served.say(2, "fail");
  served.say(3, "throw");
  served.say(1, "!");
  EXPECT_EQ(story, "good!");
  EXPECT_THAT(served.errors, ElementsAre("127.0.0.1:2 | understand you: malformed",
                                         "127.0.0.1:3 | serve: failed: out of patience"));
}

/// Never looks at what it is sent.
ConversationHandler ignore_all() {
  return [](std::unique_ptr<Conversation> peer) -> Io<void> {
    co_await sleep(24h);
    peer.reset();
    co_return {};
  };
}

TEST(Conversation, DropsAndCountsWhatItsQueueCannotHold) {
  ServerOptions options;
  options.limits.datagrams_waiting = 3;
  Served served(ignore_all(), std::move(options));
  for (int i = 0; i < 10; ++i) served.say(1, "x");
  served.say(2, "y");
  EXPECT_EQ(served.counts().datagrams, 4);
  EXPECT_EQ(served.counts().dropped, 7);
}

TEST(Conversation, BoundsTheBytesThatWaitForAllPeers) {
  ServerOptions options;
  options.limits.datagram_bytes_waiting = 1000;
  std::string story;
  Event go_on;
  Served served(ConversationHandler([&](std::unique_ptr<Conversation> peer) -> Io<void> {
                  co_await go_on.wait();
                  while (const auto bytes = co_await peer->next())
                    story += std::to_string(bytes->size()) + " ";
                  co_return {};
                }),
                std::move(options));
  served.say(1, std::string(600, 'x'));
  served.say(2, std::string(500, 'x'));  // too much, so there is no peer 2
  served.say(3, std::string(400, 'x'));
  EXPECT_EQ(served.counts().dropped, 1);
  EXPECT_EQ(served.server.peers(), 2);
  {
    const Loop::Entered entered(served.time.loop());
    go_on.set();
  }
  settle(served.time);
  served.say(2, std::string(900, 'x'));
  EXPECT_EQ(story, "600 400 900 ");
}

TEST(Conversation, CountsWhatWaitedWhenItsHandlerEndedAsDropped) {
  Served served(ConversationHandler([](std::unique_ptr<Conversation> peer) -> Io<void> {
    co_await sleep(1s);
    co_await peer->next();
    co_return {};
  }));
  for (int i = 0; i < 5; ++i) served.say(1, "x");
  EXPECT_EQ(served.counts().datagrams, 5);
  served.pass(1s);
  EXPECT_EQ(served.counts().datagrams, 1);
  EXPECT_EQ(served.counts().dropped, 4);
}

TEST(Conversation, IsRefusedToOnePeerTooMany) {
  ServerOptions options;
  options.limits.datagram_peers = 2;
  std::string story;
  Served served(note_all(story), std::move(options));
  served.say(1, "a");
  served.say(2, "b");
  for (std::uint16_t port = 3; port < 100; ++port) served.say(port, "flood");
  served.say(1, "c");  // who is known goes on
  EXPECT_EQ(story, "1( 1:a 2( 2:b 1:c ");
  EXPECT_EQ(served.counts().dropped, 97);
  served.pass(60s);
  served.say(3, "now");
  EXPECT_EQ(story, "1( 1:a 2( 2:b 1:c )1 )2 3( 3:now ");
}

TEST(DatagramServer, EndsAtOnceIfItHasNoSocket) {
  VirtualTime time;
  memory::MemoryNetwork network(time.loop());
  DatagramServer server(network, DatagramHandler(echo));
  EXPECT_TRUE(time.finish(server.run()));
}

TEST(DatagramServer, LetsTheHandlerOfADatagramFinishWhenItDrains) {
  std::string story;
  Served served(DatagramHandler([&](const DatagramRequest& request) -> Io<void> {
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
  Served served(ConversationHandler([&](std::unique_ptr<Conversation> peer) -> Io<void> {
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
  Served each(DatagramHandler([](const DatagramRequest&) -> Io<void> {
                co_await sleep(24h);
                co_return {};
              }),
              std::move(options));
  each.say(1, "a");
  each.drain();
  each.pass(5s);
  ASSERT_TRUE(each.running->done());
  EXPECT_EQ(each.counts().cut, 1);

  Served peers(ignore_all());
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
