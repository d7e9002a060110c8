// What we put on the wire and into captures, read by tshark, which nobody here wrote.
//
// tshark has to find no malformed frame and no wrong checksum, and its fields have to be ours.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "koine/wire/builder.h"
#include "koine/wire/dissect.h"
#include "koine/wire/dissect_text.h"
#include "koine/wire/vectors_test.h"
#include "tests/interop/tshark.h"

namespace koine::wire {
namespace {

/// A frame and what tshark has to find in it.
struct Case {
  Octets frame;
  std::map<std::string, std::string> fields;
  LinkType link = LinkType::ethernet;
};

Octets in_ethernet(Builder& builder, EtherType type) {
  return builder.in(EthernetHeader{mac_b, mac_a, type}).take();
}

Octets over_ipv4(Builder builder, IpProtocol protocol, Ipv4Address target = ipv4_b) {
  builder.in(Ipv4Header{.source = ipv4_a,
                        .target = target,
                        .protocol = protocol,
                        .identification = 0x1234,
                        .dont_fragment = true});
  return in_ethernet(builder, EtherType::ipv4);
}

Octets over_ipv6(Builder builder, IpProtocol protocol, Ipv6Address source, Ipv6Address target,
                 std::uint8_t hop_limit = nd_hop_limit) {
  builder.in(Ipv6Header{.source = source,
                        .target = target,
                        .protocol = protocol,
                        .hop_limit = hop_limit,
                        .flow_label = 0x12345});
  return in_ethernet(builder, EtherType::ipv6);
}

void add_link_and_arp(std::vector<Case>& cases) {
  Builder request;
  request.in(ArpPacket{ArpOperation::request, mac_a, ipv4_a, {}, ipv4_b});
  cases.push_back({in_ethernet(request, EtherType::arp),
                   {{"eth.src", to_string(mac_a)},
                    {"eth.dst", to_string(mac_b)},
                    {"arp.opcode", "1"},
                    {"arp.src.hw_mac", to_string(mac_a)},
                    {"arp.src.proto_ipv4", "10.77.0.1"},
                    {"arp.dst.proto_ipv4", "10.77.0.2"},
                    {"frame.len", "60"}}});
}

void add_ipv4(std::vector<Case>& cases) {
  Ipv4Header header{.source = ipv4_a,
                    .target = ipv4_b,
                    .protocol = IpProtocol::udp,
                    .ttl = 9,
                    .dscp = 46,
                    .ecn = 1,
                    .identification = 0xbeef};
  for (const std::byte octet : hex("0707080a4d000201 94040000 01010100"))
    header.options.push_back(octet);
  Builder with_options(as_bytes("options"));
  with_options.in(UdpHeader{50'001, 50'002}, ipv4_a, ipv4_b).in(header);
  cases.push_back({in_ethernet(with_options, EtherType::ipv4),
                   {{"ip.hdr_len", "36"},
                    {"ip.ttl", "9"},
                    {"ip.dsfield.dscp", "46"},
                    {"ip.dsfield.ecn", "1"},
                    {"ip.id", "0xbeef"},
                    {"ip.opt.type.number", "7,1,20,1,1,1,0"},
                    {"udp.srcport", "50001"},
                    {"udp.length", "15"},
                    {"udp.checksum.status", "1"}}});
  header.options.clear();
  header.more_fragments = true;
  header.fragment_offset = 1480;
  Builder fragment(Octets(64, std::byte{7}));
  fragment.in(header);
  cases.push_back({in_ethernet(fragment, EtherType::ipv4),
                   {{"ip.flags.mf", "1"}, {"ip.flags.df", "0"}, {"ip.frag_offset", "185"}}});
  Builder raw(as_bytes("x"));
  raw.in(UdpHeader{50'001, 50'002}, ipv4_a, ipv4_b)
      .in(Ipv4Header{.source = ipv4_a, .target = ipv4_b, .protocol = IpProtocol::udp});
  cases.push_back({raw.take(), {{"ip.src", "10.77.0.1"}, {"frame.len", "29"}}, LinkType::raw_ip});
}

void add_icmpv4(std::vector<Case>& cases) {
  cases.push_back(
      {over_ipv4(std::move(Builder(as_bytes("ping")).in(Icmpv4Header::echo_request(7, 9))),
                 IpProtocol::icmp),
       {{"icmp.type", "8"}, {"icmp.ident", "7"}, {"icmp.seq", "9"}}});
  Builder quoted(as_bytes("01234567"));
  quoted.in(UdpHeader{50'001, 50'002}, ipv4_b, ipv4_a)
      .in(Ipv4Header{.source = ipv4_b, .target = ipv4_a, .protocol = IpProtocol::udp});
  const Octets quote = quoted.take();
  const struct {
    Icmpv4Header header;
    std::map<std::string, std::string> fields;
  } errors[] = {
      {Icmpv4Header::unreachable(icmpv4_unreachable::port),
       {{"icmp.type", "3"}, {"icmp.code", "3"}, {"ip.src", "10.77.0.1,10.77.0.2"}}},
      {Icmpv4Header::fragmentation_needed(1400), {{"icmp.code", "4"}, {"icmp.mtu", "1400"}}},
      {Icmpv4Header::time_exceeded(icmpv4_time_exceeded::in_transit), {{"icmp.type", "11"}}},
      {Icmpv4Header::parameter_problem(20), {{"icmp.type", "12"}, {"icmp.pointer", "20"}}},
      {Icmpv4Header::redirect(icmpv4_redirect::host, ipv4_b),
       {{"icmp.type", "5"}, {"icmp.redir_gw", "10.77.0.2"}}},
  };
  for (const auto& [header, fields] : errors)
    cases.push_back({over_ipv4(std::move(Builder(quote).in(header)), IpProtocol::icmp), fields});
}

void add_ipv6(std::vector<Case>& cases) {
  const auto udp = [] {
    return Builder(as_bytes("abcd")).in(UdpHeader{50'001, 50'002}, ipv6_a, ipv6_b);
  };
  cases.push_back({over_ipv6(udp(), IpProtocol::udp, ipv6_a, ipv6_b, 9),
                   {{"ipv6.src", "2001:db8::1"},
                    {"ipv6.hlim", "9"},
                    {"ipv6.flow", "0x012345"},
                    {"ipv6.plen", "12"},
                    {"udp.checksum.status", "1"}}});
  Builder extended = udp();
  extended.in(Ipv6Fragment{0, false, 0x1234}, IpProtocol::udp)
      .in_options(hex("040105"), IpProtocol::fragment)
      .in_options(hex("05020000"), IpProtocol::destination_options);
  cases.push_back({over_ipv6(extended, IpProtocol::hop_by_hop, ipv6_a, ipv6_b),
                   {{"ipv6.nxt", "0"},
                    {"ipv6.hopopts.nxt", "60"},
                    {"ipv6.dstopts.nxt", "44"},
                    {"ipv6.fraghdr.nxt", "17"},
                    {"ipv6.fraghdr.ident", "0x00001234"},
                    {"ipv6.opt.router_alert", "0"},
                    {"udp.dstport", "50002"}}});
  Builder piece(as_bytes("01234567"));
  piece.in(Ipv6Fragment{1448, true, 0x99}, IpProtocol::udp);
  cases.push_back({over_ipv6(piece, IpProtocol::fragment, ipv6_a, ipv6_b),
                   {{"ipv6.fraghdr.offset", "181"}, {"ipv6.fraghdr.more", "1"}}});
}

void add_icmpv6(std::vector<Case>& cases) {
  const Ipv6Address router = link_local_of(mac_a);
  const auto add = [&](const auto& message, Ipv6Address target,
                       std::map<std::string, std::string> fields) {
    Builder builder;
    builder.in(message, router, target);
    fields["icmpv6.checksum.status"] = "1";
    cases.push_back({over_ipv6(builder, IpProtocol::icmpv6, router, target), std::move(fields)});
  };
  add(RouterSolicitation{{.source_mac = mac_a}}, ipv6_all_routers,
      {{"icmpv6.type", "133"}, {"icmpv6.opt.linkaddr", to_string(mac_a)}});
  add(RouterAdvertisement{.hop_limit = 64,
                          .other = true,
                          .router_lifetime_s = 1800,
                          .reachable_ms = 30'000,
                          .retransmit_ms = 1'000,
                          .options = {.source_mac = mac_a,
                                      .mtu = 1500,
                                      .prefixes = {{.prefix = {{0x2001'0db8'0000'0000, 0}, 64},
                                                    .on_link = true,
                                                    .autonomous = true,
                                                    .valid_s = 7200,
                                                    .preferred_s = 3600}}}},
      ipv6_all_nodes,
      {{"icmpv6.type", "134"},
       {"icmpv6.nd.ra.cur_hop_limit", "64"},
       {"icmpv6.nd.ra.flag.m", "0"},
       {"icmpv6.nd.ra.flag.o", "1"},
       {"icmpv6.nd.ra.router_lifetime", "1800"},
       {"icmpv6.nd.ra.reachable_time", "30000"},
       {"icmpv6.nd.ra.retrans_timer", "1000"},
       {"icmpv6.opt.mtu", "1500"},
       {"icmpv6.opt.prefix", "2001:db8::"},
       {"icmpv6.opt.prefix.length", "64"},
       {"icmpv6.opt.prefix.valid_lifetime", "7200"}});
  add(NeighborSolicitation{ipv6_b, {.source_mac = mac_a, .nonce = 0x0102'0304'0506}},
      solicited_node_of(ipv6_b),
      {{"icmpv6.nd.ns.target_address", "2001:db8::2"}, {"icmpv6.opt.nonce", "010203040506"}});
  add(
      NeighborAdvertisement{
          .router = true, .solicited = true, .target = ipv6_b, .options = {.target_mac = mac_b}},
      ipv6_a,
      {{"icmpv6.nd.na.target_address", "2001:db8::2"},
       {"icmpv6.nd.na.flag.r", "1"},
       {"icmpv6.nd.na.flag.s", "1"},
       {"icmpv6.nd.na.flag.o", "0"},
       {"icmpv6.opt.linkaddr", to_string(mac_b)}});
  Builder quoted(as_bytes("01234567"));
  quoted.in(UdpHeader{50'001, 50'002}, ipv6_a, ipv6_b)
      .in(Ipv6Header{.source = ipv6_a, .target = ipv6_b, .protocol = IpProtocol::udp});
  const Octets quote = quoted.take();
  add(NdRedirect{link_local_of(mac_b), ipv6_b, {.target_mac = mac_b, .redirected = quote}}, ipv6_a,
      {{"icmpv6.nd.rd.target_address", "fe80::ff:fe00:b"},
       {"icmpv6.rd.na.destination_address", "2001:db8::2"}});
  const auto add_error = [&](Icmpv6Header header, std::map<std::string, std::string> fields) {
    Builder builder(quote);
    builder.in(header, ipv6_b, ipv6_a);
    cases.push_back({over_ipv6(builder, IpProtocol::icmpv6, ipv6_b, ipv6_a), std::move(fields)});
  };
  add_error(Icmpv6Header::packet_too_big(1400), {{"icmpv6.type", "2"}, {"icmpv6.mtu", "1400"}});
  add_error(Icmpv6Header::unreachable(icmpv6_unreachable::port), {{"icmpv6.code", "4"}});
  add_error(Icmpv6Header::parameter_problem(1, 40), {{"icmpv6.pointer", "40"}});
  add_error(Icmpv6Header::time_exceeded(icmpv6_time_exceeded::in_transit), {{"icmpv6.type", "3"}});
}

void add_rip(std::vector<Case>& cases) {
  RipMessage message{.command = RipCommand::response};
  message.password = {'s', 'e', 's', 'a', 'm', 'e'};
  message.entries = {{.prefix = {Ipv4Address::of(10, 77, 0, 0), 16}, .route_tag = 7, .metric = 1},
                     {.next_hop = ipv4_b, .metric = rip_infinity}};
  Builder builder;
  builder.in(message).in(UdpHeader{port_rip, port_rip}, ipv4_a, rip_routers);
  cases.push_back({over_ipv4(builder, IpProtocol::udp, rip_routers),
                   {{"rip.command", "2"},
                    {"rip.version", "2"},
                    {"rip.auth.passwd", "sesame"},
                    {"rip.ip", "10.77.0.0,0.0.0.0"},
                    {"rip.netmask", "255.255.0.0,0.0.0.0"},
                    {"rip.next_hop", "0.0.0.0,10.77.0.2"},
                    {"rip.route_tag", "7,0"},
                    {"rip.metric", "1,16"}}});
}

void add_tcp(std::vector<Case>& cases) {
  TcpHeader syn{.source_port = 50'001,
                .target_port = 50'002,
                .seq = {4'000'000'000},
                .flags = tcp_syn | tcp_ece | tcp_cwr,
                .window = 64'240};
  syn.options = {
      .mss = 1460, .window_scale = 10, .sack_permitted = true, .timestamps = TcpTimestamps{7, 0}};
  Builder builder;
  builder.in(syn, ipv4_a, ipv4_b);
  cases.push_back({over_ipv4(builder, IpProtocol::tcp),
                   {{"tcp.srcport", "50001"},
                    {"tcp.seq_raw", "4000000000"},
                    {"tcp.flags", "0x00c2"},
                    {"tcp.hdr_len", "40"},
                    {"tcp.window_size_value", "64240"},
                    {"tcp.options.mss_val", "1460"},
                    {"tcp.options.wscale.shift", "10"},
                    {"tcp.options.timestamp.tsval", "7"},
                    {"tcp.option_kind", "2,4,8,1,3"},
                    {"tcp.checksum.status", "1"}}});
  TcpHeader urgent{.source_port = 50'001,
                   .target_port = 50'002,
                   .seq = {1},
                   .ack = {2},
                   .flags = tcp_ack | tcp_urg | tcp_psh,
                   .window = 1,
                   .urgent = 3};
  Builder data(as_bytes("urgent"));
  data.in(urgent, ipv6_a, ipv6_b);
  cases.push_back({over_ipv6(data, IpProtocol::tcp, ipv6_a, ipv6_b, 64),
                   {{"tcp.urgent_pointer", "3"}, {"tcp.len", "6"}, {"tcp.flags", "0x0038"}}});
}

std::vector<Case> cases_of_every_protocol() {
  std::vector<Case> cases;
  add_link_and_arp(cases);
  add_ipv4(cases);
  add_icmpv4(cases);
  add_ipv6(cases);
  add_icmpv6(cases);
  add_rip(cases);
  add_tcp(cases);
  for (const auto text : linux_frame::all) cases.push_back({hex(text), {}});
  return cases;
}

TEST_F(Tshark, FindsOurFieldsInFramesOfEveryProtocol) {
  const std::vector<Case> cases = cases_of_every_protocol();
  Capture capture;
  ASSERT_EQ(capture.writer().add_interface({.name = "a:eth0", .mac = mac_a}), 0u);
  ASSERT_EQ(capture.writer().add_interface({.name = "a:tun0", .link = LinkType::raw_ip}), 1u);
  std::vector<std::string> names;
  for (const Case& each : cases) {
    const std::uint32_t interface = each.link == LinkType::ethernet ? 0 : 1;
    ASSERT_TRUE(capture.writer().write({.interface = interface, .bytes = each.frame}));
    for (const auto& [name, value] : each.fields) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
    const Dissection ours = dissect(each.frame, each.link);
    EXPECT_FALSE(ours.has_problem()) << field_table(ours);
  }
  capture.save();
  capture.expect_sound();

  const auto rows = capture.fields(names);
  ASSERT_EQ(rows.size(), cases.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    for (std::size_t column = 0; column < names.size(); ++column) {
      const auto expected = cases[i].fields.find(names[column]);
      if (expected == cases[i].fields.end()) continue;
      EXPECT_EQ(rows[i][column], expected->second)
          << names[column] << " of frame " << i + 1 << "\n"
          << field_table(dissect(cases[i].frame, cases[i].link));
    }
  }
}

TEST_F(Tshark, ReadsTimesCommentsNamesAndLostFrames) {
  const Octets frame = hex(linux_frame::ping);
  Capture capture;
  ASSERT_EQ(capture.writer().add_interface({.name = "client:eth0", .mac = mac_a}), 0u);
  ASSERT_EQ(capture.writer().add_interface({.name = "server:eth0", .mac = mac_b}), 1u);
  ASSERT_TRUE(capture.writer().write({.interface = 0,
                                      .at = 1'700'000'000s + 123'456'789ns,
                                      .bytes = frame,
                                      .direction = PcapngDirection::outbound,
                                      .id = 4711,
                                      .comment = "trace 7"}));
  ASSERT_TRUE(capture.writer().write({.interface = 1,
                                      .at = 1'700'000'001s,
                                      .bytes = Bytes(frame).first(40),
                                      .wire_length = frame.size(),
                                      .direction = PcapngDirection::inbound}));
  ASSERT_TRUE(capture.writer().write_lost(
      {.interface = 1, .at = 1'700'000'002s, .bytes = frame, .comment = "queue full at r3:2"}));
  capture.save();

  using Row = std::vector<std::string>;
  EXPECT_EQ(
      capture.fields({"frame.time_epoch", "frame.interface_name", "frame.cap_len", "frame.len",
                      "frame.packet_flags_direction", "frame.packet_id", "frame.comment"}),
      (std::vector<Row>{
          {"1700000000.123456789", "client:eth0", "50", "50", "0x00000002", "4711", "trace 7"},
          {"1700000001.000000000", "server:eth0", "40", "50", "0x00000001", "", ""},
          {"1700000002.000000000", "lost", "50", "50", "", "", "queue full at r3:2"},
      }));
}

}  // namespace
}  // namespace koine::wire
