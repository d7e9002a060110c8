// A warm RSocket connection allocates nothing for a call, at either end: frames are written and
// read where they are, handlers come from the pool of frames, and a short message is its own room.
#include <gtest/gtest.h>

#include "koine/async/within.h"
#include "koine/os/network.h"
#include "koine/os/reactor.h"
#include "koine/rsocket/peer.h"
#include "tests/allocation/allocations.h"

namespace koine::rsocket {
namespace {

constexpr int warm_up = 200;
constexpr int calls = 2'000;

Io<Message> echo(Message message) { co_return message; }

Io<std::size_t> count_allocations(Network& network, std::string_view question) {
  auto listener = co_await attempt(network.listen(Endpoint::tcp(loopback_v4, 0)));
  auto connection = dial(network, listener->endpoint());
  auto ours = co_await attempt(std::move(connection));
  auto theirs = co_await attempt(accept(*listener));
  Service service;
  service.on("echo", echo);
  Peer server(std::move(theirs), Side::server, &service);
  Peer client(std::move(ours), Side::client, nullptr);
  std::size_t before = 0;
  for (int i = 0; i < warm_up + calls; ++i) {
    if (i == warm_up) before = allocations();
    const Message answer = co_await attempt(within(10s, client.call("echo", question)));
    if (answer.data != question) co_return fail(Fault::malformed, "answer");
  }
  co_return allocations() - before;
}

TEST(RsocketAllocation, ACallOfAShortMessageAllocatesNothing) {
  const auto reactor = os::Reactor::make().value();
  os::Network network(*reactor);
  const auto counted = reactor->run(count_allocations(network, "short"));
  ASSERT_TRUE(counted) << to_string(counted.error());
  EXPECT_EQ(*counted, 0u);
}

TEST(RsocketAllocation, ALongerMessageAllocatesItsOwnRoomAndNothingElse) {
  const auto reactor = os::Reactor::make().value();
  os::Network network(*reactor);
  const std::string question(64, 'q');
  const auto counted = reactor->run(count_allocations(network, question));
  ASSERT_TRUE(counted) << to_string(counted.error());
  // The request's string at the server, which is moved into the answer, and the client's.
  EXPECT_LE(*counted, 2u * calls);
}

Io<std::size_t> count_typed(Network& network, bool streams) {
  auto listener = co_await attempt(network.listen(Endpoint::tcp(loopback_v4, 0)));
  auto connection = dial(network, listener->endpoint());
  auto ours = co_await attempt(std::move(connection));
  auto theirs = co_await attempt(accept(*listener));
  Service service;
  service.on("twice", [](long number) -> Io<long> { co_return 2 * number; });
  service.on("count", [](long to, Sink<long>& out) -> Io<void> {
    for (long i = 0; i < to; ++i) co_await attempt(out.send(i));
    co_return {};
  });
  Peer server(std::move(theirs), Side::server, &service);
  Peer client(std::move(ours), Side::client, nullptr);
  std::size_t before = 0;
  if (!streams) {
    constexpr long large = 1L << 60;  // no text that is its own room
    for (long i = 0; i < warm_up + calls; ++i) {
      if (i == warm_up) before = allocations();
      const long twice = co_await attempt(within(10s, client.call<long>("twice", large + i)));
      if (twice != 2 * (large + i)) co_return fail(Fault::malformed, "answer");
    }
    co_return allocations() - before;
  }
  auto opening = client.stream<long>("count", warm_up + calls);
  auto numbers = co_await attempt(std::move(opening));
  long i = 0;
  while (const auto number = co_await attempt(numbers.next())) {
    if (i == warm_up) before = allocations();
    if (*number != i++) co_return fail(Fault::malformed, "item");
  }
  if (i != warm_up + calls) co_return fail(Fault::ended, "stream");
  co_return allocations() - before;
}

TEST(RsocketAllocation, ATypedCallAllocatesNothing) {
  const auto reactor = os::Reactor::make().value();
  os::Network network(*reactor);
  const auto counted = reactor->run(count_typed(network, false));
  ASSERT_TRUE(counted) << to_string(counted.error());
  EXPECT_EQ(*counted, 0u);
}

TEST(RsocketAllocation, AnItemOfAStreamAllocatesNothing) {
  const auto reactor = os::Reactor::make().value();
  os::Network network(*reactor);
  const auto counted = reactor->run(count_typed(network, true));
  ASSERT_TRUE(counted) << to_string(counted.error());
  EXPECT_EQ(*counted, 0u);
}

}  // namespace
}  // namespace koine::rsocket
