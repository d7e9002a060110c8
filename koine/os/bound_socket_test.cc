// Inherited sockets: fd:// and systemd://.
#include "koine/os/bound_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "koine/async/within.h"
#include "koine/os/each_multiplexer_test.h"
#include "koine/os/network.h"
#include "koine/os/sockaddr.h"
#include "koine/os/system.h"

namespace koine::os {
namespace {

constexpr int first_passed = 3;  // sd_listen_fds(3)

/// A socket as somebody who starts us would pass it: it stays open in what we start.
Fd passed_socket(int type, bool listens = true) {
  Fd fd(::socket(AF_INET, type, 0));
  const Sockaddr any = to_sockaddr(Address(loopback_v4, 0)).value();
  EXPECT_EQ(::bind(fd.get(), any.get(), any.size), 0);
  if (type == SOCK_STREAM && listens) {
    EXPECT_EQ(::listen(fd.get(), 8), 0);
  }
  return fd;
}

Endpoint fd_endpoint(int fd) { return parse_endpoint("fd://" + std::to_string(fd)).value(); }

class InheritedSockets : public testing::Test {
 protected:
  InheritedSockets() : reactor_(Reactor::make({.multiplexer = "poll", .busy_poll = {}}).value()) {}

  std::string why_not_listen(const std::string& url) {
    const auto listener = network.listen(parse_endpoint(url).value());
    return listener ? "it listens" : to_string(listener.error());
  }

  std::unique_ptr<Reactor> reactor_;
  Network network{*reactor_};
};

TEST_F(InheritedSockets, AListenerThatWasPassedServesAndIsOursToClose) {
  const int number = passed_socket(SOCK_STREAM).release();
  const Address at = local_address(number);
  auto listener = network.listen(fd_endpoint(number));
  ASSERT_TRUE(listener) << to_string(listener.error());
  EXPECT_EQ((*listener)->endpoint(), Endpoint::of(at, Transport::tcp));
  EXPECT_NE(::fcntl(number, F_GETFD) & FD_CLOEXEC, 0) << "what we start does not inherit it";
  EXPECT_NE(::fcntl(number, F_GETFL) & O_NONBLOCK, 0);

  auto ours = reactor_->run(network.connect(at, Transport::tcp));
  ASSERT_TRUE(ours) << to_string(ours.error());
  auto theirs = reactor_->run(within(30s, accept(**listener)));
  ASSERT_TRUE(theirs) << to_string(theirs.error());
  EXPECT_EQ((*theirs)->name(), "tcp://" + to_string((*ours)->local()));
  listener->reset();
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

TEST_F(InheritedSockets, WhoeverWaitedBeforeWeStartedIsServed) {
  const int number = passed_socket(SOCK_STREAM).release();
  auto ours = reactor_->run(network.connect(local_address(number), Transport::tcp));
  ASSERT_TRUE(ours);
  auto listener = network.listen(fd_endpoint(number));
  ASSERT_TRUE(listener) << to_string(listener.error());
  const auto theirs = reactor_->run(within(30s, accept(**listener)));
  EXPECT_TRUE(theirs) << to_string(theirs.error());
}

TEST_F(InheritedSockets, ADatagramSocketThatWasPassedReceives) {
  const int number = passed_socket(SOCK_DGRAM).release();
  auto socket = network.bind(fd_endpoint(number));
  ASSERT_TRUE(socket) << to_string(socket.error());
  EXPECT_EQ((*socket)->name(), "udp://" + to_string((*socket)->local()));
  auto peer = network.bind(Endpoint::udp(loopback_v4, 0));
  ASSERT_TRUE(peer);
  std::array<std::byte, 10> room;
  ASSERT_TRUE(reactor_->run(send_to(**peer, as_bytes("hi"), (*socket)->local())));
  const auto received = reactor_->run(within(30s, receive_from(**socket, room)));
  ASSERT_TRUE(received) << to_string(received.error());
  EXPECT_EQ(received->size, 2U);
}

TEST_F(InheritedSockets, ADescriptorIsTakenOverOnce) {
  const int number = passed_socket(SOCK_STREAM).release();
  const std::string url = "fd://" + std::to_string(number);
  auto listener = network.listen(fd_endpoint(number));
  ASSERT_TRUE(listener);
  EXPECT_EQ(why_not_listen(url), "listen " + url +
                                     ": permission denied: it was not passed to this process, or "
                                     "is in use already");
  // And the first goes on serving.
  const auto ours =
      reactor_->run(network.connect((*listener)->endpoint().address().value(), Transport::tcp));
  EXPECT_TRUE(ours) << to_string(ours.error());
  EXPECT_TRUE(reactor_->run(within(30s, accept(**listener))));
}

TEST_F(InheritedSockets, WhatIsOfNoUseIsNamedAndStaysOpen) {
  const Fd quiet = passed_socket(SOCK_STREAM, false);
  const Fd datagrams = passed_socket(SOCK_DGRAM);
  const Fd listens = passed_socket(SOCK_STREAM);
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const Fd out(pipe[0]);
  const Fd in(pipe[1]);
  const auto url = [](const Fd& fd) { return "fd://" + std::to_string(fd.get()); };

  EXPECT_EQ(why_not_listen(url(quiet)), "listen " + url(quiet) +
                                            ": not supported: the inherited socket does not "
                                            "listen");
  EXPECT_EQ(why_not_listen(url(datagrams)),
            "listen " + url(datagrams) +
                ": not supported: it is a datagram socket, where connections were expected");
  EXPECT_EQ(why_not_listen(url(out)), "listen " + url(out) + ": not supported: it is no socket");
  EXPECT_EQ(why_not_listen("fd://999999"),
            "listen fd://999999: not found: no such descriptor is open");
  const auto socket = network.bind(fd_endpoint(listens.get()));
  ASSERT_FALSE(socket);
  EXPECT_EQ(to_string(socket.error()),
            "listen " + url(listens) +
                ": not supported: it is a stream socket, where datagrams were expected");
  for (const Fd* fd : {&quiet, &datagrams, &listens, &out})
    EXPECT_NE(::fcntl(fd->get(), F_GETFD), -1) << "it is not ours to close";
}

/// The environment that systemd, or systemd-socket-activate, gives to what it starts; put back
/// afterwards, as are the descriptors from 3 on that it needs.
class PassedBySystemd {
 public:
  PassedBySystemd(std::string pid, int count, const char* names) {
    set("LISTEN_PID", std::move(pid));
    set("LISTEN_FDS", std::to_string(count));
    if (names != nullptr) set("LISTEN_FDNAMES", names);
    for (int i = 0; i < count; ++i) {
      const int number = first_passed + i;
      before_.emplace(number, Fd(::fcntl(number, F_DUPFD_CLOEXEC, 100)));
      const Fd made(::fcntl(passed_socket(SOCK_STREAM).get(), F_DUPFD_CLOEXEC, 100));
      EXPECT_EQ(::dup2(made.get(), number), number);
      ports.push_back(local_address(number).port());
    }
  }
  ~PassedBySystemd() {
    for (const auto& [name, value] : environment_) {
      if (value) {
        ::setenv(name, value->c_str(), 1);
      } else {
        ::unsetenv(name);
      }
    }
    for (const auto& [number, fd] : before_) {
      if (fd) {
        ::dup3(fd.get(), number, O_CLOEXEC);
      } else {
        ::close(number);  // if nobody has taken it over
      }
    }
  }

  std::vector<std::uint16_t> ports;

 private:
  void set(const char* name, const std::string& value) {
    const char* before = std::getenv(name);
    environment_.emplace(name,
                         before == nullptr ? std::nullopt : std::optional<std::string>(before));
    ::setenv(name, value.c_str(), 1);
  }

  std::map<const char*, std::optional<std::string>> environment_;
  std::map<int, Fd> before_;
};

std::string own_pid() { return std::to_string(::getpid()); }

/// Sockets are passed before anything else is opened, so the reactor has to come after them.
std::string listen_at(const std::string& url) {
  auto reactor = Reactor::make({.multiplexer = "poll", .busy_poll = {}}).value();
  Network network(*reactor);
  const auto listener = network.listen(parse_endpoint(url).value());
  if (!listener) return to_string(listener.error());
  return std::to_string((*listener)->endpoint().port());
}

TEST(SystemdSockets, AreFoundByNameByNumberAndByBeingFirst) {
  {
    const PassedBySystemd passed(own_pid(), 3, "web:admin:web");
    EXPECT_EQ(listen_at("systemd://"), std::to_string(passed.ports[0]));
  }
  {
    const PassedBySystemd passed(own_pid(), 3, "web:admin:web");
    EXPECT_EQ(listen_at("systemd://admin"), std::to_string(passed.ports[1]));
    EXPECT_EQ(listen_at("systemd://2"), std::to_string(passed.ports[2]));
  }
  {
    const PassedBySystemd passed(own_pid(), 3, "web:admin:web");
    EXPECT_EQ(listen_at("systemd://web"), std::to_string(passed.ports[0]));
  }
}

TEST(SystemdSockets, SayWhatIsMissing) {
  {
    const PassedBySystemd passed(own_pid(), 2, "web:admin");
    EXPECT_EQ(listen_at("systemd://mail"),
              "listen systemd://mail: not found: no socket of that name was passed to this "
              "process; LISTEN_FDNAMES is \"web:admin\"");
    EXPECT_EQ(listen_at("systemd://2"),
              "listen systemd://2: not found: only 2 sockets were passed to this process");
  }
  {
    const PassedBySystemd passed("1", 1, "web");
    EXPECT_EQ(listen_at("systemd://web"),
              "listen systemd://web: not found: no sockets were passed to this process "
              "(LISTEN_PID)");
  }
  {
    const PassedBySystemd passed(own_pid(), 0, "");
    EXPECT_EQ(listen_at("systemd://web"),
              "listen systemd://web: not found: no sockets were passed to this process "
              "(LISTEN_FDS)");
  }
  {
    const PassedBySystemd passed(own_pid(), 1, nullptr);
    EXPECT_EQ(listen_at("systemd://web"),
              "listen systemd://web: not found: no socket of that name was passed to this "
              "process; LISTEN_FDNAMES is \"\"");
  }
}

}  // namespace
}  // namespace koine::os
