// A session of frames into a host with open sockets: whatever comes, nothing breaks, memory stays
// bounded, and what it sends is well formed.
//
// The input is a list of records: a byte that says what happens, then what it needs. Frames that
// are made up from a few bytes get right checksums, so that the fuzzer comes past them.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "koine/stack/host.h"
#include "koine/wire/builder.h"

namespace {

using namespace koine;
using namespace koine::stack;

class Input {
 public:
  explicit Input(Bytes bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  std::uint32_t number(std::size_t size) {
    std::uint32_t value = 0;
    for (const std::byte each : take(size))
      value = value << 8 | std::to_integer<std::uint32_t>(each);
    return value;
  }
  Bytes take(std::size_t size) {
    const Bytes taken = bytes_.first(std::min(size, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

 private:
  Bytes bytes_;
};

void require(bool holds) {
  if (!holds) std::abort();
}

constexpr wire::Mac our_mac = wire::Mac::of(2, 0, 0, 0, 0, 1);
constexpr wire::Mac their_mac = wire::Mac::of(2, 0, 0, 0, 0, 2);
constexpr wire::Ipv4Address our_ip = wire::Ipv4Address::of(10, 0, 0, 1);
constexpr wire::Ipv4Address their_ip = wire::Ipv4Address::of(10, 0, 0, 2);

struct Session {
  Host host{{.seed = 1}};
  Instant now{1000s};
  std::vector<std::byte> room = std::vector<std::byte>(2000);
  // What the host last said, so that answers can fit.
  wire::Seq seq{};
  wire::Seq ack{};
  std::uint16_t port = 80;

  void drain() {
    for (int i = 0; i < 5000; ++i) {
      const auto sent = host.poll_transmit(now, room);
      if (!sent) return;
      const Bytes frame = Bytes(room).first(sent->size);
      const auto ethernet = wire::EthernetView::of(frame);
      require(ethernet && ethernet->source() == our_mac && frame.size() <= 1514);
      if (ethernet->type() != wire::EtherType::ipv4) continue;
      const auto ip = wire::Ipv4View::of(ethernet->payload());
      require(ip && ip->has_intact_header());
      if (ip->protocol() != wire::IpProtocol::tcp || ip->is_fragment()) continue;
      const auto tcp = wire::TcpView::of(ip->payload());
      require(tcp && tcp->is_intact(ip->pseudo()) && !tcp->options().broken);
      seq = tcp->seq() + static_cast<std::uint32_t>(tcp->payload().size()) +
            (tcp->flags().has_any(wire::tcp_syn | wire::tcp_fin) ? 1 : 0);
      if (tcp->flags().has(wire::tcp_ack)) ack = tcp->ack();
      if (tcp->source_port() != 80) port = tcp->source_port();
    }
    std::abort();  // it never stops talking
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(Bytes(reinterpret_cast<const std::byte*>(data), size));
  Session session;
  Host& host = session.host;
  host.add_nic({.ethernet = true, .mac = our_mac, .mtu = 1500});
  host.add_address(0, our_ip, 24, session.now);
  host.add_address(0, wire::Ipv6Address{0xfd00'0000'0000'0000, 1}, 64, session.now);
  host.autoconfigure(0, session.now);
  const SocketId listener = host.tcp_listen({{}, 80}, 4).value();
  const SocketId udp = host.udp_bind({{}, 9}).value();
  std::vector<SocketId> sockets;
  const wire::ArpPacket arp{wire::ArpOperation::request, their_mac, their_ip, {}, our_ip};
  host.input(0,
             wire::Builder()
                 .in(arp)
                 .in(wire::EthernetHeader{our_mac, their_mac, wire::EtherType::arp})
                 .bytes(),
             session.now);
  for (int steps = 0; steps < 200 && !input.empty(); ++steps) {
    session.drain();
    const std::uint32_t what = input.number(1);
    std::vector<std::byte> scratch(3000);
    const SocketId chosen = sockets.empty() ? SocketId{} : sockets[what / 16 % sockets.size()];
    switch (what % 16) {
      case 0: host.input(0, input.take(input.number(1) * 6), session.now); break;
      case 1: {  // an IPv4 packet with a right checksum, or a neighbor's ICMPv6 message
        if ((what & 16) != 0) {
          const wire::Ipv6Address source = wire::link_local_of(their_mac);
          const wire::Ipv6Address target =
              (what & 32) != 0 ? wire::ipv6_all_nodes : wire::link_local_of(our_mac);
          const wire::Icmpv6Header header{static_cast<wire::Icmpv6Type>(input.number(1)), 0,
                                          input.number(4)};
          wire::Builder builder(input.take(input.number(1)));
          builder.in(header, source, target)
              .in(wire::Ipv6Header{.source = source,
                                   .target = target,
                                   .protocol = wire::IpProtocol::icmpv6,
                                   .hop_limit = wire::nd_hop_limit})
              .in(wire::EthernetHeader{our_mac, their_mac, wire::EtherType::ipv6});
          host.input(0, builder.bytes(), session.now);
          break;
        }
        const auto protocol = static_cast<wire::IpProtocol>(input.number(1));
        wire::Ipv4Header header{.source = their_ip, .target = our_ip, .protocol = protocol};
        const std::uint32_t fragment = input.number(2);
        header.more_fragments = (fragment & 1) != 0;
        header.fragment_offset = static_cast<std::uint16_t>(fragment & 0xfff8);
        wire::Builder builder(input.take(input.number(1)));
        builder.in(header).in(wire::EthernetHeader{our_mac, their_mac, wire::EtherType::ipv4});
        host.input(0, builder.bytes(), session.now);
        break;
      }
      case 2:
      case 3:
      case 4:
      case 5:
      case 6: {  // a segment near what the host expects
        wire::TcpHeader header{
            .source_port = static_cast<std::uint16_t>(1000 + input.number(1) % 4),
            .target_port = session.port};
        if (what & 16) header.target_port = 80;
        header.flags.bits = static_cast<std::uint8_t>(input.number(1));
        header.seq = session.ack + input.number(2) - (what & 32 ? 30'000 : 0);
        header.ack = session.seq + (what & 64 ? input.number(2) - 30'000 : 0);
        header.window = static_cast<std::uint16_t>(input.number(2));
        if (what & 128) {
          const auto kinds = input.number(1);
          if (kinds & 1) header.options.mss = static_cast<std::uint16_t>(input.number(2));
          if (kinds & 2) header.options.window_scale = static_cast<std::uint8_t>(kinds >> 4);
          header.options.sack_permitted = (kinds & 4) != 0;
          if (kinds & 8)
            header.options.timestamps = wire::TcpTimestamps{input.number(4), input.number(4)};
          if ((kinds & 0x13) == 0x10)
            header.options.sack.push_back(
                {session.seq - input.number(2), session.seq - input.number(1)});
        }
        wire::Builder builder(Bytes(scratch).first(input.number(2) % 1460));
        builder.in(header, their_ip, our_ip)
            .in(wire::Ipv4Header{
                .source = their_ip, .target = our_ip, .protocol = wire::IpProtocol::tcp})
            .in(wire::EthernetHeader{our_mac, their_mac, wire::EtherType::ipv4});
        host.input(0, builder.bytes(), session.now);
        break;
      }
      case 7: session.now += Duration(std::int64_t{1} << (input.number(1) % 38)); break;
      case 8:
        if (const auto accepted = host.tcp_accept(listener, session.now))
          sockets.push_back(*accepted);
        break;
      case 9:
        if (const auto made = host.tcp_connect(
                {their_ip, static_cast<std::uint16_t>(1000 + what / 16 % 4)}, session.now))
          sockets.push_back(*made);
        break;
      case 10:
        (void)host.tcp_write(chosen, Bytes(scratch).first(input.number(2) % 3000 + 1), session.now);
        break;
      case 11: (void)host.tcp_read(chosen, scratch, session.now); break;
      case 12: (void)host.tcp_finish(chosen, session.now); break;
      case 13: host.close(chosen, session.now); break;
      case 14: host.tcp_abort(chosen, session.now); break;
      case 15: {
        (void)host.udp_receive(udp, scratch);
        (void)host.udp_send(udp, Bytes(scratch).first(input.number(2) % 3000), {their_ip, 9},
                            session.now);
        while (host.poll_event()) {
        }
        break;
      }
    }
  }
  session.drain();
  // Left alone, it comes to rest: everything that was closed goes away.
  for (const SocketId socket : sockets) host.close(socket, session.now);
  host.close(listener, session.now);
  session.drain();
  for (int i = 0; i < 20'000 && host.next_deadline() != Instant::max(); ++i) {
    session.now = std::max(session.now, host.next_deadline());
    session.drain();
  }
  require(host.connections() == 0 && host.next_deadline() == Instant::max());
  return 0;
}
