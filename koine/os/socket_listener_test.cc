// What only the kernel's listeners have: descriptors that run out.
#include "koine/os/socket_listener.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <optional>
#include <string>
#include <vector>

#include "koine/async/within.h"
#include "koine/os/each_multiplexer_test.h"
#include "koine/os/few_descriptors_test.h"
#include "koine/os/network.h"

namespace koine::os {
namespace {

using SocketListenerTest = OnEachMultiplexer;

INSTANTIATE_TEST_SUITE_P(, SocketListenerTest, each_multiplexer, multiplexer_name);

TEST_P(SocketListenerTest, SaysThatDescriptorsAreExhaustedAndAcceptsOnceThereIsOne) {
  if (sanitizer_needs_descriptors)
    GTEST_SKIP() << "UBSan opens a pipe to look at a type; builds without it run this test";
  Network network(reactor());
  auto listener = network.listen(Endpoint::tcp(loopback_v4, 0));
  ASSERT_TRUE(listener) << to_string(listener.error());
  auto ours = reactor().run(network.connect(*(*listener)->endpoint().address(), Transport::tcp));
  ASSERT_TRUE(ours) << to_string(ours.error());
  {
    const FewDescriptors none(0);
    // Each attempt says so at once: to wait before the next is the business of whoever accepts.
    for (int attempt = 0; attempt < 3; ++attempt) {
      const auto accepted = reactor().run(within(30s, accept(**listener)));
      ASSERT_FALSE(accepted);
      EXPECT_EQ(accepted.error(), Fault::exhausted);
      EXPECT_EQ(to_string(accepted.error()),
                "accept " + to_string((*listener)->endpoint()) + ": out of resources");
    }
  }
  // No news comes of it; the listener remembers that somebody waits.
  const auto accepted = (*listener)->accept_now();
  ASSERT_TRUE(accepted) << to_string(accepted.error());
  EXPECT_EQ((*accepted)->peer(), (*ours)->local());
}

TEST_P(SocketListenerTest, ConnectingAndListeningSayThatDescriptorsAreExhausted) {
  if (sanitizer_needs_descriptors)
    GTEST_SKIP() << "UBSan opens a pipe to look at a type; builds without it run this test";
  Network network(reactor());
  auto listener = network.listen(Endpoint::tcp(loopback_v4, 0));
  ASSERT_TRUE(listener);
  const FewDescriptors none(0);
  const auto stream =
      reactor().run(network.connect(*(*listener)->endpoint().address(), Transport::tcp));
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error(), Fault::exhausted) << to_string(stream.error());
  const auto second = network.listen(Endpoint::tcp(loopback_v4, 0));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), Fault::exhausted) << to_string(second.error());
  const auto socket = network.bind(Endpoint::udp(loopback_v4, 0));
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error(), Fault::exhausted) << to_string(socket.error());
}

TEST(Select, SaysThatAConnectionIsOneTooManyForIt) {
  auto reactor = Reactor::make({.multiplexer = "select", .busy_poll = {}});
  ASSERT_TRUE(reactor);
  Network network(**reactor);
  auto listener = network.listen(Endpoint::tcp(loopback_v4, 0));
  ASSERT_TRUE(listener);
  const Address at = *(*listener)->endpoint().address();
  std::vector<std::unique_ptr<Stream>> streams;
  std::vector<Fd> filling;
  // Every descriptor that select could watch is taken.
  for (int last = 0; last < FD_SETSIZE - 1;) {
    filling.emplace_back(::dup(0));
    if (!filling.back()) GTEST_SKIP() << "the limit on open files is too low";
    last = filling.back().get();
  }
  const auto ours = (*reactor)->run(network.connect(at, Transport::tcp));
  ASSERT_FALSE(ours);
  EXPECT_EQ(ours.error(), Fault::over_limit) << to_string(ours.error());
  EXPECT_NE(to_string(ours.error()).find("choose poll, epoll or io_uring"), std::string::npos);

  // The same for one that comes in, of which the listener survives.
  filling.pop_back();
  auto came = (*reactor)->run(network.connect(at, Transport::tcp));
  ASSERT_TRUE(came) << to_string(came.error());
  Result<std::unique_ptr<Stream>> accepted = fail(Fault::would_block);
  for (int connections = 0; connections < 2 && !accepted; ++connections) {
    accepted = (*reactor)->run(within(30s, accept(**listener)));
    if (!accepted) {
      EXPECT_EQ(accepted.error(), Fault::over_limit) << to_string(accepted.error());
    }
  }
  EXPECT_FALSE(accepted);
  filling.clear();
  auto fits = (*reactor)->run(network.connect(at, Transport::tcp));
  ASSERT_TRUE(fits) << to_string(fits.error());
  accepted = (*reactor)->run(within(30s, accept(**listener)));
  EXPECT_TRUE(accepted) << to_string(accepted.error());
}

}  // namespace
}  // namespace koine::os
