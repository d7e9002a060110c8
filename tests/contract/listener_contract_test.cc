// What listening and connecting owe: who is let in, who is turned away, and with which word.
#include <string>
#include <vector>

#include "koine/async/scope.h"
#include "tests/contract/place.h"
#include "tests/contract/stories.h"

namespace koine::contract {
namespace {

using ListenerContract = ContractTest;

INSTANTIATE_CONTRACT(ListenerContract);

/// Network::connect, with a name for what it makes.
Io<std::unique_ptr<Stream>> connect_to(Network& network, Endpoint peer) {
  auto connection = network.connect(*peer.address(), peer.transport());
  co_return co_await connection;
}

TEST_P(ListenerContract, PortZeroBecomesARealPort) {
  const auto first = server().listen(place->any_tcp());
  const auto second = server().listen(place->any_tcp());
  ASSERT_TRUE(first) << why(first);
  ASSERT_TRUE(second) << why(second);
  EXPECT_NE((*first)->endpoint().port(), 0);
  EXPECT_NE((*first)->endpoint(), (*second)->endpoint());
  EXPECT_EQ((*first)->endpoint().ip(), place->v4());
}

TEST_P(ListenerContract, GivesAnAddressToOneListener) {
  const auto first = server().listen(place->any_tcp());
  ASSERT_TRUE(first) << why(first);
  const Endpoint at = (*first)->endpoint();
  const auto second = server().listen(at);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), Fault::address_in_use);
  EXPECT_EQ(to_string(second.error()), "listen " + to_string(at) + ": address in use");
}

TEST_P(ListenerContract, AnAddressIsFreeAgainOnceItsListenerIsClosed) {
  auto first = server().listen(place->any_tcp());
  ASSERT_TRUE(first) << why(first);
  const Endpoint at = (*first)->endpoint();
  // A connection that was served from there does not stand in the way.
  const auto [asked, echoed] = place->run(ask(client(), at, "x"), echo_once(**first));
  ASSERT_TRUE(asked && echoed);
  (*first)->close();
  const auto second = server().listen(at);
  ASSERT_TRUE(second) << why(second);
  EXPECT_EQ((*second)->endpoint(), at);
}

TEST_P(ListenerContract, SharesAnAddressAmongThoseThatAskForIt) {
  ListenOptions shared;
  shared.shared = true;
  const auto first = server().listen(place->any_tcp(), shared);
  ASSERT_TRUE(first) << why(first);
  const auto second = server().listen((*first)->endpoint(), shared);
  ASSERT_TRUE(second) << why(second);
  const auto third = server().listen((*first)->endpoint());
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error(), Fault::address_in_use);
}

TEST_P(ListenerContract, CannotListenAtAnotherMachinesAddress) {
  const auto listener = server().listen(Endpoint::tcp(IpAddress::v4(192, 0, 2, 1), 0));
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error(), Fault::address_unavailable) << why(listener);
}

TEST_P(ListenerContract, ListensAtAddressesNotAtNames) {
  const auto listener = server().listen(Endpoint::tcp(place->known_name(), 0).value());
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error(), Fault::not_found) << why(listener);
}

TEST_P(ListenerContract, ConnectionsComeOverTransportsThatHaveThem) {
  const auto listener = server().listen(place->any_udp());
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error(), Fault::unsupported) << why(listener);
  const auto stream = place->run(connect_to(client(), Endpoint::udp(place->v4(), 9)));
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error(), Fault::unsupported) << why(stream);
}

TEST_P(ListenerContract, ServesOverIpv6) {
  auto listener = server().listen(Endpoint::tcp(place->v6(), 0));
  if (!listener) GTEST_SKIP() << "no IPv6 here: " << why(listener);
  const auto [asked, echoed] =
      place->run(ask(client(), (*listener)->endpoint(), "six"), echo_once(**listener));
  EXPECT_EQ(asked, "six") << why(asked);
  EXPECT_TRUE(echoed) << why(echoed);
}

TEST_P(ListenerContract, AnOpenHostIsBothIpVersions) {
  auto listener = server().listen(Endpoint());
  ASSERT_TRUE(listener) << why(listener);
  EXPECT_TRUE((*listener)->endpoint().is_any());
  const std::uint16_t port = (*listener)->endpoint().port();
  for (const IpAddress& host : {place->v4(), place->v6()}) {
    auto accept_and_name = [](Listener& from) -> Io<Address> {
      auto stream = co_await attempt(accept(from));
      co_return stream->peer();
    };
    const auto [dialed, peer] =
        place->run(connect_to(client(), Endpoint::tcp(host, port)), accept_and_name(**listener));
    ASSERT_TRUE(dialed) << why(dialed);
    ASSERT_TRUE(peer) << why(peer);
    EXPECT_EQ(*peer, (*dialed)->local()) << "an IPv4 peer is named by its IPv4 address";
  }
}

// Those who are turned away.

TEST_P(ListenerContract, SaysWhoRefused) {
  const Endpoint nobody = server().listen(place->any_tcp()).value()->endpoint();
  auto stream = place->run(connect_to(client(), nobody));
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error(), Fault::refused);
  EXPECT_EQ(to_string(std::move(stream.error()).with_elapsed({})),
            "connect " + to_string(nobody) + ": refused");
}

TEST_P(ListenerContract, SaysWhatCannotBeReached) {
  const auto stream =
      place->run(connect_to(client(), Endpoint::of(place->unreachable(), Transport::tcp)));
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error(), Fault::unreachable) << why(stream);
}

TEST_P(ListenerContract, RefusesFromTheMomentItIsClosed) {
  auto listener = server().listen(place->any_tcp());
  ASSERT_TRUE(listener) << why(listener);
  const Endpoint at = (*listener)->endpoint();
  // Once while it is fresh, and once when the loop has turned.
  for (const bool turns : {false, true}) {
    if (turns) {
      listener = server().listen(at);
      ASSERT_TRUE(listener) << why(listener);
      const auto [asked, echoed] = place->run(ask(client(), at, "x"), echo_once(**listener));
      ASSERT_TRUE(asked && echoed);
    }
    (*listener)->close();
    const auto stream = place->run(connect_to(client(), at));
    ASSERT_FALSE(stream);
    EXPECT_EQ(stream.error(), Fault::refused) << why(stream);
  }
}

TEST_P(ListenerContract, WhoWaitsForAConnectionHearsThatItIsClosed) {
  auto listener = server().listen(place->any_tcp());
  ASSERT_TRUE(listener) << why(listener);
  auto close_it = [](Listener& open) -> Io<void> {
    co_await sleep(2ms);
    open.close();
    open.close();
    co_return {};
  };
  const auto [accepted, closed] = place->run(accept(**listener), close_it(**listener));
  EXPECT_TRUE(closed);
  ASSERT_FALSE(accepted);
  EXPECT_EQ(accepted.error(), Fault::closed) << why(accepted);
  const auto again = place->run(accept(**listener));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error(), Fault::closed) << why(again);
}

TEST_P(ListenerContract, ResetsThoseWhoWereNeverAccepted) {
  auto listener = server().listen(place->any_tcp());
  ASSERT_TRUE(listener) << why(listener);
  const auto waiting = place->run(connect_to(client(), (*listener)->endpoint()));
  ASSERT_TRUE(waiting) << why(waiting);
  listener->reset();
  const auto heard = place->run(receive(**waiting));
  ASSERT_FALSE(heard);
  EXPECT_EQ(heard.error(), Fault::reset) << why(heard);
}

TEST_P(ListenerContract, AcceptsInTheOrderInWhichTheyCame) {
  auto listener = server().listen(place->any_tcp());
  ASSERT_TRUE(listener) << why(listener);
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < 5; ++i) {
    auto stream = place->run(connect_to(client(), (*listener)->endpoint()));
    ASSERT_TRUE(stream) << why(stream);
    streams.push_back(std::move(*stream));
  }
  for (const auto& stream : streams) {
    const auto accepted = place->run(accept(**listener));
    ASSERT_TRUE(accepted) << why(accepted);
    EXPECT_EQ((*accepted)->peer(), stream->local());
  }
}

TEST_P(ListenerContract, AcceptsWhoCameAndWentWithItsWords) {
  auto listener = server().listen(place->any_tcp());
  ASSERT_TRUE(listener) << why(listener);
  auto say_and_go = [](Network& network, Endpoint peer) -> Io<void> {
    auto stream = co_await attempt(connect_to(network, std::move(peer)));
    co_await attempt(write_all(*stream, "I was here"));
    co_return {};
  };
  ASSERT_TRUE(place->run(say_and_go(client(), (*listener)->endpoint())));
  const auto accepted = place->run(accept(**listener));
  ASSERT_TRUE(accepted) << why(accepted);
  EXPECT_EQ(place->run(read_to_end(**accepted)), "I was here");
}

TEST_P(ListenerContract, ADeadlineEndsAnAttemptThatNobodyAnswers) {
  ListenOptions few;
  few.backlog = 1;
  auto listener = server().listen(place->any_tcp(), few);
  ASSERT_TRUE(listener) << why(listener);
  const std::size_t held = place->held();
  std::vector<std::unique_ptr<Stream>> waiting;
  std::optional<Error> late;
  // Nobody accepts; once the queue is full, what comes is dropped, as by a host that is gone.
  while (!late && waiting.size() < 16) {
    auto stream = place->run(within(50ms, connect_to(client(), (*listener)->endpoint())));
    if (stream) {
      waiting.push_back(std::move(*stream));
    } else {
      late = std::move(stream.error());
    }
  }
  ASSERT_TRUE(late) << "16 connections fitted into a queue of 1";
  EXPECT_EQ(*late, Fault::timed_out) << to_string(*late);
  EXPECT_EQ(to_string(*late),
            "connect " + to_string((*listener)->endpoint()) + ": timed out (after 50.0 ms)");
  waiting.clear();
  EXPECT_TRUE(place->settles_at(held)) << "the attempt that was too late left something behind";
}

// Names.

TEST_P(ListenerContract, DialsAKnownNameAndSaysWhichIsUnknown) {
  auto listener = server().listen(place->any_tcp());
  ASSERT_TRUE(listener) << why(listener);
  const std::uint16_t port = (*listener)->endpoint().port();
  const auto [asked, echoed] =
      place->run(ask(client(), Endpoint::tcp(place->known_name(), port).value(), "by name"),
                 echo_once(**listener));
  EXPECT_EQ(asked, "by name") << why(asked);
  EXPECT_TRUE(echoed);

  const auto nobody =
      place->run(dial(client(), Endpoint::tcp(place->unknown_name(), port).value()));
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error(), Fault::not_found);
  EXPECT_EQ(to_string(nobody.error()).substr(0, 9 + place->unknown_name().size()),
            "resolve " + place->unknown_name() + ":");
}

TEST_P(ListenerContract, ResolvesANameOnceItIsAsked) {
  const auto found = place->run(client().resolve(place->known_name()));
  ASSERT_TRUE(found) << why(found);
  EXPECT_NE(std::find(found->begin(), found->end(), place->v4()), found->end());
  const auto endpoint =
      place->run(resolved(client(), Endpoint::tcp(place->known_name(), 7).value()));
  ASSERT_TRUE(endpoint) << why(endpoint);
  EXPECT_EQ(endpoint->ip(), found->front());
  EXPECT_EQ(endpoint->port(), 7);
  const auto nothing = place->run(client().resolve(place->unknown_name()));
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error(), Fault::not_found) << why(nothing);
}

TEST_P(ListenerContract, LocalhostIsLoopback) {
  const auto found = place->run(client().resolve("localhost"));
  ASSERT_TRUE(found) << why(found);
  for (const IpAddress& address : *found) EXPECT_TRUE(address.is_loopback()) << to_string(address);
}

TEST_P(ListenerContract, AMalformedEndpointIsAnErrorOfDialing) {
  const auto stream = place->run(dial(client(), std::string("tcp://127.0.0.1:99999")));
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error(), Fault::malformed) << why(stream);
}

TEST_P(ListenerContract, AnInheritedSocketCannotBeDialed) {
  const auto stream = place->run(dial(client(), std::string("fd://3")));
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error(), Fault::unsupported) << why(stream);
}

}  // namespace
}  // namespace koine::contract
