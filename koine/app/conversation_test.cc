// What passes between a datagram server and one of its peers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "koine/app/served_datagrams_test.h"
#include "koine/async/event.h"

namespace koine {
namespace {

using memory::settle;
using testing::ElementsAre;

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
  ServedDatagrams served(note_all(story));
  served.say(1, "a");
  served.say(2, "b");
  served.say(1, "c");
  EXPECT_EQ(story, "1( 1:a 2( 2:b 1:c ");
  EXPECT_EQ(served.server.peers(), 2);
  EXPECT_EQ(served.counts().accepted, 2);
  EXPECT_EQ(served.counts().datagrams, 3);
}

TEST(Conversation, AnswersItsPeer) {
  ServedDatagrams served(ConversationHandler([](std::unique_ptr<Conversation> peer) -> Io<void> {
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
  ServedDatagrams served(note_all(story));
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
  ServedDatagrams served(note_all(story));
  for (int i = 0; i < 10; ++i) {
    served.say(1, "x");
    served.pass(59s);
  }
  EXPECT_EQ(served.counts().idle, 0);
}

TEST(Conversation, BeginsAnewAfterItsHandlerEnded) {
  std::string story;
  ServedDatagrams served(ConversationHandler([&](std::unique_ptr<Conversation> peer) -> Io<void> {
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
  ServedDatagrams served(ConversationHandler([&](std::unique_ptr<Conversation> peer) -> Io<void> {
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

TEST(Conversation, DropsAndCountsWhatItsQueueCannotHold) {
  ServerOptions options;
  options.limits.datagrams_waiting = 3;
  ServedDatagrams served(ignore_all(), std::move(options));
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
  ServedDatagrams served(ConversationHandler([&](std::unique_ptr<Conversation> peer) -> Io<void> {
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
  ServedDatagrams served(ConversationHandler([](std::unique_ptr<Conversation> peer) -> Io<void> {
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
  ServedDatagrams served(note_all(story), std::move(options));
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

}  // namespace
}  // namespace koine
