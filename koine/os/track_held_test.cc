// What held a message back in its own system, provoked with the real kernel.
#include "koine/os/track.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "koine/async/combine.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/journey/export.h"
#include "koine/os/followed_ends_test.h"
#include "koine/os/socket_stream.h"

namespace koine::os {
namespace {

using TrackHeldTest = OnEachMultiplexer;

/// A machine that stands still while the rest is sent explains more than the window does: then it
/// tries again.
TEST_P(TrackHeldTest, AReceiverThatDoesNotReadIsNamedAsWhatHeldAMessageBack) {
  Network network(reactor());
  Both both(network);
  ASSERT_TRUE(reactor().run(within(patience, both.connect("tcp://127.0.0.1:0"))));
  const int small = 64 << 10;
  ::setsockopt(dynamic_cast<SocketStream&>(*both.server).descriptor(), SOL_SOCKET, SO_RCVBUF,
               &small, sizeof(small));
  const int fd = dynamic_cast<SocketStream&>(*both.client).descriptor();
  constexpr std::size_t bytes = 1'000'000;  // more than the window of somebody who does not read
  const std::string text(bytes, 'k');
  const auto write = [&]() -> Io<void> { co_return co_await write_all(*both.client, text); };
  const auto read = [&](std::uint64_t full_us) -> Io<void> {
    const std::uint64_t before_us = read_tcp_info(fd).value().window_limited_us;
    while (read_tcp_info(fd).value().window_limited_us - before_us < full_us) co_await sleep(1ms);
    auto taking = Both::take(*both.server, bytes);
    co_await attempt(std::move(taking));
    co_return {};
  };
  const auto story = [&](std::uint64_t full_us) -> Io<journey::HeldBy> {
    auto journey = both.asked.begin(both.asks->connection());
    both.asks->send(journey, Way::there, bytes);
    auto writing = write();
    auto reading = read(full_us);
    auto both_ways = co_await all(std::move(writing), std::move(reading));
    co_await attempt(std::move(both_ways));
    co_await attempt(settled(*both.asks));
    co_return journey->request.tcp.held_by;
  };
  auto held_by = journey::HeldBy::unknown;
  std::uint64_t full_us = 100'000;
  for (int tries = 0; tries < 6 && held_by != journey::HeldBy::receiver_window; ++tries) {
    const auto told = reactor().run(within(patience, story(full_us)));
    ASSERT_TRUE(told) << to_string(told.error());
    held_by = *told;
    full_us *= 2;
  }
  EXPECT_EQ(held_by, journey::HeldBy::receiver_window) << to_string(held_by);
}

/// The first segments are not paced, and a machine that stands still explains more than the rate
/// does: then it tries again.
TEST_P(TrackHeldTest, APacedMessageIsNamedAsOne) {
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
TEST_P(TrackHeldTest, NaglesAlgorithmIsNamedAsWhatHeldAMessageBack) {
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

INSTANTIATE_TEST_SUITE_P(, TrackHeldTest, each_multiplexer, multiplexer_name);

}  // namespace
}  // namespace koine::os
