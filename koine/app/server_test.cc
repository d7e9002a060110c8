#include "koine/app/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "koine/app/served_test.h"
#include "koine/async/story_test.h"
#include "koine/transport/reader.h"

namespace koine {
namespace {

using memory::heard;
using memory::settle;
using testing::ElementsAre;
using testing::IsEmpty;

/// Ends, in one way or the other, when the first line says so.
Io<void> obey(std::unique_ptr<Stream> client) {
  Reader lines(*client);
  const auto line = co_await attempt(lines.line());
  const std::string order(line.value_or(""));
  if (order == "fail") co_return fail(Fault::malformed, "understand", "you");
  if (order == "throw") throw std::runtime_error("out of patience");
  if (order == "throw 7") throw 7;  // NOLINT: somebody may
  co_await attempt(write_all(*client, "done\n"));
  co_return {};
}

TEST(Server, ServesManyAtOnceAndCountsThem) {
  Served served;
  auto ann = served.connect();
  auto bob = served.connect();
  EXPECT_EQ(served.ask(*ann, "from ann"), "from ann");
  EXPECT_EQ(served.ask(*bob, "from bob"), "from bob");
  EXPECT_EQ(served.server.connections(), 2);
  ASSERT_TRUE(ann->finish());
  settle(served.time);
  EXPECT_EQ(heard(*ann), "<end>");
  EXPECT_EQ(served.server.connections(), 1);
  EXPECT_EQ(served.ask(*bob, "again"), "again");
  EXPECT_EQ(served.counts().accepted, 2);
  EXPECT_EQ(served.counts().finished, 1);
  EXPECT_THAT(served.errors, IsEmpty());
}

TEST(Server, ReportsErrorsAndExceptionsOfAHandlerAndHarmsNobodyElse) {
  Served served(obey);
  auto good = served.connect(good_client);
  for (const char* order : {"fail\n", "throw\n", "throw 7\n"}) {
    auto bad = served.connect(bad_client);
    EXPECT_EQ(served.ask(*bad, order), "<end>");
  }
  EXPECT_THAT(served.errors, ElementsAre("127.0.0.2:40002 | understand you: malformed",
                                         "127.0.0.2:40003 | serve: failed: out of patience",
                                         "127.0.0.2:40004 | serve: failed: an exception"));
  EXPECT_EQ(served.ask(*good, "go on\n"), "done\n<end>");
  EXPECT_EQ(served.counts().finished, 4);
  EXPECT_EQ(served.counts().failed, 3);
}

TEST(Server, SurvivesAHandlerThatThrowsBeforeItIsACoroutine) {
  Served served([](std::unique_ptr<Stream>) -> Io<void> { throw std::runtime_error("at once"); });
  EXPECT_EQ(heard(*served.connect()), "<end>");
  EXPECT_EQ(heard(*served.connect()), "<end>");
  EXPECT_EQ(served.counts().failed, 2);
  EXPECT_EQ(served.server.connections(), 0);
}

TEST(Server, ListensInSeveralPlacesAndReportsTheRealPorts) {
  Served served;
  const Endpoint second = *served.server.listen(*parse_endpoint("tcp://[::1]:0"));
  EXPECT_NE(second.port(), 0);
  auto stream = served.network.connect_now(loopback_v6, *second.address());
  settle(served.time);
  EXPECT_EQ(served.ask(**stream, "over there"), "over there");
  EXPECT_EQ(served.ask(*served.connect(), "over here"), "over here");
}

TEST(Server, ListensAtNamesAndTellsWhatIsWrongWithAnEndpoint) {
  Served served;
  served.network.names["here.test"] = {loopback_v4};
  const auto listen = [&](std::string at) {
    const Loop::Entered entered(served.time.loop());
    const auto real = *served.time.finish(served.server.listen(std::move(at)));
    return real ? to_string(*real) : to_string(real.error());
  };
  EXPECT_EQ(listen("tcp://here.test:7000"), "tcp://127.0.0.1:7000");
  EXPECT_EQ(listen("tcp://127.0.0.1:7000"), "listen tcp://127.0.0.1:7000: address in use");
  EXPECT_EQ(listen("tcp://gone.test:1"), "resolve gone.test: not found");
  EXPECT_THAT(listen("tcp://127.0.0.1:99999"), testing::HasSubstr("at column 17"));
}

TEST(Server, EndsWithItsLastConnectionIfItDoesNotListen) {
  VirtualTime time;
  memory::MemoryNetwork network(time.loop());
  Server server(network, echo);
  auto to_client = std::make_shared<memory::Pipe>(time.loop(), 100);
  auto to_server = std::make_shared<memory::Pipe>(time.loop(), 100);
  server.adopt(std::make_unique<memory::MemoryStream>(network.blocks, to_server, to_client,
                                                      Address(), Address()));
  Started<Task<ServerCounts>> running(time.loop(), server.run());
  settle(time);
  EXPECT_FALSE(running.done());
  to_server->finish();
  settle(time);
  ASSERT_TRUE(running.done());
  EXPECT_EQ(running.take().finished, 1);
}

TEST(Server, LetsConnectionsBeyondTheLimitWaitUntilOneEnds) {
  ServerOptions options;
  options.limits.connections = 2;
  Served served(echo, std::move(options));
  auto first = served.connect();
  auto second = served.connect();
  auto third = served.connect();
  auto fourth = served.connect();
  served.say(*third, "third");
  served.say(*fourth, "fourth");
  EXPECT_EQ(heard(*third), "");
  EXPECT_EQ(served.server.connections(), 2);

  ASSERT_TRUE(first->finish());
  settle(served.time);
  EXPECT_EQ(heard(*third), "third");
  EXPECT_EQ(heard(*fourth), "");
  second->abort();
  settle(served.time);
  EXPECT_EQ(heard(*fourth), "fourth");
  EXPECT_EQ(served.server.connections(), 2);
  EXPECT_EQ(served.counts().refused, 0);
}

TEST(Server, KeepsTheLimitOverAllThePlacesItListensAt) {
  ServerOptions options;
  options.limits.connections = 1;
  Served served(echo, std::move(options));
  const Endpoint other = *served.server.listen(*parse_endpoint("tcp://127.0.0.1:0"));
  settle(served.time);  // both wait to accept
  auto first = served.network.connect_now(good_client, *served.place.address());
  auto second = served.network.connect_now(good_client, *other.address());
  settle(served.time);
  EXPECT_EQ(served.server.connections(), 1);
  ASSERT_TRUE((*first)->finish());
  EXPECT_EQ(served.ask(**second, "now me"), "now me");
  EXPECT_EQ(served.server.connections(), 1);
}

TEST(Server, RefusesTheOneTooManyFromAnAddressWithAReset) {
  ServerOptions options;
  options.limits.connections_per_address = 2;
  Served served(echo, std::move(options));
  auto first = served.connect(bad_client);
  auto second = served.connect(bad_client);
  EXPECT_EQ(heard(*served.connect(bad_client)), "<connection reset>");
  EXPECT_EQ(served.ask(*served.connect(good_client), "me too"), "me too");
  EXPECT_EQ(served.counts().refused, 1);

  ASSERT_TRUE(first->finish());
  settle(served.time);
  EXPECT_EQ(served.ask(*served.connect(bad_client), "now"), "now");
  EXPECT_EQ(served.counts().accepted, 4);
}

TEST(Server, TakesAnIpv4PeerForTheSameHoweverItIsWritten) {
  ServerOptions options;
  options.limits.connections_per_address = 1;
  Served served(echo, std::move(options));
  auto first = served.connect(bad_client);
  EXPECT_EQ(heard(*served.connect(bad_client.mapped())), "<connection reset>");
}

TEST(Server, ServesOthersWhileAFloodFromOneAddressIsRefused) {
  ServerOptions options;
  options.limits.connections = 10;
  options.limits.connections_per_address = 5;
  Served served(echo, std::move(options));
  std::vector<std::unique_ptr<Stream>> flood;
  for (int wave = 0; wave < 100; ++wave) {
    for (int i = 0; i < 50; ++i)
      flood.push_back(*served.network.connect_now(bad_client, *served.place.address()));
    auto good = served.connect(good_client);
    EXPECT_EQ(served.ask(*good, "still there?"), "still there?");
  }
  EXPECT_EQ(served.counts().refused, 100 * 50 - 5);
  EXPECT_EQ(served.counts().accepted, 100 + 5);
}

TEST(Server, MakesNoTimersOfItsOwnWhileItIsEmpty) {
  Served served;
  EXPECT_FALSE(served.time.loop().next_deadline());
  served.connect();  // comes and goes
  settle(served.time);
  served.pass(1h);
  EXPECT_FALSE(served.time.loop().next_deadline());
}

TEST(Server, TellsAHandlerThatClosesItselfOnlyThatItIsClosed) {
  Served served([](std::unique_ptr<Stream> client) -> Io<void> {
    client->abort();
    co_await attempt(write_all(*client, "too late"));
    co_return {};
  });
  served.connect();
  EXPECT_THAT(served.errors, ElementsAre("127.0.0.1:40001 | write tcp://127.0.0.1:40001: closed"));
}

TEST(Server, WaitsAndTriesAgainWhenNoDescriptorIsLeft) {
  Served served;
  auto old = served.connect();
  served.network.accept_faults.assign(1000, Fault::exhausted);
  auto waiting = served.connect();
  served.say(*waiting, "patience");
  served.pass(1s);
  // It does not spin, it tells once, and the others are served.
  EXPECT_LE(served.network.accepts_tried, 1 + 1 + 20);
  EXPECT_THAT(served.errors,
              ElementsAre(" | accept " + to_string(served.place) + ": out of resources"));
  EXPECT_EQ(served.ask(*old, "still here"), "still here");
  EXPECT_EQ(heard(*waiting), "");

  served.network.accept_faults.clear();  // a descriptor is free
  served.pass(100ms);
  EXPECT_EQ(heard(*waiting), "patience");
  EXPECT_EQ(served.errors.size(), 1);
}

TEST(Server, TellsAgainWhenDescriptorsRunOutAgain) {
  Served served;
  for (int time = 0; time < 2; ++time) {
    served.network.accept_faults.assign(3, Fault::exhausted);
    auto client = served.connect();
    served.pass(1s);
    EXPECT_EQ(served.ask(*client, "x"), "x");
  }
  EXPECT_EQ(served.errors.size(), 2);
}

TEST(Server, GoesOnAcceptingAfterConnectionsThatDiedInTheQueue) {
  Served served;
  served.network.accept_faults = {Fault::reset, Fault::reset};
  auto client = served.connect();
  served.pass(1s);
  EXPECT_EQ(served.ask(*client, "alive"), "alive");
}

TEST(Server, LeavesNothingBehindWhereverItIsDestroyed) {
  for (int steps = 0; steps < 60; ++steps) {
    SCOPED_TRACE("destroyed after step " + std::to_string(steps));
    VirtualTime time;
    memory::MemoryNetwork network(time.loop());
    network.accept_faults = {Fault::exhausted};
    std::vector<std::unique_ptr<Stream>> clients;
    {
      Server server(network, [](std::unique_ptr<Stream> client) -> Io<void> {
        const Counted counted;
        while (Buffer bytes = co_await attempt(receive(*client))) {
          co_await sleep(10ms);
          co_await attempt(write_all(*client, bytes));
        }
        co_return {};
      });
      const Endpoint place = *server.listen(*parse_endpoint("tcp://127.0.0.1:0"));
      Started<Task<ServerCounts>> running(time.loop(), server.run());
      for (int step = 0; step < steps; ++step) {
        if (step % 10 == 0 && step < 50) {
          clients.push_back(*network.connect_now(good_client, *place.address()));
          (void)clients.back()->write_now(as_bytes("hello"));
        }
        if (step == 45) server.drain();
        small_step(time);
      }
    }
    clients.clear();
    EXPECT_EQ(network.blocks.lent, 0);
    expect_nothing_left(time);
  }
}

TEST(Server, MayBeOutlivedByAStreamThatItsHandlerGaveAway) {
  VirtualTime time;
  memory::MemoryNetwork network(time.loop());
  std::unique_ptr<Stream> kept;
  {
    Server server(network, [&](std::unique_ptr<Stream> client) -> Io<void> {
      kept = std::move(client);
      co_return {};
    });
    const Endpoint place = *server.listen(*parse_endpoint("tcp://127.0.0.1:0"));
    Started<Task<ServerCounts>> running(time.loop(), server.run());
    auto client = network.connect_now(good_client, *place.address());
    settle(time);
  }
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->write_now(as_bytes("nobody guards this")), 18);
}

}  // namespace
}  // namespace koine
