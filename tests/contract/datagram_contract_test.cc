// What a datagram socket owes: whole messages or none, each with its sender.
#include <set>
#include <string>
#include <vector>

#include "tests/contract/datagrams.h"

namespace koine::contract {
namespace {

INSTANTIATE_CONTRACT(DatagramContract);

TEST_P(DatagramContract, CarriesAMessageAndWhoSentIt) {
  auto ours = anywhere();
  auto theirs = anywhere();
  const auto [sent, heard] =
      place->run(send_to(*ours, as_bytes("hello"), theirs->local()), hear(*theirs, plenty));
  EXPECT_TRUE(sent) << why(sent);
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(heard->text, "hello");
  EXPECT_EQ(heard->from, ours->local());
  EXPECT_FALSE(heard->truncated);
}

TEST_P(DatagramContract, PortZeroBecomesARealPortAndIsGivenToOne) {
  auto ours = anywhere();
  EXPECT_NE(ours->local().port(), 0);
  EXPECT_EQ(ours->name(), "udp://" + to_string(ours->local()));
  const auto second = server().bind(Endpoint::of(ours->local(), Transport::udp));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), Fault::address_in_use) << why(second);
}

TEST_P(DatagramContract, AnEmptyMessageIsAMessageAndNoEnd) {
  auto ours = anywhere();
  auto theirs = anywhere();
  const auto [sent, heard] = place->run(send_to(*ours, {}, theirs->local()), hear(*theirs, plenty));
  EXPECT_TRUE(sent) << why(sent);
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(heard->text, "");
  EXPECT_EQ(heard->from, ours->local());
  const auto [next, more] =
      place->run(send_to(*ours, as_bytes("more"), theirs->local()), hear(*theirs, plenty));
  EXPECT_TRUE(next);
  EXPECT_EQ(more.value_or(Heard()).text, "more");
}

TEST_P(DatagramContract, CarriesTheLargestMessageAndNoLargerOne) {
  auto ours = anywhere();
  auto theirs = anywhere();
  const std::string largest(datagram_bytes_max, 'd');
  const auto [sent, heard] =
      place->run(send_to(*ours, as_bytes(largest), theirs->local()), hear(*theirs, plenty));
  EXPECT_TRUE(sent) << why(sent);
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(heard->text.size(), datagram_bytes_max);
  EXPECT_EQ(heard->text, largest);

  const std::string larger(datagram_bytes_max + 1, 'd');
  const auto refused = place->run(send_to(*ours, as_bytes(larger), theirs->local()));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), Fault::over_limit) << why(refused);
}

TEST_P(DatagramContract, SaysThatAMessageWasLongerThanItsRoom) {
  auto ours = anywhere();
  auto theirs = anywhere();
  const auto [sent, heard] =
      place->run(send_to(*ours, as_bytes("too long"), theirs->local()), hear(*theirs, 3));
  EXPECT_TRUE(sent);
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(heard->text, "too");
  EXPECT_TRUE(heard->truncated);
  // The rest is lost: what comes next is the next message.
  const auto [again, next] =
      place->run(send_to(*ours, as_bytes("fit"), theirs->local()), hear(*theirs, 3));
  EXPECT_TRUE(again);
  ASSERT_TRUE(next) << why(next);
  EXPECT_EQ(next->text, "fit");
  EXPECT_FALSE(next->truncated);
}

TEST_P(DatagramContract, TellsSeveralPeersApart) {
  auto server_socket = anywhere();
  std::vector<std::unique_ptr<Datagram>> peers;
  for (int i = 0; i < 8; ++i) peers.push_back(anywhere());
  for (const auto& peer : peers) {
    const std::string port = std::to_string(peer->local().port());
    const auto sent = place->run(send_to(*peer, as_bytes(port), server_socket->local()));
    ASSERT_TRUE(sent) << why(sent);
  }
  std::set<Address> seen;
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const auto heard = place->run(hear(*server_socket, plenty));
    ASSERT_TRUE(heard) << why(heard);
    EXPECT_EQ(heard->text, std::to_string(heard->from.port()));
    seen.insert(heard->from);
    ASSERT_TRUE(place->run(send_to(*server_socket, as_bytes(heard->text), heard->from)));
  }
  EXPECT_EQ(seen.size(), peers.size());
  for (const auto& peer : peers) {
    const auto answer = place->run(hear(*peer, plenty));
    ASSERT_TRUE(answer) << why(answer);
    EXPECT_EQ(answer->text, std::to_string(peer->local().port()));
  }
}

TEST_P(DatagramContract, AConnectedSocketHearsItsPeerAlone) {
  auto ours = anywhere();
  auto theirs = anywhere();
  auto stranger = anywhere();
  ASSERT_TRUE(ours->connect(theirs->local()));
  ASSERT_TRUE(place->run(send_to(*stranger, as_bytes("let me in"), ours->local())));
  ASSERT_TRUE(place->run(send_to(*theirs, as_bytes("it is me"), ours->local())));
  const auto heard = place->run(hear(*ours, plenty));
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(heard->text, "it is me");
  EXPECT_EQ(heard->from, theirs->local());
}

TEST_P(DatagramContract, AConnectedSocketHearsThatItWasRefused) {
  auto ours = anywhere();
  const Address nobody = anywhere()->local();
  ASSERT_TRUE(ours->connect(nobody));
  const auto sent = place->run(send_to(*ours, as_bytes("anyone?"), nobody));
  EXPECT_TRUE(sent) << why(sent);
  const auto heard = place->run(hear(*ours, plenty));
  ASSERT_FALSE(heard);
  EXPECT_EQ(heard.error(), Fault::refused) << why(heard);
}

TEST_P(DatagramContract, ARefusalStopsNoLaterMessage) {
  auto ours = anywhere();
  auto theirs = anywhere();
  const Endpoint at_theirs = Endpoint::of(theirs->local(), Transport::udp);
  theirs.reset();
  ASSERT_TRUE(ours->connect(*at_theirs.address()));
  ASSERT_TRUE(place->run(send_to(*ours, as_bytes("too early"), *at_theirs.address())));
  // They come back; the refusal of the first message is not the fault of the second.
  theirs = at(at_theirs);
  const auto sent = place->run(send_to(*ours, as_bytes("in time"), *at_theirs.address()));
  EXPECT_TRUE(sent) << why(sent);
  const auto heard = place->run(hear(*theirs, plenty));
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(heard->text, "in time");
  const auto refused = place->run(hear(*ours, plenty));
  ASSERT_FALSE(refused) << "the refusal is still to be told";
  EXPECT_EQ(refused.error(), Fault::refused) << why(refused);
}

TEST_P(DatagramContract, AnUnconnectedSocketIsNotDisturbedByARefusal) {
  auto ours = anywhere();
  auto theirs = anywhere();
  const Address nobody = anywhere()->local();
  ASSERT_TRUE(place->run(send_to(*ours, as_bytes("anyone?"), nobody)));
  ASSERT_TRUE(place->run(send_to(*theirs, as_bytes("me!"), ours->local())));
  const auto heard = place->run(hear(*ours, plenty));
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(heard->text, "me!");
}

TEST_P(DatagramContract, AnOpenHostAnswersBothIpVersionsFromOneSocket) {
  auto open = at(Endpoint::udp("", 0).value());
  const std::uint16_t port = open->local().port();
  for (const IpAddress& host : {place->v4(), place->v6()}) {
    auto peer = at(Endpoint::udp(host, 0));
    ASSERT_TRUE(place->run(send_to(*peer, as_bytes("?"), Address(host, port))));
    const auto heard = place->run(hear(*open, plenty));
    ASSERT_TRUE(heard) << why(heard);
    EXPECT_EQ(heard->from, peer->local());
    const auto replied = place->run(send_to(*open, as_bytes("!"), heard->from));
    EXPECT_TRUE(replied) << why(replied);
    const auto answer = place->run(hear(*peer, plenty));
    ASSERT_TRUE(answer) << why(answer);
    EXPECT_EQ(answer->text, "!");
  }
}

TEST_P(DatagramContract, AnOpenHostConnectsToEitherIpVersion) {
  for (const IpAddress& host : {place->v4(), place->v6()}) {
    auto peer = at(Endpoint::udp(host, 0));
    auto open = at(Endpoint::udp("", 0).value());
    const auto joined = open->connect(peer->local());
    ASSERT_TRUE(joined) << to_string(host) << ": " << why(joined);
    ASSERT_TRUE(place->run(send_to(*open, as_bytes("?"), peer->local())));
    const auto heard = place->run(hear(*peer, plenty));
    ASSERT_TRUE(heard) << why(heard);
    EXPECT_EQ(heard->text, "?");
  }
}

TEST_P(DatagramContract, ACancelledReceiveLosesNothing) {
  auto ours = anywhere();
  auto theirs = anywhere();
  const auto late = place->run(within(2ms, hear(*theirs, plenty)));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), Fault::timed_out);
  ASSERT_TRUE(place->run(send_to(*ours, as_bytes("here"), theirs->local())));
  EXPECT_EQ(place->run(hear(*theirs, plenty)).value_or(Heard()).text, "here");
}

TEST_P(DatagramContract, ATaskMayWaitToSendWhileAnotherWaitsToReceive) {
  auto ours = anywhere();
  auto theirs = anywhere();
  constexpr int messages = 500;
  auto flood = [](Datagram& from, Address to) -> Io<void> {
    const std::string text(1000, 'f');
    for (int i = 0; i < messages; ++i) co_await attempt(send_to(from, as_bytes(text), to));
    co_await attempt(send_to(from, {}, to));
    co_return {};
  };
  // Some may be lost on the way; what arrives is whole, and the socket survives.
  auto count = [](Datagram& at) -> Io<int> {
    std::vector<std::byte> room(plenty);
    for (int heard = 0;;) {
      const auto received = co_await within(200ms, receive_from(at, room));
      if (!received || received->size == 0) co_return heard;
      EXPECT_EQ(received->size, 1000U);
      ++heard;
    }
  };
  const auto [sent, heard] = place->run(flood(*ours, theirs->local()), count(*theirs));
  EXPECT_TRUE(sent) << why(sent);
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_GT(*heard, 0);
}

TEST_P(DatagramContract, CannotBindAtAnotherMachinesAddressOrAName) {
  const auto elsewhere = server().bind(Endpoint::udp(IpAddress::v4(192, 0, 2, 1), 0));
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error(), Fault::address_unavailable) << why(elsewhere);
  const auto named = server().bind(Endpoint::udp(place->known_name(), 0).value());
  ASSERT_FALSE(named);
  EXPECT_EQ(named.error(), Fault::not_found) << why(named);
  const auto stream = server().bind(place->any_tcp());
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error(), Fault::unsupported) << why(stream);
}

TEST_P(DatagramContract, LeavesNothingBehind) {
  const std::size_t held = place->held();
  {
    auto ours = anywhere();
    auto theirs = anywhere();
    ASSERT_TRUE(place->run(send_to(*ours, as_bytes("never read"), theirs->local())));
    EXPECT_GT(place->held(), held);
  }
  EXPECT_EQ(place->held(), held);
}

}  // namespace
}  // namespace koine::contract
