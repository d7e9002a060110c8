// Two reactors on two threads, each with a network of its own, talk to each other. Nothing is
// shared but the wire; ThreadSanitizer watches.
#include <thread>

#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/async/within.h"
#include "koine/os/each_multiplexer_test.h"
#include "koine/os/network.h"
#include "tests/contract/stories.h"

namespace koine::contract {
namespace {

class TwoThreads : public os::OnEachMultiplexer {};

INSTANTIATE_TEST_SUITE_P(, TwoThreads, os::each_multiplexer, os::multiplexer_name);

Io<void> serve(Listener& listener, int count) {
  Scope guests;
  auto guest = [](std::unique_ptr<Stream> stream) -> Io<void> {
    auto echoing = echo(*stream);
    co_return co_await echoing;
  };
  for (int i = 0; i < count; ++i) {
    auto stream = co_await attempt(accept(listener));
    guests.spawn(guest(std::move(stream)));
  }
  co_return co_await guests.join();
}

Io<void> visit(Network& network, Endpoint peer, int count) {
  Scope visits;
  auto one = [](Network& through, Endpoint there, std::uint64_t seed) -> Io<void> {
    auto connection = dial(through, std::move(there));
    auto stream = co_await attempt(std::move(connection));
    Scope writing;
    writing.spawn(write_pattern(*stream, seed, 200'000));
    auto reading = read_pattern(*stream, seed);
    const std::size_t heard = co_await attempt(std::move(reading));
    if (heard != 200'000) co_return fail(Fault::ended, "visit");
    co_return co_await writing.join();
  };
  for (int i = 0; i < count; ++i) visits.spawn(one(network, peer, static_cast<std::uint64_t>(i)));
  co_return co_await visits.join();
}

TEST_P(TwoThreads, TalkToEachOtherOverTheNetwork) {
  constexpr int visits = 20;
  os::Network network(reactor());
  auto listener = network.listen(Endpoint::tcp(loopback_v4, 0));
  ASSERT_TRUE(listener) << why(listener);
  Result<void> visited;
  std::thread other([peer = (*listener)->endpoint(), &visited, multiplexer = GetParam()] {
    auto mine = os::Reactor::make({.multiplexer = multiplexer, .busy_poll = {}});
    if (!mine) {
      visited = std::unexpected(mine.error());
      return;
    }
    os::Network through(**mine);
    visited = (*mine)->run(within(60s, visit(through, peer, visits)));
  });
  const auto served = reactor().run(within(60s, serve(**listener, visits)));
  other.join();
  EXPECT_TRUE(served) << why(served);
  EXPECT_TRUE(visited) << why(visited);
}

TEST_P(TwoThreads, HandMessagesToEachOther) {
  constexpr int rounds = 2'000;
  Event done;
  int ours = 0;
  std::atomic<os::Reactor*> other_reactor{nullptr};
  std::thread other([&, multiplexer = GetParam()] {
    auto mine = os::Reactor::make({.multiplexer = multiplexer, .busy_poll = {}});
    if (!mine) {
      reactor().post([&] { done.set(); });
      return;
    }
    Event stop;
    int theirs = 0;
    // Each message is answered with one to the other thread, so both sleep and wake all the time.
    struct Ping {
      os::Reactor& here;
      os::Reactor& there;
      int& count;
      int& count_there;
      Event& end;
      Event& end_there;
      void operator()() const {
        ++count;
        if (count >= rounds) {
          there.post([&last = end_there] { last.set(); });
          end.set();
          return;
        }
        there.post(Ping{there, here, count_there, count, end_there, end});
      }
    };
    (*mine)->post(Ping{**mine, reactor(), theirs, ours, stop, done});
    auto wait = [](Event& event) -> Io<void> {
      co_await event.wait();
      co_return {};
    };
    EXPECT_TRUE((*mine)->run(within(60s, wait(stop))));
    EXPECT_GE(theirs, rounds - 1);
    // Whoever posts needs a living reactor: the main thread says when it no longer does.
    while (other_reactor.load() == nullptr) std::this_thread::yield();
  });
  auto wait = [](Event& event) -> Io<void> {
    co_await event.wait();
    co_return {};
  };
  EXPECT_TRUE(reactor().run(within(60s, wait(done))));
  other_reactor.store(&reactor());
  other.join();
  EXPECT_GE(ours, rounds - 1);
}

}  // namespace
}  // namespace koine::contract
