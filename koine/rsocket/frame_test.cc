// The frames of the specification by section, right and wrong: what each means, or what its
// receiver is to do about it.
#include "koine/rsocket/frame.h"

#include <gtest/gtest.h>

#include <string>

#include "koine/rsocket/words_test.h"

namespace koine::rsocket {
namespace {

struct Case {
  const char* section;
  const char* bytes;
  const char* means;
};

// The first six bytes are the stream id, the type (six bits) and the flags (ten).
constexpr Case cases[] = {
    {"Frame Header Format", "", "0 CONNECTION_ERROR: shorter than a frame header"},
    {"Frame Header Format", "00000001 24", "0 CONNECTION_ERROR: shorter than a frame header"},
    {"Frame Header Format: the first bit is reserved", "80000001 2400", "1 CANCEL"},
    {"Frame Header Format: other flags are not interpreted", "00000001 25ff", "1 CANCEL"},
    {"Handling Ignore Flag", "00000001 4000", "0 CONNECTION_ERROR: a frame type that is not known"},
    {"Handling Ignore Flag", "00000001 4200", "ignored: a frame type that is not known"},
    {"Frame Types: 0 is reserved", "00000000 0000",
     "0 CONNECTION_ERROR: a frame type that is not known"},

    {"Metadata Optional Header", "00000001 2920 000001 'md'", "1 PAYLOAD next metadata='m' 'd'"},
    {"Metadata Optional Header: empty is not absent", "00000001 2920 000000 'd'",
     "1 PAYLOAD next metadata='' 'd'"},
    {"Metadata Optional Header: longer than the frame", "00000001 2920 000003 'md'",
     "0 CONNECTION_ERROR: the metadata is longer than the frame"},
    {"Metadata Optional Header: no room for its length", "00000001 2920 0000",
     "0 CONNECTION_ERROR: the metadata is longer than the frame"},
    {"Metadata Optional Header: wrong, but the frame may be ignored", "00000001 2b20 000003 'md'",
     "ignored: the metadata is longer than the frame"},

    {"SETUP", "00000000 0400 0001 0000 00000064 000003e8 01 'm' 04 'data' 'hello'",
     "0 SETUP 1.0 keepalive=100 lifetime=1000 'm' 'data' 'hello'"},
    {"SETUP: lease, resume and metadata",
     "00000000 05c0 0001 0000 00000001 00000002 0003 'tok' 01 'm' 01 'd' 000002 'md' 'x'",
     "0 SETUP 1.0 keepalive=1 lifetime=2 lease token='tok' 'm' 'd' metadata='md' 'x'"},
    {"SETUP: cut off in a mime type", "00000000 0400 0001 0000 00000064 000003e8 01 'm' 04 'dat'",
     "0 INVALID_SETUP: the frame is shorter than its fields"},
    {"SETUP: cut off in the token", "00000000 0480 0001 0000 00000064 000003e8 0004 'tok'",
     "0 INVALID_SETUP: the frame is shorter than its fields"},
    {"SETUP: time between keepalives is above 0",
     "00000000 0400 0001 0000 00000000 000003e8 01 'm' 01 'd'",
     "0 INVALID_SETUP: the time between keepalives is 0"},
    {"SETUP: max lifetime is above 0", "00000000 0400 0001 0000 00000001 80000000 01 'm' 01 'd'",
     "0 INVALID_SETUP: the max lifetime is 0"},
    {"SETUP: another version is not looked into", "00000000 0400 0002 0000 00000064 000003e8 ff",
     "0 SETUP 2.0 keepalive=100 lifetime=1000 '' '' ''"},
    {"SETUP: metadata longer than the frame",
     "00000000 0500 0001 0000 00000064 000003e8 01 'm' 01 'd' 000003 'md'",
     "0 INVALID_SETUP: the metadata is longer than the frame"},
    {"SETUP: a later minor version is another version", "00000000 0400 0001 0001 00000064 000003e8",
     "0 SETUP 1.1 keepalive=100 lifetime=1000 '' '' ''"},
    {"SETUP: on stream 0 only", "00000001 0400 0001 0000 00000064 000003e8 01 'm' 01 'd'",
     "ignored: a frame of the connection on another stream than 0"},

    {"LEASE", "00000000 0800 00000064 00000005", "0 LEASE ttl=100 requests=5"},
    {"LEASE: metadata without a length", "00000000 0900 00000064 00000005 'md'",
     "0 LEASE ttl=100 requests=5 metadata='md'"},
    {"LEASE: 0 requests stop all further ones", "00000000 0800 00000064 00000000",
     "0 LEASE ttl=100 requests=0"},
    {"LEASE: 0 time does as well", "00000000 0800 00000000 00000001", "0 LEASE ttl=0 requests=1"},
    {"LEASE: cut off", "00000000 0800 00000064 000000",
     "0 CONNECTION_ERROR: the frame is shorter than its fields"},

    {"KEEPALIVE", "00000000 0c80 0000000000000007 'ping'", "0 KEEPALIVE respond position=7 'ping'"},
    {"KEEPALIVE: the answer", "00000000 0c00 8000000000000000", "0 KEEPALIVE position=0 ''"},
    {"KEEPALIVE: cut off", "00000000 0c80 00000000000000",
     "0 CONNECTION_ERROR: the frame is shorter than its fields"},
    {"KEEPALIVE: on stream 0 only", "00000002 0c80 0000000000000000",
     "ignored: a frame of the connection on another stream than 0"},

    {"REQUEST_RESPONSE", "00000001 1000 'ask'", "1 REQUEST_RESPONSE 'ask'"},
    {"REQUEST_RESPONSE: fragmented, metadata", "00000001 1180 000002 'md' 'ask'",
     "1 REQUEST_RESPONSE follows metadata='md' 'ask'"},
    {"REQUEST_RESPONSE: never on stream 0", "00000000 1000 'ask'",
     "ignored: a frame of a stream on stream 0"},
    {"REQUEST_FNF", "00000003 1400 'tell'", "3 REQUEST_FNF 'tell'"},
    {"REQUEST_STREAM", "00000005 1800 00000002 'ask'", "5 REQUEST_STREAM n=2 'ask'"},
    {"REQUEST_STREAM: all there are", "00000005 1800 7fffffff", "5 REQUEST_STREAM n=2147483647 ''"},
    {"REQUEST_STREAM: initial request N is above 0", "00000005 1800 00000000 'ask'",
     "5 INVALID: the initial request N is 0"},
    {"REQUEST_STREAM: initial request N has 31 bits", "00000005 1800 80000000 'ask'",
     "5 INVALID: the initial request N is 0"},
    {"REQUEST_STREAM: cut off", "00000005 1800 000000",
     "0 CONNECTION_ERROR: the frame is shorter than its fields"},
    {"REQUEST_CHANNEL", "00000007 1c40 00000001 'one'", "7 REQUEST_CHANNEL complete n=1 'one'"},
    {"REQUEST_CHANNEL: initial request N is above 0", "00000007 1c00 00000000",
     "7 INVALID: the initial request N is 0"},

    {"REQUEST_N", "00000001 2000 00000005", "1 REQUEST_N 5"},
    {"REQUEST_N: above 0", "00000001 2000 00000000", "1 INVALID: request N of 0"},
    {"REQUEST_N: cut off", "00000001 2000 0000",
     "0 CONNECTION_ERROR: the frame is shorter than its fields"},
    {"REQUEST_N: never on stream 0", "00000000 2000 00000005",
     "ignored: a frame of a stream on stream 0"},
    {"CANCEL", "00000001 2400", "1 CANCEL"},
    {"CANCEL: on stream 0", "00000000 2400", "ignored: a frame of a stream on stream 0"},

    {"PAYLOAD", "00000001 2860 'last'", "1 PAYLOAD complete next 'last'"},
    {"PAYLOAD: complete only", "00000001 2840", "1 PAYLOAD complete ''"},
    {"PAYLOAD: fragment", "00000001 28a0 'part'", "1 PAYLOAD follows next 'part'"},
    {"PAYLOAD: on stream 0", "00000000 2820 'x'", "ignored: a frame of a stream on stream 0"},

    {"ERROR", "00000001 2c00 00000201 'no'", "1 ERROR APPLICATION_ERROR 'no'"},
    {"ERROR: of the application", "00000001 2c00 00000301", "1 ERROR 0x00000301 ''"},
    {"ERROR: of the connection", "00000000 2c00 00000102 'bye'", "0 ERROR CONNECTION_CLOSE 'bye'"},
    {"ERROR: of a stream on stream 0", "00000000 2c00 00000201",
     "ignored: an error of a stream on stream 0"},
    {"ERROR: cut off", "00000001 2c00 000002",
     "0 CONNECTION_ERROR: the frame is shorter than its fields"},

    {"METADATA_PUSH", "00000000 3100 'md'", "0 METADATA_PUSH 'md'"},
    {"METADATA_PUSH: without the flag there is metadata as well", "00000000 3000 'md'",
     "0 METADATA_PUSH 'md'"},
    {"METADATA_PUSH: on another stream", "00000001 3100 'md'",
     "ignored: a frame of the connection on another stream than 0"},

    {"RESUME", "00000000 3400 0001 0000 0003 'tok' 0000000000000001 0000000000000002",
     "0 RESUME 1.0 token='tok' received=1 available=2"},
    {"RESUME: cut off", "00000000 3400 0001 0000 0003 'tok' 0000000000000001 00000000000000",
     "0 REJECTED_RESUME: the frame is shorter than its fields"},
    {"RESUME_OK", "00000000 3800 0000000000000009", "0 RESUME_OK received=9"},
    {"RESUME_OK: cut off", "00000000 3800 00",
     "0 CONNECTION_ERROR: the frame is shorter than its fields"},

    {"EXT", "00000001 fc00 00000007 'x'", "1 EXT 7 'x'"},
    {"EXT: ignorable", "00000000 fe00 00000007", "0 EXT 7 ignorable ''"},
    {"EXT: cut off", "00000000 fe00 000000",
     "0 CONNECTION_ERROR: the frame is shorter than its fields"},
};

TEST(RsocketFrame, MeansWhatTheSpecificationSays) {
  for (const Case& row : cases)
    EXPECT_EQ(meaning(bytes_of(row.bytes)), row.means) << row.section << "\n" << row.bytes;
}

TEST(RsocketFrame, BearsEveryPrefixOfEveryFrame) {
  for (const Case& row : cases) {
    const auto bytes = bytes_of(row.bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      EXPECT_NE(meaning(Bytes(bytes).first(size)), "") << row.section;
  }
}

/// What is parsed and written again is the same frame, where the writer can write it at all.
TEST(RsocketFrame, IsWrittenAsItWasRead) {
  for (const Case& row : cases) {
    const auto bytes = bytes_of(row.bytes);
    const auto frame = parse_frame(bytes);
    if (!frame) continue;
    ByteVector out;
    FrameWriter writer(out, false);
    const std::uint32_t id = frame->stream_id;
    if (const auto* it = std::get_if<rsocket::Setup>(&frame->body)) {
      if (it->major == version_major) {
        EXPECT_TRUE(writer.setup(*it).has_value());
      }
    } else if (const auto* lease = std::get_if<Lease>(&frame->body)) {
      EXPECT_TRUE(writer.lease(*lease).has_value());
    } else if (const auto* keepalive = std::get_if<KeepAlive>(&frame->body)) {
      EXPECT_TRUE(writer.keepalive(*keepalive).has_value());
    } else if (const auto* request = std::get_if<Request>(&frame->body)) {
      if (!request->follows) {
        EXPECT_TRUE(writer.request(id, *request).has_value());
      }
    } else if (const auto* n = std::get_if<RequestN>(&frame->body)) {
      writer.request_n(id, n->n);
    } else if (std::get_if<Cancel>(&frame->body)) {
      writer.cancel(id);
    } else if (const auto* next = std::get_if<Next>(&frame->body)) {
      if (!next->follows) {
        EXPECT_TRUE(writer.next(id, *next).has_value());
      }
    } else if (const auto* failure = std::get_if<Failure>(&frame->body)) {
      writer.error(id, failure->code, failure->text);
    } else if (const auto* push = std::get_if<MetadataPush>(&frame->body)) {
      EXPECT_TRUE(writer.metadata_push(push->metadata).has_value());
    } else if (const auto* resume = std::get_if<Resume>(&frame->body)) {
      EXPECT_TRUE(writer.resume(*resume).has_value());
    } else if (const auto* resume_ok = std::get_if<ResumeOk>(&frame->body)) {
      writer.resume_ok(resume_ok->last_received);
    }
    if (!out.empty()) {
      EXPECT_EQ(meaning(out), row.means) << row.section;
    }
  }
}

TEST(RsocketFrame, IsFragmentedMetadataFirst) {
  const std::string metadata(100, 'm');
  const std::string data(70, 'd');
  ByteVector out;
  FrameWriter writer(out);
  const Payload payload{as_bytes(data), as_bytes(metadata)};
  ASSERT_TRUE(
      writer.request(1, {.type = FrameType::request_stream, .initial_n = 3, .payload = payload},
                     fragment_bytes_min));
  // 64 = 6 header + 4 initial N + 3 metadata length + 51; then 6 + 3 + 49 + 6 of the data.
  const auto m = [](std::size_t n) { return std::string(n, 'm'); };
  const auto d = [](std::size_t n) { return std::string(n, 'd'); };
  EXPECT_EQ(story(out), "1 REQUEST_STREAM follows n=3 metadata='" + m(51) + "' ''\n" +
                            "1 PAYLOAD follows next metadata='" + m(49) + "' '" + d(6) + "'\n" +
                            "1 PAYLOAD follows next '" + d(58) + "'\n" + "1 PAYLOAD next '" + d(6) +
                            "'\n");
  for (const Bytes frame : frames_in(out)) EXPECT_LE(frame.size(), fragment_bytes_min);
}

TEST(RsocketFrame, SaysCompleteInTheLastFragmentOnly) {
  const std::string data(100, 'd');
  ByteVector out;
  FrameWriter writer(out);
  ASSERT_TRUE(
      writer.next(2, {.complete = true, .next = true, .payload = {as_bytes(data), {}}}, 64));
  EXPECT_EQ(story(out), "2 PAYLOAD follows next '" + std::string(58, 'd') + "'\n" +
                            "2 PAYLOAD complete next '" + std::string(42, 'd') + "'\n");
}

TEST(RsocketFrame, IsNotWrittenIfAFieldHasNoRoom) {
  ByteVector out;
  FrameWriter writer(out);
  const std::string long_type(256, 'x');
  EXPECT_EQ(writer.setup({.metadata_mime_type = long_type}).error(), Fault::over_limit);
  const std::string large(length_max, 'x');
  EXPECT_EQ(writer.metadata_push(as_bytes(large)).error(), Fault::over_limit);
  EXPECT_EQ(writer.keepalive({.data = as_bytes(large)}).error(), Fault::over_limit);
  EXPECT_TRUE(out.empty());
}

TEST(RsocketFrame, CarriesPayloadsLargerThanAnyFrame) {
  const std::string data(length_max + 10, 'x');
  ByteVector out;
  FrameWriter writer(out);
  ASSERT_TRUE(writer.next(1, {.next = true, .payload = {as_bytes(data), {}}}));
  std::size_t size = 0;
  for (const Bytes frame : frames_in(out))
    size += std::get<Next>(parse_frame(frame)->body).payload.size();
  EXPECT_EQ(size, data.size());
  EXPECT_EQ(frames_in(out).size(), 2u);
}

}  // namespace
}  // namespace koine::rsocket
