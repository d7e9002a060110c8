// Datagram sockets whose system calls are counted and made to fail, and what they are sent: for
// tests of trains (koine/os/udp_offload.h).
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "koine/async/within.h"
#include "koine/os/network.h"
#include "koine/os/sockaddr.h"
#include "koine/os/udp_offload.h"
#include "koine/transport/datagram.h"
#include "tests/torture/faults.h"

namespace koine::os {

inline constexpr Duration patience = 30s;

inline Io<void> send_all(Datagram& from, std::vector<std::string> messages, Address to) {
  for (const std::string& text : messages) co_await attempt(send_to(from, as_bytes(text), to));
  co_return {};
}

inline Io<std::vector<std::string>> receive_all(Datagram& at, std::size_t count) {
  std::vector<std::string> all;
  std::vector<std::byte> room(datagram_bytes_max);
  while (all.size() < count) {
    const Received received = co_await attempt(receive_from(at, room));
    all.emplace_back(as_text(Bytes(room).first(received.size)));
  }
  co_return all;
}

inline Io<void> echo(Datagram& at, std::size_t count) {
  std::vector<std::byte> room(datagram_bytes_max);
  while (count-- != 0) {
    const Received received = co_await attempt(receive_from(at, room));
    co_await attempt(send_to(at, Bytes(room).first(received.size), received.from));
  }
  co_return {};
}

inline std::vector<std::string> messages(std::size_t count, std::size_t bytes) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(std::to_string(i) + ':');
    all.back().resize(bytes, 'm');
  }
  return all;
}

inline std::string joined(const std::vector<std::string>& parts) {
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

}  // namespace koine::os
