// What only the kernel's streams have: reads that end short although more has arrived.
//
// A read stops before urgent data (tcp(7)), and on a Unix socket behind descriptors that were
// passed along and between two senders (unix(7)). Everything is there before it is read, and
// nothing follows it: who took a short read for the end of it would wait for ever.
#include "koine/os/socket_stream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "koine/async/sleep.h"
#include "koine/async/within.h"
#include "koine/os/each_multiplexer_test.h"
#include "koine/transport/stream.h"

namespace koine::os {
namespace {

/// Two connected descriptors; theirs is a foreign peer's.
struct Pair {
  static Pair of_unix() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    return {Fd(fds[0]), Fd(fds[1])};
  }

  static Pair of_tcp() {
    const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* address = reinterpret_cast<sockaddr*>(&at);
    socklen_t size = sizeof(at);
    EXPECT_EQ(::bind(listener.get(), address, size), 0);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    EXPECT_EQ(::getsockname(listener.get(), address, &size), 0);
    Fd theirs(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(theirs.get(), address, size), 0);
    Fd ours(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    return {std::move(ours), std::move(theirs)};
  }

  void send(std::string_view bytes, int flags = 0) const {
    EXPECT_EQ(::send(theirs.get(), bytes.data(), bytes.size(), flags | MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  /// Sends them together with a copy of the descriptor.
  void send_with(int passed, std::string_view bytes) const {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(passed))> room{};
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = room.data();
    message.msg_controllen = room.size();
    cmsghdr* control = CMSG_FIRSTHDR(&message);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof(passed));
    std::memcpy(CMSG_DATA(control), &passed, sizeof(passed));
    EXPECT_EQ(::sendmsg(theirs.get(), &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }

  Fd ours;
  Fd theirs;
};

class SocketStreamTest : public OnEachMultiplexer {
 protected:
  std::unique_ptr<Stream> stream_of(Pair& pair, Transport transport) {
    auto made = SocketStream::make(reactor(), std::move(pair.ours), transport, Address());
    EXPECT_TRUE(made) << to_string(made.error());
    return std::move(*made);
  }

  /// So many bytes, read in pieces that have room for more. Each begins to wait before it tries.
  static Io<std::string> hear(Stream& stream, std::size_t count) {
    std::string heard;
    while (heard.size() < count) {
      std::array<std::byte, 64> room;
      const std::size_t size = co_await attempt(read_some(stream, room));
      if (size == 0) break;
      heard.append(reinterpret_cast<const char*>(room.data()), size);
    }
    co_return heard;
  }

  void expect_heard(Stream& stream, std::string_view text) {
    const auto heard = reactor().run(within(20s, hear(stream, text.size())));
    ASSERT_TRUE(heard) << to_string(heard.error());
    EXPECT_EQ(*heard, text);
  }

  /// The news of what has arrived is taken, and nobody reads.
  void turn() {
    auto a_little = []() -> Io<void> {
      co_await sleep(1ms);
      co_return {};
    };
    EXPECT_TRUE(reactor().run(a_little()));
  }
};

INSTANTIATE_TEST_SUITE_P(, SocketStreamTest, each_multiplexer, multiplexer_name);

TEST_P(SocketStreamTest, HearsWhatFollowsUrgentData) {
  Pair pair = Pair::of_tcp();
  const auto stream = stream_of(pair, Transport::tcp);
  pair.send("before");
  pair.send("!", MSG_OOB);
  pair.send("behind");
  expect_heard(*stream, "beforebehind");
  pair.send("later");
  expect_heard(*stream, "later");
}

TEST_P(SocketStreamTest, HearsWhatFollowsUrgentDataThatCameWhileNobodyRead) {
  Pair pair = Pair::of_tcp();
  const auto stream = stream_of(pair, Transport::tcp);
  pair.send("before");
  turn();
  pair.send("!", MSG_OOB);
  turn();
  pair.send("behind");
  turn();
  expect_heard(*stream, "beforebehind");
}

TEST_P(SocketStreamTest, HearsWhatFollowsADescriptorAndTakesNone) {
  Pair pair = Pair::of_unix();
  const auto stream = stream_of(pair, Transport::unix_stream);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd outlet(ends[0]);
  {
    const Fd inlet(ends[1]);
    pair.send_with(inlet.get(), "before");
  }
  pair.send("behind");
  expect_heard(*stream, "beforebehind");
  // The end of a pipe: nobody has the other one any more.
  char byte = 0;
  EXPECT_EQ(::read(outlet.get(), &byte, 1), 0);
}

/// As a socket does that systemd made with PassCredentials=yes.
TEST_P(SocketStreamTest, HearsTwoSendersWhomTheSocketNames) {
  Pair pair = Pair::of_unix();
  const int yes = 1;
  ASSERT_EQ(::setsockopt(pair.ours.get(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)), 0);
  const auto stream = stream_of(pair, Transport::unix_stream);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::write(pair.theirs.get(), "before", 6) == 6 ? 0 : 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  pair.send("behind");
  expect_heard(*stream, "beforebehind");
}

TEST_P(SocketStreamTest, HearsWhatFollowsUrgentDataOfAUnixSocket) {
  Pair pair = Pair::of_unix();
  const auto stream = stream_of(pair, Transport::unix_stream);
  pair.send("before");
  if (::send(pair.theirs.get(), "!", 1, MSG_OOB | MSG_NOSIGNAL) < 0)
    GTEST_SKIP() << "this kernel has no urgent data on Unix sockets (Linux 5.15 has)";
  pair.send("behind");
  expect_heard(*stream, "beforebehind");
}

}  // namespace
}  // namespace koine::os
