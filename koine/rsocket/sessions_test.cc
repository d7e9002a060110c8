// A server's sessions, and clients that come back: their own, late, with lies, or to the wrong one.
#include "koine/rsocket/sessions.h"

#include <gtest/gtest.h>

#include <list>
#include <memory>
#include <string>

#include "koine/async/sleep.h"
#include "koine/async/virtual_time.h"
#include "koine/rsocket/pair_test.h"
#include "koine/rsocket/peer.h"
#include "koine/rsocket/words_test.h"
#include "koine/transport/memory_test.h"

namespace koine::rsocket {
namespace {

struct Witness {
  int& destroyed;
  ~Witness() { ++destroyed; }
};

/// A server, and clients that are written by hand.
class Place {
 public:
  explicit Place(std::size_t lost_max = 10)
      : network(time.loop()), entered(time.loop()), sessions(lost_max) {
    listener = std::move(*network.listen(*parse_endpoint("tcp://127.0.0.1:0"), {}));
    service.on("", [this](Message message) -> Io<Message> {
      const Witness witness{destroyed};
      co_await sleep(1s);
      co_return message;
    });
    service.on("", [this](Message, Flow& out) -> Io<void> {
      const Witness witness{destroyed};
      for (int i = 0;; ++i) {
        const std::string item = std::to_string(i);
        co_await attempt(out.send(item));
      }
    });
  }
  ~Place() {
    peers.clear();
    memory::settle(time);
  }

  std::unique_ptr<Stream> client(PeerOptions options = {}) {
    auto ours = std::move(*network.connect_now(loopback_v4, *listener->endpoint().address()));
    options.connection.resume = true;
    options.sessions = &sessions;
    peers.emplace_back(std::move(*listener->accept_now()), Side::server, &service, options);
    return ours;
  }
  /// What is said to these frames, in words.
  std::string told(Stream& stream, std::initializer_list<const char*> frames) {
    ByteVector out;
    for (const char* frame : frames) {
      const auto bytes = bytes_of(frame);
      out.push_back(std::byte{0});
      out.push_back(static_cast<std::byte>(bytes.size() >> 8));
      out.push_back(static_cast<std::byte>(bytes.size()));
      out.insert(out.end(), bytes.begin(), bytes.end());
    }
    if (!out.empty()) {
      EXPECT_EQ(stream.write_now(out), out.size());
    }
    memory::settle(time);
    ByteVector heard;
    std::array<std::byte, 4096> piece;
    for (auto size = stream.read_now(piece); size && *size != 0; size = stream.read_now(piece))
      heard.insert(heard.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*size));
    return story(heard);
  }
  void lose(std::unique_ptr<Stream>& stream) {
    stream->abort();
    stream.reset();
    memory::settle(time);
  }
  void pass(Duration duration) {
    auto sleeping = sleep(duration);
    static_cast<void>(time.finish(std::move(sleeping)));
    memory::settle(time);
  }

  VirtualTime time;
  memory::MemoryNetwork network;
  const Loop::Entered entered;
  std::unique_ptr<Listener> listener;
  Service service;
  int destroyed = 0;  // handlers
  Sessions sessions;
  std::list<Peer> peers;
};

constexpr const char* setup_a = "00000000 0480 0001 0000 00004e20 00015f90 0001 'a' 01 'm' 01 'd'";
constexpr const char* setup_b = "00000000 0480 0001 0000 00004e20 00015f90 0001 'b' 01 'm' 01 'd'";
constexpr const char* resume_a =
    "00000000 3400 0001 0000 0001 'a' 0000000000000000 0000000000000000";

TEST(RsocketServerSessions, GoOnWithTheNextConnection) {
  Place place;
  auto stream = place.client();
  EXPECT_EQ(place.told(*stream, {setup_a, "00000001 1800 00000002"}),
            "1 PAYLOAD next '0'\n1 PAYLOAD next '1'\n");
  place.lose(stream);
  EXPECT_EQ(place.sessions.lost(), 1u);
  auto next = place.client();
  // It has the first item, of 7 bytes. Its request had 10.
  EXPECT_EQ(
      place.told(*next, {"00000000 3400 0001 0000 0001 'a' 0000000000000007 000000000000000a"}),
      "0 RESUME_OK received=10\n1 PAYLOAD next '1'\n");
  EXPECT_EQ(place.sessions.lost(), 0u);
  EXPECT_EQ(place.told(*next, {"00000001 2000 00000001"}), "1 PAYLOAD next '2'\n");
  EXPECT_EQ(place.destroyed, 0);
}

TEST(RsocketServerSessions, TakeTheNextConnectionBeforeTheyMissTheFirst) {
  Place place;
  auto first = place.client();
  EXPECT_EQ(place.told(*first, {setup_a, "00000001 1800 00000001"}), "1 PAYLOAD next '0'\n");
  auto second = place.client();
  EXPECT_EQ(place.told(*second, {resume_a}), "0 RESUME_OK received=10\n1 PAYLOAD next '0'\n");
  EXPECT_EQ(place.told(*first, {"00000001 2000 00000001"}), "");
  EXPECT_EQ(place.told(*second, {"00000001 2000 00000001"}), "1 PAYLOAD next '1'\n");
}

TEST(RsocketServerSessions, RefuseATokenThatIsInUse) {
  Place place;
  auto first = place.client();
  place.told(*first, {setup_a});
  auto second = place.client();
  EXPECT_EQ(place.told(*second, {setup_a, "00000001 1800 00000001"}),
            "0 ERROR REJECTED_SETUP 'the resume token is in use'\n");
  EXPECT_EQ(place.told(*first, {"00000001 1800 00000001"}), "1 PAYLOAD next '0'\n");
}

TEST(RsocketServerSessions, RefuseWhoIsNotKnown) {
  Place place;
  auto stream = place.client();
  EXPECT_EQ(place.told(*stream, {resume_a}),
            "0 ERROR REJECTED_RESUME 'the session is not known here'\n");
  auto other = place.client();
  EXPECT_EQ(place.told(*other, {"00000000 3400 0001 0001 0001 'a' 0000000000000000 "
                                "0000000000000000"}),
            "0 ERROR REJECTED_RESUME 'resuming is not served here'\n");
}

TEST(RsocketServerSessions, AreNotHarmedByWhoComesTooLateOrLies) {
  for (const char* position :
       {"0000000000000001 0000000000000000", "0000000000000008 0000000000000000",
        "0000000000000000 000000000000007f", "7fffffffffffffff 0000000000000000"}) {
    const std::string resume = std::string("00000000 3400 0001 0000 0001 'a' ") + position;
    Place place;
    auto stream = place.client();
    place.told(*stream, {setup_a, "00000001 1800 00000001"});
    auto liar = place.client();
    EXPECT_EQ(place.told(*liar, {resume.c_str()}),
              "0 ERROR REJECTED_RESUME 'the session cannot go on from there'\n");
    EXPECT_EQ(place.told(*stream, {"00000001 2000 00000001"}), "1 PAYLOAD next '1'\n");
    place.lose(stream);
    auto again = place.client();
    EXPECT_EQ(place.told(*again, {resume.c_str()}),
              "0 ERROR REJECTED_RESUME 'the session cannot go on from there'\n");
    auto next = place.client();
    EXPECT_EQ(place.told(*next, {resume_a}),
              "0 RESUME_OK received=20\n1 PAYLOAD next '0'\n1 PAYLOAD next '1'\n");
  }
}

TEST(RsocketServerSessions, WaitOnlySoLong) {
  Place place;
  PeerOptions options;
  options.connection.session = 30s;
  auto stream = place.client(options);
  place.told(*stream, {setup_a, "00000001 1800 00000001"});
  place.lose(stream);
  place.pass(29s);
  EXPECT_EQ(place.sessions.size(), 1u);
  place.pass(1s);
  EXPECT_EQ(place.sessions.size(), 0u);
  EXPECT_EQ(place.destroyed, 1);
  auto next = place.client();
  EXPECT_EQ(place.told(*next, {resume_a}),
            "0 ERROR REJECTED_RESUME 'the session is not known here'\n");
}

TEST(RsocketServerSessions, MakeRoomForThoseThatWereLostLater) {
  Place place(1);
  auto a = place.client();
  place.told(*a, {setup_a, "00000001 1800 00000001"});
  auto b = place.client();
  place.told(*b, {setup_b, "00000001 1800 00000001"});
  place.lose(a);
  EXPECT_EQ(place.sessions.size(), 2u);
  place.lose(b);
  EXPECT_EQ(place.sessions.size(), 1u);
  EXPECT_EQ(place.sessions.find("a"), nullptr);
  EXPECT_NE(place.sessions.find("b"), nullptr);
  EXPECT_EQ(place.destroyed, 1);
}

TEST(RsocketServerSessions, AreBoundedWhenManyAreLostAtOnce) {
  Place place(1);
  constexpr const char* setup_c =
      "00000000 0480 0001 0000 00004e20 00015f90 0001 'c' 01 'm' 01 'd'";
  auto a = place.client();
  place.told(*a, {setup_a});
  auto b = place.client();
  place.told(*b, {setup_b});
  auto c = place.client();
  place.told(*c, {setup_c});
  a->abort();
  b->abort();
  place.lose(c);
  EXPECT_EQ(place.sessions.size(), 1u);
  EXPECT_EQ(place.sessions.lost(), 1u);
  EXPECT_NE(place.sessions.find("c"), nullptr);
}

TEST(RsocketServerSessions, EndWithTheirLastAnswerWhenTheirClientHasClosed) {
  Place place;
  auto stream = place.client();
  place.told(*stream, {setup_a, "00000001 1000 'ask'", "00000000 2c00 00000102 'bye'"});
  place.lose(stream);
  EXPECT_EQ(place.sessions.size(), 1u);
  place.pass(2s);
  EXPECT_EQ(place.destroyed, 1) << "the handler has ended";
  EXPECT_EQ(place.sessions.size(), 0u);
}

TEST(RsocketServerSessions, EndAtOnceWhenTheirClientSaysSo) {
  Place place;
  auto stream = place.client();
  place.told(*stream, {setup_a, "00000001 1800 00000001"});
  place.told(*stream, {"00000000 2c00 00000101 'bye'"});
  EXPECT_EQ(place.sessions.size(), 0u);
  EXPECT_EQ(place.destroyed, 1);
}

TEST(RsocketServerSessions, AnswersThatWereReadyMeanwhileWait) {
  Place place;
  auto stream = place.client();
  EXPECT_EQ(place.told(*stream, {setup_a, "00000001 1000 'ask'"}), "");
  place.lose(stream);
  place.pass(2s);
  EXPECT_EQ(place.destroyed, 1) << "the handler has ended";
  auto next = place.client();
  EXPECT_EQ(place.told(*next, {resume_a}),
            "0 RESUME_OK received=9\n1 PAYLOAD complete next 'ask'\n");
}

TEST(RsocketServerSessions, WithoutAPlaceForThemAreRefused) {
  PeerOptions options;
  options.connection.resume = true;
  options.connection.resume_token = "token";
  Pair pair(Service(), options);
  EXPECT_EQ(pair.answer(pair.client->run()),
            "rsocket tcp://127.0.0.1:40000: refused: REJECTED_SETUP: resuming is not served here");
}

TEST(RsocketServerSessions, AClientThatIsDestroyedIsNotWaitedFor) {
  Sessions sessions;
  PeerOptions options;
  options.connection.resume = true;
  options.connection.resume_token = "token";
  options.sessions = &sessions;
  Pair pair(Service(), options);
  EXPECT_EQ(sessions.size(), 1u);
  {
    const Loop::Entered entered(pair.time.loop());
    pair.client.reset();
  }
  memory::settle(pair.time);
  EXPECT_EQ(sessions.size(), 0u);
}

TEST(RsocketPeers, BothMaySayMuchAtOnce) {
  Service service;
  service.on("echo", [](Message message) -> Io<Message> { co_return message; });
  Pair pair(std::move(service));
  const std::string large(300'000, 'x');
  std::string back;
  Started<Io<Message>> first(pair.time.loop(),
                             [](Peer& peer, std::string_view data) -> Io<Message> {
                               auto calling = peer.call("echo", data);
                               co_return co_await calling;
                             }(*pair.client, large));
  EXPECT_EQ(pair.answer(within(1s, pair.server->call("echo", large))), large);
  memory::settle(pair.time);
  ASSERT_TRUE(first.done());
  EXPECT_EQ(first.take()->data, large);
}

}  // namespace
}  // namespace koine::rsocket
