// What our TCP says about itself, compared with what tshark makes of its frames.
//
// Streams cross a simulated path that loses, holds back or doubles frames, or meet a reader who is
// slow. The world's capture has to be sound, and tshark's analysis of what one interface saw has to
// count as the stacks at both ends do.
//
// tshark sees one place and guesses what happened elsewhere (Wireshark User's Guide, section 7.5).
// A segment that does not go beyond the highest sequence number so far is, in this order,
//
//   spurious           if all of it was acknowledged already
//   fast               if it is what two duplicate ACKs ask for, the last within 20 ms
//   out of order       if the highest came less than the handshake's round trip ago, unless both
//                      end alike
//   a retransmission   otherwise; the field says so of the first two as well
//
// The stack knows better: what the sender sends again within a round trip is a retransmission, and
// tshark calls it out of order. So the kinds are compared one by one where a path has one kind of
// mishap, whose instances are so far apart that guess and truth are the same thing; and where
// everything happens at once the sums are, which no guess can change.
#include <map>
#include <string>
#include <string_view>

#include "koine/async/sleep.h"
#include "koine/sim/story_test.h"
#include "koine/sim/world.h"
#include "tests/interop/tshark.h"

namespace koine::sim {
namespace {

using wire::Tshark;

/// What tshark says of the segments of one sender.
struct Seen {
  std::uint64_t retransmission = 0;  // fast and spurious ones among them
  std::uint64_t fast = 0;
  std::uint64_t out_of_order = 0;
  std::uint64_t zero_window = 0;
  std::uint64_t keep_alive = 0;
  std::uint64_t zero_window_probe = 0;

  std::uint64_t not_new() const { return retransmission + out_of_order; }
};

/// Reads all that comes, after pauses at the beginning.
Io<void> hear_slowly(std::unique_ptr<Stream> guest, int pauses) {
  for (; pauses > 0; --pauses) {
    std::byte some[20'000];
    co_await attempt(read_some(*guest, some));
    co_await sleep(3s);
  }
  auto hearing = read_to_end(*guest);
  co_await attempt(std::move(hearing));
  co_return guest->finish();
}

/// A client that says a megabyte to a server over one cable, and the capture of it.
class Story {
 public:
  explicit Story(const LinkOptions& path, const stack::tcp::Profile& server = small(),
                 int pauses = 0)
      : path_(path),
        client_(world_.host("client")),
        server_(world_.host("server", {.profile = server})),
        cable_(world_.link(client_, server_, path)) {
    world_.capture(file_.bytes());
    server_.run([pauses](Network& network) {
      return serve_at_4000(network, [pauses](std::unique_ptr<Stream> guest) {
        return hear_slowly(std::move(guest), pauses);
      });
    });
    client_.run([](Network& network) { return tell(network); });
  }

  /// A receiver with a window of 60 000 bytes that answers every segment, so that each answer lets
  /// one segment go.
  static stack::tcp::Profile small() {
    stack::tcp::Profile profile = stack::tcp::linux_profile();
    profile.receive_buffer_initial = profile.receive_buffer_max = 60'000;
    profile.segments_per_ack = 1;
    return profile;
  }

  World& world() { return world_; }
  Link& cable() { return cable_; }
  LinkDirection& there() { return cable_.towards(server_); }
  LinkDirection& back() { return cable_.towards(client_); }
  const stack::tcp::Counters& sender() { return client_.stack()->tcp_counters(); }
  const stack::tcp::Counters& receiver() { return server_.stack()->tcp_counters(); }

  /// Another path from here to the server, from now on.
  void change(const LinkOptions& path) { there().set(path); }

  /// The next frame to the server is lost, and not the one behind it.
  void lose_one() {
    const std::uint64_t before = there().counters().lost;
    LinkOptions losing = path_;
    losing.bursts = GilbertElliott{.to_bad = 1, .to_good = 1};
    there().set(losing);
    while (there().counters().lost == before && world_.step()) {
    }
    there().set(path_);
    ASSERT_EQ(there().counters().lost, before + 1);
  }

  void end() {
    world_.run();
    ASSERT_TRUE(client_.finished()) << why(client_);
    file_.save();
    file_.expect_sound();
  }

  /// The segments of the client, or of the server, as they pass its interface or the other's.
  Seen seen(std::string_view of, std::string_view at) {
    // tshark takes what two interfaces see of one stream for one place, so it is given one.
    wire::Capture place;
    (void)place.writer().add_interface({.name = "one"});
    wire::PcapngReader reader(as_bytes(file_.bytes()));
    const std::string interface = std::string(at) + ":eth0";
    while (const auto frame = reader.next().value()) {
      if (reader.interfaces()[frame->interface].name != interface) continue;
      EXPECT_TRUE(place.writer().write({.at = frame->at, .bytes = frame->bytes}));
    }
    place.save();
    Seen seen;
    const Host& host = of == "client" ? client_ : server_;
    for (const auto& row :
         place.fields({"ip.src", "ipv6.src", "tcp.analysis.retransmission",
                       "tcp.analysis.fast_retransmission", "tcp.analysis.out_of_order",
                       "tcp.analysis.zero_window", "tcp.analysis.keep_alive",
                       "tcp.analysis.zero_window_probe"})) {
      if (row[0] != to_string(host.v4()) && row[1] != to_string(host.v6())) continue;
      std::uint64_t* const counters[] = {&seen.retransmission, &seen.fast,
                                         &seen.out_of_order,   &seen.zero_window,
                                         &seen.keep_alive,     &seen.zero_window_probe};
      for (std::size_t i = 0; i < std::size(counters); ++i) *counters[i] += !row[i + 2].empty();
    }
    return seen;
  }

 private:
  static Io<void> tell(Network& network) {
    auto dialing = dial(network, "tcp://server:4000");
    auto stream = co_await attempt(std::move(dialing));
    const std::string text = pattern(1'000'000);
    co_await attempt(write_all(*stream, text));
    co_await attempt(stream->finish());
    auto hearing = read_to_end(*stream);
    co_await attempt(std::move(hearing));
    co_return {};
  }

  LinkOptions path_;
  wire::Capture file_;
  World world_{5};
  Host& client_;
  Host& server_;
  Link& cable_;
};

constexpr LinkOptions plain{.rate = 10_Mbit, .delay = 20ms};

TEST_F(Tshark, SeesNothingWhereNothingHappens) {
  Story story(plain);
  story.end();
  const Seen sent = story.seen("client", "client");
  EXPECT_EQ(sent.not_new() + sent.zero_window + sent.keep_alive, 0u);
  EXPECT_EQ(story.sender().retransmitted, 0u);
}

// One hole at a time, so each recovery sends one segment again; in a stream so dense that three
// duplicate ACKs ask for it before RACK's clock finds out.
TEST_F(Tshark, CountsFastRetransmissionsAsWeDo) {
  Story story(plain);
  story.world().run_for(300ms);
  for (int i = 0; i < 2; ++i) {
    story.lose_one();
    story.world().run_for(200ms);
  }
  story.end();
  const Seen sent = story.seen("client", "client");
  EXPECT_EQ(sent.fast, 2u);
  EXPECT_EQ(sent.fast, story.sender().fast_recoveries);
  EXPECT_EQ(sent.retransmission, story.sender().retransmitted);
  EXPECT_EQ(sent.out_of_order, 0u);
  EXPECT_EQ(story.sender().timeouts, 0u);
}

// A black hole of a second swallows a whole window: the timer finds out, long after a round trip.
TEST_F(Tshark, CountsRetransmissionsAfterTimeoutsAsWeDo) {
  Story story(plain);
  story.world().run_for(400ms);
  story.cable().cut(Cut::silently);
  story.world().run_for(1s);
  story.cable().mend();
  story.end();
  const Seen sent = story.seen("client", "client");
  EXPECT_GT(sent.retransmission, 10u);
  EXPECT_EQ(sent.retransmission, story.sender().retransmitted);
  EXPECT_EQ(sent.fast, 0u);
  EXPECT_EQ(sent.fast, story.sender().fast_recoveries);
  EXPECT_EQ(sent.out_of_order, 0u);
  EXPECT_GT(story.sender().timeouts, 1u);
}

TEST_F(Tshark, CountsLostSynsAsWeDo) {
  Story story(plain);
  story.world().run_for(50ms);  // each knows the other's MAC, and the first SYN is on its way
  story.back().cut();
  story.world().run_for(2s);
  story.back().mend();
  story.end();
  const Seen sent = story.seen("client", "client");
  EXPECT_GT(sent.retransmission, 1u);
  EXPECT_EQ(sent.retransmission, story.sender().retransmitted);
  const Seen answers = story.seen("server", "server");
  EXPECT_GT(answers.retransmission, 2u);
  EXPECT_EQ(answers.retransmission, story.receiver().retransmitted);
}

// A probe of linux_profile() carries no data and an old sequence number: tshark's keep-alive.
TEST_F(Tshark, CountsZeroWindowsAsWeDo) {
  Story story(plain, Story::small(), 3);
  story.end();
  const Seen answers = story.seen("server", "server");
  EXPECT_GT(answers.zero_window, 3u);
  EXPECT_EQ(answers.zero_window, story.receiver().zero_windows_out);
  const Seen sent = story.seen("client", "client");
  EXPECT_GT(sent.keep_alive, 3u);
  EXPECT_EQ(sent.keep_alive, story.sender().window_probes);
  EXPECT_EQ(sent.not_new(), story.sender().retransmitted);
}

// A segment that is held back for 1 ms is overtaken by one other, which takes 1.2 ms: too few
// duplicate ACKs for anybody to send it again, and it comes well within the round trip of 40 ms.
TEST_F(Tshark, CountsSegmentsOutOfOrderAsWeDo) {
  LinkOptions path = plain;
  path.reorder = 0.05;
  path.reorder_by = 1300us;
  Story story(path);
  story.end();
  const Seen arrived = story.seen("client", "server");
  EXPECT_GT(arrived.out_of_order, 10u);
  EXPECT_EQ(arrived.out_of_order, story.receiver().late_in);
  EXPECT_EQ(arrived.retransmission, 0u);
  EXPECT_EQ(story.sender().retransmitted, 0u);
}

// A double ends where the original does, which makes it a retransmission for tshark.
TEST_F(Tshark, CountsDuplicatesAsWeDo) {
  Story story(plain);
  story.world().run_for(200ms);  // a second SYN never reaches the connection's counters
  LinkOptions path = plain;
  path.duplicate = 0.05;
  story.change(path);
  story.end();
  const Seen arrived = story.seen("client", "server");
  EXPECT_GT(arrived.retransmission, 10u);
  EXPECT_EQ(arrived.retransmission, story.receiver().duplicates_in);
  EXPECT_EQ(arrived.out_of_order, 0u);
  EXPECT_EQ(story.sender().retransmitted, 0u);
}

TEST_F(Tshark, CountsAsMuchAsWeDoWhereEverythingHappens) {
  Story story(plain, stack::tcp::linux_profile(), 2);
  story.world().run_for(200ms);
  LinkOptions path = plain;
  path.jitter = 3ms;
  path.loss = path.reorder = path.duplicate = 0.02;
  path.reorder_by = 8ms;
  path.corrupt = 0.01;
  story.change(path);
  story.end();
  const Seen sent = story.seen("client", "client");
  EXPECT_GT(sent.fast, 0u);
  EXPECT_GT(sent.out_of_order, 0u);
  EXPECT_EQ(sent.not_new(), story.sender().retransmitted);
  const Seen arrived = story.seen("client", "server");
  EXPECT_EQ(arrived.not_new(), story.receiver().late_in + story.receiver().duplicates_in);
  EXPECT_EQ(story.seen("server", "server").zero_window, story.receiver().zero_windows_out);
}

}  // namespace
}  // namespace koine::sim
