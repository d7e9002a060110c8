// The specification's rules for a conversation, section by section ("Protocol.md" of RSocket 1.0):
// what a peer says, right and wrong, and what it is answered.
//
// The rules for the bytes of one frame stand in frame_test.cc.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "koine/rsocket/connection.h"
#include "koine/rsocket/words_test.h"

namespace koine::rsocket {
namespace {

enum class Begins {
  server_before_setup,
  server_that_resumes,  // before SETUP
  server,
  server_with_leases,
  client,
  client_with_leases,
  client_that_resumes,
};
using enum Begins;

struct Case {
  const char* section;
  const char* rule;
  Begins begins;
  const char* requests;  // of the client at its beginning: "response", "stream", "channel", or ""
  const char* hears;     // frames, with " / " between them
  const char* says;      // in words, with " / " between them
};

#define SETUP "00000000 0400 0001 0000 00004e20 00015f90 01 'm' 01 'd'"
#define SETUP_LEASE "00000000 0440 0001 0000 00004e20 00015f90 01 'm' 01 'd'"
#define SETUP_RESUME "00000000 0480 0001 0000 00004e20 00015f90 0003 'tok' 01 'm' 01 'd'"
#define RESUME "00000000 3400 0001 0000 0003 'tok' 0000000000000000 0000000000000000"

constexpr Case cases[] = {
    // Who answers: a request for one answer gets 'answer', one for items as many 'item' as it asks
    // for, a channel is granted two more items than its first.
    {"Connection Establishment", "the client may request at once", server_before_setup, "",
     SETUP " / 00000001 1000 'ask'", "1 PAYLOAD complete next 'answer'"},
    {"Connection Establishment", "SETUP comes first", server_before_setup, "",
     "00000001 1000 'ask'", "0 ERROR INVALID_SETUP 'the first frame is not SETUP'"},
    {"Connection Establishment", "SETUP on stream 0 only", server_before_setup, "",
     "00000001 0400 0001 0000 00004e20 00015f90 01 'm' 01 'd'",
     "0 ERROR INVALID_SETUP 'a frame of the connection on another stream than 0'"},
    {"Connection Establishment", "RESUME on stream 0 only", server_before_setup, "",
     "00000001 3400 0001 0000 0003 'tok' 0000000000000000 0000000000000000",
     "0 ERROR INVALID_SETUP 'a frame of the connection on another stream than 0'"},
    {"Connection Establishment", "no KEEPALIVE before SETUP", server_before_setup, "",
     "00000000 0c80 0000000000000000", "0 ERROR INVALID_SETUP 'the first frame is not SETUP'"},
    {"Connection Establishment", "no ERROR before SETUP", server_before_setup, "",
     "00000000 2c00 00000101 'no'", "0 ERROR INVALID_SETUP 'the first frame is not SETUP'"},
    {"Connection Establishment", "no unknown frame before SETUP", server_before_setup, "",
     "00000000 4000", "0 ERROR INVALID_SETUP 'a frame type that is not known'"},
    {"Connection Establishment", "no frame but SETUP, not even one to be ignored",
     server_before_setup, "", "00000000 4200",
     "0 ERROR INVALID_SETUP 'a frame type that is not known'"},
    {"Connection Establishment", "after a rejection nothing more is served", server_before_setup,
     "", "00000000 2400 / " SETUP " / 00000001 1000 'ask'",
     "0 ERROR INVALID_SETUP 'a frame of a stream on stream 0'"},
    {"Cross version compatibility", "a client too recent for the server", server_before_setup, "",
     "00000000 0400 0001 0001 00004e20 00015f90 01 'm' 01 'd'",
     "0 ERROR INVALID_SETUP 'only version 1.0 is served here'"},
    {"Cross version compatibility", "a draft", server_before_setup, "",
     "00000000 0400 0000 0002 00004e20 00015f90 01 'm' 01 'd'",
     "0 ERROR INVALID_SETUP 'only version 1.0 is served here'"},
    {"SETUP Frame", "resuming is asked for and not supported", server_before_setup, "",
     SETUP_RESUME, "0 ERROR REJECTED_SETUP 'resuming is not served here'"},
    {"SETUP Frame", "leases are asked for and not supported", server_before_setup, "", SETUP_LEASE,
     "0 ERROR UNSUPPORTED_SETUP 'leases are not served here'"},
    {"SETUP Frame", "time between keepalives above 0", server_before_setup, "",
     "00000000 0400 0001 0000 00000000 00015f90 01 'm' 01 'd'",
     "0 ERROR INVALID_SETUP 'the time between keepalives is 0'"},
    {"SETUP Frame", "max lifetime above 0", server_before_setup, "",
     "00000000 0400 0001 0000 00004e20 00000000 01 'm' 01 'd'",
     "0 ERROR INVALID_SETUP 'the max lifetime is 0'"},
    {"Resume Operation", "not supported", server_before_setup, "", RESUME,
     "0 ERROR REJECTED_RESUME 'resuming is not served here'"},
    {"Resume Operation", "RESUME behind SETUP", server, "", RESUME,
     "0 ERROR CONNECTION_ERROR 'RESUME on a connection that has begun'"},

    {"Resume Operation", "supported", server_that_resumes, "",
     SETUP_RESUME " / 00000001 1000 'ask' / 00000000 0c80 0000000000000000",
     "1 PAYLOAD complete next 'answer' / 0 KEEPALIVE position=9 ''"},
    {"Resume Operation", "another version than SETUP may have", server_that_resumes, "",
     "00000000 3400 0001 0001 0003 'tok' 0000000000000000 0000000000000000",
     "0 ERROR REJECTED_RESUME 'resuming is not served here'"},
    {"Resume Operation", "cut off", server_that_resumes, "", "00000000 3400 0001 0000 0003 'tok'",
     "0 ERROR REJECTED_RESUME 'the frame is shorter than its fields'"},
    {"Resume Operation", "RESUME behind RESUME", server_that_resumes, "", RESUME " / " RESUME,
     "0 ERROR CONNECTION_ERROR 'RESUME on a connection that has begun'"},
    {"Resume Operation", "RESUME behind SETUP, where it is supported", server_that_resumes, "",
     SETUP_RESUME " / " RESUME, "0 ERROR CONNECTION_ERROR 'RESUME on a connection that has begun'"},
    {"Identification Token Handling", "an empty one identifies nobody", server_that_resumes, "",
     "00000000 0480 0001 0000 00004e20 00015f90 0000 01 'm' 01 'd'",
     "0 ERROR INVALID_SETUP 'the resume token is empty'"},
    {"Implied Position", "counts requests, REQUEST_N, CANCEL, PAYLOAD and ERROR, without lengths",
     server_that_resumes, "",
     SETUP_RESUME " / 00000001 1800 00000001 / 00000001 2000 00000001 / 00000003 2820 'x' / "
                  "00000003 2400 / 00000003 2c00 00000201 / 00000005 1400 / 00000000 3100 'm' / "
                  "00000000 0c80 0000000000000000",
     "1 PAYLOAD next 'item' / 1 PAYLOAD next 'item' / 0 KEEPALIVE position=49 ''"},
    {"Keepalive Position Field", "0 where resuming is not agreed on", server, "",
     "00000001 1400 'tell' / 00000000 0c80 0000000000000000", "0 KEEPALIVE position=0 ''"},
    {"Keepalive Position Field", "of the client as well", client_that_resumes, "response",
     "00000001 2860 'a' / 00000000 0c80 0000000000000009",
     "1 REQUEST_RESPONSE 'ask' / 0 KEEPALIVE position=7 ''"},

    {"Handling Ignore Flag", "unknown, not to be ignored", server, "", "00000001 4000",
     "0 ERROR CONNECTION_ERROR 'a frame type that is not known'"},
    {"Handling Ignore Flag", "unknown, to be ignored", server, "", "00000001 4200", ""},
    {"EXT Frame", "unknown, not to be ignored", server, "", "00000001 fc00 00000007",
     "0 ERROR CONNECTION_ERROR 'an extension that is not known'"},
    {"EXT Frame", "unknown, to be ignored", server, "", "00000001 fe00 00000007", ""},
    {"Metadata Optional Header", "longer than its frame", server, "", "00000001 1100 000009 'x'",
     "0 ERROR CONNECTION_ERROR 'the metadata is longer than the frame'"},
    {"Metadata Optional Header", "longer than its frame, to be ignored", server, "",
     "00000001 1300 000009 'x'", ""},

    {"Stream Identifiers", "a client's ids are odd", server, "", "00000002 1000 'ask'", ""},
    {"Stream Identifiers", "a server's ids are even", client, "", "00000001 1000 'ask'", ""},
    {"Stream Identifiers", "a server may request as well", client, "", "00000002 1000 'ask'",
     "2 PAYLOAD complete next 'answer'"},
    {"Stream Identifiers", "an id may be used again when the largest was used", server, "",
     "7fffffff 1000 'ask' / 00000001 1000 'ask'",
     "2147483647 PAYLOAD complete next 'answer' / 1 PAYLOAD complete next 'answer'"},
    {"Stream Identifiers", "a client counts from 1 in steps of 2", client, "response response", "",
     "1 REQUEST_RESPONSE 'ask' / 3 REQUEST_RESPONSE 'ask'"},

    {"KEEPALIVE Frame", "echoed without the respond flag", server, "",
     "00000000 0c80 0000000000000000 'tick'", "0 KEEPALIVE position=0 'tick'"},
    {"KEEPALIVE Frame", "an answer is not answered", server, "",
     "00000000 0c00 0000000000000000 'tock'", ""},
    {"KEEPALIVE Frame", "a server may ask as well", client, "",
     "00000000 0c80 0000000000000000 'tick'", "0 KEEPALIVE position=0 'tick'"},

    {"Request Response", "the answer is the end", client, "response",
     "00000001 2860 'a' / 00000001 2860 'b'", "1 REQUEST_RESPONSE 'ask'"},
    {"Request Response", "ERROR is the end", client, "response",
     "00000001 2c00 00000201 'no' / 00000001 2860 'b'", "1 REQUEST_RESPONSE 'ask'"},
    {"Request Response", "no answer to what is cancelled", server, "",
     "00000001 1080 'half' / 00000001 2400 / 00000001 2820 'rest'", ""},
    {"Request Fire-n-Forget", "never answered", server, "", "00000001 1400 'tell'", ""},
    {"Request Stream", "as many items as requested", server, "", "00000001 1800 00000002 'ask'",
     "1 PAYLOAD next 'item' / 1 PAYLOAD next 'item'"},
    {"Request Stream", "more when more are requested", server, "",
     "00000001 1800 00000001 'ask' / 00000001 2000 00000002",
     "1 PAYLOAD next 'item' / 1 PAYLOAD next 'item' / 1 PAYLOAD next 'item'"},
    {"Request Stream", "none when it is cancelled", server, "",
     "00000001 1800 00000001 'ask' / 00000001 2400 / 00000001 2000 00000002",
     "1 PAYLOAD next 'item'"},
    {"Request Stream", "initial request N above 0", server, "", "00000001 1800 00000000 'ask'",
     "1 ERROR INVALID 'the initial request N is 0'"},
    {"Request Stream", "request N above 0", server, "",
     "00000001 1800 00000001 'ask' / 00000001 2000 00000000",
     "1 PAYLOAD next 'item' / 1 ERROR INVALID 'request N of 0'"},
    {"Request Channel", "answered with REQUEST_N", server, "", "00000001 1c00 00000001 'ask'",
     "1 REQUEST_N 2 / 1 PAYLOAD next 'item'"},
    {"Request Channel", "no item that was not granted", server, "",
     "00000001 1c00 00000001 'ask' / 00000001 2820 'b' / 00000001 2820 'c' / 00000001 2820 'd'",
     "1 REQUEST_N 2 / 1 PAYLOAD next 'item' / 1 ERROR INVALID 'an item that was not requested'"},
    {"Request Channel", "no item behind COMPLETE", server, "",
     "00000001 1c40 00000001 'ask' / 00000001 2820 'b'", "1 PAYLOAD next 'item'"},
    {"Request Channel", "a requester's ERROR ends both directions", server, "",
     "00000001 1c00 00000001 'ask' / 00000001 2c00 00000201 'no' / 00000001 2000 00000001",
     "1 REQUEST_N 2 / 1 PAYLOAD next 'item'"},
    {"Request Channel", "only one REQUEST_CHANNEL", server, "",
     "00000001 1c00 00000001 'ask' / 00000001 1c00 00000001 'ask'",
     "1 REQUEST_N 2 / 1 PAYLOAD next 'item'"},
    {"Flow Control", "an item that was not requested", client, "stream",
     "00000001 2820 'a' / 00000001 2820 'b' / 00000001 2820 'c'",
     "1 REQUEST_STREAM n=2 'ask' / 1 CANCEL"},
    {"Flow Control", "credits add up to the largest", server, "",
     "00000001 1880 7fffffff 'as' / 00000001 2000 7fffffff / 00000001 2400", ""},

    {"Fragmentation and Reassembly", "a request in fragments is one request", server, "",
     "00000001 1080 'a' / 00000001 28a0 's' / 00000001 2820 'k'",
     "1 PAYLOAD complete next 'answer'"},
    {"Fragmentation and Reassembly", "metadata before data", server, "",
     "00000001 1080 'a' / 00000001 2920 000001 'm'", "1 ERROR INVALID 'metadata behind data'"},
    {"Fragmentation and Reassembly", "a fragmented item is one credit", client, "stream",
     "00000001 28a0 'a' / 00000001 28a0 'b' / 00000001 28a0 'c' / 00000001 2820 'd' / 00000001 "
     "2820 "
     "'e' / 00000001 2820 'f'",
     "1 REQUEST_STREAM n=2 'ask' / 1 CANCEL"},
    {"Handling the Unexpected", "F is ignored beside C", server, "",
     "00000001 1080 'a' / 00000001 28e0 'sk'", "1 PAYLOAD complete next 'answer'"},

    {"Lease Semantics", "a server grants when the client goes by leases", server_with_leases, "",
     "", "0 LEASE ttl=10000 requests=2"},
    {"Lease Semantics", "a request too many is REJECTED", server_with_leases, "",
     "00000001 1400 'a' / 00000003 1080 'b' / 00000005 1080 'c' / 00000007 1080 'd'",
     "0 LEASE ttl=10000 requests=2 / 0 LEASE ttl=10000 requests=2 / 0 LEASE ttl=10000 requests=1 / "
     "7 ERROR REJECTED 'too many requests are open'"},
    {"Lease Semantics", "a client grants as well", client_with_leases, "", "",
     "0 LEASE ttl=10000 requests=2"},
    {"Lease Semantics", "a client waits for the lease", client_with_leases, "response", "",
     "0 LEASE ttl=10000 requests=2"},

    {"Handling the Unexpected", "a request on an id in use", server, "",
     "00000001 1800 00000001 'ask' / 00000001 1000 'again' / 00000001 2000 00000001",
     "1 PAYLOAD next 'item' / 1 PAYLOAD next 'item'"},
    {"Handling the Unexpected", "CANCEL of an unknown stream", server, "",
     "00000009 2400 / 00000000 2400", ""},
    {"Handling the Unexpected", "ERROR on an unknown stream", server, "", "00000009 2c00 00000201",
     ""},
    {"Handling the Unexpected", "PAYLOAD on an unknown stream", server, "",
     "00000009 2820 'x' / 00000000 2820 'x'", ""},
    {"Handling the Unexpected", "METADATA_PUSH on another stream than 0", server, "",
     "00000001 3100 'm'", ""},
    {"Handling the Unexpected", "a second SETUP", server, "", SETUP " / 00000001 1000 'ask'",
     "1 PAYLOAD complete next 'answer'"},
    {"Handling the Unexpected", "errors about a SETUP at a server", server, "",
     "00000000 2c00 00000001 / 00000000 2c00 00000002 / 00000000 2c00 00000003 / 00000000 2c00 "
     "00000004 / 00000001 1000 'ask'",
     "1 PAYLOAD complete next 'answer'"},
    {"Handling the Unexpected", "errors about a SETUP at a client that was accepted", client,
     "response",
     "00000001 2860 'a' / 00000000 2c00 00000001 / 00000000 2c00 00000003 / 00000002 1000 'ask'",
     "1 REQUEST_RESPONSE 'ask' / 2 PAYLOAD complete next 'answer'"},
    {"Handling the Unexpected", "SETUP at a client", client, "", SETUP " / 00000002 1000 'ask'",
     "2 PAYLOAD complete next 'answer'"},
    {"Handling the Unexpected", "flags that a frame does not have", server, "",
     "00000001 107f 'ask' / 00000003 147f 'tell'", "1 PAYLOAD complete next 'answer'"},
    {"Error Codes", "CONNECTION_ERROR ends it at once", server, "",
     "00000000 2c00 00000101 / 00000001 1000 'ask'", ""},
    {"Error Codes", "CONNECTION_CLOSE lets streams end and accepts no new ones", server, "",
     "00000001 1800 00000001 'ask' / 00000000 2c00 00000102 / 00000003 1000 'x' / 00000001 2000 "
     "00000001",
     "1 PAYLOAD next 'item' / 3 ERROR REJECTED 'the connection is closing' / 1 PAYLOAD next "
     "'item'"},
};

std::vector<std::string> parts(std::string_view text, std::string_view between) {
  std::vector<std::string> found;
  while (!text.empty()) {
    const std::size_t at = text.find(between);
    found.emplace_back(text.substr(0, at));
    text = at == text.npos ? std::string_view() : text.substr(at + between.size());
  }
  return found;
}

/// One side, and a user who answers whatever is asked.
class Conversation {
 public:
  explicit Conversation(Begins begins)
      : connection_(begins >= client ? Side::client : Side::server,
                    {.lease = begins == server_with_leases || begins == client_with_leases,
                     .lease_requests = 2,
                     .resume = begins == server_that_resumes || begins == client_that_resumes,
                     .resume_token = "tok",
                     .requests_max = 2},
                    Instant()) {
    if (begins == server) hear(SETUP);
    if (begins == server_with_leases) hear(SETUP_LEASE);
    if (begins >= client) {
      const Bytes setup = frames_in(connection_.output())[0];
      connection_.sent(setup.size() + 3);
    }
  }

  void request(std::string_view what) {
    Request request{.payload = {as_bytes("ask"), {}}};
    if (what != "response") {
      request.type = what == "stream" ? FrameType::request_stream : FrameType::request_channel;
      request.initial_n = 2;
    }
    static_cast<void>(connection_.open(request, this, Instant()));
  }

  void hear(std::string_view frame) {
    const auto bytes = bytes_of(frame);
    const Event event = connection_.receive(bytes, Instant());
    const std::uint32_t id = event.stream_id;
    if (event.kind == Event::Kind::request) {
      if (event.type == FrameType::request_response) {
        EXPECT_TRUE(connection_.next(id, {as_bytes("answer"), {}}, true));
      }
      if (event.type == FrameType::request_channel && !event.is_last)
        connection_.request_more(id, 2);
    }
    if (event.kind == Event::Kind::request || event.kind == Event::Kind::requested) {
      while (connection_.may_send(id) > 0)
        EXPECT_TRUE(connection_.next(id, {as_bytes("item"), {}}, false));
    }
  }

  std::string said() {
    std::string text;
    for (const Bytes frame : frames_in(connection_.output()))
      text += (text.empty() ? "" : " / ") + meaning(frame);
    return text;
  }

 private:
  Connection connection_;
};

TEST(RsocketConformance, EachRuleOfTheSpecificationIsKeptAndEachBreachAnsweredAsItAsks) {
  for (const Case& row : cases) {
    Conversation conversation(row.begins);
    for (const std::string& what : parts(row.requests, " ")) conversation.request(what);
    for (const std::string& frame : parts(row.hears, " / ")) conversation.hear(frame);
    EXPECT_EQ(conversation.said(), row.says) << row.section << ": " << row.rule;
  }
}

}  // namespace
}  // namespace koine::rsocket
