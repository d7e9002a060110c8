// Bugs that young stacks had, each told once, with the tracker and number where it was met.
#include "koine/stack/tcp/link_test.h"
#include "koine/stack/tcp/script_test.h"

namespace koine::stack::tcp {
namespace {

const std::string served = R"(
    listen
    0     < SYN seq 0 win 30000 <mss 1000, sackok>
    0     > SYN ACK seq 0 ack 1 <mss 1460, sackok>
    0.1   < ACK seq 1 ack 1 win 30000
)";

// smoltcp 62: any ACK restarted the timer, so a peer that kept talking held it off for ever.
TEST(Regression, DuplicateAcksDoNotMoveTheRetransmissionTimer) {
  std::string script =
      "profile linux tlp=0\n" + served + "0.2 write 100\n 0.2 > PSH ACK seq 1 len 100\n";
  for (int i = 1; i < 30; ++i)
    script += std::to_string(0.2 + i * 0.01) + " < ACK seq 1 ack 1 win 30000\n";
  EXPECT_SCRIPT(script + "0.5 > PSH ACK seq 1 len 100\n");
}

// smoltcp 199: and the announcement of room may be lost too; the probe finds out.
TEST(Regression, AWindowUpdateThatIsLostDoesNotStopTheStream) {
  Profile small = linux_profile();
  small.receive_buffer_initial = small.receive_buffer_max = 4000;
  TwoEnds ends(1, {}, linux_profile(), small);
  int lost = 0;
  bool closed = false;
  ends.drop = [&](const TwoEnds::Packet& packet, std::uint64_t) {
    if (packet.to != 0) return false;
    const bool opens = closed && packet.header.window > 0;
    closed = packet.header.window == 0 && packet.header.flags == wire::tcp_ack;
    return opens && ++lost <= 5;
  };
  Transfer transfer(ends, 0, 50'000);
  ends.connect();
  const Instant until = ends.now() + 60s;
  int idle = 0;
  while (!transfer.ended()) {
    // The reader sleeps until the buffer is full.
    if (++idle % 20 == 0 || transfer.read() == 0) {
      if (transfer.turn()) ends.flush();
    }
    if (!ends.step(until)) {
      if (!transfer.turn()) break;
      ends.flush();
    }
  }
  EXPECT_TRUE(transfer.done());
  EXPECT_GT(lost, 0);
}

// smoltcp 224.
TEST(Regression, AMillionDuplicateAcksAreOnlyMany) {
  Environment environment(linux_profile(), 1);
  Connection connection(environment, {.iss = {7}, .passive = true});
  Instant now{1000s};
  Segment segment;
  segment.header = {.seq = {100}, .flags = wire::tcp_syn, .window = 30'000};
  connection.accept(segment, now);
  const auto drain = [&] {
    int count = 0;
    while (connection.poll_transmit(now)) ++count;
    return count;
  };
  drain();
  segment.header = {.seq = {101}, .ack = {8}, .flags = wire::tcp_ack, .window = 30'000};
  connection.input(segment, now);
  const std::vector<std::byte> data(20'000);
  ASSERT_TRUE(connection.write_now(data, now));
  drain();
  int sent = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    connection.input(segment, now);
    sent += drain();
  }
  EXPECT_LT(sent, 100);
  EXPECT_EQ(connection.state(), State::established);
}

// A window that is not a multiple of the scale's unit was offered rounded up, and the last bytes of
// it were then refused until the reader came.
TEST(Regression, EveryByteOfAnOfferedWindowIsTaken) {
  Profile profile = linux_profile();
  profile.receive_buffer_initial = profile.receive_buffer_max = 1'000'003;  // scale 4
  profile.segments_per_ack = 1;
  Environment environment(profile, 1);
  Connection connection(environment, {.iss = {7}, .passive = true});
  const Instant now{1000s};
  Segment segment;
  segment.header = {.seq = {99}, .flags = wire::tcp_syn, .window = 30'000};
  segment.header.options.window_scale = 2;
  connection.accept(segment, now);
  const std::vector<std::byte> data(1'447);
  std::uint32_t sent = 0;
  std::uint32_t offered = 0;
  for (int i = 0; i < 2'000; ++i) {
    std::optional<wire::TcpHeader> answer;
    while (const auto departure = connection.poll_transmit(now)) answer = departure->header;
    if (answer && i > 1) {
      ASSERT_EQ(answer->ack, wire::Seq{100} + sent);
      offered = std::uint32_t{answer->window} << 4;
      if (offered == 0) break;
    }
    segment.data = Bytes(data).first(i == 0 ? 0 : std::min<std::size_t>(data.size(), offered));
    segment.header = {.seq = wire::Seq{100} + sent, .ack = {8}, .flags = wire::tcp_ack};
    connection.input(segment, now);
    sent += static_cast<std::uint32_t>(segment.data.size());
    if (i == 0) offered = static_cast<std::uint32_t>(data.size());
  }
  EXPECT_EQ(offered, 0u);
  EXPECT_GE(sent, 1'000'003u - 15);
  EXPECT_LE(sent, 1'000'003u + 15);
}

// gVisor 1398, 5984: a reader of small pieces does not make small segments.
TEST(Regression, TinyReadsDoNotMakeTinySegments) {
  Profile small = linux_profile();
  small.receive_buffer_initial = small.receive_buffer_max = 8000;
  TwoEnds ends(1, {}, linux_profile(), small);
  int segments = 0;
  ends.drop = [&](const TwoEnds::Packet& packet, std::uint64_t) {
    if (packet.to == 1 && !packet.data.empty()) ++segments;
    return false;
  };
  ends.connect();
  const std::vector<std::byte> data(100'000);
  std::size_t written = 0;
  std::size_t read = 0;
  const Instant until = ends.now() + 60s;
  while (read < data.size() && ends.now() < until) {
    if (const auto taken = ends.end(0).write_now(Bytes(data).subspan(written), ends.now()))
      written += *taken;
    std::byte some[100];
    if (const auto got = ends.end(1).read_now(some, ends.now())) read += *got;
    ends.flush();
    // 100 bytes every millisecond, and what happens until then.
    const Instant next = ends.now() + 1ms;
    while (ends.step(next)) {
    }
    ends.rest_until(next);
  }
  EXPECT_EQ(read, data.size());
  EXPECT_LT(segments, 2 * 100'000 / 1448);
}

// gVisor 6113: where the round trip is next to nothing, a stream stopped.
TEST(Regression, ARoundTripOfNothingStopsNothing) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    TwoEnds ends(seed, {.delay = 0ns, .loss = seed % 2 == 0 ? 0.0 : 0.02, .reorder_by = 1ns});
    ends.path().reorder = seed % 3 == 0 ? 0.05 : 0.0;
    Transfer transfer(ends, 0, 300'000);
    ends.connect();
    const Instant until = ends.now() + 60s;
    while (!transfer.ended() && (transfer.turn() ? (ends.flush(), true) : ends.step(until))) {
    }
    EXPECT_TRUE(transfer.done()) << seed;
  }
}

// gVisor 11198: an acknowledgment that came in a large segment was overlooked. Segments of 60 000
// bytes stand for those that a NIC puts together: the streams both ways are the same.
TEST(Regression, AcknowledgmentsInLargeSegmentsCount) {
  for (const std::uint16_t mss : {std::uint16_t{1460}, std::uint16_t{60'000}}) {
    TwoEnds ends(3, {.delay = 1ms, .loss = 0.01, .mss = mss});
    std::uint64_t bare = 0;
    ends.drop = [&](const TwoEnds::Packet& packet, std::uint64_t) {
      bare += packet.data.empty() ? 1 : 0;
      return false;
    };
    Transfer there(ends, 0, 3'000'000);
    Transfer back(ends, 1, 3'000'000);
    ends.connect();
    const Instant until = ends.now() + 60s;
    while (!(there.ended() && back.ended())) {
      const bool did = there.turn();
      if (back.turn() || did) {
        ends.flush();
      } else if (!ends.step(until)) {
        break;
      }
    }
    EXPECT_TRUE(there.done() && back.done()) << mss;
    for (const Instant rest = ends.now() + 5s; ends.step(rest);) {
    }
    EXPECT_EQ(ends.end(0).unacknowledged() + ends.end(1).unacknowledged(), 0u) << mss;
    // Most acknowledgments travel with data.
    EXPECT_LT(bare, ends.packets() / 2) << mss;
  }
}

// mbed-os 4140: what was sent again at another size than before got stuck.
TEST(Regression, SegmentsMayChangeTheirSizeInFlight) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    TwoEnds ends(seed, {.delay = 5ms, .bits_per_second = 20'000'000, .loss = 0.02});
    Prng chance(seed);
    std::uint16_t path = 1460;
    ends.drop = [&](const TwoEnds::Packet& packet, std::uint64_t) {
      if (packet.to == 0) return false;
      if (chance.chance(0.01)) {
        path = static_cast<std::uint16_t>(500 + chance.below(961));
        if (chance.chance(0.5)) ends.end(0).path_grew(path);
      }
      if (packet.data.size() + packet.header.options.size() <= path) return false;
      ends.end(0).path_shrank(path, packet.header.seq, ends.now());  // what a router would say
      return true;
    };
    Transfer transfer(ends, 0, 1'000'000);
    ends.connect();
    const Instant until = ends.now() + 120s;
    while (!transfer.ended() && (transfer.turn() ? (ends.flush(), true) : ends.step(until))) {
    }
    EXPECT_TRUE(transfer.done()) << seed;
  }
}

// esp-idf 2425: both sides full, each finding the other's probe unacceptable.
TEST(Regression, TwoFullEndsDoNotTalkForEver) {
  for (const bool with_data : {false, true}) {
    Profile small = linux_profile();
    small.receive_buffer_initial = small.receive_buffer_max = 3000;
    small.probe_with_data = with_data;
    TwoEnds ends(1, {.delay = 0ms}, small, small);
    ends.connect();
    while (ends.end(1).state() != State::established && ends.step()) {
    }
    const std::vector<std::byte> data(100'000);
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(ends.end(i).write_now(data, ends.now()));
    ends.flush();
    const Instant until = ends.now() + 600s;
    while (ends.step(until)) {
    }
    EXPECT_LT(ends.packets(), 150u) << with_data;
  }
}

// nuttx 5078: counters of 16 and 32 bits, at every place where the numbers wrap.
TEST(Regression, LargeWindowsAndWrapsLoseNothing) {
  Profile large = linux_profile();
  large.receive_buffer_initial = large.receive_buffer_max = 8u << 20;
  large.send_buffer_max = 16u << 20;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    TwoEnds ends(seed, {.delay = 50ms, .loss = 0.001}, large, large);
    Transfer transfer(ends, 0, 12'000'000, 1 << 16);
    ends.connect();
    const Instant until = ends.now() + 600s;
    while (!transfer.ended()) {
      if (transfer.turn()) {
        ends.flush();
      } else if (!ends.step(until)) {
        break;
      }
    }
    EXPECT_TRUE(transfer.done()) << seed;
  }
}

// inet 415: a FIN at every position of the scoreboard.
TEST(Regression, AFinMayBeLostOrReportedAnywhere) {
  for (int lost = 0; lost < 16; ++lost) {
    TwoEnds ends(1, {});
    int data_segments = 0;
    ends.drop = [&](const TwoEnds::Packet& packet, std::uint64_t) {
      if (packet.to != 1 || (packet.data.empty() && !packet.header.flags.has(wire::tcp_fin)))
        return false;
      const int n = data_segments++;
      return n < 4 && (lost >> n & 1) != 0;
    };
    Transfer transfer(ends, 0, 3 * 1448 + 100);
    ends.connect();
    const Instant until = ends.now() + 60s;
    while (!transfer.ended()) {
      if (transfer.turn()) {
        ends.flush();
      } else if (!ends.step(until)) {
        break;
      }
    }
    EXPECT_TRUE(transfer.done()) << lost;
  }
}

// gVisor 7406: a policer drops in bursts; RACK must not collapse.
TEST(Regression, APolicerLeavesMostOfItsRate) {
  TwoEnds ends(1, {.delay = 10ms, .bits_per_second = 20'000'000, .queue_bytes = 15'000});
  Transfer transfer(ends, 0, 10'000'000);
  const Instant start = ends.now();
  ends.connect();
  while (!transfer.ended()) {
    if (transfer.turn()) {
      ends.flush();
    } else if (!ends.step(start + 60s)) {
      break;
    }
  }
  ASSERT_TRUE(transfer.done());
  EXPECT_GE(8 * 10.0 / std::chrono::duration<double>(ends.now() - start).count(), 12.0);
}

// picotcp 506, RIOT 12086: a segment with an option of length 0 comes to an end.
TEST(Regression, AnOptionOfLengthZeroEndsTheList) {
  const std::byte options[] = {std::byte{2}, std::byte{0}, std::byte{5}, std::byte{180}};
  const auto parsed = wire::parse_tcp_options(options);
  EXPECT_TRUE(parsed.broken);
  EXPECT_FALSE(parsed.mss);
}

TEST(Regression, AnIdleConnectionIsSmall) {
  EXPECT_LE(sizeof(Connection), 320u);
  TwoEnds ends(1, {});
  Transfer transfer(ends, 0, 100'000);
  ends.connect();
  while (transfer.read() < 100'000) {
    if (transfer.turn()) {
      ends.flush();
    } else if (!ends.step()) {
      break;
    }
  }
  const Instant until = ends.now() + 10s;
  while (ends.step(until)) {
  }
  EXPECT_EQ(ends.end(1).footprint(), sizeof(Connection));
}

}  // namespace
}  // namespace koine::stack::tcp
