// Unix sockets: streams and datagrams with a path or an abstract name. In worlds that have them.
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/contract/place.h"
#include "tests/contract/stories.h"

namespace koine::contract {
namespace {

namespace fs = std::filesystem;

class UnixContract : public ContractTest {
 protected:
  void SetUp() override {
    ContractTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure() && !place->has_unix_sockets())
      GTEST_SKIP() << "no Unix sockets in this world";
  }

  static Endpoint stream_at(const std::string& path) {
    return Endpoint::of(Address::unix_path(path).value(), Transport::unix_stream);
  }
  static Endpoint datagram_at(const std::string& path) {
    return Endpoint::of(Address::unix_path(path).value(), Transport::unix_datagram);
  }
  static Endpoint abstract(const std::string& name, Transport transport) {
    return Endpoint::of(Address::unix_abstract(name).value(), transport);
  }

  /// A listener there, and the question "x" asked and answered through it.
  void expect_served(Listener& listener) {
    const auto [asked, echoed] =
        place->run(ask(client(), listener.endpoint(), "x"), echo_once(listener));
    EXPECT_EQ(asked, "x") << why(asked);
    EXPECT_TRUE(echoed) << why(echoed);
  }
};

INSTANTIATE_CONTRACT(UnixContract);

TEST_P(UnixContract, ServesAtAPathAndRemovesItWhenClosed) {
  const std::string path = place->unix_path();
  auto listener = server().listen(stream_at(path));
  ASSERT_TRUE(listener) << why(listener);
  EXPECT_EQ((*listener)->endpoint(), stream_at(path));
  EXPECT_TRUE(fs::is_socket(path));
  expect_served(**listener);
  (*listener)->close();
  EXPECT_FALSE(fs::exists(path));
}

TEST_P(UnixContract, ServesAtAnAbstractName) {
  const std::string name = place->unix_path();  // unlike any other; no file comes of it
  auto listener = server().listen(abstract(name, Transport::unix_stream));
  ASSERT_TRUE(listener) << why(listener);
  expect_served(**listener);
  EXPECT_FALSE(fs::exists(name));
  const auto second = server().listen((*listener)->endpoint());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), Fault::address_in_use) << why(second);
}

TEST_P(UnixContract, ANameMayBeLeftToTheKernel) {
  auto listener = server().listen(abstract("", Transport::unix_stream));
  ASSERT_TRUE(listener) << why(listener);
  EXPECT_NE((*listener)->endpoint().address()->unix_name(), "");
  expect_served(**listener);
}

TEST_P(UnixContract, LivesAtAPathThatIsInUseAreLeftAlone) {
  const std::string path = place->unix_path();
  auto first = server().listen(stream_at(path));
  ASSERT_TRUE(first) << why(first);
  const auto second = server().listen(stream_at(path));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), Fault::address_in_use) << why(second);
  EXPECT_TRUE(fs::is_socket(path));
  // Looking whether it was alive was a visit too.
  const auto visitor = place->run(accept(**first));
  EXPECT_TRUE(visitor) << why(visitor);
  expect_served(**first);
}

TEST_P(UnixContract, AListenerWithoutRoomForVisitorsIsAliveToo) {
  const std::string path = place->unix_path();
  ListenOptions few;
  few.backlog = 0;
  auto first = server().listen(stream_at(path), few);
  ASSERT_TRUE(first) << why(first);
  std::vector<std::unique_ptr<Stream>> waiting;
  for (bool has_room = true; has_room && waiting.size() < 16;) {
    auto stream = place->run(
        within(5ms, client().connect(*stream_at(path).address(), Transport::unix_stream)));
    has_room = stream.has_value();
    if (stream) waiting.push_back(std::move(*stream));
  }
  const auto second = server().listen(stream_at(path));  // must not wait for room
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), Fault::address_in_use) << why(second);
}

TEST_P(UnixContract, AConnectionWaitsForRoomInTheQueue) {
  ListenOptions few;
  few.backlog = 0;
  auto listener = server().listen(stream_at(place->unix_path()), few);
  ASSERT_TRUE(listener) << why(listener);
  auto serve_all = [](Listener& from, int count) -> Io<void> {
    co_await sleep(5ms);  // they are all waiting now
    for (int i = 0; i < count; ++i) {
      auto serving = echo_once(from);
      co_await attempt(std::move(serving));
    }
    co_return {};
  };
  const Endpoint at = (*listener)->endpoint();
  const auto [a, b, c, d, served] =
      place->run(ask(client(), at, "a"), ask(client(), at, "b"), ask(client(), at, "c"),
                 ask(client(), at, "d"), serve_all(**listener, 4));
  EXPECT_EQ(a, "a") << why(a);
  EXPECT_EQ(b, "b") << why(b);
  EXPECT_EQ(c, "c") << why(c);
  EXPECT_EQ(d, "d") << why(d);
  EXPECT_TRUE(served) << why(served);
}

/// A socket file whose listener is gone, as a process that died leaves it.
void leave_stale(Network& network, const Endpoint& at) {
  const std::string path(at.address()->unix_name());
  const std::string aside = path + "-aside";
  if (at.transport() == Transport::unix_stream) {
    auto listener = network.listen(at);
    ASSERT_TRUE(listener) << why(listener);
    fs::rename(path, aside);
  } else {
    auto socket = network.bind(at);
    ASSERT_TRUE(socket) << why(socket);
    fs::rename(path, aside);
  }
  ASSERT_TRUE(fs::is_socket(aside)) << "what has moved is not ours to remove";
  fs::rename(aside, path);
}

TEST_P(UnixContract, AStaleSocketFileIsReplaced) {
  const std::string path = place->unix_path();
  leave_stale(server(), stream_at(path));
  auto listener = server().listen(stream_at(path));
  ASSERT_TRUE(listener) << why(listener);
  expect_served(**listener);

  const std::string other = place->unix_path();
  leave_stale(server(), datagram_at(other));
  const auto socket = server().bind(datagram_at(other));
  ASSERT_TRUE(socket) << why(socket);
}

TEST_P(UnixContract, WhatIsNoSocketIsNeverRemoved) {
  const std::string path = place->unix_path();
  std::ofstream(path) << "precious";
  const auto listener = server().listen(stream_at(path));
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error(), Fault::address_in_use) << why(listener);
  EXPECT_EQ(fs::file_size(path), 8U);

  const std::string link = place->unix_path();
  const std::string target = place->unix_path();
  leave_stale(server(), stream_at(target));
  fs::create_symlink(target, link);
  const auto through_link = server().listen(stream_at(link));
  ASSERT_FALSE(through_link);
  EXPECT_EQ(through_link.error(), Fault::address_in_use) << why(through_link);
  EXPECT_TRUE(fs::is_symlink(link));
}

TEST_P(UnixContract, AFileThatTookThePlaceOfOursIsNotRemoved) {
  const std::string path = place->unix_path();
  auto first = server().listen(stream_at(path));
  ASSERT_TRUE(first) << why(first);
  fs::remove(path);
  auto second = server().listen(stream_at(path));
  ASSERT_TRUE(second) << why(second);
  first->reset();
  EXPECT_TRUE(fs::is_socket(path)) << "it is the second one's now";
  expect_served(**second);
}

TEST_P(UnixContract, SaysThatNobodyIsThere) {
  const std::string path = place->unix_path();
  const auto missing = place->run(dial(client(), stream_at(path)));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error(), Fault::not_found) << why(missing);
  leave_stale(server(), stream_at(path));
  const auto stale = place->run(dial(client(), stream_at(path)));
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error(), Fault::refused);
  EXPECT_EQ(to_string(stale.error()), "connect unix:" + path + ": refused");
}

TEST_P(UnixContract, SaysThatAPathCannotBeMade) {
  const auto listener = server().listen(stream_at(place->unix_path() + "/no/such/folder"));
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error(), Fault::not_found) << why(listener);
}

TEST_P(UnixContract, CarriesMegabytesBothWaysAndTheEnd) {
  auto listener = server().listen(stream_at(place->unix_path()));
  ASSERT_TRUE(listener) << why(listener);
  const auto [ours, theirs] =
      place->run(dial(client(), (*listener)->endpoint()), accept(**listener));
  ASSERT_TRUE(ours && theirs);
  EXPECT_EQ((*ours)->name(), to_string((*listener)->endpoint()));
  EXPECT_EQ((*theirs)->name(), to_string((*listener)->endpoint())) << "its peer has no name";
  const auto [said, heard, their_said, their_heard] =
      place->run(write_pattern(**ours, 1, 3'000'000), read_pattern(**ours, 2),
                 write_pattern(**theirs, 2, 3'000'000), read_pattern(**theirs, 1));
  EXPECT_TRUE(said) << why(said);
  EXPECT_TRUE(their_said) << why(their_said);
  EXPECT_EQ(heard, 3'000'000U) << why(heard);
  EXPECT_EQ(their_heard, 3'000'000U) << why(their_heard);
}

TEST_P(UnixContract, WhatWasWrittenArrivesThoughItsWriterLeftInputUnread) {
  auto listener = server().listen(stream_at(place->unix_path()));
  ASSERT_TRUE(listener) << why(listener);
  auto [ours, theirs] = place->run(dial(client(), (*listener)->endpoint()), accept(**listener));
  ASSERT_TRUE(ours && theirs);
  ASSERT_TRUE(place->run(write_all(**theirs, "nobody will read this")));
  ASSERT_TRUE(place->run(flush(**theirs)));
  ASSERT_TRUE(place->run(write_all(**ours, "farewell")));
  ours->reset();
  EXPECT_EQ(place->run(read_to_end(**theirs)), "farewell");
}

TEST_P(UnixContract, WhoDropsAConnectionIsGoneForThePeer) {
  auto listener = server().listen(stream_at(place->unix_path()));
  ASSERT_TRUE(listener) << why(listener);
  auto [ours, theirs] = place->run(dial(client(), (*listener)->endpoint()), accept(**listener));
  ASSERT_TRUE(ours && theirs);
  (*ours)->abort();
  // A Unix socket knows no reset: a reader finds the end. A writer is told.
  EXPECT_EQ(place->run(read_to_end(**theirs)), "");
  auto write_twice = [](Stream& to) -> Io<void> {
    co_await attempt(write_all(to, "x"));
    co_await attempt(flush(to));
    co_return {};
  };
  const auto written = place->run(write_twice(**theirs));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), Fault::reset) << why(written);
}

// Datagrams.

struct Heard {
  std::string text;
  Address from;
};
Io<Heard> hear(Datagram& socket) {
  std::string room(65'536, '\0');
  auto receiving = receive_from(socket, std::as_writable_bytes(std::span(room)));
  const Received received = co_await attempt(std::move(receiving));
  room.resize(received.size);
  co_return Heard{.text = std::move(room), .from = received.from};
}

TEST_P(UnixContract, DatagramsGoToAPathAndTellTheirs) {
  const Endpoint at = datagram_at(place->unix_path());
  auto ours = server().bind(datagram_at(place->unix_path()));
  auto theirs = server().bind(at);
  ASSERT_TRUE(ours && theirs);
  EXPECT_EQ((*theirs)->name(), to_string(at));
  const auto [sent, heard] =
      place->run(send_to(**ours, as_bytes("hello"), *at.address()), hear(**theirs));
  EXPECT_TRUE(sent) << why(sent);
  ASSERT_TRUE(heard) << why(heard);
  EXPECT_EQ(heard->text, "hello");
  EXPECT_EQ(heard->from, (*ours)->local());
  const std::string path(at.address()->unix_name());
  EXPECT_TRUE(fs::is_socket(path));
  theirs->reset();
  EXPECT_FALSE(fs::exists(path));
}

TEST_P(UnixContract, ASenderOfDatagramsWaitsForRoomAndLosesNone) {
  const Endpoint at = datagram_at(place->unix_path());
  auto ours = server().bind(datagram_at(place->unix_path()));
  auto theirs = server().bind(at);
  ASSERT_TRUE(ours && theirs);
  static constexpr int messages = 200;  // the kernel queues about ten
  auto flood = [](Datagram& from, Address to) -> Io<void> {
    for (int i = 0; i < messages; ++i) {
      const std::string number = std::to_string(i);
      co_await attempt(send_to(from, as_bytes(number), to));
    }
    co_return {};
  };
  auto take = [](Datagram& socket) -> Io<int> {
    co_await sleep(2ms);  // the queue is full by then
    for (int i = 0; i < messages; ++i) {
      auto hearing = hear(socket);
      const Heard heard = co_await attempt(std::move(hearing));
      if (heard.text != std::to_string(i)) co_return i;
    }
    co_return messages;
  };
  const auto [sent, heard] = place->run(flood(**ours, *at.address()), take(**theirs));
  EXPECT_TRUE(sent) << why(sent);
  EXPECT_EQ(heard, messages) << why(heard);
}

TEST_P(UnixContract, SaysThatADatagramGoesNowhere) {
  auto ours = server().bind(datagram_at(place->unix_path()));
  ASSERT_TRUE(ours);
  // A client that bound no name of its own is heard as Kind::none, and cannot be answered.
  const auto nameless = place->run(send_to(**ours, as_bytes("hello?"), Address()));
  ASSERT_FALSE(nameless);
  EXPECT_EQ(to_string(nameless.error()),
            "send to (unnamed): unreachable: a socket without a name has no address to send to");
  const std::string path = place->unix_path();
  const auto missing =
      place->run(send_to(**ours, as_bytes("hello?"), *datagram_at(path).address()));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error(), Fault::not_found) << why(missing);
  leave_stale(server(), datagram_at(path));
  const auto stale = place->run(send_to(**ours, as_bytes("hello?"), *datagram_at(path).address()));
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error(), Fault::refused) << why(stale);
}

}  // namespace
}  // namespace koine::contract
