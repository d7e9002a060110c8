// What a datagram socket owes when many messages are sent at once: nobody sees how they travelled.
#include <string>
#include <vector>

#include "tests/contract/datagrams.h"

namespace koine::contract {
namespace {

using DatagramBurstContract = DatagramContract;

INSTANTIATE_CONTRACT(DatagramBurstContract);

TEST_P(DatagramBurstContract, ManyMessagesOfOneSizeStayApartAndInOrder) {
  auto ours = anywhere();
  auto theirs = anywhere();
  std::vector<std::string> messages;
  for (std::size_t i = 0; i < 150; ++i) messages.push_back(message(i, 100));
  const auto [sent, heard] = place->run(send_all(*ours, messages, theirs->local()),
                                        hear_all(*theirs, messages.size(), plenty));
  EXPECT_TRUE(sent) << why(sent);
  ASSERT_TRUE(heard) << why(heard);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ((*heard)[i].text, messages[i]);
    EXPECT_EQ((*heard)[i].from, ours->local());
    EXPECT_FALSE((*heard)[i].truncated);
  }
}

TEST_P(DatagramBurstContract, ManyMessagesOfManySizesStayApartAndInOrder) {
  auto ours = anywhere();
  auto theirs = anywhere();
  std::vector<std::string> messages;
  // Ups, downs, runs of one size, nothing at all, and what no train can carry.
  const std::size_t sizes[] = {10, 10, 10, 5, 5, 200, 10, 10, 0, 10, 1400, 1400, 1400, 30'000, 7};
  for (std::size_t round = 0; round < 3; ++round) {
    for (const std::size_t size : sizes)
      messages.push_back(size == 0 ? std::string() : message(messages.size(), size));
  }
  const auto [sent, heard] = place->run(send_all(*ours, messages, theirs->local()),
                                        hear_all(*theirs, messages.size(), plenty));
  EXPECT_TRUE(sent) << why(sent);
  ASSERT_TRUE(heard) << why(heard);
  for (std::size_t i = 0; i < messages.size(); ++i) EXPECT_EQ((*heard)[i].text, messages[i]);
}

TEST_P(DatagramBurstContract, EachOfManyMessagesIsCutToItsRoomByItself) {
  auto ours = anywhere();
  auto theirs = anywhere();
  std::vector<std::string> messages;
  for (std::size_t i = 10; i < 30; ++i) messages.push_back(message(i, 50));
  messages.emplace_back("end");
  const auto [sent, heard] =
      place->run(send_all(*ours, messages, theirs->local()), hear_all(*theirs, messages.size(), 3));
  EXPECT_TRUE(sent) << why(sent);
  ASSERT_TRUE(heard) << why(heard);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ((*heard)[i].text, messages[i].substr(0, 3));
    EXPECT_EQ((*heard)[i].truncated, messages[i].size() > 3);
  }
}

TEST_P(DatagramBurstContract, SeveralPeersHaveTheirAnswersWholeAndInOrder) {
  auto echo_all = [](Datagram& at, std::size_t count) -> Io<void> {
    std::vector<std::byte> room(plenty);
    while (count-- != 0) {
      const Received received = co_await attempt(receive_from(at, room));
      co_await attempt(send_to(at, Bytes(room).first(received.size), received.from));
    }
    co_return {};
  };
  auto server_socket = anywhere();
  // More than a socket collects for at a time.
  constexpr std::size_t peers = 12;
  constexpr std::size_t each = 10;
  std::vector<std::unique_ptr<Datagram>> sockets;
  for (std::size_t i = 0; i < peers; ++i) sockets.push_back(anywhere());
  for (std::size_t i = 0; i < each; ++i) {
    for (std::size_t peer = 0; peer < peers; ++peer) {
      const std::string text = message(i, peer % 2 == 0 ? 60 : 20 + i);
      ASSERT_TRUE(place->run(send_to(*sockets[peer], as_bytes(text), server_socket->local())));
    }
  }
  const auto echoed = place->run(echo_all(*server_socket, peers * each));
  ASSERT_TRUE(echoed) << why(echoed);
  for (std::size_t peer = 0; peer < peers; ++peer) {
    const auto heard = place->run(hear_all(*sockets[peer], each, plenty));
    ASSERT_TRUE(heard) << why(heard);
    for (std::size_t i = 0; i < each; ++i)
      EXPECT_EQ((*heard)[i].text, message(i, peer % 2 == 0 ? 60 : 20 + i));
  }
}

TEST_P(DatagramBurstContract, WhatWasSentIsSentWhenTheSocketCloses) {
  auto ours = anywhere();
  auto theirs = anywhere();
  const Address from = ours->local();
  {
    const Loop::Entered entered(place->loop());
    for (std::size_t i = 0; i < 10; ++i)
      ASSERT_TRUE(ours->send_now(as_bytes(message(i, 30)), theirs->local()));
    ours.reset();
  }
  const auto heard = place->run(hear_all(*theirs, 10, plenty));
  ASSERT_TRUE(heard) << why(heard);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ((*heard)[i].text, message(i, 30));
    EXPECT_EQ((*heard)[i].from, from);
  }
}

TEST_P(DatagramBurstContract, WhatWasFlushedHasBeenSent) {
  auto ours = anywhere();
  auto theirs = anywhere();
  {
    const Loop::Entered entered(place->loop());
    for (std::size_t i = 0; i < 10; ++i)
      ASSERT_TRUE(ours->send_now(as_bytes(message(i, 30)), theirs->local()));
  }
  const auto flushed = place->run(flush(*ours));
  EXPECT_TRUE(flushed) << why(flushed);
  const auto heard = place->run(hear_all(*theirs, 10, plenty));
  ASSERT_TRUE(heard) << why(heard);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ((*heard)[i].text, message(i, 30));
}

TEST_P(DatagramBurstContract, ARefusalOfSomeOfManyMessagesStopsNoLaterOne) {
  auto ours = anywhere();
  auto theirs = anywhere();
  const Endpoint at_theirs = Endpoint::of(theirs->local(), Transport::udp);
  theirs.reset();
  ASSERT_TRUE(ours->connect(*at_theirs.address()));
  const std::vector<std::string> early(5, "too early");
  const auto refused = place->run(send_all(*ours, early, *at_theirs.address()));
  EXPECT_TRUE(refused) << why(refused);
  theirs = at(at_theirs);
  const std::vector<std::string> messages(5, "in time");
  const auto [sent, heard] = place->run(send_all(*ours, messages, *at_theirs.address()),
                                        hear_all(*theirs, messages.size(), plenty));
  EXPECT_TRUE(sent) << why(sent);
  ASSERT_TRUE(heard) << why(heard);
  for (const Heard& each : *heard) EXPECT_EQ(each.text, "in time");
}

}  // namespace
}  // namespace koine::contract
