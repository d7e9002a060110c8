// What a peer may take: the time of a handler, bytes that are kept, requests that wait for room.
#include <gtest/gtest.h>

#include <string>

#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/rsocket/pair_test.h"

namespace koine::rsocket {
namespace {

struct Witness {
  std::string& log;
  ~Witness() { log += "destroyed, "; }
};

Service slow_service(std::string& log) {
  Service service;
  service.on("echo", [](Message message) -> Io<Message> { co_return message; });
  service.on("slow", [&log](Message message) -> Io<Message> {
    const Witness witness{log};
    co_await sleep(24h);
    co_return message;
  });
  service.on("slow", [&log](Message, Sink<int>& out) -> Io<void> {
    const Witness witness{log};
    co_await attempt(out.send(1));
    co_await sleep(24h);
    co_return {};
  });
  // An item each minute, for an hour.
  service.on("rare", [](int items, Sink<int>& out) -> Io<void> {
    for (int i = 0; i < items; ++i) {
      co_await sleep(1min);
      co_await attempt(out.send(i));
    }
    co_return {};
  });
  service.on("many", [](std::string item, Sink<std::string>& out) -> Io<void> {
    for (;;) co_await attempt(out.send(item));
  });
  return service;
}

Io<int> count_items(Peer& peer, std::string_view route, int request, StreamOptions options = {}) {
  auto opening = peer.stream<int>(route, request, options);
  auto items = co_await attempt(std::move(opening));
  int count = 0;
  while (co_await attempt(items.next())) ++count;
  co_return count;
}

TEST(RsocketLimits, TheTimeOfACallTravelsWithIt) {
  std::string log;
  Pair pair(slow_service(log));
  // The client's clock does not matter: what ends the handler is the server's.
  auto call = pair.client->call("slow", "x");
  call.has_time(100ms);
  EXPECT_EQ(pair.answer(std::move(call)),
            "call slow: timed out: CANCELED: the caller's time is over");
  EXPECT_EQ(log, "destroyed, ");
  EXPECT_EQ(pair.server->timed_out(), 1u);
  EXPECT_EQ(pair.server->handlers(), 0u);
}

TEST(RsocketLimits, WithinACallTellsItsTimeAndTheShorterOneCounts) {
  std::string log;
  Pair pair(slow_service(log));
  const auto asked = pair.time.loop().now();
  const auto answer =
      pair.finish(within(1h, within(300ms, within(2s, pair.client->call("slow", "x")))));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error(), Fault::timed_out);
  EXPECT_EQ(pair.time.loop().now() - asked, 300ms);
  memory::settle(pair.time);
  EXPECT_EQ(log, "destroyed, ");
}

TEST(RsocketLimits, TheTimeOfAStreamTravelsWithIt) {
  std::string log;
  Pair pair(slow_service(log));
  const auto counted =
      pair.finish(count_items(*pair.client, "slow", 0, {.window = 4, .timeout = 100ms}));
  ASSERT_FALSE(counted);
  EXPECT_EQ(to_string(counted.error()),
            "stream slow: cancelled: CANCELED: the caller's time is over");
  EXPECT_EQ(log, "destroyed, ");
}

TEST(RsocketLimits, ARequestWithoutTimeLeftIsNotBegun) {
  std::string log;
  Pair pair(slow_service(log));
  auto call = pair.client->call("slow", "x");
  call.has_time(0ns);
  EXPECT_EQ(pair.answer(std::move(call)),
            "call slow: refused: REJECTED: the caller's time is over");
  EXPECT_EQ(log, "");
}

TEST(RsocketLimits, AHandlerThatTakesTooLongIsCancelled) {
  std::string log;
  Pair pair(slow_service(log));
  const auto asked = pair.time.loop().now();
  EXPECT_EQ(pair.answer(pair.client->call("slow", "x")),
            "call slow: cancelled: CANCELED: the handler took longer than 60000 ms");
  EXPECT_EQ(pair.time.loop().now() - asked, 60s);
  EXPECT_EQ(log, "destroyed, ");
  EXPECT_EQ(pair.answer(pair.client->call("echo", "still here")), "still here");
}

TEST(RsocketLimits, AStreamMayLastAsLongAsItemsMove) {
  std::string log;
  Pair pair(slow_service(log));
  const auto rare = pair.finish(count_items(*pair.client, "rare", 60));
  ASSERT_TRUE(rare) << to_string(rare.error());
  EXPECT_EQ(*rare, 60);
  const auto asked = pair.time.loop().now();
  const auto quiet = pair.finish(count_items(*pair.client, "slow", 0));
  ASSERT_FALSE(quiet);
  EXPECT_EQ(to_string(quiet.error()),
            "stream slow: cancelled: CANCELED: no item moved for 600000 ms");
  EXPECT_EQ(pair.time.loop().now() - asked, 10min);
  EXPECT_EQ(log, "destroyed, ");
}

TEST(RsocketLimits, RequestsThatTogetherAreTooLargeAreRejected) {
  std::string log;
  PeerOptions options;
  options.requests_bytes_max = 1000;
  Pair pair(slow_service(log), options);
  Started<Call<Message>> first(pair.time.loop(), pair.client->call("slow", std::string(900, 'x')));
  memory::settle(pair.time);
  EXPECT_EQ(pair.answer(pair.client->call("echo", std::string(200, 'x'))),
            "call echo: refused: REJECTED: too many bytes of requests wait for their answers");
  EXPECT_EQ(pair.answer(pair.client->call("echo", "small")), "small");
  memory::pass(pair.time, 60s);
  EXPECT_TRUE(first.done());
  EXPECT_EQ(pair.answer(pair.client->call("echo", std::string(900, 'y'))), std::string(900, 'y'));
}

Io<std::string> take_nothing(Peer& peer) {
  auto opening = peer.stream<std::string>("many", std::string(1000, 'x'), {.window = 1000});
  auto items = co_await attempt(std::move(opening));
  co_await sleep(1s);
  for (int i = 0;; ++i) {
    auto next = items.next();
    auto item = co_await next;
    if (!item) co_return std::to_string(i) + " items, then " + to_string(item.error());
  }
}

TEST(RsocketLimits, ItemsThatNobodyTakesEndTheirStreamAtABound) {
  std::string log;
  PeerOptions options;
  options.items_bytes_max = 100'000;
  Pair pair(slow_service(log), options);
  const auto story = pair.finish(take_nothing(*pair.client));
  ASSERT_TRUE(story);
  EXPECT_EQ(*story,
            "100 items, then stream many: over the limit: more than 100000 bytes of items wait to "
            "be taken");
  memory::settle(pair.time);
  EXPECT_EQ(pair.server->handlers(), 0u);
}

/// One that is cancelled while it waits for room, and one that is cancelled just when there is.
TEST(RsocketLimits, RoomThatACancelledCallWasGivenGoesToTheNext) {
  std::string log;
  PeerOptions options;
  options.connection.requests_max = 1;
  Pair pair(slow_service(log), options);
  Loop& loop = pair.time.loop();
  std::optional<Started<Call<Message>>> open, woken, next;
  open.emplace(loop, pair.client->call("slow", "x"));
  memory::settle(pair.time);
  woken.emplace(loop, pair.client->call("slow", "y"));
  next.emplace(loop, pair.client->call("echo", "z"));
  memory::settle(pair.time);
  {
    const Loop::Entered entered(loop);
    open.reset();   // wakes the second, which
    woken.reset();  // is gone before it can run
  }
  memory::settle(pair.time);
  ASSERT_TRUE(next->done());
  const auto answer = next->take();
  ASSERT_TRUE(answer) << to_string(answer.error());
  EXPECT_EQ(answer->data, "z");
}

}  // namespace
}  // namespace koine::rsocket
