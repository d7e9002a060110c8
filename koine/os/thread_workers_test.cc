// A thread for each connection.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <stdexcept>
#include <thread>

#include "koine/async/sleep.h"
#include "koine/os/elsewhere_test.h"

namespace koine::os {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Alive {
  explicit Alive(std::atomic<int>& count) : count_(count) { ++count_; }
  Alive(const Alive&) = delete;
  ~Alive() { --count_; }

 private:
  std::atomic<int>& count_;
};

/// Says which thread it runs on.
Io<void> name_thread(Reactor&, std::unique_ptr<Stream> client, Event&) {
  auto asking = order_of(*client);
  co_await attempt(std::move(asking));
  const auto id = std::hash<std::thread::id>()(std::this_thread::get_id());
  const std::string name = std::to_string(id);
  co_await attempt(write_all(*client, name));
  co_return {};
}

TEST(ThreadWorkers, GiveEachConnectionAThreadOfItsOwn) {
  run_story([](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_thread, name_thread);
    auto both = all(server.ask("a"), server.ask("b"));
    const auto [first, second] = co_await attempt(std::move(both));
    EXPECT_NE(first, second);
    EXPECT_NE(first, std::to_string(std::hash<std::thread::id>()(std::this_thread::get_id())));
    co_await attempt(server.guests.join());
    EXPECT_EQ(server.ended, 2);
    EXPECT_THAT(server.errors, IsEmpty());
    co_return {};
  });
}

TEST(ThreadWorkers, MayBlockWithoutHarmingOthers) {
  std::binary_semaphore go_on(0);
  run_story([&](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_thread,
                     [&](Reactor&, std::unique_ptr<Stream> client, Event&) -> Io<void> {
                       auto asking = order_of(*client);
                       const auto order = co_await attempt(std::move(asking));
                       if (order == "block") go_on.acquire();
                       co_await attempt(write_all(*client, order, " done"));
                       co_return {};
                     });
    auto connecting = server.connect();
    const auto blocked = co_await attempt(std::move(connecting));
    co_await attempt(write_all(*blocked, "block\n"));
    for (int i = 0; i < 5; ++i) {
      auto asking = server.ask("quick");
      EXPECT_EQ(co_await attempt(std::move(asking)), "quick done");
    }
    go_on.release();
    auto reading = read_to_end(*blocked);
    EXPECT_EQ(co_await attempt(std::move(reading)), "block done");
    co_return co_await server.guests.join();
  });
}

TEST(ThreadWorkers, ReportErrorsAndExceptions) {
  run_story([](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_thread,
                     [](Reactor&, std::unique_ptr<Stream> client, Event&) -> Io<void> {
                       auto asking = order_of(*client);
                       const auto order = co_await attempt(std::move(asking));
                       if (order == "fail") co_return fail(Fault::malformed, "understand", "you");
                       throw std::runtime_error("out of patience");
                     });
    for (const char* order : {"fail", "throw"}) {
      auto asking = server.ask(order);
      EXPECT_EQ(co_await attempt(std::move(asking)), "");
      co_await attempt(server.guests.join());
    }
    EXPECT_THAT(server.errors,
                ElementsAre("understand you: malformed", "serve: failed: out of patience"));
    co_return {};
  });
}

/// Says hello, and then waits to be told that it is over.
Io<void> wait_for_drain(Reactor&, std::unique_ptr<Stream> client, Event& drain) {
  co_await attempt(write_all(*client, "hello, "));
  co_await drain.wait();
  co_await attempt(write_all(*client, "bye"));
  co_return {};
}

TEST(ThreadWorkers, HearThatTheyShouldComeToAnEnd) {
  run_story([](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_thread, wait_for_drain);
    std::vector<std::unique_ptr<Stream>> clients;
    for (int i = 0; i < 20; ++i) {
      auto connecting = server.connect();
      clients.push_back(co_await attempt(std::move(connecting)));
    }
    server.orders.drain.set();
    for (const auto& client : clients) {
      auto reading = read_to_end(*client);
      EXPECT_EQ(co_await attempt(std::move(reading)), "hello, bye");
    }
    // Who comes later hears it too.
    auto asking = server.ask("x");
    EXPECT_EQ(co_await attempt(std::move(asking)), "hello, bye");
    co_await attempt(server.guests.join());
    EXPECT_THAT(server.errors, IsEmpty());
    co_return {};
  });
}

TEST(ThreadWorkers, EndWhenToldToStop) {
  std::atomic<int> alive = 0;
  run_story([&](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_thread,
                     [&](Reactor&, std::unique_ptr<Stream> client, Event&) -> Io<void> {
                       const Alive here(alive);
                       for (;;) co_await attempt(receive(*client));
                     });
    std::vector<std::unique_ptr<Stream>> clients;
    for (int i = 0; i < 20; ++i) {
      auto connecting = server.connect();
      clients.push_back(co_await attempt(std::move(connecting)));
    }
    server.orders.stop.set();
    co_await attempt(server.guests.join());
    EXPECT_EQ(server.ended, 20);
    EXPECT_THAT(server.errors, testing::Each("serve: cancelled"));
    co_return {};
  });
  EXPECT_EQ(alive, 0);
}

TEST(ThreadWorkers, EndWhenTheirTaskIsDestroyed) {
  std::atomic<int> alive = 0;
  run_story([&](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_thread,
                     [&](Reactor&, std::unique_ptr<Stream> client, Event&) -> Io<void> {
                       const Alive here(alive);
                       co_await attempt(write_all(*client, "I live"));
                       for (;;) co_await attempt(receive(*client));
                     });
    std::vector<std::unique_ptr<Stream>> clients;
    for (int i = 0; i < 5; ++i) {
      auto connecting = server.connect();
      clients.push_back(co_await attempt(std::move(connecting)));
      if (i % 2 == 0) co_await attempt(receive(*clients.back()));  // others may not have begun
    }
    server.guests.cancel();
    co_await attempt(server.guests.join());
    EXPECT_EQ(alive, 0) << "destroying waits for the thread";
    co_return {};
  });
}

TEST(ThreadWorkers, AreLeftBehindWhenTheyBlockForTooLong) {
  struct Shared {
    std::binary_semaphore go_on{0};
    std::binary_semaphore over{0};
  };
  const auto shared = std::make_shared<Shared>();
  run_story([&](Reactor& reactor, Network& network) -> Io<void> {
    Elsewhere server(reactor, network, serve_in_thread,
                     [shared](Reactor&, std::unique_ptr<Stream> client, Event&) -> Io<void> {
                       auto asking = order_of(*client);
                       co_await attempt(std::move(asking));
                       co_await attempt(write_all(*client, "blocks"));
                       co_await attempt(flush(*client));
                       shared->go_on.acquire();
                       client.reset();
                       shared->over.release();
                       co_return {};
                     });
    auto connecting = server.connect();
    const auto client = co_await attempt(std::move(connecting));
    co_await attempt(write_all(*client, "block\n"));
    co_await attempt(receive(*client));  // now it blocks
    server.guests.cancel();
    co_await attempt(server.guests.join());
    co_return {};
  });
  // The loop that it came from is gone. It may end when it likes.
  shared->go_on.release();
  shared->over.acquire();
}

TEST(ThreadWorkers, ServeOnlySocketsOfTheKernels) {
  class Other final : public Stream {
   public:
    Result<std::size_t> read_now(MutableBytes) override { return std::size_t{0}; }
    Result<Buffer> receive_now() override { return Buffer(); }
    Result<std::size_t> write_now(Bytes) override { return fail(Fault::closed); }
    Result<void> flush_now() override { return {}; }
    std::size_t unsent() const override { return 0; }
    Result<void> finish() override { return {}; }
    void abort() override {}
    WaitList& readable() override { return list_; }
    WaitList& writable() override { return list_; }
    Address local() const override { return {}; }
    Address peer() const override { return {}; }
    std::string name() const override { return "something else"; }

   private:
    WaitList list_;
  };
  run_story([](Reactor& reactor, Network&) -> Io<void> {
    Orders orders;
    auto serving = serve_in_thread(reactor, std::make_unique<Other>(),
                                   std::make_shared<const ServeOne>(wait_for_drain), orders);
    const auto result = co_await serving;
    EXPECT_EQ(to_string(result.error()),
              "serve something else: not supported: only sockets of the kernel's have threads or "
              "processes");
    co_return {};
  });
}

TEST(ThreadWorkers, LoseNothingThatWasWrittenBeforeTheyEnded) {
  expect_that_all_that_was_written_arrives(serve_in_thread);
}

}  // namespace
}  // namespace koine::os
