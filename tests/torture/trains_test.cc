// Trains of datagrams (koine/os/udp_offload.h), seen by the system calls they take: what a program
// sends and receives one by one passes through the kernel together, and one by one where the kernel
// refuses.
#include <netinet/in.h>
#include <netinet/udp.h>

#include <cerrno>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "koine/async/within.h"
#include "koine/journey/recorder.h"
#include "koine/os/network.h"
#include "koine/os/sockaddr.h"
#include "koine/os/track.h"
#include "koine/os/udp_offload.h"
#include "koine/transport/datagram.h"
#include "tests/torture/faults.h"

namespace koine::os {
namespace {

constexpr Duration patience = 30s;

Io<void> send_all(Datagram& from, std::vector<std::string> messages, Address to) {
  for (const std::string& text : messages) co_await attempt(send_to(from, as_bytes(text), to));
  co_return {};
}

Io<std::vector<std::string>> receive_all(Datagram& at, std::size_t count) {
  std::vector<std::string> all;
  std::vector<std::byte> room(datagram_bytes_max);
  while (all.size() < count) {
    const Received received = co_await attempt(receive_from(at, room));
    all.emplace_back(as_text(Bytes(room).first(received.size)));
  }
  co_return all;
}

Io<void> echo(Datagram& at, std::size_t count) {
  std::vector<std::byte> room(datagram_bytes_max);
  while (count-- != 0) {
    const Received received = co_await attempt(receive_from(at, room));
    co_await attempt(send_to(at, Bytes(room).first(received.size), received.from));
  }
  co_return {};
}

std::vector<std::string> messages(std::size_t count, std::size_t bytes) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(std::to_string(i) + ':');
    all.back().resize(bytes, 'm');
  }
  return all;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all += part;
  return all;
}

/// A program of somebody else's, which knows of trains.
class Stranger {
 public:
  explicit Stranger(std::uint16_t port = 0) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const Sockaddr at = to_sockaddr(Address(loopback_v4, port)).value();
    EXPECT_EQ(::bind(fd_.get(), at.get(), at.size), 0);
    EXPECT_TRUE(accept_trains(fd_.get()));
  }

  /// Sends `bytes` cut into datagrams of so many.
  void send(const std::string& bytes, std::size_t datagram_bytes, const Address& to) const {
    Sockaddr target = to_sockaddr(to).value();
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_name = target.get();
    message.msg_namelen = target.size;
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    ControlBuffer room;
    if (bytes.size() > datagram_bytes) cut_into(message, room, datagram_bytes);
    EXPECT_EQ(::sendmsg(fd_.get(), &message, 0), static_cast<ssize_t>(bytes.size()));
  }

  /// What one call gives: a datagram, or a whole train; empty if nothing has come.
  std::string receive() const {
    std::string bytes(65'536, '\0');
    const ssize_t count = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    bytes.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return bytes;
  }

  Address local() const { return local_address(fd_.get()); }

 private:
  Fd fd_;
};

class TrainsTest : public testing::Test {
 protected:
  explicit TrainsTest(const char* multiplexer = "epoll")
      : reactor_(Reactor::make({.multiplexer = multiplexer, .busy_poll = {}}).value()) {}

  void SetUp() override {
    const Fd probe(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!can_send_trains(probe.get()) || !accept_trains(probe.get()))
      GTEST_SKIP() << "this kernel has no trains";
  }

  std::unique_ptr<Datagram> anywhere() {
    return network.bind(Endpoint::udp(loopback_v4, 0)).value();
  }

  template <Operation Op>
  auto run(Op op) {
    return reactor_->run(within(patience, std::move(op)));
  }

  /// Sends all and says with how many calls. `plan` is what those suffer.
  int calls_to_send(Datagram& from, const std::vector<std::string>& all, const Address& to,
                    const faults::Plan& plan = {}) {
    faults::begin(plan);
    const auto sent = run(send_all(from, all, to));
    EXPECT_TRUE(sent) << to_string(sent.error());
    return faults::end()[static_cast<std::size_t>(Call::sendmsg)];
  }

  void expect_arrive(Datagram& at, const std::vector<std::string>& all) {
    const auto arrived = run(receive_all(at, all.size()));
    ASSERT_TRUE(arrived) << to_string(arrived.error());
    EXPECT_EQ(*arrived, all);
  }

  std::unique_ptr<Reactor> reactor_;
  Network network{*reactor_};
};

/// Where a descriptor is ready as long as it is, not only when it becomes so.
class LevelTriggeredTrainsTest : public TrainsTest {
 protected:
  LevelTriggeredTrainsTest() : TrainsTest("poll") {}
};

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

TEST_F(TrainsTest, ATrainThatIsRefusedIsSentOneByOneAndNoOtherIsTried) {
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

TEST_F(TrainsTest, DatagramsTooLargeForTrainsOnThisPathGoAloneAndSmallerOnesTogether) {
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

TEST_F(TrainsTest, AKernelThatTakesFewerTogetherIsGivenFewer) {
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

TEST_F(TrainsTest, WhatIsLostAfterItWasAcceptedIsToldToTheNextSender) {
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

TEST_F(TrainsTest, WhatIsLostToOnePeerStopsNothingToAnother) {
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

TEST_F(TrainsTest, WhoWaitsForAnAnswerIsToldThatTheQuestionWasLost) {
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

TEST_F(LevelTriggeredTrainsTest, WhatTheKernelHasNoRoomForWaitsAndKeepsItsOrder) {
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

TEST_F(LevelTriggeredTrainsTest, WhatFindsNoRoomWhenTheSocketClosesIsSentWhenThereIsSome) {
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

TEST_F(LevelTriggeredTrainsTest, AnEarlierRefusalStopsNothingThatIsSentAfterTheSocketIsClosed) {
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

TEST_F(LevelTriggeredTrainsTest, AReactorMayDieBeforeTheKernelHadRoom) {
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

TEST_F(LevelTriggeredTrainsTest, WhoFlushesWaitsForRoom) {
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

TEST_F(TrainsTest, WhoFlushesIsToldWhatWasLost) {
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

TEST_F(TrainsTest, AKernelWithoutTrainsIsServedDatagramByDatagram) {
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
