// The connection by section of the specification: what it makes of frames, right and wrong, and
// what it says to them.
#include "koine/rsocket/connection.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "koine/rsocket/words_test.h"

namespace koine::rsocket {
namespace {

std::string words(const Event& event) {
  using Kind = Event::Kind;
  static constexpr const char* names[] = {
      "",       "setup",     "resume",    "resumed", "lost",   "request", "next",  "completed",
      "failed", "cancelled", "requested", "pushed",  "leased", "closing", "closed"};
  if (event.kind == Kind::none) return event.is_over ? "(over)" : "";
  std::string text = names[static_cast<int>(event.kind)];
  if (event.stream_id != 0) text += " " + std::to_string(event.stream_id);
  if (event.kind == Kind::request) text += " " + std::string(to_string(event.type));
  if (event.kind == Kind::failed || event.kind == Kind::closed || event.kind == Kind::closing)
    text += " " + to_string(event.code) + " (" + std::string(to_string(event.fault)) + ")";
  if (event.payload.metadata) text += " [" + std::string(as_text(*event.payload.metadata)) + "]";
  if (!event.payload.data.empty()) text += " '" + std::string(as_text(event.payload.data)) + "'";
  if (!event.text.empty()) text += " " + std::string(event.text);
  if (event.is_last) text += " last";
  if (event.is_over) text += " over";
  return text;
}

constexpr const char* good_setup = "00000000 0400 0001 0000 00004e20 00015f90 01 'm' 01 'd'";

/// One side, and a test that plays the other.
class Talk {
 public:
  explicit Talk(Side side, ConnectionOptions options = {}) : connection(side, options, Instant()) {
    if (side == Side::server) {
      EXPECT_EQ(hear(good_setup), "setup");
    } else {
      EXPECT_EQ(said().substr(0, 11), "0 SETUP 1.0");
    }
  }
  struct Fresh {};
  Talk(Fresh, Side side, ConnectionOptions options = {}) : connection(side, options, Instant()) {}

  /// What a frame brings, in words.
  std::string hear(std::string_view written) {
    const auto bytes = bytes_of(written);
    return words(connection.receive(bytes, now));
  }
  /// What has been said since, in words.
  std::string said() {
    const Bytes out = connection.output();
    const std::string text = story(ByteVector(out.begin(), out.end()));
    connection.sent(out.size());
    return text;
  }
  std::string pass(Duration duration) {
    now += duration;
    return words(connection.tick(now));
  }
  Result<std::uint32_t> ask(FrameType type, std::string_view text, std::uint32_t n = 0) {
    return connection.open({.type = type, .initial_n = n, .payload = {as_bytes(text), {}}}, this,
                           now);
  }

  Instant now{};
  Connection connection;
};

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
