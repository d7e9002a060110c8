// What a served connection takes while nothing happens on it, counted to the byte. One that has
// echoed something holds no more than one that never did.
#include <sys/socket.h>

#include <array>
#include <vector>

#include "koine/app/server.h"
#include "koine/async/started.h"
#include "koine/os/each_multiplexer_test.h"
#include "koine/os/fd.h"
#include "koine/os/network.h"
#include "koine/os/sockaddr.h"
#include "tests/allocation/allocations.h"

namespace koine::os {
namespace {

// Beside the frame of its handler: the socket, its guard, its place in the server and in the
// multiplexer. What grows by doubling has room left over, which is counted, so a few bytes vary.
constexpr std::size_t bytes_max = 208;
constexpr std::size_t asked_bytes_max = 22;  // poll and select list what they ask about

// The frame of a handler that waits for bytes and answers them: so much in a build that is
// optimised, where clang takes 192. What it consists of is bounded in every build.
static_assert(sizeof(Io<void>::Promise) <= 48);
static_assert(sizeof(Receive) <= 64);
static_assert(sizeof(WriteAll<1>) <= 72);

// With a listener, a doorbell and a timer they are 16, then 256: what doubles has no room left
// over.
constexpr std::size_t connections_before = 13;
constexpr std::size_t connections = 240;

std::size_t echoed = 0;

Io<void> echo(std::unique_ptr<Stream> client) {
  while (const Buffer bytes = co_await attempt(receive(*client))) {
    co_await attempt(write_all(*client, bytes));
    co_await attempt(flush(*client));
    ++echoed;
  }
  co_return {};
}

using IdleTest = OnEachMultiplexer;

INSTANTIATE_TEST_SUITE_P(, IdleTest, each_multiplexer, multiplexer_name);

TEST_P(IdleTest, AConnectionTakesLittleMemory) {
  const Loop::Entered entered(reactor().loop());
  Network network(reactor());
  Server server(network, Handler(echo));
  const Endpoint at = server.listen(Endpoint::tcp(loopback_v4, 0)).value();
  Started running(reactor().loop(), server.run());
  const Sockaddr there = to_sockaddr(*at.address()).value();
  std::vector<Fd> clients;
  clients.reserve(connections_before + connections);
  echoed = 0;
  // Their peers are sockets of the kernel's and nothing else.
  const auto connect = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      ASSERT_EQ(::connect(client.get(), there.get(), there.size), 0);
      ASSERT_EQ(::send(client.get(), "hello", 5, MSG_NOSIGNAL), 5);
      clients.push_back(std::move(client));
      while (echoed < clients.size()) ASSERT_TRUE(reactor().turn());
    }
  };

  connect(connections_before);
  const std::size_t before = allocated_bytes();
  connect(connections);
  const std::size_t all = allocated_bytes() - before;
  ASSERT_EQ(server.connections(), connections_before + connections);

  const std::size_t before_frame = allocated_bytes();
  const auto frame = echo(nullptr);
  const std::size_t frame_bytes = allocated_bytes() - before_frame;
  const std::size_t bytes = all / connections - frame_bytes;
  RecordProperty("bytes", static_cast<int>(bytes));
  RecordProperty("frame_bytes", static_cast<int>(frame_bytes));
  EXPECT_GT(bytes, 100u) << "something is not counted";
  const bool asks =
      GetParam() == std::string_view("poll") || GetParam() == std::string_view("select");
  EXPECT_LE(bytes, bytes_max + (asks ? asked_bytes_max : 0))
      << "and " << frame_bytes << " for the handler's frame";
}

}  // namespace
}  // namespace koine::os
