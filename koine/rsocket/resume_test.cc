// Sessions that outlive their transport: what is sent again, what is not, and what is refused.
#include "koine/rsocket/resume.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "koine/base/random.h"
#include "koine/rsocket/connection.h"
#include "koine/rsocket/words_test.h"

namespace koine::rsocket {
namespace {

using Kind = Event::Kind;

TEST(RsocketRetained, CountsTheFramesThatHaveAPosition) {
  const std::pair<const char*, bool> rows[] = {
      {"00000000 0400", false}, {"00000000 0800", false}, {"00000000 0c00", false},
      {"00000001 1000", true},  {"00000001 1400", true},  {"00000001 1800", true},
      {"00000001 1c00", true},  {"00000001 2000", true},  {"00000001 2400", true},
      {"00000001 2800", true},  {"00000001 2c00", true},  {"00000000 3100", false},
      {"00000000 3400", false}, {"00000000 3800", false}, {"00000000 fe00", false},
  };
  for (const auto& [frame, counts] : rows)
    EXPECT_EQ(has_position(bytes_of(frame)), counts) << frame;
}

TEST(RsocketRetained, KeepsWhatIsNotReleasedAndForgetsTheOldest) {
  ByteVector out;
  FrameWriter writer(out);
  writer.cancel(1);  // 6 bytes
  static_cast<void>(writer.keepalive({}));
  writer.request_n(3, 1);  // 10 bytes
  writer.cancel(5);
  Retained retained(40);
  retained.keep(out);
  EXPECT_EQ(story(ByteVector(retained.frames().begin(), retained.frames().end())),
            "1 CANCEL\n3 REQUEST_N 1\n5 CANCEL\n");
  EXPECT_EQ(retained.end(), 22u);
  EXPECT_FALSE(retained.release(23)) << "not sent yet";
  EXPECT_TRUE(retained.release(6));
  EXPECT_FALSE(retained.release(0)) << "gone";
  EXPECT_EQ(retained.first(), 6u);
  EXPECT_FALSE(retained.release(17)) << "no frame begins there; those before it are released";
  EXPECT_EQ(retained.first(), 16u);
  retained.keep(out);
  EXPECT_LE(retained.size(), 40u);
  EXPECT_EQ(retained.first(), 16u);
  retained.keep(out);
  EXPECT_LE(retained.size(), 40u);
  EXPECT_GT(retained.first(), 16u) << "more than there is room for";
  EXPECT_TRUE(retained.release(retained.end()));
  EXPECT_EQ(retained.size(), 0u);
}

/// Client and server, and a transport between them that can be cut anywhere.
class Session {
 public:
  explicit Session(ConnectionOptions options = {})
      : client(Side::client, with_token(options), Instant()),
        server(Side::server, with_token(options), Instant()) {
    EXPECT_EQ(carry_all().substr(0, 14), "server setup, ");
  }

  /// Everything that waits goes over, back and forth, in frames.
  std::string carry_all() {
    std::string text;
    for (bool moved = true; moved;) {
      moved = carry(client, server, "server", text, ~std::size_t{0});
      moved = carry(server, client, "client", text, ~std::size_t{0}) || moved;
    }
    return text;
  }
  /// So many bytes of one side; what is no whole frame is on the way.
  std::string carry_some(Connection& from, std::size_t bytes) {
    std::string text;
    Connection& to = &from == &client ? server : client;
    carry(from, to, &from == &client ? "server" : "client", text, bytes);
    return text;
  }
  void cut() {
    EXPECT_TRUE(client.detach(now));
    EXPECT_TRUE(server.detach(now));
    partial.clear();
  }
  /// A new transport: false if the server refuses.
  bool come_back() {
    client.resume(now);
    Connection fresh(Side::server, with_token({}), now);
    const Bytes out = client.output();
    const Event event = fresh.receive(out.subspan(3), now);
    client.sent(out.size());
    EXPECT_EQ(event.kind, Kind::resume);
    EXPECT_EQ(as_text(fresh.asked().token), server.resume_token());
    return server.resumed(fresh.asked(), now);
  }

  static ConnectionOptions with_token(ConnectionOptions options) {
    options.resume = true;
    options.resume_token = "token";
    return options;
  }

  Instant now{};
  Connection client;
  Connection server;
  std::map<const Connection*, std::vector<std::byte>> partial;

 private:
  bool carry(Connection& from, Connection& to, const char* name, std::string& text,
             std::size_t bytes_max) {
    const Bytes all = from.output();
    const Bytes out = all.first(std::min(all.size(), bytes_max));
    if (out.empty()) return false;
    auto& arrived = partial[&to];
    arrived.insert(arrived.end(), out.begin(), out.end());
    from.sent(out.size());
    while (arrived.size() >= 3) {
      const std::size_t size =
          3 + (std::to_integer<std::size_t>(arrived[0]) << 16 | load_be16(&arrived[1]));
      if (arrived.size() < size) break;
      const Event event = to.receive(Bytes(arrived).subspan(3, size - 3), now);
      text += words(event, name);
      arrived.erase(arrived.begin(), arrived.begin() + static_cast<std::ptrdiff_t>(size));
    }
    return true;
  }
  static std::string words(const Event& event, const std::string& who) {
    switch (event.kind) {
      case Kind::none: return "";
      case Kind::setup: return who + " setup, ";
      case Kind::resumed: return who + " resumed, ";
      case Kind::leased: return who + " leased, ";
      case Kind::closed: return who + " closed, ";
      case Kind::requested: return "";
      default:
        return who + " " + std::to_string(event.stream_id) + " '" +
               std::string(as_text(event.payload.data)) + "', ";
    }
  }
};

Result<std::uint32_t> ask(Connection& connection, std::string_view text,
                          FrameType type = FrameType::request_response, std::uint32_t n = 0) {
  return connection.open({.type = type, .initial_n = n, .payload = {as_bytes(text), {}}}, nullptr,
                         Instant());
}

TEST(RsocketResume, ARequestThatWasLostIsSentAgainAndItsAnswerArrivesOnce) {
  Session session;
  ASSERT_TRUE(ask(session.client, "one"));
  ASSERT_TRUE(ask(session.client, "two"));
  // The first whole, the second cut in two.
  EXPECT_EQ(session.carry_some(session.client, 3 + 9 + 5), "server 1 'one', ");
  session.cut();
  ASSERT_TRUE(ask(session.client, "three")) << "what is asked meanwhile waits";
  EXPECT_TRUE(session.client.output().empty());
  EXPECT_TRUE(session.server.next(1, {as_bytes("1"), {}}, true)) << "and so do answers";
  EXPECT_TRUE(session.come_back());
  EXPECT_EQ(session.carry_all(),
            "client resumed, client 1 '1', server 3 'two', server 5 'three', ");
  EXPECT_TRUE(session.server.next(3, {as_bytes("2"), {}}, true));
  EXPECT_TRUE(session.server.next(5, {as_bytes("3"), {}}, true));
  EXPECT_EQ(session.carry_all(), "client 3 '2', client 5 '3', ");
  EXPECT_EQ(session.client.streams(), 0u);
  EXPECT_EQ(session.server.streams(), 0u);
}

TEST(RsocketResume, WhatHadArrivedIsNotSentAgain) {
  Session session;
  ASSERT_TRUE(ask(session.client, "all", FrameType::request_stream, 10));
  EXPECT_EQ(session.carry_all(), "server 1 'all', ");
  EXPECT_TRUE(session.server.next(1, {as_bytes("a"), {}}, false));
  EXPECT_EQ(session.carry_all(), "client 1 'a', ");
  EXPECT_TRUE(session.server.next(1, {as_bytes("b"), {}}, false));
  session.cut();
  EXPECT_TRUE(session.come_back());
  EXPECT_EQ(session.carry_all(), "client resumed, client 1 'b', ");
}

TEST(RsocketResume, CanBeCutAgainWhileItComesBack) {
  Session session;
  ASSERT_TRUE(ask(session.client, "one"));
  session.cut();
  session.client.resume(session.now);
  session.cut();
  EXPECT_TRUE(session.come_back());
  session.cut();
  EXPECT_TRUE(session.come_back());
  EXPECT_EQ(session.carry_all(), "client resumed, server 1 'one', ");
}

TEST(RsocketResume, TheServerMayHearOfTheNewTransportFirst) {
  Session session;
  ASSERT_TRUE(ask(session.client, "one"));
  session.carry_all();
  EXPECT_TRUE(session.server.next(1, {as_bytes("1"), {}}, true));
  EXPECT_TRUE(session.client.detach(session.now));
  EXPECT_TRUE(session.come_back());
  EXPECT_EQ(session.carry_all(), "client resumed, client 1 '1', ");
}

TEST(RsocketResume, KeepalivesSayWhatNeedNotBeKept) {
  Session session;
  ASSERT_TRUE(ask(session.client, "one"));
  session.carry_all();
  EXPECT_EQ(session.client.bytes_kept(), 3u + 9u);
  session.now += 20s;
  static_cast<void>(session.client.tick(session.now));
  EXPECT_EQ(session.carry_all(), "");
  EXPECT_EQ(session.client.bytes_kept(), 0u);
}

TEST(RsocketResume, AsksForAPositionWhenMuchIsKeptAndTakesNoMoreUntilThen) {
  Session session({.retained_bytes_max = 100});
  ASSERT_TRUE(ask(session.client, "all", FrameType::request_stream, 1000));
  session.carry_all();
  int sent = 0;
  while (session.server.next(1, {as_bytes("item"), {}}, false)) {
    session.server.sent(session.server.output().size());  // lost on the way
    ++sent;
  }
  // 3 + 6 + 4 bytes each: at 104 it is full.
  EXPECT_EQ(sent, 8);
  EXPECT_EQ(session.server.next(1, {as_bytes("item"), {}}, false).error(), Fault::would_block);
  session.cut();
  EXPECT_TRUE(session.come_back());
  std::string all = "client resumed, ";
  for (int i = 0; i < sent; ++i) all += "client 1 'item', ";
  EXPECT_EQ(session.carry_all(), all);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(session.server.next(1, {as_bytes("item"), {}}, false)) << i;
    session.carry_all();
  }
  EXPECT_LE(session.server.bytes_kept(), 100u + 13u);
}

TEST(RsocketResume, APeerThatSaysNoPositionsIsServedAndRefusedWhenItComesBackTooLate) {
  Connection server(Side::server,
                    Session::with_token({.message_bytes_max = 10, .output_bytes_max = 20}),
                    Instant());
  const auto hear = [&](std::string_view frame) {
    const auto bytes = bytes_of(frame);
    return server.receive(bytes, Instant()).kind;
  };
  EXPECT_EQ(hear("00000000 0480 0001 0000 00004e20 00015f90 0001 't' 01 'm' 01 'd'"), Kind::setup);
  hear("00000001 1800 7fffffff");
  for (int i = 0; i < 200'000; ++i) {
    const auto sent = server.next(1, {as_bytes("item"), {}}, false);
    if (!sent) {
      ASSERT_EQ(sent.error(), Fault::would_block);
      hear("00000000 0c00 0000000000000000");  // asked, it says nothing
    }
    server.sent(server.output().size());
  }
  EXPECT_LE(server.bytes_kept(), (std::size_t{1} << 20) + 100);
  const Resume from_the_beginning{.token = as_bytes("t")};
  EXPECT_FALSE(server.resumed(from_the_beginning, Instant()));
}

TEST(RsocketResume, RefusesPositionsThatCannotBe) {
  for (const auto& [received, available] : {std::pair<std::uint64_t, std::uint64_t>{1, 0},
                                            {0, 10},
                                            {1'000'000, 0},
                                            {0x7fffffffffffffff, 0x7fffffffffffffff}}) {
    Session session;
    ASSERT_TRUE(ask(session.client, "one"));
    session.carry_all();
    EXPECT_TRUE(session.server.next(1, {as_bytes("1"), {}}, true));
    session.cut();
    EXPECT_FALSE(session.server.resumed(
        {.token = as_bytes("token"), .last_received = received, .first_available = available},
        session.now))
        << received << " " << available;
  }
}

TEST(RsocketResume, TheClientHearsThatItsSessionIsGone) {
  Session session;
  ASSERT_TRUE(ask(session.client, "one"));
  session.cut();
  session.client.resume(session.now);
  session.client.sent(session.client.output().size());
  const auto no = bytes_of("00000000 2c00 00000004 'gone'");
  const Event event = session.client.receive(no, session.now);
  EXPECT_EQ(event.kind, Kind::closed);
  EXPECT_EQ(event.fault, Fault::reset) << "refused would say that nothing was processed";
  EXPECT_TRUE(session.client.is_over());
  EXPECT_FALSE(session.client.detach(session.now));
}

TEST(RsocketResume, WhatWaitedForASessionThatEndsIsSaidToNobody) {
  Session session;
  ASSERT_TRUE(ask(session.client, "all", FrameType::request_stream, 10));
  session.carry_all();
  session.cut();
  ASSERT_TRUE(session.server.next(1, {as_bytes("waits"), {}}, false));
  EXPECT_FALSE(
      session.server.resumed({.token = as_bytes("token"), .last_received = 1}, session.now));
  session.server.abort(ErrorCode::connection_error, "enough");
  EXPECT_TRUE(session.server.output().empty());

  ASSERT_TRUE(ask(session.client, "waits"));
  session.client.resume(session.now);
  session.client.sent(session.client.output().size());
  const auto no = bytes_of("00000000 2c00 00000004 'gone'");
  EXPECT_EQ(session.client.receive(no, session.now).kind, Kind::closed);
  EXPECT_TRUE(session.client.output().empty());
}

TEST(RsocketResume, TheClientTakesOnlyAGoodAnswer) {
  const std::pair<const char*, const char*> wrong[] = {
      {"00000000 3800 0000000000000001", "the server wants to go on where there is nothing"},
      {"00000000 3800 00000000000000ff", "the server wants to go on where there is nothing"},
      {"00000001 2860 'x'", "neither RESUME_OK nor ERROR"},
      {"00000000 0c00 0000000000000000", "neither RESUME_OK nor ERROR"},
      {"00000000 3800", "the frame is shorter than its fields"},
  };
  for (const auto& [answer, why] : wrong) {
    Session session;
    ASSERT_TRUE(ask(session.client, "one"));
    session.cut();
    session.client.resume(session.now);
    session.client.sent(session.client.output().size());
    const auto bytes = bytes_of(answer);
    const Event event = session.client.receive(bytes, session.now);
    EXPECT_EQ(event.kind, Kind::closed) << answer;
    EXPECT_EQ(event.text, why);
    EXPECT_TRUE(session.client.output().empty()) << "nothing but RESUME is said before RESUME_OK";
  }
}

TEST(RsocketResume, ASessionWaitsOnlySoLong) {
  Session session({.session = 30s});
  session.now += 5s;
  session.cut();
  EXPECT_EQ(session.client.next_deadline(), session.now + 30s);
  session.now += 29s;
  EXPECT_EQ(session.server.tick(session.now).kind, Kind::none);
  session.client.resume(session.now);
  session.now += 1s;
  EXPECT_EQ(session.server.tick(session.now).kind, Kind::closed);
  EXPECT_EQ(session.client.tick(session.now).kind, Kind::closed);
}

TEST(RsocketResume, ATransportThatSaysNothingIsLostAndNotTheSession) {
  Session session;
  session.now += 90s;
  EXPECT_EQ(session.server.tick(session.now).kind, Kind::lost);
  EXPECT_EQ(session.client.tick(session.now).kind, Kind::lost);
  session.cut();
  session.client.resume(session.now);
  session.now += 10s;
  EXPECT_EQ(session.client.tick(session.now).kind, Kind::lost) << "nor one that does not answer";
  EXPECT_TRUE(session.client.detach(session.now));
  EXPECT_TRUE(session.come_back());
  EXPECT_EQ(session.carry_all(), "client resumed, ");
}

TEST(RsocketResume, LeasesBeginAgain) {
  Session session({.lease = true, .lease_wait = false});
  EXPECT_TRUE(ask(session.client, "one"));
  session.carry_all();
  session.cut();
  EXPECT_EQ(ask(session.client, "two").error(), Fault::exhausted);
  EXPECT_TRUE(session.come_back());
  EXPECT_EQ(session.carry_all(), "client resumed, client leased, server leased, ");
  EXPECT_TRUE(ask(session.client, "two"));
}

TEST(RsocketResume, WithoutATokenNothingIsResumed) {
  Connection client(Side::client, {.resume = true}, Instant());
  EXPECT_FALSE(client.is_resumable());
  EXPECT_FALSE(client.detach(Instant()));
  EXPECT_EQ(meaning(client.output().subspan(3)).find("token"), std::string::npos);
}

/// Cuts at any byte, for ever; whatever was sent arrives once and in order.
TEST(RsocketResume, NothingIsLostAndNothingComesTwiceWhereverItIsCut) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Prng random(seed);
    Session session({.retained_bytes_max = 2000, .frame_bytes_max = 64});
    ASSERT_TRUE(ask(session.client, "all", FrameType::request_stream, request_n_max));
    std::string heard;
    int sent = 0;
    while (sent < 100) {
      const std::uint64_t what = random.below(10);
      if (what < 4) {
        const std::string item = std::to_string(sent) + std::string(random.below(150), '.');
        if (session.server.next(1, {as_bytes(item), {}}, false)) ++sent;
      } else if (what < 6) {
        heard += session.carry_some(session.server, random.below(300));
      } else if (what < 8) {
        heard += session.carry_some(session.client, random.below(100));
      } else if (what == 8) {
        session.cut();
        ASSERT_TRUE(session.come_back()) << "seed " << seed;
      } else {
        heard += session.carry_all();
      }
    }
    heard += session.carry_all();
    int expected = 0;
    for (std::size_t at = heard.find("client 1 '"); at != heard.npos;
         at = heard.find("client 1 '", at + 1)) {
      ASSERT_EQ(std::stoi(heard.substr(at + 10)), expected++) << "seed " << seed;
    }
    EXPECT_EQ(expected, 100) << "seed " << seed;
  }
}

}  // namespace
}  // namespace koine::rsocket
