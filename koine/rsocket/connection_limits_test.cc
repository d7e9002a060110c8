// What a connection bounds: fragments, requests, output, time and leases; and how it ends.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "koine/rsocket/connection.h"
#include "koine/rsocket/talk_test.h"

namespace koine::rsocket {
namespace {

// Fragmentation and Reassembly.

TEST(RsocketConnection, PutsARequestTogether) {
  Talk talk(Side::server);
  EXPECT_EQ(talk.hear("00000001 1980 00000002 000002 'me' ''"), "");
  EXPECT_EQ(talk.hear("00000001 29a0 000002 'ta' 'da'"), "");
  EXPECT_EQ(talk.connection.bytes_kept(), 6u);
  EXPECT_EQ(talk.hear("00000001 2000 00000001"), "") << "it may request more meanwhile";
  EXPECT_EQ(talk.hear("00000001 2820 'ta'"), "request 1 REQUEST_STREAM [meta] 'data' last");
  EXPECT_EQ(talk.connection.bytes_kept(), 0u);
  EXPECT_EQ(talk.connection.may_send(1), 3u);
}

TEST(RsocketConnection, PutsItemsTogetherThatTakeTurns) {
  Talk talk(Side::client);
  static_cast<void>(talk.ask(FrameType::request_stream, "", 1));
  static_cast<void>(talk.ask(FrameType::request_response, ""));
  EXPECT_EQ(talk.hear("00000001 28a0 'o'"), "");
  EXPECT_EQ(talk.hear("00000003 28a0 'tw'"), "");
  EXPECT_EQ(talk.hear("00000001 2860 'ne'"), "next 1 'one' last over");
  EXPECT_EQ(talk.hear("00000003 28c0 'o'"), "next 3 'two' last over")
      << "complete says that nothing follows";
  EXPECT_EQ(talk.connection.bytes_kept() - talk.connection.output().size(), 0u);
}

TEST(RsocketConnection, EndsAStreamWhoseMetadataComesBehindItsData) {
  Talk talk(Side::server);
  EXPECT_EQ(talk.hear("00000001 1080 'data'"), "");
  EXPECT_EQ(talk.hear("00000001 2920 000001 'm'"), "(over)");
  EXPECT_EQ(talk.said(), "1 ERROR INVALID 'metadata behind data'\n");
  EXPECT_EQ(talk.connection.bytes_kept(), 0u);
}

TEST(RsocketConnection, ForgetsFragmentsOfWhatIsCancelled) {
  Talk talk(Side::server);
  talk.hear("00000001 1080 'half'");
  EXPECT_EQ(talk.hear("00000001 2400"), "(over)") << "nobody had heard of it";
  EXPECT_EQ(talk.connection.bytes_kept(), 0u);
  EXPECT_EQ(talk.hear("00000001 2820 'rest'"), "");
}

TEST(RsocketConnection, ThrowsAwayAMessageThatIsTooLarge) {
  Talk talk(Side::server, {.message_bytes_max = 8});
  EXPECT_EQ(talk.hear("00000001 1080 '12345'"), "");
  EXPECT_EQ(talk.hear("00000001 28a0 '6789'"), "(over)");
  EXPECT_EQ(talk.said(), "1 ERROR REJECTED 'the message is too large'\n");
  EXPECT_EQ(talk.hear("00000001 28a0 'more'"), "") << "and what is left of it";
  EXPECT_EQ(talk.hear("00000003 1000 '123456789'"), "");
  EXPECT_EQ(talk.said(), "3 ERROR REJECTED 'the message is too large'\n");
  EXPECT_EQ(talk.connection.bytes_kept(), 0u);

  Talk client(Side::client, {.message_bytes_max = 8});
  static_cast<void>(client.ask(FrameType::request_response, "ask"));
  client.said();
  EXPECT_EQ(client.hear("00000001 2820 '123456789'"),
            "failed 1 CANCELED (over the limit) the message is too large over");
  EXPECT_EQ(client.said(), "1 CANCEL\n");
}

TEST(RsocketConnection, KeepsOnlySoManyFragmentsInAll) {
  Talk talk(Side::server, {.partial_bytes_max = 10});
  EXPECT_EQ(talk.hear("00000001 1080 '123456'"), "");
  EXPECT_EQ(talk.hear("00000003 1080 '123456'"), "(over)");
  EXPECT_EQ(talk.said(), "3 ERROR REJECTED 'too much is in fragments'\n");
  EXPECT_EQ(talk.connection.bytes_kept(), 6u);
}

// Limits, and the way back from a peer that does not read.

TEST(RsocketConnection, RejectsOneRequestTooMany) {
  Talk talk(Side::server, {.requests_max = 1});
  talk.hear("00000001 1000 'a'");
  EXPECT_EQ(talk.hear("00000003 1000 'b'"), "");
  EXPECT_EQ(talk.hear("00000005 1400 'c'"), "");
  EXPECT_EQ(talk.said(), "3 ERROR REJECTED 'too many requests are open'\n");
  EXPECT_EQ(talk.connection.counts().rejected, 2u);
  Talk client(Side::client, {.requests_max = 1});
  EXPECT_TRUE(client.ask(FrameType::request_response, "a"));
  EXPECT_EQ(client.ask(FrameType::request_response, "b").error(), Fault::would_block);
}

TEST(RsocketConnection, TakesNothingInWhileNothingGoesOut) {
  Talk talk(Side::server, {.output_bytes_max = 100});
  const std::string ping = "00000000 0c80 0000000000000000 '" + std::string(60, 'p') + "'";
  talk.hear(ping);
  EXPECT_TRUE(talk.connection.wants_input());
  talk.hear(ping);
  EXPECT_FALSE(talk.connection.wants_input());
  EXPECT_EQ(talk.ask(FrameType::request_response, "a").error(), Fault::would_block);
  talk.connection.sent(talk.connection.output().size());
  EXPECT_TRUE(talk.connection.wants_input());
  EXPECT_TRUE(talk.ask(FrameType::request_response, "a"));
}

TEST(RsocketConnection, GoesOnListeningWhileItsOwnMessagesWait) {
  Talk talk(Side::server, {.output_bytes_max = 100});
  talk.hear("00000001 1800 00000002");
  const std::string large(10'000, 'x');
  EXPECT_TRUE(talk.connection.next(1, {as_bytes(large), {}}, false));
  EXPECT_FALSE(talk.connection.takes_messages());
  EXPECT_EQ(talk.connection.next(1, {as_bytes(large), {}}, false).error(), Fault::would_block);
  EXPECT_TRUE(talk.connection.wants_input()) << "the peer may be waiting for the same";
  const std::string ping = "00000000 0c80 0000000000000000 '" + std::string(60, 'p') + "'";
  talk.hear(ping);
  talk.hear(ping);
  EXPECT_FALSE(talk.connection.wants_input()) << "it has to be answered too often";
  talk.connection.sent(talk.connection.output().size());
  EXPECT_TRUE(talk.connection.wants_input());
}

// Keepalive.

TEST(RsocketConnection, AnswersAKeepaliveWithItsData) {
  Talk talk(Side::server);
  EXPECT_EQ(talk.hear("00000000 0c80 0000000000000000 'ping'"), "");
  EXPECT_EQ(talk.said(), "0 KEEPALIVE position=0 'ping'\n");
  EXPECT_EQ(talk.hear("00000000 0c00 0000000000000000 'pong'"), "");
  EXPECT_EQ(talk.said(), "");
}

TEST(RsocketConnection, TheClientAsksForSignsOfLife) {
  Talk talk(Side::client, {.keepalive = 1s, .lifetime = 3s});
  EXPECT_EQ(talk.connection.next_deadline(), talk.now + 1s);
  EXPECT_EQ(talk.pass(1s), "");
  EXPECT_EQ(talk.said(), "0 KEEPALIVE respond position=0 ''\n");
  EXPECT_EQ(talk.hear("00000000 0c00 0000000000000000"), "");
  EXPECT_EQ(talk.pass(1s), "");
  EXPECT_EQ(talk.pass(1s), "");
  EXPECT_EQ(talk.pass(1s), "closed CONNECTION_ERROR (timed out) no KEEPALIVE came");
  EXPECT_EQ(talk.connection.next_deadline(), std::nullopt);
}

TEST(RsocketConnection, TheServerGoesByTheLifetimeOfItsClient) {
  Talk talk(Side::server);
  EXPECT_EQ(talk.connection.next_deadline(), talk.now + 90s);
  EXPECT_EQ(talk.pass(89s), "");
  talk.hear("00000000 0c80 0000000000000000");
  EXPECT_EQ(talk.pass(89s), "");
  EXPECT_EQ(talk.pass(1s), "closed CONNECTION_ERROR (timed out) no KEEPALIVE came");
}

// Lease Semantics.

TEST(RsocketConnection, RequestsOnlyWhatALeaseAllows) {
  Talk talk(Side::client, {.lease = true, .lease_wait = false});
  EXPECT_EQ(talk.ask(FrameType::request_response, "a").error(), Fault::exhausted);
  EXPECT_EQ(talk.hear("00000000 0800 000003e8 00000002"), "leased");
  EXPECT_TRUE(talk.ask(FrameType::request_response, "a"));
  EXPECT_TRUE(talk.ask(FrameType::request_response, "b"));
  EXPECT_EQ(talk.ask(FrameType::request_response, "c").error(), Fault::exhausted);
  EXPECT_EQ(talk.hear("00000000 0800 000003e8 00000002"), "leased");
  EXPECT_EQ(talk.pass(1s), "");
  EXPECT_EQ(talk.ask(FrameType::request_response, "c").error(), Fault::exhausted);
}

TEST(RsocketConnection, ALeaseOfNothingStopsAllFurtherRequests) {
  Talk talk(Side::client, {.lease = true, .lease_wait = false});
  talk.hear("00000000 0800 000003e8 00000002");
  EXPECT_EQ(talk.hear("00000000 0800 00000000 00000000"), "leased");
  EXPECT_EQ(talk.ask(FrameType::request_response, "a").error(), Fault::exhausted);
}

TEST(RsocketConnection, WaitsForALease) {
  Talk talk(Side::client, {.lease = true});
  EXPECT_EQ(talk.ask(FrameType::request_response, "a").error(), Fault::would_block);
  talk.hear("00000000 0800 000003e8 00000001");
  EXPECT_TRUE(talk.ask(FrameType::request_response, "a"));
}

constexpr const char* lease_setup = "00000000 0440 0001 0000 00004e20 00015f90 01 'm' 01 'd'";

TEST(RsocketConnection, RejectsWhatNoLeaseAllows) {
  Talk talk(Talk::Fresh(), Side::server, {.lease = true, .lease_requests = 0});
  EXPECT_EQ(talk.hear(lease_setup), "setup");
  EXPECT_EQ(talk.hear("00000001 1000 'a'"), "");
  EXPECT_EQ(talk.said(), "1 ERROR REJECTED 'no lease'\n");
  EXPECT_TRUE(talk.connection.grant(1, 1s, talk.now));
  EXPECT_EQ(talk.said(), "0 LEASE ttl=1000 requests=1\n");
  EXPECT_EQ(talk.hear("00000003 1000 'a'"), "request 3 REQUEST_RESPONSE 'a' last");
  EXPECT_EQ(talk.hear("00000005 1000 'a'"), "");
  EXPECT_EQ(talk.said(), "5 ERROR REJECTED 'no lease'\n");
}

TEST(RsocketConnection, BothSidesGoByLeasesIfTheClientDoes) {
  Talk server(Talk::Fresh(), Side::server, {.lease = true});
  server.hear(lease_setup);
  EXPECT_EQ(server.ask(FrameType::request_response, "a").error(), Fault::would_block);
  server.hear("00000000 0800 000003e8 00000001");
  EXPECT_TRUE(server.ask(FrameType::request_response, "a"));

  Talk client(Talk::Fresh(), Side::client, {.lease = true, .lease_requests = 0});
  client.said();
  EXPECT_EQ(client.hear("00000002 1000 'a'"), "");
  EXPECT_EQ(client.said(), "2 ERROR REJECTED 'no lease'\n");
}

TEST(RsocketConnection, GrantsByItselfWhatItsLoadAllows) {
  Talk talk(Talk::Fresh(), Side::server,
            {.lease = true, .lease_requests = 4, .lease_time = 10s, .requests_max = 5});
  talk.hear(lease_setup);
  EXPECT_EQ(talk.said(), "0 LEASE ttl=10000 requests=4\n");
  talk.hear("00000001 1000 'a'");
  EXPECT_EQ(talk.said(), "");
  talk.hear("00000003 1000 'b'");
  EXPECT_EQ(talk.said(), "0 LEASE ttl=10000 requests=3\n") << "half is used up, three are free";
  EXPECT_EQ(talk.connection.next_deadline(), talk.now + 5s);
  EXPECT_EQ(talk.pass(5s), "");
  EXPECT_EQ(talk.said(), "0 LEASE ttl=10000 requests=3\n") << "half of the time is over";
}

TEST(RsocketConnection, GrantsAgainAsSoonAsAFullServerHasRoom) {
  Talk talk(Talk::Fresh(), Side::server,
            {.lease = true, .lease_requests = 4, .lease_time = 10s, .requests_max = 1});
  talk.hear(lease_setup);
  EXPECT_EQ(talk.said(), "0 LEASE ttl=10000 requests=1\n");
  talk.hear("00000001 1000 'a'");
  EXPECT_EQ(talk.said(), "");
  EXPECT_EQ(talk.connection.next_deadline(), talk.now + 5s) << "and does not ask all the time";
  EXPECT_TRUE(talk.connection.next(1, {}, true));
  EXPECT_LE(*talk.connection.next_deadline(), talk.now);
  talk.said();
  EXPECT_EQ(talk.pass(0s), "");
  EXPECT_EQ(talk.said(), "0 LEASE ttl=10000 requests=1\n");
}

TEST(RsocketConnection, AllowsWhatWasOnItsWayWhenTheNextLeaseWasGranted) {
  Talk talk(Talk::Fresh(), Side::server, {.lease = true, .lease_requests = 0});
  talk.hear(lease_setup);
  talk.connection.grant(2, 1s, talk.now);
  talk.connection.grant(1, 1s, talk.now);
  talk.said();
  for (const char* id : {"01", "03", "05"})
    EXPECT_EQ(talk.hear(std::string("000000") + id + " 1400 'x'").substr(0, 7), "request") << id;
  EXPECT_EQ(talk.hear("00000007 1400 'x'"), "") << "two, and one";
}

// Closing.

TEST(RsocketConnection, ClosesWhenItsStreamsHaveEnded) {
  Talk talk(Side::server);
  talk.hear("00000001 1000 'a'");
  talk.connection.close();
  EXPECT_EQ(talk.said(), "0 ERROR CONNECTION_CLOSE 'closing'\n");
  EXPECT_FALSE(talk.connection.is_over());
  EXPECT_EQ(talk.hear("00000003 1000 'b'"), "");
  EXPECT_EQ(talk.said(), "3 ERROR REJECTED 'the connection is closing'\n");
  EXPECT_TRUE(talk.connection.next(1, {as_bytes("answer"), {}}, true));
  EXPECT_EQ(talk.said(), "1 PAYLOAD complete next 'answer'\n");
  EXPECT_TRUE(talk.connection.is_over());
}

TEST(RsocketConnection, LetsThePeerClose) {
  Talk talk(Side::client);
  static_cast<void>(talk.ask(FrameType::request_response, "a"));
  EXPECT_EQ(talk.hear("00000000 2c00 00000102 'bye'"),
            "closing CONNECTION_CLOSE (connection reset) bye");
  EXPECT_EQ(talk.ask(FrameType::request_response, "b").error(), Fault::closed);
  EXPECT_EQ(talk.hear("00000001 2860 'answer'"), "next 1 'answer' last over");
  EXPECT_TRUE(talk.connection.is_over());
}

TEST(RsocketConnection, IsOverAtOnceAfterAConnectionError) {
  Talk talk(Side::client);
  static_cast<void>(talk.ask(FrameType::request_response, "a"));
  EXPECT_EQ(talk.hear("00000000 2c00 00000101 'sorry'"),
            "closed CONNECTION_ERROR (connection reset) sorry");
  int owners = 0;
  talk.connection.for_each_stream(
      [&](const OpenStream& stream) { owners += stream.owner == &talk; });
  EXPECT_EQ(owners, 1) << "so that they can be told";
}

TEST(RsocketConnection, PushesMetadata) {
  Talk talk(Side::client);
  EXPECT_TRUE(talk.connection.push(as_bytes("md")));
  EXPECT_EQ(talk.said(), "0 METADATA_PUSH 'md'\n");
  EXPECT_EQ(talk.hear("00000000 3100 'md'"), "pushed [md]");
}

// The table of streams.

TEST(RsocketStreams, AreFoundAgainHoweverTheyComeAndGo) {
  Streams streams;
  std::vector<bool> open(2000);
  std::uint32_t random = 1;
  for (int step = 0; step < 20'000; ++step) {
    random = random * 1664525 + 1013904223;
    const std::uint32_t id = 1 + (random >> 16) % 1999;
    if (open[id]) {
      streams.remove(*streams.find(id));
    } else {
      streams.add({.id = id, .may_send = id});
    }
    open[id] = !open[id];
  }
  std::size_t count = 0;
  for (std::uint32_t id = 1; id < open.size(); ++id) {
    const OpenStream* found = streams.find(id);
    ASSERT_EQ(found != nullptr, open[id]) << id;
    if (found == nullptr) continue;
    EXPECT_EQ(found->may_send, id);
    ++count;
  }
  EXPECT_EQ(streams.size(), count);
}

}  // namespace
}  // namespace koine::rsocket
