// Trains of datagrams (koine/os/udp_offload.h), seen by the system calls they take: what a program
// sends and receives one by one passes through the kernel together.
#include <memory>
#include <string>

#include "koine/journey/recorder.h"
#include "koine/os/track.h"
#include "tests/torture/trains.h"

namespace koine::os {
namespace {

TEST_F(TrainsTest, ATrainIsAnsweredWithOneCallEachWay) {
  const auto ours = anywhere();
  const Stranger stranger;
  const std::string bytes = joined(messages(40, 64));
  stranger.send(bytes, 64, ours->local());

  faults::begin({});
  const auto echoed = run(echo(*ours, 40));
  const auto calls = faults::end();
  ASSERT_TRUE(echoed) << to_string(echoed.error());
  EXPECT_EQ(calls[static_cast<std::size_t>(Call::recvmsg)], 1);
  EXPECT_EQ(calls[static_cast<std::size_t>(Call::sendmsg)], 1);
  EXPECT_EQ(stranger.receive(), bytes) << "the answer was one train";
}

TEST_F(TrainsTest, ALoneDatagramTakesOneCallEachWayAndLeavesAtOnce) {
  const auto ours = anywhere();
  const Stranger stranger;
  stranger.send("alone", 5, ours->local());
  faults::begin({});
  const auto echoed = run(echo(*ours, 1));
  const auto calls = faults::end();
  ASSERT_TRUE(echoed) << to_string(echoed.error());
  EXPECT_EQ(calls[static_cast<std::size_t>(Call::recvmsg)], 1);
  EXPECT_EQ(calls[static_cast<std::size_t>(Call::sendmsg)], 1);
  EXPECT_EQ(stranger.receive(), "alone");

  const Loop::Entered entered(reactor_->loop());
  ASSERT_TRUE(ours->send_now(as_bytes("at once"), stranger.local()));
  EXPECT_EQ(stranger.receive(), "at once") << "before the turn is over";
}

TEST_F(TrainsTest, WhatIsSentInOneTurnLeavesTogether) {
  const auto ours = anywhere();
  const auto theirs = anywhere();
  const auto few = messages(10, 100);
  EXPECT_EQ(calls_to_send(*ours, few, theirs->local()), 2) << "the first at once, then the others";
  expect_arrive(*theirs, few);
  // 1 + 99, or 64 and 35, within the turns of the loop that so many sends take.
  const auto many = messages(100, 100);
  EXPECT_LE(calls_to_send(*ours, many, theirs->local()), 5);
  expect_arrive(*theirs, many);
  // 65507 bytes are the most at a time: 1 + 7 + 2.
  const auto large = messages(10, 9'000);
  EXPECT_EQ(calls_to_send(*ours, large, theirs->local()), 3);
  expect_arrive(*theirs, large);
}

/// Somebody else may read from it as well, or after us, and take a train for one datagram.
TEST_F(TrainsTest, ASocketThatWasPassedToUsIsNotMadeToReceiveTrains) {
  Fd passed(::socket(AF_INET, SOCK_DGRAM, 0));
  const int fd = passed.get();
  const Sockaddr any = to_sockaddr(Address(loopback_v4, 0)).value();
  ASSERT_EQ(::bind(fd, any.get(), any.size), 0);
  const auto inherited =
      network.bind(parse_endpoint("fd://" + std::to_string(passed.release())).value());
  ASSERT_TRUE(inherited) << to_string(inherited.error());
  EXPECT_FALSE(accepts_trains(fd));
  const auto theirs = anywhere();
  const auto all = messages(10, 100);
  EXPECT_EQ(calls_to_send(**inherited, all, theirs->local()), 2);
  expect_arrive(*theirs, all);
  const Stranger stranger;
  stranger.send(joined(all), 100, (*inherited)->local());
  expect_arrive(**inherited, all);
}

TEST_F(TrainsTest, AMessageThatIsFollowedGoesAloneInItsPlace) {
  journey::Recorder recorder({.every = 1});
  Tracker tracker(recorder);
  const auto ours = anywhere();
  const auto theirs = anywhere();
  const auto all = messages(7, 100);
  Track* track = tracker.attach(*ours).value();
  const auto follow_the_fourth = [&]() -> Io<void> {
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i == 3) track->send(std::make_shared<journey::Journey>(), Way::there, all[i].size());
      co_await attempt(send_to(*ours, as_bytes(all[i]), theirs->local()));
    }
    co_return {};
  };
  faults::begin({});
  const auto sent = run(follow_the_fourth());
  const auto calls = faults::end();
  ASSERT_TRUE(sent) << to_string(sent.error());
  EXPECT_EQ(calls[static_cast<std::size_t>(Call::sendmsg)], 4) << "0, 1-2, 3, 4-6";
  expect_arrive(*theirs, all);
}

}  // namespace
}  // namespace koine::os
