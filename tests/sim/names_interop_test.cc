// The world's name server and its resolver on the kernel's network, each with a partner that was
// not written for it: c-ares asks the one, the tests' own server answers the other.
#include <gtest/gtest.h>

#include <algorithm>

#include "koine/async/scope.h"
#include "koine/async/within.h"
#include "koine/os/name_server_test.h"
#include "koine/os/network.h"
#include "koine/os/resolver.h"
#include "koine/sim/name_server.h"
#include "koine/sim/resolver.h"
#include "koine/sim/world.h"

namespace koine {
namespace {

std::vector<IpAddress> many_addresses() {
  std::vector<IpAddress> addresses;
  for (std::uint8_t i = 1; i <= 60; ++i) addresses.push_back(IpAddress::v4(127, 0, 1, i));
  return addresses;
}

struct Kernel {
  std::unique_ptr<os::Reactor> made = os::Reactor::make().value();
  os::Reactor& reactor = *made;
  os::Network network{reactor};
};

Result<std::vector<IpAddress>> sorted(Result<std::vector<IpAddress>> addresses) {
  if (addresses) std::ranges::sort(*addresses);
  return addresses;
}

/// A port that is free for UDP and TCP alike.
std::uint16_t free_port(Network& network) {
  for (int left = 20;; --left) {
    const auto socket = network.bind(Endpoint::udp("", 0).value()).value();
    const std::uint16_t port = socket->local().port();
    if (left == 0 || network.listen(Endpoint::tcp("", port).value())) return port;
  }
}

TEST(NamesOnTheKernelsNetwork, AreWhatAnotherResolverHears) {
  Kernel kernel;
  sim::World world{1};
  world.add_name("both.example", {IpAddress::v4(127, 0, 0, 4), loopback_v6});
  world.add_name("many.example", many_addresses());
  const std::uint16_t port = free_port(kernel.network);
  Scope service(kernel.reactor.loop());
  service.spawn(sim::serve_names(kernel.network, world, {.port = port}));
  const os::ResolverOptions options{.servers = "127.0.0.1:" + std::to_string(port)};
  const auto ask = [&](const char* name) {
    auto asking = os::resolve(kernel.reactor, name, options);
    return sorted(kernel.reactor.run(within(30s, std::move(asking))));
  };
  const auto both = ask("both.example");
  ASSERT_TRUE(both) << to_string(both.error());
  EXPECT_EQ(*both, (std::vector<IpAddress>{IpAddress::v4(127, 0, 0, 4), loopback_v6}));
  EXPECT_EQ(ask("many.example").value(), many_addresses()) << "over TCP";
  EXPECT_EQ(ask("nobody.example").error(), Fault::not_found);
}

TEST(NamesOnTheKernelsNetwork, AreHeardFromAnotherServer) {
  using Manner = os::NameServer::Manner;
  Kernel kernel;
  const std::map<std::string, os::NameServer::Entry> entries{
      {"both.example", {.addresses = {loopback_v4, loopback_v6}, .manner = {}}},
      {"many.example", {.addresses = many_addresses(), .manner = Manner::truncates}},
      {"broken.example", {.addresses = {}, .manner = Manner::fails}},
      {"silent.example", {.addresses = {}, .manner = Manner::is_silent}}};
  auto server = os::NameServer::make(kernel.network, entries);
  ASSERT_TRUE(server) << to_string(server.error());
  const Address at = *parse_endpoint("udp://" + (*server)->address()).value().address();
  const auto ask = [&](const char* name) {
    auto asking = sim::resolve(kernel.network, name, {at}, {.timeout = 100ms, .tries = 2});
    return sorted(kernel.reactor.run(within(30s, std::move(asking))));
  };
  EXPECT_EQ(ask("both.example").value(), (std::vector<IpAddress>{loopback_v4, loopback_v6}));
  EXPECT_EQ(ask("many.example").value(), many_addresses());
  EXPECT_GT((*server)->asked_by_tcp, 0);
  EXPECT_EQ(ask("nobody.example").error(), Fault::not_found);
  EXPECT_EQ(ask("broken.example").error(), Fault::unreachable);
  EXPECT_EQ(ask("silent.example").error(), Fault::timed_out);
}

}  // namespace
}  // namespace koine
