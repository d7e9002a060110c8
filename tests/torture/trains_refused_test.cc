// Trains that the kernel refuses or has no room for: nothing is lost of what can be sent, and what
// is lost is told.
#include <cerrno>
#include <string>
#include <vector>

#include "tests/torture/trains.h"

namespace koine::os {
namespace {

using RefusedTrainsTest = TrainsTest;
using CrowdedTrainsTest = LevelTriggeredTrainsTest;

TEST_F(RefusedTrainsTest, ATrainThatIsRefusedIsSentOneByOneAndNoOtherIsTried) {
  const auto ours = anywhere();
  const auto theirs = anywhere();
  const auto all = messages(10, 100);
  // The device computes no checksums: that is so for trains of any size.
  const faults::Plan no_checksums{.call = Call::sendmsg, .number = 2, .error = EIO};
  EXPECT_EQ(calls_to_send(*ours, all, theirs->local(), no_checksums), 2 + 9);
  expect_arrive(*theirs, all);
  EXPECT_EQ(calls_to_send(*ours, all, theirs->local()), 10);
  expect_arrive(*theirs, all);
}

TEST_F(RefusedTrainsTest, DatagramsTooLargeForTrainsOnThisPathGoAloneAndSmallerOnesTogether) {
  for (const int error : {EMSGSIZE, EINVAL}) {
    const auto ours = anywhere();
    const auto theirs = anywhere();
    const auto all = messages(10, 1'500);
    const faults::Plan too_large{.call = Call::sendmsg, .number = 2, .error = error};
    EXPECT_EQ(calls_to_send(*ours, all, theirs->local(), too_large), 2 + 9);
    expect_arrive(*theirs, all);
    EXPECT_EQ(calls_to_send(*ours, all, theirs->local()), 10);
    expect_arrive(*theirs, all);
    const auto smaller = messages(10, 1'499);
    EXPECT_EQ(calls_to_send(*ours, smaller, theirs->local()), 2);
    expect_arrive(*theirs, smaller);
  }
}

TEST_F(RefusedTrainsTest, AKernelThatTakesFewerTogetherIsGivenFewer) {
  const auto ours = anywhere();
  const auto theirs = anywhere();
  const auto all = messages(1 + 99, 100);
  const auto send_in_one_turn = [&](const faults::Plan& plan) {
    const Loop::Entered entered(reactor_->loop());
    faults::begin(plan);
    for (const std::string& text : all)
      EXPECT_TRUE(ours->send_now(as_bytes(text), theirs->local()));
    EXPECT_TRUE(ours->flush_now());
    return faults::end()[static_cast<std::size_t>(Call::sendmsg)];
  };
  const faults::Plan too_many{.call = Call::sendmsg, .number = 2, .error = EINVAL};
  EXPECT_EQ(send_in_one_turn(too_many), 2 + 2) << "1, 99 in vain, 64, 35";
  expect_arrive(*theirs, all);
  EXPECT_EQ(send_in_one_turn({}), 3) << "1, 64, 35";
  expect_arrive(*theirs, all);
}

TEST_F(RefusedTrainsTest, WhatIsLostAfterItWasAcceptedIsToldToTheNextSender) {
  const auto ours = anywhere();
  const auto theirs = anywhere();
  const auto all = messages(10, 100);
  const faults::Plan no_memory{
      .call = Call::sendmsg, .number = 2, .error = ENOBUFS, .byte_by_byte = false, .times = 10};
  EXPECT_EQ(calls_to_send(*ours, all, theirs->local(), no_memory), 2 + 9);
  const auto told = run(send_to(*ours, as_bytes("next"), theirs->local()));
  ASSERT_FALSE(told);
  EXPECT_EQ(to_string(told.error()),
            "send to " + to_string(theirs->local()) +
                ": out of resources: datagrams that had been accepted and are lost: 9");
  EXPECT_TRUE(run(send_to(*ours, as_bytes("again"), theirs->local())));
  expect_arrive(*theirs, {all[0], "again"});
  // That was not the trains' fault.
  EXPECT_EQ(calls_to_send(*ours, all, theirs->local()), 2);
  expect_arrive(*theirs, all);
}

TEST_F(RefusedTrainsTest, WhatIsLostToOnePeerStopsNothingToAnother) {
  const auto ours = anywhere();
  const auto theirs = anywhere();
  const auto others = anywhere();
  const auto all = messages(2, 100);
  const faults::Plan unreachable{.call = Call::sendmsg, .number = 2, .error = ENETUNREACH};
  EXPECT_EQ(calls_to_send(*ours, all, theirs->local(), unreachable), 2);
  EXPECT_TRUE(run(send_to(*ours, as_bytes("to another"), others->local())));
  expect_arrive(*others, {"to another"});
  const auto told = run(send_to(*ours, as_bytes("next"), theirs->local()));
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error(), Fault::unreachable);
}

TEST_F(RefusedTrainsTest, WhoWaitsForAnAnswerIsToldThatTheQuestionWasLost) {
  const auto ours = anywhere();
  const auto theirs = anywhere();
  const auto all = messages(2, 100);
  faults::begin({.call = Call::sendmsg, .number = 2, .error = ENETUNREACH});
  const auto asked = run(send_all(*ours, all, theirs->local()));
  std::vector<std::byte> room(100);
  const auto answer = run(receive_from(*ours, room));
  faults::end();
  EXPECT_TRUE(asked);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error(), Fault::unreachable);
  EXPECT_EQ(to_string(answer.error()).substr(0, 8), "send to ");
}

TEST_F(CrowdedTrainsTest, WhatTheKernelHasNoRoomForWaitsAndKeepsItsOrder) {
  const auto ours = anywhere();
  const auto theirs = anywhere();
  const auto all = messages(200, 100);
  for (const int number : {1, 2, 3}) {
    const faults::Plan full{.call = Call::sendmsg, .number = number, .error = EAGAIN};
    calls_to_send(*ours, all, theirs->local(), full);
    EXPECT_TRUE(faults::was_hit());
    expect_arrive(*theirs, all);
  }
}

TEST_F(CrowdedTrainsTest, WhatFindsNoRoomWhenTheSocketClosesIsSentWhenThereIsSome) {
  // Room after the train was refused; after its first datagram was, too, which has to wait for
  // news.
  for (const int refused : {1, 2}) {
    auto ours = anywhere();
    const auto theirs = anywhere();
    const auto all = messages(10, 100);
    const Loop::Entered entered(reactor_->loop());
    for (const std::string& text : all)
      ASSERT_TRUE(ours->send_now(as_bytes(text), theirs->local()));
    faults::begin({.call = Call::sendmsg, .number = 1, .error = EAGAIN, .times = refused});
    ours.reset();
    EXPECT_TRUE(faults::was_hit());
    expect_arrive(*theirs, all);
    faults::end();
  }
}

TEST_F(CrowdedTrainsTest, AnEarlierRefusalStopsNothingThatIsSentAfterTheSocketIsClosed) {
  auto ours = anywhere();
  const Address at = Stranger().local();
  const auto all = messages(10, 100);
  const Loop::Entered entered(reactor_->loop());
  ASSERT_TRUE(ours->connect(at));
  for (const std::string& text : all) ASSERT_TRUE(ours->send_now(as_bytes(text), at));
  const Stranger late(at.port());
  faults::begin({.call = Call::sendmsg, .number = 1, .error = EAGAIN});
  ours.reset();
  faults::end();
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_EQ(late.receive(), all[i]);
}

TEST_F(CrowdedTrainsTest, AReactorMayDieBeforeTheKernelHadRoom) {
  auto ours = anywhere();
  const Stranger stranger;
  {
    const Loop::Entered entered(reactor_->loop());
    faults::begin({.call = Call::sendmsg, .number = 2, .error = EAGAIN, .times = 2});
    for (const std::string& text : messages(10, 100))
      ASSERT_TRUE(ours->send_now(as_bytes(text), stranger.local()));
    ours.reset();
    EXPECT_TRUE(faults::was_hit());
    faults::end();
  }
  reactor_.reset();
  EXPECT_EQ(stranger.receive(), messages(1, 100)[0]);
  EXPECT_EQ(stranger.receive(), "");
}

TEST_F(CrowdedTrainsTest, WhoFlushesWaitsForRoom) {
  const auto ours = anywhere();
  const Stranger stranger;
  const auto all = messages(10, 100);
  const auto send_and_flush = [&]() -> Io<std::string> {
    for (const std::string& text : all)
      co_await attempt(send_to(*ours, as_bytes(text), stranger.local()));
    co_await attempt(flush(*ours));
    const std::string first = stranger.receive();
    co_return first + stranger.receive();
  };
  faults::begin({.call = Call::sendmsg, .number = 2, .error = EAGAIN, .times = 3});
  const auto received = run(send_and_flush());
  const auto calls = faults::end();
  ASSERT_TRUE(received) << to_string(received.error());
  EXPECT_EQ(*received, joined(all));
  EXPECT_EQ(calls[static_cast<std::size_t>(Call::sendmsg)], 1 + 3 + 1);
}

TEST_F(RefusedTrainsTest, WhoFlushesIsToldWhatWasLost) {
  const auto ours = anywhere();
  const auto theirs = anywhere();
  const auto send_and_flush = [&]() -> Io<void> {
    for (const std::string& text : messages(10, 100))
      co_await attempt(send_to(*ours, as_bytes(text), theirs->local()));
    co_return co_await flush(*ours);
  };
  faults::begin({.call = Call::sendmsg, .number = 2, .error = ENOBUFS, .times = 10});
  const auto flushed = run(send_and_flush());
  faults::end();
  ASSERT_FALSE(flushed);
  EXPECT_EQ(to_string(flushed.error()),
            "send to " + to_string(theirs->local()) +
                ": out of resources: datagrams that had been accepted and are lost: 9");
  EXPECT_TRUE(run(flush(*ours)));
}

TEST_F(RefusedTrainsTest, AKernelWithoutTrainsIsServedDatagramByDatagram) {
  faults::begin({.call = Call::getsockopt, .number = 1, .error = ENOPROTOOPT});
  const auto ours = anywhere();
  EXPECT_TRUE(faults::was_hit());
  faults::begin({.call = Call::setsockopt, .number = 1, .error = ENOPROTOOPT});
  const auto theirs = anywhere();
  EXPECT_TRUE(faults::was_hit());
  faults::end();

  const auto all = messages(10, 100);
  EXPECT_EQ(calls_to_send(*ours, all, theirs->local()), 10);
  expect_arrive(*theirs, all);
  const Stranger stranger;
  stranger.send(joined(all), 100, theirs->local());
  expect_arrive(*theirs, all);
}

}  // namespace
}  // namespace koine::os
