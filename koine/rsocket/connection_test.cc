// The connection by section of the specification: how it begins, what its streams do, and what it
// makes of frames that it did not expect.
#include "koine/rsocket/connection.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "koine/rsocket/talk_test.h"

namespace koine::rsocket {
namespace {

// Connection Establishment.

TEST(RsocketConnection, TheClientBeginsWithItsSetup) {
  Talk talk(Talk::Fresh(), Side::client);
  EXPECT_EQ(talk.said(),
            "0 SETUP 1.0 keepalive=20000 lifetime=90000 'message/x.rsocket.composite-metadata.v0' "
            "'application/octet-stream' ''\n");
}

struct Refused {
  const char* first;
  const char* event;
  const char* answer;
};

TEST(RsocketConnection, TheServerRefusesWhatIsNoGoodSetup) {
  const Refused refused[] = {
      {"00000000 0400 0002 0000 00004e20 00015f90 01 'm' 01 'd'",
       "closed INVALID_SETUP (not supported) only version 1.0 is served here",
       "0 ERROR INVALID_SETUP 'only version 1.0 is served here'\n"},
      {"00000000 0480 0001 0000 00004e20 00015f90 0001 't' 01 'm' 01 'd'",
       "closed REJECTED_SETUP (not supported) resuming is not served here",
       "0 ERROR REJECTED_SETUP 'resuming is not served here'\n"},
      {"00000000 0440 0001 0000 00004e20 00015f90 01 'm' 01 'd'",
       "closed UNSUPPORTED_SETUP (not supported) leases are not served here",
       "0 ERROR UNSUPPORTED_SETUP 'leases are not served here'\n"},
      {"00000000 0400 0001 0000 00000000 00015f90 01 'm' 01 'd'",
       "closed INVALID_SETUP (malformed) the time between keepalives is 0",
       "0 ERROR INVALID_SETUP 'the time between keepalives is 0'\n"},
      {"00000000 0400 0001 0000 00004e20",
       "closed INVALID_SETUP (malformed) the frame is shorter than its fields",
       "0 ERROR INVALID_SETUP 'the frame is shorter than its fields'\n"},
      {"00000001 1000 'ask'", "closed INVALID_SETUP (malformed) the first frame is not SETUP",
       "0 ERROR INVALID_SETUP 'the first frame is not SETUP'\n"},
      {"00000000 0c80 0000000000000000",
       "closed INVALID_SETUP (malformed) the first frame is not SETUP",
       "0 ERROR INVALID_SETUP 'the first frame is not SETUP'\n"},
      {"'GET /'", "closed INVALID_SETUP (malformed) shorter than a frame header",
       "0 ERROR INVALID_SETUP 'shorter than a frame header'\n"},
      {"00000000 3400 0001 0000 0001 't' 0000000000000001 0000000000000002",
       "closed REJECTED_RESUME (not supported) resuming is not served here",
       "0 ERROR REJECTED_RESUME 'resuming is not served here'\n"},
  };
  for (const Refused& row : refused) {
    Talk talk(Talk::Fresh(), Side::server);
    EXPECT_EQ(talk.hear(row.first), row.event);
    EXPECT_EQ(talk.said(), row.answer);
    EXPECT_TRUE(talk.connection.is_over());
    EXPECT_EQ(talk.hear(good_setup), "") << "nothing more happens";
    EXPECT_EQ(talk.said(), "");
  }
}

TEST(RsocketConnection, TheServerWaitsForSetupOnlySoLong) {
  Talk talk(Talk::Fresh(), Side::server);
  EXPECT_EQ(talk.connection.next_deadline(), talk.now + 10s);
  EXPECT_EQ(talk.pass(10s), "closed INVALID_SETUP (timed out) no SETUP came");
}

TEST(RsocketConnection, AClientThatWasAcceptedIgnoresErrorsAboutItsSetup) {
  for (const char* sign : {"00000000 0800 000003e8 00000002", "00000002 1400", "00000001 2860"}) {
    Talk talk(Side::client);
    static_cast<void>(talk.ask(FrameType::request_response, "a"));
    talk.hear(sign);
    EXPECT_EQ(talk.hear("00000000 2c00 00000003 'late'"), "") << sign;
    EXPECT_FALSE(talk.connection.is_over()) << sign;
  }
}

TEST(RsocketConnection, TheClientHearsThatItIsNotWelcome) {
  Talk talk(Side::client);
  EXPECT_EQ(talk.hear("00000000 2c00 00000003 'full'"), "closed REJECTED_SETUP (refused) full");
  EXPECT_EQ(talk.ask(FrameType::request_response, "x").error(), Fault::closed);
}

// Stream Sequences and Lifetimes, as the responder.

TEST(RsocketConnection, AnswersARequestOnce) {
  Talk talk(Side::server);
  EXPECT_EQ(talk.hear("00000001 1100 000001 'm' 'ask'"),
            "request 1 REQUEST_RESPONSE [m] 'ask' last");
  EXPECT_TRUE(talk.connection.next(1, {as_bytes("answer"), {}}, false));
  EXPECT_EQ(talk.said(), "1 PAYLOAD complete next 'answer'\n");
  EXPECT_FALSE(talk.connection.is_open(1));
  EXPECT_EQ(talk.connection.next(1, {as_bytes("again"), {}}, true).error(), Fault::closed);
  EXPECT_EQ(talk.said(), "");
}

TEST(RsocketConnection, SaysNothingAboutFireAndForget) {
  Talk talk(Side::server);
  EXPECT_EQ(talk.hear("00000001 1400 'tell'"), "request 1 REQUEST_FNF 'tell' last over");
  EXPECT_EQ(talk.connection.streams(), 0u);
  EXPECT_EQ(talk.said(), "");
}

TEST(RsocketConnection, SendsAsManyItemsAsWereRequested) {
  Talk talk(Side::server);
  EXPECT_EQ(talk.hear("00000001 1800 00000002 'all'"), "request 1 REQUEST_STREAM 'all' last");
  EXPECT_TRUE(talk.connection.next(1, {as_bytes("a"), {}}, false));
  EXPECT_TRUE(talk.connection.next(1, {as_bytes("b"), {}}, false));
  EXPECT_EQ(talk.connection.next(1, {as_bytes("c"), {}}, false).error(), Fault::would_block);
  EXPECT_EQ(talk.hear("00000001 2000 00000001"), "requested 1");
  EXPECT_TRUE(talk.connection.next(1, {as_bytes("c"), {}}, true));
  EXPECT_EQ(talk.said(), "1 PAYLOAD next 'a'\n1 PAYLOAD next 'b'\n1 PAYLOAD complete next 'c'\n");
  EXPECT_EQ(talk.connection.streams(), 0u);
}

TEST(RsocketConnection, WhatIsRequestedAddsUpAndNeverOverflows) {
  Talk talk(Side::server);
  talk.hear("00000001 1800 00000001");
  talk.hear("00000001 2000 00000002");
  EXPECT_EQ(talk.connection.may_send(1), 3u);
  talk.hear("00000001 2000 7fffffff");
  talk.hear("00000001 2000 7fffffff");
  EXPECT_EQ(talk.connection.may_send(1), request_n_max);
  EXPECT_TRUE(talk.connection.next(1, {}, false));
  EXPECT_EQ(talk.connection.may_send(1), request_n_max) << "as much as that is no limit";
}

TEST(RsocketConnection, ACancelledStreamIsOver) {
  Talk talk(Side::server);
  talk.hear("00000001 1800 00000002");
  EXPECT_EQ(talk.hear("00000001 2400"), "cancelled 1 over");
  EXPECT_EQ(talk.connection.next(1, {}, false).error(), Fault::closed);
  EXPECT_EQ(talk.hear("00000001 2400"), "") << "the second is of no stream";
}

TEST(RsocketConnection, AFailingHandlerIsAnError) {
  Talk talk(Side::server);
  talk.hear("00000001 1000 'ask'");
  talk.connection.fail_stream(1, ErrorCode::application_error, "no");
  EXPECT_EQ(talk.said(), "1 ERROR APPLICATION_ERROR 'no'\n");
  EXPECT_EQ(talk.connection.streams(), 0u);
}

TEST(RsocketConnection, AChannelClosesOneDirectionAtATime) {
  Talk talk(Side::server);
  EXPECT_EQ(talk.hear("00000001 1c00 00000001 'first'"), "request 1 REQUEST_CHANNEL 'first'");
  talk.connection.request_more(1, 2);
  EXPECT_EQ(talk.said(), "1 REQUEST_N 2\n");
  EXPECT_EQ(talk.hear("00000001 2820 'a'"), "next 1 'a'");
  EXPECT_EQ(talk.hear("00000001 2840"), "completed 1 last");
  EXPECT_TRUE(talk.connection.next(1, {as_bytes("b"), {}}, false));
  talk.connection.complete(1);
  EXPECT_EQ(talk.said(), "1 PAYLOAD next 'b'\n1 PAYLOAD complete ''\n");
  EXPECT_EQ(talk.connection.streams(), 0u);
}

TEST(RsocketConnection, AChannelMayBeCompleteWithItsRequest) {
  Talk talk(Side::server);
  EXPECT_EQ(talk.hear("00000001 1c40 00000001 'only'"), "request 1 REQUEST_CHANNEL 'only' last");
  EXPECT_TRUE(talk.connection.next(1, {as_bytes("b"), {}}, true));
  EXPECT_EQ(talk.connection.streams(), 0u);
}

TEST(RsocketConnection, AResponderMayWantNoMoreOfAChannel) {
  Talk talk(Side::server);
  talk.hear("00000001 1c00 00000001 'first'");
  talk.connection.cancel(1);
  EXPECT_EQ(talk.said(), "1 CANCEL\n");
  EXPECT_EQ(talk.hear("00000001 2820 'a'"), "") << "it was on its way";
  EXPECT_TRUE(talk.connection.next(1, {as_bytes("b"), {}}, true));
  EXPECT_EQ(talk.connection.streams(), 0u);
}

// The same as the requester.

TEST(RsocketConnection, RequestsWithOddIdsAndTheServerWithEvenOnes) {
  Talk client(Side::client);
  EXPECT_EQ(client.ask(FrameType::request_response, "a").value(), 1u);
  EXPECT_EQ(client.ask(FrameType::request_fnf, "b").value(), 3u);
  EXPECT_EQ(client.ask(FrameType::request_stream, "c", 4).value(), 5u);
  EXPECT_EQ(client.said(), "1 REQUEST_RESPONSE 'a'\n3 REQUEST_FNF 'b'\n5 REQUEST_STREAM n=4 'c'\n");
  EXPECT_EQ(client.connection.streams(), 2u);
  Talk server(Side::server);
  EXPECT_EQ(server.ask(FrameType::request_response, "a").value(), 2u);
  EXPECT_EQ(server.ask(FrameType::request_response, "a").value(), 4u);
}

TEST(RsocketConnection, AnAnswerIsTheLastItemWhateverItSays) {
  Talk talk(Side::client);
  static_cast<void>(talk.ask(FrameType::request_response, "ask"));
  EXPECT_EQ(talk.hear("00000001 2820 'answer'"), "next 1 'answer' last over");
  EXPECT_EQ(talk.hear("00000001 2820 'more'"), "") << "of no stream";
}

TEST(RsocketConnection, AnAnswerMayBeNothing) {
  Talk talk(Side::client);
  static_cast<void>(talk.ask(FrameType::request_response, "ask"));
  EXPECT_EQ(talk.hear("00000001 2840"), "completed 1 last over");
}

TEST(RsocketConnection, HearsItemsUntilTheLast) {
  Talk talk(Side::client);
  static_cast<void>(talk.ask(FrameType::request_stream, "all", 2));
  EXPECT_EQ(talk.hear("00000001 2820 'a'"), "next 1 'a'");
  EXPECT_EQ(talk.hear("00000001 2860 'b'"), "next 1 'b' last over");
  EXPECT_EQ(talk.connection.streams(), 0u);
}

TEST(RsocketConnection, CancellingEndsAStreamOfOurs) {
  Talk talk(Side::client);
  static_cast<void>(talk.ask(FrameType::request_stream, "all", 2));
  talk.said();
  talk.connection.cancel(1);
  talk.connection.cancel(1);
  EXPECT_EQ(talk.said(), "1 CANCEL\n");
  EXPECT_EQ(talk.hear("00000001 2820 'a'"), "");
  EXPECT_EQ(talk.hear("00000001 2c00 00000201 'late'"), "");
}

TEST(RsocketConnection, AnErrorEndsItsStream) {
  Talk talk(Side::client);
  static_cast<void>(talk.ask(FrameType::request_channel, "all", 2));
  EXPECT_EQ(talk.hear("00000001 2c00 00000202 'busy'"),
            "failed 1 REJECTED (connection reset) busy over");
  EXPECT_EQ(talk.connection.streams(), 0u);
}

TEST(RsocketConnection, TheResponderMayWantNoMoreOfOurItems) {
  Talk talk(Side::client);
  static_cast<void>(talk.ask(FrameType::request_channel, "first", 2));
  EXPECT_EQ(talk.hear("00000001 2000 00000005"), "requested 1");
  EXPECT_EQ(talk.hear("00000001 2400"), "cancelled 1");
  EXPECT_EQ(talk.connection.next(1, {}, false).error(), Fault::closed);
  EXPECT_EQ(talk.hear("00000001 2860 'b'"), "next 1 'b' last over");
}

// Flow control: a peer that does not keep to it.

TEST(RsocketConnection, AnItemThatWasNotRequestedEndsTheStream) {
  Talk talk(Side::client);
  static_cast<void>(talk.ask(FrameType::request_stream, "all", 1));
  talk.said();
  EXPECT_EQ(talk.hear("00000001 2820 'a'"), "next 1 'a'");
  EXPECT_EQ(talk.hear("00000001 2820 'b'"),
            "failed 1 INVALID (malformed) an item that was not requested over");
  EXPECT_EQ(talk.said(), "1 CANCEL\n");
  Talk server(Side::server);
  server.hear("00000001 1c00 00000001 'first'");
  EXPECT_EQ(server.hear("00000001 2820 'a'"),
            "failed 1 INVALID (malformed) an item that was not requested over");
  EXPECT_EQ(server.said(), "1 ERROR INVALID 'an item that was not requested'\n");
}

TEST(RsocketConnection, RequestNOfNothingIsInvalid) {
  Talk talk(Side::server);
  EXPECT_EQ(talk.hear("00000001 1800 00000000 'all'"), "");
  EXPECT_EQ(talk.said(), "1 ERROR INVALID 'the initial request N is 0'\n");
  EXPECT_EQ(talk.hear("00000003 1800 00000001 'all'"), "request 3 REQUEST_STREAM 'all' last");
  EXPECT_EQ(talk.hear("00000003 2000 00000000"),
            "failed 3 INVALID (malformed) request N of 0 over");
  EXPECT_EQ(talk.said(), "3 ERROR INVALID 'request N of 0'\n");
  EXPECT_EQ(talk.hear("00000005 2000 00000000"), "");
  EXPECT_EQ(talk.said(), "") << "there is no such stream";
}

// Handling the Unexpected: each is ignored, and the connection goes on.

TEST(RsocketConnection, IgnoresWhatTheSpecificationAsksToIgnore) {
  const std::pair<const char*, const char*> ignored[] = {
      {"a second SETUP", good_setup},
      {"a second SETUP, broken", "00000000 0400 0001"},
      {"CANCEL of an unknown stream", "00000009 2400"},
      {"CANCEL of stream 0", "00000000 2400"},
      {"ERROR on an unknown stream", "00000009 2c00 00000201"},
      {"PAYLOAD on an unknown stream", "00000009 2820 'x'"},
      {"PAYLOAD on stream 0", "00000000 2820 'x'"},
      {"REQUEST_N on an unknown stream", "00000009 2000 00000001"},
      {"METADATA_PUSH on another stream", "00000001 3100 'm'"},
      {"ERROR[INVALID_SETUP] at a server", "00000000 2c00 00000001"},
      {"ERROR[REJECTED_RESUME] at a server", "00000000 2c00 00000004"},
      {"a request on a stream id in use", "00000001 1000 'again'"},
      {"a request with n of 0 on a stream id in use", "00000001 1800 00000000"},
      {"a request with an id of our own", "00000002 1000 'x'"},
      {"PAYLOAD where we are the only sender", "00000001 2820 'x'"},
      {"RESUME_OK", "00000000 3800 0000000000000001"},
      {"an extension that may be ignored", "00000000 fe00 00000007"},
      {"a type that may be ignored", "00000000 4200"},
      {"metadata longer than its frame, which may be ignored", "00000003 1300 0000ff 'x'"},
  };
  Talk talk(Side::server);
  talk.hear("00000001 1800 00000001");
  std::uint64_t count = 0;
  for (const auto& [what, frame] : ignored) {
    EXPECT_EQ(talk.hear(frame), "") << what;
    EXPECT_EQ(talk.said(), "") << what;
    EXPECT_EQ(talk.connection.counts().ignored, ++count) << what;
  }
  EXPECT_EQ(talk.connection.streams(), 1u);
  EXPECT_TRUE(talk.connection.next(1, {as_bytes("still here"), {}}, true));
}

TEST(RsocketConnection, EndsOverWhatItCannotUnderstand) {
  const std::pair<const char*, const char*> wrong[] = {
      {"00000000 4000", "a frame type that is not known"},
      {"00000000 fc00 00000007", "an extension that is not known"},
      {"00000001 2000 0000", "the frame is shorter than its fields"},
      {"0000", "shorter than a frame header"},
      {"00000003 1100 0000ff 'x'", "the metadata is longer than the frame"},
      {"00000000 3400 0001 0000 0000 0000000000000001 0000000000000002",
       "RESUME on a connection that has begun"},
      {"00000000 3400 0001", "RESUME on a connection that has begun"},
  };
  for (const auto& [frame, why] : wrong) {
    Talk talk(Side::server);
    EXPECT_EQ(talk.hear(frame), std::string("closed CONNECTION_ERROR (malformed) ") + why);
    EXPECT_EQ(talk.said(), std::string("0 ERROR CONNECTION_ERROR '") + why + "'\n");
    EXPECT_TRUE(talk.connection.is_over());
  }
}

}  // namespace
}  // namespace koine::rsocket
