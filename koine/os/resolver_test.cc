// Names on the real network, asked of a server of our own.
#include "koine/os/resolver.h"

#include <algorithm>
#include <filesystem>
#include <string>

#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/os/each_multiplexer_test.h"
#include "koine/os/name_server_test.h"
#include "koine/os/network.h"

namespace koine::os {
namespace {

using Manner = NameServer::Manner;

constexpr std::size_t many = 60;  // addresses: more than the 512 bytes of a UDP answer hold

std::vector<IpAddress> many_addresses() {
  std::vector<IpAddress> addresses;
  for (std::size_t i = 0; i < many; ++i)
    addresses.push_back(IpAddress::v4(127, 0, 1, static_cast<std::uint8_t>(i + 1)));
  return addresses;
}

class ResolverTest : public OnEachMultiplexer {
 protected:
  void SetUp() override {
    OnEachMultiplexer::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    network_.emplace(reactor());
    auto made = NameServer::make(
        *network_,
        std::map<std::string, NameServer::Entry>{
            {"both.example", {.addresses = {loopback_v4, loopback_v6}, .manner = {}}},
            {"four.example", {.addresses = {IpAddress::v4(127, 0, 0, 4)}, .manner = {}}},
            {"six.example", {.addresses = {loopback_v6}, .manner = {}}},
            {"nothing.example", {}},
            {"silent.example", {.addresses = {}, .manner = Manner::is_silent}},
            {"broken.example", {.addresses = {}, .manner = Manner::fails}},
            {"many.example", {.addresses = many_addresses(), .manner = Manner::truncates}},
        });
    ASSERT_TRUE(made) << to_string(made.error());
    names_ = std::move(*made);
  }

  NameServer& names() { return *names_; }
  ResolverOptions options() const {
    return {.servers = names_->address(), .timeout = 100ms, .tries = 2};
  }
  Result<std::vector<IpAddress>> ask(std::string name) {
    return reactor().run(within(30s, resolve(reactor(), std::move(name), options())));
  }
  std::string why_not(std::string name) {
    const auto found = ask(std::move(name));
    return found ? "it was found" : to_string(found.error());
  }
  static std::ptrdiff_t open_descriptors() {
    const std::filesystem::directory_iterator open("/proc/self/fd");
    return std::distance(begin(open), end(open));
  }

 private:
  std::optional<Network> network_;
  std::unique_ptr<NameServer> names_;
};

INSTANTIATE_TEST_SUITE_P(, ResolverTest, each_multiplexer, multiplexer_name);

TEST_P(ResolverTest, FindsTheAddressesOfBothVersions) {
  auto both = ask("both.example");
  ASSERT_TRUE(both) << to_string(both.error());
  std::ranges::sort(*both);
  EXPECT_EQ(*both, (std::vector{loopback_v4, loopback_v6}));
  EXPECT_EQ(ask("four.example"), (std::vector{IpAddress::v4(127, 0, 0, 4)}));
  EXPECT_EQ(ask("six.example"), (std::vector{loopback_v6}));
  EXPECT_GE(names().asked_by_udp, 6) << "each version is asked for";
}

TEST_P(ResolverTest, SaysThatANameDoesNotExistOrHasNoAddress) {
  EXPECT_EQ(why_not("nowhere.example"),
            "resolve nowhere.example: not found: Domain name not found");
  EXPECT_EQ(why_not("nothing.example"),
            "resolve nothing.example: not found: DNS server returned answer with no data");
}

TEST_P(ResolverTest, AFailingServerIsNoMissingName) {
  EXPECT_EQ(why_not("broken.example"),
            "resolve broken.example: unreachable: Could not contact DNS servers");
  EXPECT_GE(names().asked_by_udp, 4) << "two tries, for each version";
}

TEST_P(ResolverTest, GivesUpOnAServerThatIsSilent) {
  EXPECT_EQ(why_not("silent.example"),
            "resolve silent.example: timed out: Timeout while contacting DNS servers");
  EXPECT_GE(names().asked_by_udp, 4) << "two tries, for each version";
}

TEST_P(ResolverTest, SaysThatNoServerCanBeReached) {
  ResolverOptions nobody = options();
  Network network(reactor());
  nobody.servers = to_string(network.bind(Endpoint::udp(loopback_v4, 0)).value()->local());
  const auto found = reactor().run(within(30s, resolve(reactor(), "both.example", nobody)));
  ASSERT_FALSE(found);
  // c-ares asks for both versions through one socket, and the refusal of the first question may be
  // heard by the second alone.
  EXPECT_TRUE(found.error() == Fault::unreachable || found.error() == Fault::timed_out)
      << to_string(found.error());
}

TEST_P(ResolverTest, AsksAgainOverTcpWhatWasTruncated) {
  auto found = ask("many.example");
  ASSERT_TRUE(found) << to_string(found.error());
  EXPECT_EQ(found->size(), many);
  std::ranges::sort(*found);
  EXPECT_EQ(*found, many_addresses());
  EXPECT_GE(names().asked_by_tcp, 1);
}

TEST_P(ResolverTest, KnowsLocalhostAndAddressesWithoutAsking) {
  for (const char* name : {"localhost", "localhost.", "web.localhost"})
    EXPECT_EQ(ask(name), (std::vector{loopback_v6, loopback_v4})) << name;
  EXPECT_EQ(ask("127.0.0.9"), (std::vector{IpAddress::v4(127, 0, 0, 9)}));
  EXPECT_EQ(ask("::1"), (std::vector{loopback_v6}));
  EXPECT_EQ(names().asked_by_udp, 0);
}

TEST_P(ResolverTest, RefusesWhatIsNoName) {
  for (const std::string& name :
       {std::string("two..dots"), std::string(64, 'l') + ".example", std::string(300, 'n')}) {
    const auto found = ask(name);
    ASSERT_FALSE(found) << name;
    EXPECT_EQ(found.error(), Fault::not_found) << to_string(found.error());
  }
}

TEST_P(ResolverTest, RefusesServersThatAreNoAddresses) {
  ResolverOptions wrong;
  wrong.servers = "not an address";
  const auto found = reactor().run(resolve(reactor(), "both.example", wrong));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error(), Fault::malformed) << to_string(found.error());
}

TEST_P(ResolverTest, ACancelledQuestionLeavesNothingBehind) {
  const auto before = open_descriptors();
  for (const char* name : {"silent.example", "both.example", "many.example"}) {
    ResolverOptions patient = options();
    patient.timeout = 10s;
    // Zero cuts it right after the question; the others while answers come, or never.
    for (const Duration limit : {Duration::zero(), Duration(100us), Duration(3ms)}) {
      const auto late = reactor().run(within(limit, resolve(reactor(), name, patient)));
      if (!late) {
        EXPECT_EQ(late.error(), Fault::timed_out) << to_string(late.error());
      }
    }
  }
  const auto silent = reactor().run(within(3ms, resolve(reactor(), "silent.example", options())));
  EXPECT_FALSE(silent);
  EXPECT_TRUE(ask("both.example"));
  // The server's end of a TCP connection goes when it has read the end.
  auto settle = [](std::ptrdiff_t wanted) -> Io<void> {
    while (open_descriptors() > wanted) co_await sleep(1ms);
    co_return {};
  };
  EXPECT_TRUE(reactor().run(within(30s, settle(before))));
  EXPECT_FALSE(reactor().loop().next_deadline()) << "a timer was left behind";
}

TEST_P(ResolverTest, AnswersManyAtOnce) {
  auto story = [](Reactor& reactor, const ResolverOptions& options) -> Io<int> {
    int right = 0;
    auto one = [](Reactor& on, ResolverOptions with, int number, int& count) -> Io<void> {
      auto asking = resolve(on, number % 2 == 0 ? "four.example" : "many.example", with);
      const auto found = co_await attempt(std::move(asking));
      count += found.size() == (number % 2 == 0 ? 1 : many) ? 1 : 0;
      co_return {};
    };
    Scope scope;
    for (int i = 0; i < 40; ++i) scope.spawn(one(reactor, options, i, right));
    co_await attempt(scope.join());
    co_return right;
  };
  ResolverOptions patient = options();
  patient.timeout = 5s;
  const auto right = reactor().run(within(30s, story(reactor(), patient)));
  ASSERT_TRUE(right) << to_string(right.error());
  EXPECT_EQ(*right, 40);
}

}  // namespace
}  // namespace koine::os
