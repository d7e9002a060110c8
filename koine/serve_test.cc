// serve_until_told(): whole servers in this process, and clients on a thread of their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <thread>

#include "koine/datagrams.h"
#include "koine/os/network.h"
#include "koine/os/reactor.h"
#include "koine/os/signals.h"
#include "koine/os/sockaddr.h"

namespace koine {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

/// Nothing here takes long; if it does, the test has failed.
constexpr Duration patience = 60s;

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr bool follows_forks = false;
#else
constexpr bool follows_forks = true;
#endif
#else
constexpr bool follows_forks = true;
#endif

using Visit = Function<Io<void>(Network&, const Endpoint&)>;

/// What came of it.
struct Outcome {
  ServerCounts counts;
  std::vector<std::string> errors;  // of connections
};

void tell_to_drain() { ::kill(::getpid(), SIGTERM); }  // blocked everywhere: the server hears it

/// Serves `service` while a client pays its visit, then tells it to drain; unless the client did.
Outcome serve_during(std::vector<std::string> at, Served service, ServeOptions options, Visit visit,
                     bool client_tells = false) {
  const os::BlockedSignals blocked({SIGTERM});
  Outcome served;
  std::mutex mutex;
  std::thread client;
  options.on_error = [&](const std::string&, const Error& error) {
    const std::lock_guard lock(mutex);
    served.errors.push_back(to_string(error));
  };
  options.on_listening = [&](const std::vector<Endpoint>& places) {
    client = std::thread([&, place = places.front()] {
      auto reactor = os::Reactor::make();
      ASSERT_TRUE(reactor);
      os::Network network(**reactor);
      const auto ended = (*reactor)->run(within(patience, visit(network, place)));
      EXPECT_TRUE(ended) << to_string(ended.error());
      (*reactor)->linger_out();
      if (!client_tells || !ended) tell_to_drain();
    });
  };
  const auto counts = serve_until_told(at, std::move(service), std::move(options));
  if (client.joinable()) client.join();
  EXPECT_TRUE(counts) << to_string(counts.error());
  if (counts) served.counts = *counts;
  return served;
}

const std::vector<std::string> any_port{"tcp://127.0.0.1:0"};

/// Says `text`, finishes, and hears all of the answer.
Io<std::string> ask(Network& network, Endpoint place, std::string text) {
  auto dialling = dial(network, std::move(place));
  const auto stream = co_await attempt(std::move(dialling));
  co_await attempt(write_all(*stream, text));
  co_await attempt(stream->finish());
  auto reading = read_to_end(*stream);
  co_return co_await reading;
}

Io<void> echo(std::unique_ptr<Stream> client) {
  while (Buffer bytes = co_await attempt(receive(*client)))
    co_await attempt(write_all(*client, bytes));
  co_return {};
}

Io<void> ask_ten(Network& network, const Endpoint& place) {
  for (int i = 0; i < 10; ++i) {
    auto asking = ask(network, place, "number " + std::to_string(i));
    EXPECT_EQ(co_await attempt(std::move(asking)), "number " + std::to_string(i));
  }
  co_return {};
}

TEST(Serve, ServesOnEveryMultiplexerWithEachKindOfConcurrencyOnOneShardOrTwo) {
  for (const char* multiplexer : {"io_uring", "epoll", "poll", "select"}) {
    for (const auto& [concurrency, where] : {std::pair(Concurrency::coroutine, "coroutines"),
                                             std::pair(Concurrency::thread, "threads"),
                                             std::pair(Concurrency::process, "processes")}) {
      if (concurrency == Concurrency::process && !follows_forks) continue;
      for (const std::size_t shards : {std::size_t{1}, std::size_t{2}}) {
        SCOPED_TRACE(std::string(multiplexer) + ", " + where + ", shards " +
                     std::to_string(shards));
        ServeOptions options;
        options.multiplexer = multiplexer;
        options.concurrency = concurrency;
        options.shards = shards;
        const auto served = serve_during(any_port, echo, std::move(options), ask_ten);
        EXPECT_EQ(served.counts.accepted, 10);
        EXPECT_EQ(served.counts.finished, 10);
        EXPECT_EQ(served.counts.cut, 0);
        EXPECT_THAT(served.errors, testing::IsEmpty());
      }
    }
  }
}

TEST(Serve, TakesALambdaAndKeepsItsCaptures) {
  const std::string greeting = "welcome, ";
  const auto welcome = [greeting](std::unique_ptr<Stream> client) -> Io<void> {
    Reader lines(*client);
    const auto name = co_await attempt(lines.line());
    co_await attempt(write_all(*client, greeting, name.value_or("stranger")));
    co_return {};
  };
  serve_during(any_port, welcome, {}, [](Network& network, const Endpoint& place) -> Io<void> {
    auto asking = ask(network, place, "Ada\n");
    EXPECT_EQ(co_await attempt(std::move(asking)), "welcome, Ada");
    co_return {};
  });
}

/// Sends a datagram, and hears the answer.
Io<std::string> ask_by_datagram(Network& network, const Endpoint& place, std::string_view text) {
  const auto socket = co_await attempt(network.bind(Endpoint::udp(loopback_v4, 0)));
  co_await attempt(send_to(*socket, as_bytes(text), *place.address()));
  std::vector<std::byte> room(datagram_bytes_max);
  const auto received = co_await attempt(receive_from(*socket, room));
  co_return std::string(as_text(Bytes(room).first(received.size)));
}

TEST(Serve, TakesAHandlerForEachDatagramOrForEachPeer) {
  const auto visit = [](Network& network, const Endpoint& place) -> Io<void> {
    auto asking = ask_by_datagram(network, place, "are you there?");
    EXPECT_EQ(co_await attempt(std::move(asking)), "are you there?");
    co_return {};
  };
  const auto each_datagram = [](const DatagramRequest& request) -> Io<void> {
    co_await attempt(send_to(request.socket, request.bytes, request.from));
    co_return {};
  };
  const auto each_peer = [](std::unique_ptr<Conversation> peer) -> Io<void> {
    while (auto bytes = co_await peer->next()) co_await attempt(peer->send(*bytes));
    co_return {};
  };
  EXPECT_EQ(serve_during({"udp://127.0.0.1:0"}, each_datagram, {}, visit).counts.datagrams, 1);
  EXPECT_EQ(serve_during({"udp://127.0.0.1:0"}, each_peer, {}, visit).counts.datagrams, 1);
}

TEST(Serve, SurvivesAHandlerThatSegfaultsInAProcessOfItsOwn) {
  if (!follows_forks) GTEST_SKIP() << "ThreadSanitizer does not follow into forked processes";
  const auto obey = [](std::unique_ptr<Stream> client) -> Io<void> {
    Reader lines(*client);
    const auto line = co_await attempt(lines.line());
    const std::string order(line.value_or(""));
    if (order == "crash") {
      ::signal(SIGSEGV, SIG_DFL);  // a sanitizer may have made it its own
      ::raise(SIGSEGV);
    }
    co_await attempt(write_all(*client, order, " done"));
    co_return {};
  };
  ServeOptions options;
  options.concurrency = Concurrency::process;
  const auto served = serve_during(any_port, obey, std::move(options),
                                   [](Network& network, const Endpoint& place) -> Io<void> {
                                     auto dialling = dial(network, place);
                                     const auto bystander = co_await attempt(std::move(dialling));
                                     for (int i = 0; i < 3; ++i) {
                                       auto crashing = ask(network, place, "crash\n");
                                       EXPECT_EQ((co_await crashing).value_or(""), "");
                                     }
                                     co_await attempt(write_all(*bystander, "wait\n"));
                                     auto reading = read_to_end(*bystander);
                                     EXPECT_EQ(co_await attempt(std::move(reading)), "wait done");
                                     auto asking = ask(network, place, "work\n");
                                     EXPECT_EQ(co_await attempt(std::move(asking)), "work done");
                                     co_return {};
                                   });
  EXPECT_EQ(served.counts.finished, 5);
  EXPECT_EQ(served.counts.failed, 3);
  EXPECT_THAT(served.errors, AllOf(testing::SizeIs(3), Each(HasSubstr("signal 11"))));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "every child was reaped";
}

/// A client of another address of this machine: connected, or not any more.
os::Fd connect_from(const IpAddress& ours, const Endpoint& place) {
  os::Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto from = os::to_sockaddr(Address(ours, 0));
  const auto to = os::to_sockaddr(*place.address());
  EXPECT_EQ(::bind(client.get(), from->get(), from->size), 0);
  // It may be refused, by a reset, before connect(2) has looked.
  if (::connect(client.get(), to->get(), to->size) != 0) {
    EXPECT_EQ(errno, ECONNRESET);
  }
  return client;
}

TEST(Serve, ServesOthersDuringAFloodPastTheLimits) {
  constexpr std::size_t flood = 200;
  ServeOptions options;
  options.limits.connections_per_address = 5;
  const auto served = serve_during(
      any_port, echo, std::move(options), [](Network& network, const Endpoint& place) -> Io<void> {
        std::vector<os::Fd> clients;
        for (std::size_t i = 0; i < flood; ++i)
          clients.push_back(connect_from(IpAddress::v4(127, 0, 0, 2), place));
        auto asking = ask_ten(network, place);
        co_return co_await asking;
      });
  EXPECT_EQ(served.counts.accepted, 10 + 5);
  EXPECT_EQ(served.counts.refused, flood - 5);
}

TEST(Serve, LosesNothingThatItAcceptedWhenItDrainsUnderLoad) {
  // Clients come and come until nobody listens any more; the server is told to drain in between.
  // Whoever was accepted gets the whole answer, and nobody a part of it.
  constexpr std::size_t clients = 16;
  constexpr std::size_t answer_bytes = 200'000;  // more than the kernel holds for a new connection
  for (const std::size_t shards : {std::size_t{1}, std::size_t{2}}) {
    std::atomic<int> whole = 0;
    std::atomic<int> parts = 0;
    bool is_told = false;
    const auto answer = [](std::unique_ptr<Stream> client) -> Io<void> {
      Reader lines(*client);
      if (!co_await attempt(lines.line())) co_return {};
      const std::string text(answer_bytes, 'k');
      co_await attempt(write_all(*client, text));
      co_return {};
    };
    const auto come_again = [&](Network& network, const Endpoint& place) -> Io<void> {
      for (int visits = 0;; ++visits) {
        if (visits == 20 && !std::exchange(is_told, true)) tell_to_drain();
        auto asking = ask(network, place, "?\n");
        const auto heard = co_await asking;
        if (!heard && heard.error() == Fault::refused) co_return {};
        if (heard && heard->size() == answer_bytes) {
          ++whole;
        } else if (heard && !heard->empty()) {
          ++parts;
        }
      }
    };
    ServeOptions options;
    options.shards = shards;
    const auto served = serve_during(
        any_port, answer, std::move(options),
        [&](Network& network, const Endpoint& place) -> Io<void> {
          Scope all_of_them;
          for (std::size_t i = 0; i < clients; ++i) all_of_them.spawn(come_again(network, place));
          co_return co_await all_of_them.join();
        },
        true);
    EXPECT_EQ(parts, 0);
    EXPECT_EQ(served.counts.accepted, static_cast<std::uint64_t>(whole));
    EXPECT_EQ(served.counts.cut, 0);
    EXPECT_THAT(served.errors, testing::IsEmpty());
  }
}

TEST(Serve, TellsWhatIsWrongWithAnEndpointOrAService) {
  const auto why = [](std::vector<std::string> at, Served service, ServeOptions options = {}) {
    const auto counts = serve_until_told(at, std::move(service), std::move(options));
    return counts ? "no error" : to_string(counts.error());
  };
  EXPECT_THAT(why({}, echo), HasSubstr("no endpoint"));
  EXPECT_THAT(why({"tcp://127.0.0.1:70000"}, echo), HasSubstr("tcp://127.0.0.1:70000"));
  EXPECT_THAT(why({"udp://127.0.0.1:0"}, echo), HasSubstr("answers connections only"));
  ServeOptions unknown;
  unknown.multiplexer = "kqueue";
  EXPECT_THAT(why(any_port, echo, std::move(unknown)), HasSubstr("kqueue"));
  // The second shard would get what the first one could not share.
  ServeOptions two;
  two.shards = 2;
  EXPECT_THAT(why({"tcp://127.0.0.1:0", "tcp://192.0.2.1:0"}, echo, std::move(two)),
              HasSubstr("192.0.2.1"));
}

TEST(Serve, DividesItsLimitsAmongShards) {
  ServeOptions options;
  options.shards = 2;
  options.limits.connections = 4;
  std::atomic<int> at_once = 0;
  std::atomic<int> most = 0;
  const auto count = [&](std::unique_ptr<Stream> client) -> Io<void> {
    const int now = ++at_once;
    for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    auto serving = echo(std::move(client));
    const auto result = co_await serving;
    --at_once;
    co_return result;
  };
  const auto served = serve_during(any_port, count, std::move(options),
                                   [](Network& network, const Endpoint& place) -> Io<void> {
                                     Scope many;
                                     for (int i = 0; i < 6; ++i)
                                       many.spawn(ask_ten(network, place));
                                     co_return co_await many.join();
                                   });
  EXPECT_EQ(served.counts.accepted, 60);
  EXPECT_LE(most, 4);
}

}  // namespace
}  // namespace koine
