// Journeys with a peer that is played by hand: it reads when it likes, and has a clock of its own.
#include <algorithm>

#include "koine/async/sleep.h"
#include "koine/os/clocks.h"
#include "koine/rsocket/following_test.h"
#include "koine/sim/world.h"
#include "koine/transport/reader.h"

namespace koine::rsocket {
namespace {

using namespace sim::literals;

class ByHand {
 public:
  explicit ByHand(std::unique_ptr<Stream> stream)
      : stream_(std::move(stream)), reader_(*stream_, {.message_bytes_max = 1 << 20}) {}

  /// Sends what was written.
  FrameWriter write{out_};
  Io<void> send() {
    co_await attempt(write_all(*stream_, Bytes(out_)));
    out_.clear();
    co_return {};
  }

  void write_setup(const JourneyBlock& hello) {
    ByteVector metadata;
    append_block(metadata, hello);
    const rsocket::Setup setup{.keepalive_ms = 20'000,
                               .lifetime_ms = 90'000,
                               .metadata_mime_type = composite_mime_type,
                               .data_mime_type = binary_mime_type,
                               .payload = {.metadata = Bytes(metadata)}};
    EXPECT_TRUE(write.setup(setup));
  }
  void write_request(std::uint32_t id, FrameType type, std::string_view route, std::uint32_t n,
                     const RequestBlock* block = nullptr) {
    ByteVector metadata;
    EXPECT_TRUE(append_route(metadata, route));
    if (block != nullptr) append_block(metadata, *block);
    const Request request{
        .type = type, .initial_n = n, .payload = {as_bytes(std::string_view("x")), metadata}};
    EXPECT_TRUE(write.request(id, request));
  }
  void write_push(const JourneyBlock& block) {
    ByteVector metadata;
    append_block(metadata, block);
    EXPECT_TRUE(write.metadata_push(metadata));
  }

  /// The next frame's stream, and the blocks in it if it is METADATA_PUSH.
  struct Heard {
    std::uint32_t id = 0;
    std::vector<JourneyBlock> blocks{};
  };
  Io<Heard> hear() {
    auto reading = reader_.prefixed(LengthPrefix::be24);
    const auto bytes = co_await attempt(std::move(reading));
    if (!bytes) co_return fail(Fault::ended, "hear");
    const auto frame = parse_frame(*bytes);
    Heard heard;
    if (!frame) co_return heard;
    heard.id = frame->stream_id;
    const auto* push = std::get_if<MetadataPush>(&frame->body);
    if (push == nullptr) co_return heard;
    CompositeReader entries(push->metadata);
    for (auto entry = entries.next(); entry && *entry; entry = entries.next()) {
      if (auto block = parse_block((*entry)->content)) heard.blocks.push_back(*block);
    }
    co_return heard;
  }

 private:
  std::unique_ptr<Stream> stream_;
  Reader reader_;
  ByteVector out_;
};

struct Ends {
  std::unique_ptr<Stream> ours;
  std::unique_ptr<Stream> theirs;
};
Io<Ends> connected(Both& both) {
  auto beginning = both.stamps_begin();
  co_await attempt(std::move(beginning));
  auto endpoint = parse_endpoint("tcp://127.0.0.1:0");
  both.listener = co_await attempt(both.network->listen(*endpoint));
  auto dialing = dial(*both.network, both.listener->endpoint());
  Ends ends;
  ends.ours = co_await attempt(std::move(dialing));
  ends.theirs = co_await attempt(accept(*both.listener));
  co_return std::move(ends);
}

/// Items without an end, for a client that does not read them: soon there is room for nothing else.
Io<void> endless(std::string, Sink<std::string>& out) {
  for (;;) co_await attempt(out.send(std::string(20'000, 'y')));
}

/// The halves that a client hears of three messages which it has sent while the server had no room
/// for more. In a simulated internet, where patience takes no time.
class WithoutRoom {
 public:
  /// It reads nothing for so long, and then until it has heard of so many.
  WithoutRoom(FrameType type, Duration quiet, std::size_t wanted) {
    world_.link(client_, server_, {.rate = 100_Mbit, .delay = 1ms});
    answers_.on("endless", endless);
    server_.run([this](Network& network) { return serve(network); });
    client_.run([this, type, quiet, wanted](Network& network) -> Io<void> {
      auto asking = within(10s, ask(network, type, quiet, wanted));
      co_return co_await asking;
    });
    world_.run();
    const auto error = client_.error();
    EXPECT_TRUE(client_.finished()) << (error ? to_string(*error) : "");
    EXPECT_TRUE(server_.finished());
  }

  std::vector<HalfBlock> told;
  JourneyCounts counts;
  journey::Recorder recorder{{.every = 1'000'000}};

 private:
  Io<void> serve(Network& network) {
    const auto listener = co_await attempt(network.listen(*parse_endpoint("tcp://:7001")));
    auto stream = co_await attempt(accept(*listener));
    Peer peer(std::move(stream), Side::server, &answers_, PeerOptions{.journeys = &there_});
    static_cast<void>(co_await peer.run());
    counts = peer.journey_counts();
    co_return {};
  }

  Io<void> ask(Network& network, FrameType type, Duration quiet, std::size_t wanted) {
    auto dialing = dial(network, "tcp://server:7001");
    auto stream = co_await attempt(std::move(dialing));
    ByHand peer(std::move(stream));
    peer.write_setup(HelloBlock{.message_bytes_max = 1 << 20});
    peer.write_request(1, FrameType::request_stream, "endless", request_n_max);
    auto beginning = peer.send();
    co_await attempt(std::move(beginning));
    co_await sleep(1s);  // what both systems take on the way is full
    const RequestBlock followed{.is_followed = true, .trace_id = {1}};
    for (std::uint32_t id = 3; id <= 7; id += 2) peer.write_request(id, type, "note", 0, &followed);
    auto asking = peer.send();
    co_await attempt(std::move(asking));
    co_await sleep(quiet);
    while (told.size() < wanted) {
      auto hearing = peer.hear();
      const auto heard = co_await attempt(std::move(hearing));
      for (const JourneyBlock& block : heard.blocks)
        if (const auto* half = std::get_if<HalfBlock>(&block)) told.push_back(*half);
    }
    co_return {};
  }

  sim::World world_{1};
  sim::Host& client_ = world_.host("client");
  sim::Host& server_ = world_.host("server");
  Service answers_ = service();
  Journeys there_{recorder};
};

TEST(RsocketJourneyByHand, HalvesThatFindNoRoomWaitForIt) {
  // What nobody answers, and what only a COMPLETE does: an empty message would need room.
  for (const FrameType type : {FrameType::request_fnf, FrameType::request_response}) {
    SCOPED_TRACE(to_string(type));
    const WithoutRoom without(type, Following::late_patience / 2, 3);
    std::vector<std::uint32_t> ids;
    for (const HalfBlock& block : without.told) {
      ids.push_back(block.stream_id);
      EXPECT_TRUE(block.half.recv_out);
      EXPECT_TRUE(block.half.handler_in);
      EXPECT_LE(block.half.handler_in.ns, block.half.write_in.ns) << "when it was told";
    }
    EXPECT_EQ(ids, (std::vector<std::uint32_t>{3, 5, 7}));
    EXPECT_EQ(without.counts.dropped, 0U);
  }
}

TEST(RsocketJourneyByHand, HalvesThatFindNoRoomForTooLongAreDroppedAndCounted) {
  const WithoutRoom without(FrameType::request_fnf, 2 * Following::late_patience, 0);
  EXPECT_EQ(without.counts.dropped, 3U);
  EXPECT_EQ(without.recorder.journeys(), 4U) << "with its own first in a million";
}

/// A server whose clock is five seconds ahead. When it tells, it says when that was.
TEST(RsocketJourneyByHand, AMessageOfOneWayIsComparedWithAnotherClockWithinBounds) {
  constexpr std::int64_t ahead_ns = 5'000'000'000;
  for (const bool says_when : {true, false}) {
    Both both;
    const auto story = [&]() -> Io<void> {
      auto connecting = connected(both);
      Ends ends = co_await attempt(std::move(connecting));
      ByHand server(std::move(ends.theirs));
      both.client.emplace(std::move(ends.ours), Side::client, nullptr,
                          PeerOptions{.journeys = &both.here});
      server.write_push(
          HelloBlock{.tells = Tells::stamps, .message_bytes_max = 1 << 20, .clock = {.boot = 7}});
      auto greeting = server.send();
      co_await attempt(std::move(greeting));
      auto agreeing = both.client->journeys_agreed();
      co_await attempt(std::move(agreeing));
      co_await attempt(both.client->fire("note", "x"));
      for (std::uint32_t id = 0; id != 1;) {
        auto hearing = server.hear();
        id = (co_await attempt(std::move(hearing))).id;
      }
      const auto now = [&] { return journey::Stamp::exactly(os::realtime_ns() + ahead_ns); };
      HalfBlock half{.stream_id = 1, .half = {.rx = now(), .recv_in = now(), .recv_out = now()}};
      if (says_when) half.half.write_in = now();
      server.write_push(half);
      auto telling = server.send();
      co_await attempt(std::move(telling));
      co_return co_await both.client->journeys_settled();
    };
    const auto done = both.run(story());
    ASSERT_TRUE(done) << to_string(done.error());
    ASSERT_EQ(both.journeys.size(), 1U);
    const Journey& journey = both.journeys[0];
    EXPECT_TRUE(journey.request.write_in);
    if (says_when) {
      EXPECT_EQ(journey.offset.method, Offset::Method::bounds);
      EXPECT_LE(journey.offset.theta_ns - journey.offset.half_ns, ahead_ns);
      EXPECT_GE(journey.offset.theta_ns + journey.offset.half_ns, ahead_ns);
      EXPECT_TRUE(journey.request.recv_out);
    } else {
      EXPECT_EQ(journey.offset.method, Offset::Method::unknown);
      EXPECT_FALSE(journey.request.recv_out) << "on a clock that nobody can compare";
      EXPECT_FALSE(journey.request.rx);
    }
    expect_sum(journey);
  }
}

}  // namespace
}  // namespace koine::rsocket
