#include "koine/stack/host.h"

#include <gtest/gtest.h>

#include "koine/stack/wire_test.h"
#include "koine/wire/builder.h"

namespace koine::stack {
namespace {

using wire::Builder;

std::vector<std::byte> text(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 131 >> 3);
  return bytes;
}

// Both versions of IP.
class HostPair : public testing::TestWithParam<bool> {
 protected:
  Ip ip(unsigned i) const { return GetParam() ? Segment::v6(i) : Segment::v4(i); }
  Segment net;
  Host& a = net.add();
  Host& b = net.add();

  // Connects a to b's listener; the two ends.
  std::pair<SocketId, SocketId> connected(SocketId listener, std::uint16_t port) {
    const SocketId client = a.tcp_connect({ip(2), port}, net.now).value();
    SocketId server;
    net.run([&] {
      if (auto accepted = b.tcp_accept(listener, net.now)) server = *accepted;
      return server.index != SocketId{}.index;
    });
    return {client, server};
  }
};
INSTANTIATE_TEST_SUITE_P(Versions, HostPair, testing::Bool(),
                         [](const auto& each) { return each.param ? "Ipv6" : "Ipv4"; });

// smoltcp 597: the first packet was lost while its address was resolved.
TEST_P(HostPair, AColdCacheLosesNoPing) {
  for (std::uint16_t i = 0; i < 8; ++i) EXPECT_TRUE(a.ping(ip(2), 7, i, text(56), net.now));
  int answers = 0;
  net.run([&] {
    while (const auto reply = a.poll_echo()) {
      EXPECT_EQ(reply->from, ip(2));
      EXPECT_EQ(reply->sequence, answers);
      EXPECT_EQ(reply->size, 56u);
      ++answers;
    }
    return answers == 8;
  });
  EXPECT_EQ(answers, 8);
}

// smoltcp 319: a busy neighbor is asked again, and its packets do not wait for it.
TEST_P(HostPair, ANeighborInUseStaysKnownAcrossItsExpiry) {
  const SocketId from = a.udp_bind({{}, 0}).value();
  const SocketId to = b.udp_bind({{}, 9}).value();
  int received = 0;
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(a.udp_send(from, text(10), {ip(2), 9}, net.now));
    net.rest(500ms);
    std::byte into[100];
    while (b.udp_receive(to, into)) ++received;
  }
  EXPECT_EQ(received, 200);
}

TEST_P(HostPair, ALargeDatagramTravelsInPieces) {
  const SocketId from = a.udp_bind({{}, 0}).value();
  const SocketId to = b.udp_bind({{}, 9}).value();
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{1472}, std::size_t{1473}, std::size_t{9000}}) {
    const auto bytes = text(size);
    ASSERT_TRUE(a.udp_send(from, bytes, {ip(2), 9}, net.now));
    net.rest(100ms);
    std::vector<std::byte> into(70'000);
    const auto received = b.udp_receive(to, into);
    ASSERT_TRUE(received) << size;
    EXPECT_EQ(received->size, size);
    EXPECT_EQ(received->from, (IpPort{ip(1), a.local(from)->port}));
    into.resize(received->size);
    EXPECT_EQ(into, bytes);
  }
  EXPECT_FALSE(a.udp_send(from, text(65'528), {ip(2), 9}, net.now));
}

TEST_P(HostPair, AClosedUdpPortRefusesWhoIsConnected) {
  const SocketId from = a.udp_bind({{}, 0}).value();
  ASSERT_TRUE(a.udp_connect(from, {ip(2), 99}));
  ASSERT_TRUE(a.udp_send(from, text(10), {ip(2), 99}, net.now));
  net.rest(100ms);
  std::byte into[10];
  const auto received = a.udp_receive(from, into);
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error(), Fault::refused);
  EXPECT_EQ(a.udp_receive(from, into).error(), Fault::would_block);
}

TEST_P(HostPair, MovesBytesBothWaysOverALossyLink) {
  net.loss = 0.02;
  const SocketId listener = b.tcp_listen({{}, 80}, 5).value();
  const auto [client, server] = connected(listener, 80);
  const auto bytes = text(500'000);
  std::vector<std::byte> heard[2];
  std::size_t said[2] = {};
  bool ended[2] = {};
  Host* hosts[2] = {&a, &b};
  const SocketId ids[2] = {client, server};
  EXPECT_TRUE(net.run(
      [&] {
        for (int i = 0; i < 2; ++i) {
          if (said[i] < bytes.size()) {
            if (const auto count =
                    hosts[i]->tcp_write(ids[i], Bytes(bytes).subspan(said[i]), net.now))
              said[i] += *count;
            if (said[i] == bytes.size()) {
              EXPECT_TRUE(hosts[i]->tcp_finish(ids[i], net.now));
            }
          }
          std::byte into[5000];
          while (!ended[i]) {
            const auto count = hosts[i]->tcp_read(ids[i], into, net.now);
            if (!count) break;
            ended[i] = *count == 0;
            heard[i].insert(heard[i].end(), into, into + *count);
          }
        }
        return ended[0] && ended[1];
      },
      600s));
  EXPECT_EQ(heard[0], bytes);
  EXPECT_EQ(heard[1], bytes);
  a.close(client, net.now);
  b.close(server, net.now);
  net.rest(300s);
  EXPECT_EQ(a.connections() + b.connections(), 0u);
}

TEST_P(HostPair, AClosedPortRefusesAtOnce) {
  const SocketId client = a.tcp_connect({ip(2), 81}, net.now).value();
  const Instant start = net.now;
  EXPECT_TRUE(net.run([&] { return a.tcp(client)->fault().has_value(); }));
  EXPECT_EQ(a.tcp(client)->fault(), Fault::refused);
  EXPECT_LT(net.now - start, 100ms);
}

TEST_P(HostPair, AHostThatIsNotThereIsUnreachable) {
  const SocketId client = a.tcp_connect({ip(77), 81}, net.now).value();
  EXPECT_TRUE(net.run([&] { return a.tcp(client)->fault().has_value(); }));
  EXPECT_EQ(a.tcp(client)->fault(), Fault::unreachable);
}

TEST_P(HostPair, TalksToItself) {
  const SocketId listener = a.tcp_listen({{}, 80}, 5).value();
  const SocketId client = a.tcp_connect({ip(1), 80}, net.now).value();
  SocketId server;
  EXPECT_TRUE(net.run([&] {
    if (auto accepted = a.tcp_accept(listener, net.now)) server = *accepted;
    return server.index != SocketId{}.index;
  }));
  const auto bytes = text(100'000);
  EXPECT_EQ(a.tcp_write(client, bytes, net.now).value(), bytes.size());
  std::vector<std::byte> heard;
  EXPECT_TRUE(net.run([&] {
    std::byte into[5000];
    while (const auto count = a.tcp_read(server, into, net.now))
      heard.insert(heard.end(), into, into + *count);
    return heard.size() == bytes.size();
  }));
  EXPECT_EQ(heard, bytes);
}

// smoltcp 943, 1120; gVisor 5637: exactly so many wait, and who comes too early is not reset.
TEST_P(HostPair, TheBacklogIsExactAndOverflowIsSilent) {
  const SocketId listener = b.tcp_listen({{}, 80}, 3).value();
  std::vector<SocketId> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(a.tcp_connect({ip(2), 80}, net.now).value());
  net.rest(500ms);
  int accepted = 0;
  while (b.tcp_accept(listener, net.now)) ++accepted;
  EXPECT_EQ(accepted, 3);
  for (const SocketId client : clients) EXPECT_FALSE(a.tcp(client)->fault());
  net.rest(10s);  // the others try again
  while (b.tcp_accept(listener, net.now)) ++accepted;
  EXPECT_EQ(accepted, 6);
}

TEST_P(HostPair, AFullSynQueueIsAnsweredWithCookies) {
  Segment other;
  Host& client_host = other.add();
  Host& server_host = other.add({.syn_queue_max = 0});
  const SocketId listener = server_host.tcp_listen({{}, 80}, 5).value();
  const SocketId client = client_host.tcp_connect({ip(2), 80}, other.now).value();
  SocketId server;
  EXPECT_TRUE(other.run([&] {
    if (auto accepted = server_host.tcp_accept(listener, other.now)) server = *accepted;
    return server.index != SocketId{}.index;
  }));
  EXPECT_EQ(server_host.counters().cookies_sent, 1u);
  const auto bytes = text(50'000);
  EXPECT_EQ(client_host.tcp_write(client, bytes, other.now).value(), bytes.size());
  std::vector<std::byte> heard;
  EXPECT_TRUE(other.run([&] {
    std::byte into[5000];
    while (const auto count = server_host.tcp_read(server, into, other.now))
      heard.insert(heard.end(), into, into + *count);
    return heard.size() == bytes.size();
  }));
  EXPECT_EQ(heard, bytes);
}

// gVisor 7619: a client that comes back under the same port meets TIME-WAIT and is served at once.
TEST_P(HostPair, ReconnectsIntoTimeWaitWithinTwoRoundTrips) {
  const SocketId listener = b.tcp_listen({{}, 80}, 5).value();
  for (int round = 0; round < 3; ++round) {
    const Instant start = net.now;
    const auto client = a.tcp_connect({ip(2), 80}, net.now, {{}, 5555});
    ASSERT_TRUE(client);
    SocketId server;
    EXPECT_TRUE(net.run([&] {
      if (auto accepted = b.tcp_accept(listener, net.now)) server = *accepted;
      return server.index != SocketId{}.index;
    }));
    EXPECT_LE(net.now - start, 6ms) << round;
    b.close(server, net.now);  // the server finishes first, so TIME-WAIT is its
    net.rest(10ms);
    a.close(*client, net.now);
    net.rest(10ms);
  }
}

TEST_P(HostPair, FindsThePathMtuFromIcmp) {
  const SocketId listener = b.tcp_listen({{}, 80}, 5).value();
  const auto [client, server] = connected(listener, 80);
  // A router on the way takes 1300 bytes and says so.
  const Ip target = ip(2);
  net.drop = [&](const Segment::Frame& frame) {
    if (frame.size() <= 1300 + 14) return false;
    const Bytes packet = Bytes(frame).subspan(14);
    Builder builder(packet.first(target.is_v4() ? 28 : 100));
    if (target.is_v4()) {
      builder.in(wire::Icmpv4Header::fragmentation_needed(1300))
          .in(wire::Ipv4Header{.source = wire::Ipv4Address::of(10, 0, 0, 200),
                               .target = ip(1).v4(),
                               .protocol = wire::IpProtocol::icmp});
    } else {
      const wire::Ipv6Address router{0xfd00'0000'0000'0000, 200};
      builder.in(wire::Icmpv6Header::packet_too_big(1300), router, ip(1).bits)
          .in(wire::Ipv6Header{
              .source = router, .target = ip(1).bits, .protocol = wire::IpProtocol::icmpv6});
    }
    builder.in(
        wire::EthernetHeader{wire::Mac::of(2, 0, 0, 0, 0, 1), wire::Mac::of(2, 0, 0, 0, 0, 99),
                             target.is_v4() ? wire::EtherType::ipv4 : wire::EtherType::ipv6});
    a.input(0, builder.bytes(), net.now);
    return true;
  };
  const auto bytes = text(200'000);
  EXPECT_EQ(a.tcp_write(client, bytes, net.now).value(), bytes.size());
  std::vector<std::byte> heard;
  const Instant start = net.now;
  EXPECT_TRUE(net.run([&] {
    std::byte into[5000];
    while (const auto count = b.tcp_read(server, into, net.now))
      heard.insert(heard.end(), into, into + *count);
    return heard.size() == bytes.size();
  }));
  EXPECT_EQ(heard, bytes);
  EXPECT_LT(net.now - start, 1s);  // no timeout was needed
  EXPECT_EQ(a.tcp_counters().timeouts, 0u);
}

// The MSS that is announced is what the own link carries; that of the path to the peer, once it is
// known, bounds what is sent and says nothing about what may come.
TEST_P(HostPair, AnnouncesWhatItsLinkCarries) {
  Segment other;
  Host& client_host = other.add({}, 1400);
  Host& server_host = other.add();
  ASSERT_TRUE(server_host.tcp_listen({{}, 80}, 5));
  std::vector<std::uint16_t> announced;
  other.tap = [&](const Segment::Frame& frame) {
    const std::size_t headers = GetParam() ? 54 : 34;
    if (frame[GetParam() ? 20 : 23] != std::byte{6}) return;
    const auto view = wire::TcpView::of(Bytes(frame).subspan(headers));
    if (view && view->header().flags.has(wire::tcp_syn))
      announced.push_back(view->header().options.mss.value_or(0));
  };
  const SocketId client = client_host.tcp_connect({ip(2), 80}, other.now).value();
  other.rest(100ms);
  const auto headers = static_cast<std::uint16_t>(GetParam() ? 60 : 40);
  EXPECT_EQ(announced, (std::vector<std::uint16_t>{static_cast<std::uint16_t>(1400 - headers),
                                                   static_cast<std::uint16_t>(1500 - headers)}));
  EXPECT_EQ(client_host.tcp(client)->send_mss(), 1400 - headers);
}

// smoltcp 518: a segment of another connection, or of none, moved a window. Whatever has another
// address or port on either side changes nothing.
TEST_P(HostPair, SegmentsOfOthersChangeNothing) {
  const SocketId listener = b.tcp_listen({{}, 80}, 5).value();
  const auto [client, server] = connected(listener, 80);
  const auto [second, second_server] = connected(listener, 80);
  ASSERT_TRUE(a.tcp_write(client, text(1000), net.now));
  net.rest(100ms);
  const IpPort from = *a.local(client);
  const IpPort to = *a.remote(client);
  const auto state = [&](Host& host, SocketId id) {
    const tcp::Connection& it = *host.tcp(id);
    return std::tuple(it.state(), it.snd_una().value, it.snd_nxt().value, it.snd_wnd(),
                      it.rcv_nxt().value, it.rcv_wnd(), it.readable(), it.congestion_window());
  };
  const auto before =
      std::tuple(state(a, client), state(b, server), state(a, second), state(b, second_server));
  Prng chance(4);
  for (int i = 0; i < 4'000; ++i) {
    IpPort source = from;
    IpPort target = to;
    switch (chance.below(4)) {
      case 0: source.port = static_cast<std::uint16_t>(1 + chance.below(1000)); break;
      case 1: source.ip = ip(static_cast<unsigned>(3 + chance.below(90))); break;
      case 2: target.port = static_cast<std::uint16_t>(81 + chance.below(1000)); break;
      default: source.port = static_cast<std::uint16_t>(1001 + chance.below(1000)); break;
    }
    const auto near = [&](wire::Seq seq) {
      return seq + static_cast<std::uint32_t>(chance.below(9));
    };
    wire::TcpHeader header{.source_port = source.port,
                           .target_port = target.port,
                           .seq = near(b.tcp(server)->rcv_nxt()),
                           .ack = near(b.tcp(server)->snd_una()),
                           .window = static_cast<std::uint16_t>(chance.below(3))};
    header.flags.bits = static_cast<std::uint8_t>(chance.below(64));
    Builder builder(text(chance.below(20)));
    if (ip(1).is_v4()) {
      builder.in(header, source.ip.v4(), target.ip.v4())
          .in(wire::Ipv4Header{.source = source.ip.v4(),
                               .target = target.ip.v4(),
                               .protocol = wire::IpProtocol::tcp});
    } else {
      builder.in(header, source.ip.bits, target.ip.bits)
          .in(wire::Ipv6Header{.source = source.ip.bits,
                               .target = target.ip.bits,
                               .protocol = wire::IpProtocol::tcp});
    }
    builder.in(wire::EthernetHeader{wire::Mac::of(2, 0, 0, 0, 0, 2),
                                    wire::Mac::of(2, 0, 0, 0, 0, 99),
                                    ip(1).is_v4() ? wire::EtherType::ipv4 : wire::EtherType::ipv6});
    b.input(0, builder.bytes(), net.now);
    net.rest(1ms);
  }
  EXPECT_EQ(before, std::tuple(state(a, client), state(b, server), state(a, second),
                               state(b, second_server)));
  EXPECT_EQ(b.counters().malformed, 0u);
}

// mtcp 102: nothing is left behind by many short connections, and no number is right twice.
TEST_P(HostPair, ManyShortConnectionsLeaveNothing) {
  const SocketId listener = b.tcp_listen({{}, 80}, 100).value();
  std::vector<SocketId> old;
  for (int i = 0; i < 300; ++i) {
    const auto [client, server] = connected(listener, 80);
    if (i % 3 == 0) {
      a.tcp_abort(client, net.now);
    } else {
      a.close(client, net.now);
    }
    b.close(server, net.now);
    old.push_back(client);
  }
  net.rest(200s);
  EXPECT_EQ(a.connections() + b.connections(), 0u);
  for (const SocketId id : old) EXPECT_EQ(a.tcp(id), nullptr);
  EXPECT_EQ(a.next_deadline(), Instant::max());
  EXPECT_EQ(b.next_deadline(), Instant::max());
}

TEST(Fragments, OverlapLosesTheWholeDatagramAndTheLengthIsBounded) {
  Fragments fragments;
  const FragmentKey key{Segment::v4(1), Segment::v4(2), 5, 17};
  const Instant now(1s);
  EXPECT_FALSE(fragments.insert(key, 0, true, text(16), text(20), now));
  EXPECT_FALSE(fragments.insert(key, 8, true, text(16), {}, now));
  EXPECT_FALSE(fragments.insert(key, 16, false, text(8), {}, now));  // would complete it
  const FragmentKey death{Segment::v4(1), Segment::v4(2), 6, 1};
  EXPECT_FALSE(fragments.insert(death, 0, true, text(65'528), {}, now));
  EXPECT_FALSE(fragments.insert(death, 65'528, false, text(1400), {}, now));
  EXPECT_EQ(fragments.next_deadline(), now + 60s);
  EXPECT_TRUE(fragments.expire(now + 60s));
  EXPECT_TRUE(fragments.expire(now + 60s));
  EXPECT_EQ(fragments.size(), 0u);
  for (std::uint32_t i = 0; i < 1000; ++i)
    EXPECT_FALSE(
        fragments.insert({Segment::v4(1), Segment::v4(2), i, 17}, 0, true, text(8), {}, now));
  EXPECT_EQ(fragments.size(), Fragments::datagrams_max);
}

// smoltcp 965: who is talked to stays, however many others are asked for.
TEST(NeighborCache, KeepsWhoIsInUseWhenItIsFull) {
  Neighbors neighbors;
  const Instant start(1s);
  const wire::Mac friendly = wire::Mac::of(2, 0, 0, 0, 0, 1);
  EXPECT_FALSE(neighbors.find(0, Segment::v4(1), start));
  neighbors.learn(0, Segment::v4(1), friendly, false, true, start);
  for (std::uint32_t i = 0; i < 5'000; ++i) {
    const Instant now = start + i * 1ms;
    EXPECT_EQ(neighbors.find(0, Segment::v4(1), now), friendly);
    EXPECT_FALSE(neighbors.find(0, Ip(wire::Ipv4Address{0x0a01'0000 + i}), now));
  }
  EXPECT_LE(neighbors.size(), Neighbors::entries_max);
}

TEST(Icmp, ErrorsAreLimitedAndNeverAnswerErrors) {
  Segment net;
  Host& a = net.add();
  Host& b = net.add();
  const SocketId from = a.udp_bind({{}, 0}).value();
  ASSERT_TRUE(a.ping(Segment::v4(2), 1, 1, {}, net.now));
  net.rest(1s);
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(a.udp_send(from, text(10), {Segment::v4(2), 99}, net.now));
    net.rest(10us);
  }
  net.rest(1s);
  EXPECT_LE(b.counters().icmp_out, 60u);
  EXPECT_GE(b.counters().icmp_suppressed, 200u);
  // An ICMP error about anything, to a port nobody has: silence.
  const auto before = b.counters().icmp_out;
  net.rest(5s);
  const auto quoted = text(28);
  Builder error{Bytes(quoted)};
  error.in(wire::Icmpv4Header::unreachable(3))
      .in(wire::Ipv4Header{.source = Segment::v4(1).v4(),
                           .target = Segment::v4(2).v4(),
                           .protocol = wire::IpProtocol::icmp})
      .in(wire::EthernetHeader{wire::Mac::of(2, 0, 0, 0, 0, 2), wire::Mac::of(2, 0, 0, 0, 0, 1),
                               wire::EtherType::ipv4});
  b.input(0, error.bytes(), net.now);
  net.rest(1s);
  EXPECT_EQ(b.counters().icmp_out, before);
}

TEST(Hosts, TheSameSeedTellsTheSameStory) {
  std::uint64_t traces[2];
  for (std::uint64_t& trace : traces) {
    Segment net(3);
    net.loss = 0.05;
    Host& a = net.add();
    Host& b = net.add();
    const SocketId listener = b.tcp_listen({{}, 80}, 5).value();
    const SocketId client = a.tcp_connect({Segment::v4(2), 80}, net.now).value();
    SocketId server;
    std::size_t heard = 0;
    std::size_t said = 0;
    const auto bytes = text(100'000);
    EXPECT_TRUE(net.run([&] {
      if (auto accepted = b.tcp_accept(listener, net.now)) server = *accepted;
      if (said < bytes.size())
        if (const auto count = a.tcp_write(client, Bytes(bytes).subspan(said), net.now))
          said += *count;
      std::byte into[5000];
      while (const auto count = b.tcp_read(server, into, net.now)) heard += *count;
      return heard == bytes.size();
    }));
    trace = net.trace;
  }
  EXPECT_EQ(traces[0], traces[1]);
}

}  // namespace
}  // namespace koine::stack
