// What a Server does about peers that say nothing, drip, or do not take what they are sent.
#include "koine/app/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "koine/app/served_test.h"

namespace koine {
namespace {

using memory::heard;
using memory::settle;
using testing::ElementsAre;

TEST(Server, ClosesAConnectionOnWhichNothingMoves) {
  Served served;
  auto lively = served.connect();
  auto silent = served.connect();
  for (int second = 0; second < 59; ++second) {
    served.pass(1s);
    EXPECT_EQ(served.ask(*lively, "tick"), "tick");
  }
  EXPECT_EQ(heard(*silent), "");
  served.pass(1s);
  EXPECT_EQ(heard(*silent), "<connection reset>");
  EXPECT_EQ(heard(*lively), "");
  EXPECT_EQ(served.counts().idle, 1);
  EXPECT_THAT(served.errors, ElementsAre("127.0.0.1:40002 | read tcp://127.0.0.1:40002: closed: "
                                         "no byte moved for 60 s"));
}

TEST(Server, ClosesAConnectionOnWhichNothingMovesForMonthsIfThatIsTheLimit) {
  ServerOptions options;
  options.limits.idle = 24h * 150;
  Served served(echo, std::move(options));
  auto silent = served.connect();
  served.pass(24h * 149);
  EXPECT_EQ(heard(*silent), "");
  served.pass(24h * 1);
  EXPECT_EQ(heard(*silent), "<connection reset>");
  EXPECT_EQ(served.counts().idle, 1);
}

TEST(Server, CountsIdleTimeFromTheLastByteEitherWay) {
  // It reads, and answers 50 s later.
  Served served([](std::unique_ptr<Stream> client) -> Io<void> {
    while (Buffer bytes = co_await attempt(receive(*client))) {
      co_await sleep(50s);
      co_await attempt(write_all(*client, "late answer"));
    }
    co_return {};
  });
  auto client = served.connect();
  served.pass(59s);
  served.say(*client, "question");
  served.pass(50s);
  EXPECT_EQ(heard(*client), "late answer");
  served.pass(59s);
  EXPECT_EQ(heard(*client), "");
  served.pass(1s);
  EXPECT_EQ(heard(*client), "<connection reset>");
}

TEST(Server, ClosesAPeerThatDripsHoweverShortTheGaps) {
  ServerOptions options;
  options.limits.bytes_per_second_min = 10;
  // It never answers, so what moves is what the client sends.
  Served served(
      [](std::unique_ptr<Stream> client) -> Io<void> {
        while (co_await attempt(receive(*client))) {
        }
        co_return {};
      },
      std::move(options));
  auto enough = served.connect();
  auto drips = served.connect();
  for (int second = 0; second < 61; ++second) {
    (void)enough->write_now(as_bytes("0123456789"));
    (void)drips->write_now(as_bytes("012345678"));
    served.pass(1s);
  }
  EXPECT_EQ(heard(*enough), "");
  EXPECT_EQ(heard(*drips), "<connection reset>");
  EXPECT_EQ(served.counts().slow, 1);
  EXPECT_THAT(served.errors,
              ElementsAre(testing::HasSubstr("closed: fewer than 10 bytes per second for 60 s")));
}

/// Writes for ever.
Io<void> chatter(std::unique_ptr<Stream> client) {
  const std::string text(1000, 'x');
  for (;;) co_await attempt(write_all(*client, text));
}

TEST(Server, ClosesAPeerThatDoesNotTakeItsOutput) {
  Served served(chatter);
  auto slow = served.connect();
  served.pass(59s);
  EXPECT_EQ(served.counts().idle, 0);
  served.pass(1s);
  EXPECT_EQ(heard(*slow), "<connection reset>");
  EXPECT_EQ(served.counts().idle, 1);
}

TEST(Server, TakesOutputThatLeavesForMovementThoughNobodyWrites) {
  // It writes all that a connection holds, and then waits until that has been taken.
  Served served([](std::unique_ptr<Stream> client) -> Io<void> {
    const std::string text(100'000, 'x');
    co_await attempt(write_all(*client, text));
    co_await attempt(flush(*client));
    co_return {};
  });
  auto slow = served.connect();
  std::vector<std::byte> room(4000);
  std::size_t taken = 0;
  while (taken < 100'000) {
    const auto count = slow->read_now(room);
    ASSERT_TRUE(count) << "after " << taken << " bytes";
    taken += *count;
    served.pass(50s);
  }
  EXPECT_EQ(heard(*slow), "<end>");
  EXPECT_EQ(served.counts().idle + served.counts().slow, 0);
}

TEST(Server, ClosesAPeerThatTakesItsOutputDripByDrip) {
  Served served(chatter);
  auto fast_enough = served.connect();
  auto too_slow = served.connect();
  std::vector<std::byte> room(68);  // bytes a second; and 60
  for (int second = 0; second < 200; ++second) {
    if (!fast_enough->read_now(room)) FAIL() << "cut at " << second << " s";
    (void)too_slow->read_now(std::span(room).first(60));
    served.pass(1s);
  }
  EXPECT_EQ(served.counts().slow, 1);
  EXPECT_EQ(too_slow->read_now(room), std::unexpected(Fault::reset));
  EXPECT_THAT(served.errors, ElementsAre("127.0.0.1:40002 | write tcp://127.0.0.1:40002: closed: "
                                         "the peer took fewer than 64 bytes per second for 60 s"));
}

TEST(Server, LetsAPeerThatHasNothingToTakeBeAsSlowAsItLikes) {
  Served served;
  auto person = served.connect();
  for (int minute = 0; minute < 100; ++minute) {
    EXPECT_EQ(served.ask(*person, "y"), "y");
    served.pass(55s);
  }
}

bool was_cut(Stream& client) {
  return client.write_now(as_bytes("?")) == std::unexpected(Fault::reset);
}

TEST(Server, BoundsWhatAllConnectionsLetWait) {
  ServerOptions options;
  options.limits.unsent_bytes = 300'000;
  // Each client gets as many kilobytes as its first byte says.
  Served served(
      [](std::unique_ptr<Stream> client) -> Io<void> {
        std::byte kilobytes{};
        co_await attempt(read_some(*client, std::span(&kilobytes, 1)));
        const std::string text(1000 * std::to_integer<std::size_t>(kilobytes), 'x');
        co_await attempt(write_all(*client, text));
        co_await sleep(1h);
        co_return {};
      },
      std::move(options));
  served.network.window_bytes = 1;  // nearly all of it waits
  const auto client_of = [&](int kilobytes) {
    auto client = served.connect();
    served.say(*client, std::string(1, static_cast<char>(kilobytes)));
    return client;
  };
  // 10 + 4 x 50 + 60 kB wait, which is allowed. Another 50 are too much, and who has the most goes.
  auto modest = client_of(10);
  std::vector<std::unique_ptr<Stream>> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(client_of(50));
  auto most = client_of(60);
  served.pass(1s);
  EXPECT_EQ(served.counts().slow, 0);
  auto last = client_of(50);
  served.pass(1ms);
  EXPECT_EQ(served.counts().slow, 1);
  EXPECT_TRUE(was_cut(*most));
  EXPECT_FALSE(was_cut(*last));

  // However many come, what waits is bounded, within a tenth of a second.
  for (int i = 0; i < 100; ++i) clients.push_back(client_of(60));
  served.pass(100ms);
  const auto left = std::ranges::count_if(clients, [](auto& client) { return !was_cut(*client); });
  EXPECT_LE(left, 300'000 / 50'000);
  EXPECT_GE(left, 300'000 / 60'000 - 1);
  EXPECT_FALSE(was_cut(*modest)) << "who waits for little is the last to go";
  settle(served.time);
  served.pass(1h);
  EXPECT_THAT(served.errors, testing::IsEmpty());  // they slept, and asked for nothing more
}

}  // namespace
}  // namespace koine
