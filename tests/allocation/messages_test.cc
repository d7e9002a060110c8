// A warm connection allocates nothing for a message, at either end, on any multiplexer.
#include <array>

#include "koine/async/scope.h"
#include "koine/async/within.h"
#include "koine/os/each_multiplexer_test.h"
#include "koine/os/network.h"
#include "tests/allocation/allocations.h"

namespace koine::os {
namespace {

using AllocationTest = OnEachMultiplexer;

INSTANTIATE_TEST_SUITE_P(, AllocationTest, each_multiplexer, multiplexer_name);

Io<void> echo(Stream& stream) {
  while (const Buffer bytes = co_await attempt(receive(stream)))
    co_await attempt(write_all(stream, bytes));
  co_return {};
}

/// A coroutine of its own for each message, as a client that is written in layers has.
Io<std::size_t> ask(Stream& stream, std::string_view question) {
  co_await attempt(write_all(stream, question));
  std::size_t heard = 0;
  while (heard < question.size()) {
    const Buffer answer = co_await attempt(within(10s, receive(stream)));
    if (!answer) co_return fail(Fault::ended, "read");
    heard += answer.size();
  }
  co_return heard;
}

constexpr int warm_up = 200;
constexpr int messages = 2'000;

Io<std::size_t> count_allocations(Network& network, Endpoint at, std::size_t size) {
  auto listener = co_await attempt(network.listen(at));
  auto connection = dial(network, listener->endpoint());
  auto ours = co_await attempt(std::move(connection));
  auto theirs = co_await attempt(accept(*listener));
  Scope server;
  server.spawn(echo(*theirs));
  const std::string question(size, 'q');
  std::size_t before = 0;
  for (int i = 0; i < warm_up + messages; ++i) {
    if (i == warm_up) before = allocations();
    auto asking = ask(*ours, question);
    co_await attempt(std::move(asking));
  }
  co_return allocations() - before;
}

TEST_P(AllocationTest, AMessageOverTcpAllocatesNothing) {
  Network network(reactor());
  for (const std::size_t size : {1UL, 64UL, 1'000UL, 16'384UL}) {
    const auto counted =
        reactor().run(count_allocations(network, Endpoint::tcp(loopback_v4, 0), size));
    ASSERT_TRUE(counted) << to_string(counted.error());
    EXPECT_EQ(*counted, 0U) << messages << " messages of " << size << " bytes";
  }
}

Io<std::size_t> count_for_datagrams(Network& network) {
  auto ours = co_await attempt(network.bind(Endpoint::udp(loopback_v4, 0)));
  auto theirs = co_await attempt(network.bind(Endpoint::udp(loopback_v4, 0)));
  const Address there = theirs->local();
  std::array<std::byte, 100> room;
  std::size_t before = 0;
  for (int i = 0; i < warm_up + messages; ++i) {
    if (i == warm_up) before = allocations();
    co_await attempt(send_to(*ours, as_bytes("ping"), there));
    const Received ping = co_await attempt(receive_from(*theirs, room));
    co_await attempt(send_to(*theirs, as_bytes("pong"), ping.from));
    co_await attempt(receive_from(*ours, room));
  }
  co_return allocations() - before;
}

TEST_P(AllocationTest, ADatagramAllocatesNothing) {
  Network network(reactor());
  const auto counted = reactor().run(count_for_datagrams(network));
  ASSERT_TRUE(counted) << to_string(counted.error());
  EXPECT_EQ(*counted, 0U);
}

}  // namespace
}  // namespace koine::os
