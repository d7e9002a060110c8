// Two peers on a network in memory: what users see of each interaction.
#include "koine/rsocket/peer.h"

#include <gtest/gtest.h>

#include <string>

#include "koine/async/sleep.h"
#include "koine/os/network.h"
#include "koine/os/reactor.h"
#include "koine/rsocket/pair_test.h"
#include "koine/rsocket/stories_test.h"
#include "koine/rsocket/words_test.h"

namespace koine::rsocket {
namespace {

/// A pair that tells the stories.
class StoryPair : private stories::Log, public Pair {
 public:
  explicit StoryPair(PeerOptions options = {}) : Pair(stories::Log::service, std::move(options)) {}
  const stories::Log& log() const { return *this; }
};

TEST(RsocketPeer, CallsInBothDirections) {
  StoryPair pair;
  EXPECT_EQ(pair.answer(within(1s, pair.client->call("echo", "hello"))), "hello");
  EXPECT_EQ(pair.answer(within(1s, pair.server->call("echo", "world"))), "world");
  EXPECT_EQ(pair.client->connection().streams(), 0u);
  EXPECT_EQ(pair.server->handlers(), 0u);
}

TEST(RsocketPeer, CarriesMessagesLargerThanAFrameAndTheWindow) {
  StoryPair pair;
  const std::string large(700'000, 'x');
  EXPECT_EQ(pair.answer(within(1s, pair.client->call("echo", large))), large);
}

TEST(RsocketPeer, SaysWhyACallFailed) {
  StoryPair pair;
  EXPECT_EQ(pair.answer(within(1s, pair.client->call("fail", "x"))),
            "call fail: failed: APPLICATION_ERROR: answer x: permission denied");
  EXPECT_EQ(
      pair.answer(within(1s, pair.client->call("throw", "x"))).find("call throw: failed: APP"), 0u);
  EXPECT_EQ(pair.answer(within(1s, pair.client->call("nowhere", "x"))),
            "call nowhere: malformed: INVALID: no handler for REQUEST_RESPONSE of route 'nowhere'");
  const std::string too_large(2'000'000, 'x');
  EXPECT_EQ(pair.answer(within(1s, pair.client->call("echo", too_large))),
            "request echo: over the limit: a message has at most 1048576 bytes");
  EXPECT_EQ(pair.answer(within(1s, pair.client->call("echo", "still here"))), "still here");
}

TEST(RsocketPeer, AHandlerWhoseCallerIsGoneIsCancelled) {
  StoryPair pair;
  EXPECT_EQ(pair.answer(within(100ms, pair.client->call("slow", "x"))).find("call slow: timed out"),
            0u);
  memory::settle(pair.time);
  EXPECT_EQ(pair.log().text, "slow begins, slow is destroyed, ");
  EXPECT_EQ(pair.server->handlers(), 0u);
  EXPECT_EQ(pair.client->connection().streams(), 0u);
}

TEST(RsocketPeer, FiresAndForgets) {
  StoryPair pair;
  EXPECT_EQ(pair.answer(pair.client->fire("note", "one")), "");
  EXPECT_EQ(pair.answer(pair.client->fire("note", "two")), "");
  memory::settle(pair.time);
  EXPECT_EQ(pair.log().text, "one, two, ");
}

TEST(RsocketPeer, StreamsItemsInOrderThroughASmallWindow) {
  StoryPair pair;
  EXPECT_EQ(pair.answer(stories::count_to(*pair.client, 1000, 3)), "");
  EXPECT_EQ(pair.client->connection().streams(), 0u);
  EXPECT_EQ(pair.server->connection().streams(), 0u);
}

Io<void> take_two(Peer& peer) {
  auto opening = peer.stream("count", "1000000", {.window = 4});
  auto flow = co_await attempt(std::move(opening));
  for (int i = 0; i < 2; ++i) co_await attempt(flow.next());
  co_return {};
}

TEST(RsocketPeer, LeavingAStreamCancelsItsHandler) {
  StoryPair pair;
  EXPECT_EQ(pair.answer(take_two(*pair.client)), "");
  memory::settle(pair.time);
  EXPECT_EQ(pair.server->handlers(), 0u);
  EXPECT_EQ(pair.server->connection().streams(), 0u);
}

TEST(RsocketPeer, AProducerWaitsUntilItemsAreRequested) {
  StoryPair pair;
  const auto unread = [](Peer& peer) -> Io<void> {
    auto opening = peer.stream("count", "1000000", {.window = 4});
    auto flow = co_await attempt(std::move(opening));
    co_await sleep(1s);
    co_return {};
  };
  EXPECT_EQ(pair.answer(unread(*pair.client)), "");
  EXPECT_EQ(pair.log().items_sent, 4);
}

TEST(RsocketPeer, AChannelAddsUpWhatItIsSent) {
  StoryPair pair;
  EXPECT_EQ(pair.answer(stories::sum_up(*pair.client, 100)), "");
  memory::settle(pair.time);
  EXPECT_EQ(pair.server->handlers(), 0u);
  EXPECT_EQ(pair.client->connection().streams(), 0u);
}

TEST(RsocketPeer, ManyCallsAtOnceGetEachTheirAnswer) {
  PeerOptions options;
  options.connection.requests_max = 8;  // most have to wait
  StoryPair pair(options);
  EXPECT_EQ(pair.answer(stories::many_calls(*pair.client, 200)), "");
  EXPECT_EQ(pair.server->connection().counts().rejected, 0u);
}

TEST(RsocketPeer, CallsWaitForALeaseThatFollowsTheLoad) {
  PeerOptions options;
  options.connection.lease = true;
  options.connection.lease_requests = 3;
  options.connection.requests_max = 2;  // of those that run at a time
  StoryPair pair(options);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(pair.answer(within(1s, pair.client->call("echo", "hello"))), "hello") << i;
    EXPECT_EQ(pair.answer(within(1s, pair.server->call("echo", "world"))), "world") << i;
  }
  EXPECT_EQ(pair.server->connection().counts().rejected, 0u);
}

TEST(RsocketPeer, WithoutALeaseACallFailsIfItDoesNotWait) {
  PeerOptions options;
  options.connection.lease = true;
  options.connection.lease_requests = 0;
  StoryPair waiting(options);
  EXPECT_EQ(
      waiting.answer(within(1s, waiting.client->call("echo", "x"))).find("call echo: timed out"),
      0u);
  options.connection.lease_wait = false;
  StoryPair pair(options);
  EXPECT_EQ(pair.answer(within(1s, pair.client->call("echo", "x"))),
            "request echo: out of resources: no lease");
}

TEST(RsocketPeer, ACallFailsWhenTheConnectionIsLost) {
  StoryPair pair;
  Started<Call<Message>> call(pair.time.loop(), pair.client->call("slow", "x"));
  memory::settle(pair.time);
  {
    const Loop::Entered entered(pair.time.loop());
    pair.server.reset();
  }
  memory::settle(pair.time);
  ASSERT_TRUE(call.done());
  EXPECT_FALSE(call.take());
  EXPECT_EQ(pair.log().text, "slow begins, slow is destroyed, ");
  EXPECT_FALSE(pair.answer(within(1s, pair.client->call("echo", "x"))).empty());
}

TEST(RsocketPeer, ClosesWhenWhatIsOpenHasEnded) {
  StoryPair pair;
  Started<Call<Message>> call(pair.time.loop(), pair.client->call("later", "x"));
  memory::settle(pair.time);
  {
    const Loop::Entered entered(pair.time.loop());
    pair.server->close();
  }
  EXPECT_EQ(pair.answer(pair.client->run()), "");
  ASSERT_TRUE(call.done());
  EXPECT_EQ(call.take()->data, "x");
  EXPECT_EQ(pair.answer(pair.server->run()), "");
}

TEST(RsocketPeer, AQuietConnectionIsKeptAliveAndADeadOneIsNot) {
  PeerOptions options;
  options.connection.keepalive = 1s;
  options.connection.lifetime = 3s;
  StoryPair pair(options);
  memory::pass(pair.time, 60s);
  EXPECT_EQ(pair.answer(within(1s, pair.client->call("echo", "alive"))), "alive");
}

TEST(RsocketPeer, APeerThatSaysNothingMoreIsTakenForDead) {
  VirtualTime time;
  memory::MemoryNetwork network(time.loop());
  const Loop::Entered entered(time.loop());
  auto listener = std::move(*network.listen(*parse_endpoint("tcp://127.0.0.1:0"), {}));
  auto ours = std::move(*network.connect_now(loopback_v4, *listener->endpoint().address()));
  auto silent = std::move(*listener->accept_now());
  {
    Peer client(std::move(ours), Side::client, nullptr);
    Started<Io<void>> running(time.loop(), client.run());
    memory::pass(time, 89s);
    EXPECT_FALSE(running.done());
    memory::pass(time, 1s);
    ASSERT_TRUE(running.done());
    EXPECT_EQ(running.take().error(), Fault::timed_out);
  }
  memory::settle(time);
}

TEST(RsocketPeer, AFrameThatIsTooLargeEndsTheConnection) {
  VirtualTime time;
  memory::MemoryNetwork network(time.loop());
  const Loop::Entered entered(time.loop());
  auto listener = std::move(*network.listen(*parse_endpoint("tcp://127.0.0.1:0"), {}));
  auto hostile = std::move(*network.connect_now(loopback_v4, *listener->endpoint().address()));
  auto theirs = std::move(*listener->accept_now());
  {
    Peer server(std::move(theirs), Side::server, nullptr);
    Started<Io<void>> running(time.loop(), server.run());
    const auto bytes = bytes_of("ffffff 00000000 0400");
    EXPECT_EQ(hostile->write_now(bytes), bytes.size());
    memory::settle(time);
    ASSERT_TRUE(running.done());
    EXPECT_EQ(running.take().error(), Fault::over_limit);
    const std::string heard = memory::heard(*hostile);
    EXPECT_NE(heard.find("a frame is too large"), std::string::npos);
    EXPECT_NE(heard.find("<end>"), std::string::npos);
  }
  memory::settle(time);
}

Io<void> on_loopback(Network& network) {
  return stories::everything_here(network, "rsocket+tcp://127.0.0.1:0");
}

TEST(RsocketPeer, DoesTheSameOnTheKernelsNetwork) {
  const auto reactor = os::Reactor::make().value();
  os::Network network(*reactor);
  const auto done = reactor->run(on_loopback(network));
  EXPECT_TRUE(done) << to_string(done.error());
}

}  // namespace
}  // namespace koine::rsocket
