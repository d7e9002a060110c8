// Whole tables of fields, compared as a reader sees them: ICMP, neighbor discovery and RIP.

#include <gtest/gtest.h>

#include "koine/wire/builder.h"
#include "koine/wire/dissect_text.h"
#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

Dissection dissect_ip(Bytes packet) { return dissect(packet, LinkType::raw_ip); }

/// What a message of neighbor discovery looks like, without the packet around it.
template <class Message>
std::string table_of(const Message& message) {
  const Octets packet = Builder()
                            .in(message, link_local_of(mac_a), ipv6_all_nodes)
                            .in(Ipv6Header{.source = link_local_of(mac_a),
                                           .target = ipv6_all_nodes,
                                           .protocol = IpProtocol::icmpv6,
                                           .hop_limit = nd_hop_limit})
                            .take();
  const std::string table = field_table(dissect_ip(packet));
  return table.substr(table.find("ICMPv6  bytes"));
}

TEST(FieldTable, OfARouterAdvertisement) {
  const RouterAdvertisement advertisement{
      .hop_limit = 64,
      .other = true,
      .router_lifetime_s = 1800,
      .reachable_ms = 30'000,
      .options = {.source_mac = mac_a,
                  .mtu = 1500,
                  .nonce = 0x13cc'ba1b'7f03,
                  .prefixes = {{.prefix = {{0x2001'0db8'0000'0000, 0}, 64},
                                .on_link = true,
                                .autonomous = true,
                                .valid_s = nd_lifetime_infinite,
                                .preferred_s = 604'800}}}};
  EXPECT_EQ(table_of(advertisement), without_line_feed(R"(
ICMPv6  bytes 40..111  layer 3 network  OSI 3 network
  router advertisement
  0..7         Type                     134, router             RFC 4443 2.1
                                        advertisement
  8..15        Code                     0                       RFC 4443 2.1
  16..31       Checksum                 0xab9a, correct         RFC 4443 2.1
  32..39       Cur Hop Limit            64                      RFC 4861 4.2
  40           Managed Address          not set                 RFC 4861 4.2
               Configuration
  41           Other Configuration      set                     RFC 4861 4.2
  42..47       Reserved                 0                       RFC 4861 4.2
  48..63       Router Lifetime          1800 s                  RFC 4861 4.2
  64..95       Reachable Time           30000 ms                RFC 4861 4.2
  96..127      Retrans Timer            0, left to the host     RFC 4861 4.2
               Source Link-Layer Address:
  128..135     Type                     1                       RFC 4861 4.6.1
  136..143     Length                   1 unit, 8 bytes         RFC 4861 4.6.1
  144..191     Link-Layer Address       02:00:00:00:00:0a       RFC 4861 4.6.1
               MTU:
  192..199     Type                     5                       RFC 4861 4.6.4
  200..207     Length                   1 unit, 8 bytes         RFC 4861 4.6.4
  208..223     Reserved                 0                       RFC 4861 4.6.4
  224..255     MTU                      1500 bytes              RFC 4861 4.6.4
               Nonce:
  256..263     Type                     14                      RFC 3971 5.3.2
  264..271     Length                   1 unit, 8 bytes         RFC 3971 5.3.2
  272..319     Nonce                    13ccba1b 7f03           RFC 3971 5.3.2
               Prefix Information:
  320..327     Type                     3                       RFC 4861 4.6.2
  328..335     Length                   4 units, 32 bytes       RFC 4861 4.6.2
  336..343     Prefix Length            64 bits                 RFC 4861 4.6.2
  344          On-Link                  set                     RFC 4861 4.6.2
  345          Autonomous               set                     RFC 4861 4.6.2
               Address-Configuration
  346..351     Reserved1                0                       RFC 4861 4.6.2
  352..383     Valid Lifetime           for ever                RFC 4861 4.6.2
  384..415     Preferred Lifetime       604800 s                RFC 4861 4.6.2
  416..447     Reserved2                0                       RFC 4861 4.6.2
  448..575     Prefix                   2001:db8::              RFC 4861 4.6.2
)"));
}

TEST(FieldTable, OfANeighborAdvertisementAndARedirect) {
  EXPECT_EQ(table_of(NeighborAdvertisement{.solicited = true, .target = ipv6_b}),
            without_line_feed(R"(
ICMPv6  bytes 40..63  layer 3 network  OSI 3 network
  neighbor advertisement, 2001:db8::2 is here
  0..7         Type                     136, neighbor           RFC 4443 2.1
                                        advertisement
  8..15        Code                     0                       RFC 4443 2.1
  16..31       Checksum                 0x0d63, correct         RFC 4443 2.1
  32           Router                   not set                 RFC 4861 4.4
  33           Solicited                set                     RFC 4861 4.4
  34           Override                 not set                 RFC 4861 4.4
  35..63       Reserved                 0                       RFC 4861 4.4
  64..191      Target Address           2001:db8::2             RFC 4861 4.4
)"));
  const Octets quoted =
      Builder(as_bytes("abcdefgh"))
          .in(UdpHeader{50'001, 50'002}, ipv6_a, ipv6_b)
          .in(Ipv6Header{.source = ipv6_a, .target = ipv6_b, .protocol = IpProtocol::udp})
          .take();
  EXPECT_EQ(table_of(NdRedirect{
                link_local_of(mac_b), ipv6_b, {.target_mac = mac_b, .redirected = quoted}}),
            without_line_feed(R"(
ICMPv6  bytes 40..95  layer 3 network  OSI 3 network
  redirect, by way of fe80::ff:fe00:b
  0..7         Type                     137, redirect           RFC 4443 2.1
  8..15        Code                     0                       RFC 4443 2.1
  16..31       Checksum                 0xd53b, correct         RFC 4443 2.1
  32..63       Reserved                 0                       RFC 4861 4.5
  64..191      Target Address           fe80::ff:fe00:b         RFC 4861 4.5
  192..319     Destination Address      2001:db8::2             RFC 4861 4.5
               Target Link-Layer Address:
  320..327     Type                     2                       RFC 4861 4.6.1
  328..335     Length                   1 unit, 8 bytes         RFC 4861 4.6.1
  336..383     Link-Layer Address       02:00:00:00:00:0b       RFC 4861 4.6.1
               Redirected Header:
  384..391     Type                     4                       RFC 4861 4.6.3
  392..399     Length                   8 units, 64 bytes       RFC 4861 4.6.3
  400..447     Reserved                 0                       RFC 4861 4.6.3

IPv6 (quoted)  bytes 96..135  layer 3 network  OSI 3 network
  2001:db8::1 > 2001:db8::2, hop limit 64
  0..3         Version                  6                       RFC 8200 3
  4..9         Differentiated Services  0, best effort          RFC 2474 3
  10..11       ECN                      0, not ECN-capable      RFC 3168 5
  12..31       Flow Label               0x00000                 RFC 6437 2
  32..47       Payload Length           16 bytes                RFC 8200 3
  48..55       Next Header              17, UDP                 RFC 8200 3
  56..63       Hop Limit                64 hops                 RFC 8200 3
  64..191      Source Address           2001:db8::1             RFC 8200 3
  192..319     Destination Address      2001:db8::2             RFC 8200 3

UDP (quoted)  bytes 136..143  layer 4 transport  OSI 4 transport
  50001 > 50002, 8 bytes
  0..15        Source Port              50001                   RFC 768
  16..31       Destination Port         50002                   RFC 768
  32..47       Length                   16 bytes                RFC 768
  48..63       Checksum                 0x8c1f, correct         RFC 768

Data (quoted)  bytes 144..151  layer 5 application  OSI 7 application
  8 bytes
  0..63        Data                     "abcdefgh"
)"));
}

TEST(FieldTable, OfARipResponseWithAPassword) {
  RipMessage message{.command = RipCommand::response};
  message.password = {'s', 'e', 's', 'a', 'm', 'e'};
  message.entries = {{.prefix = {Ipv4Address::of(10, 77, 0, 0), 16}, .route_tag = 7, .metric = 1},
                     {.next_hop = Ipv4Address::of(10, 77, 0, 9), .metric = rip_infinity}};
  const Octets packet =
      Builder()
          .in(message)
          .in(UdpHeader{port_rip, port_rip}, ipv4_a, rip_routers)
          .in(Ipv4Header{.source = ipv4_a, .target = rip_routers, .protocol = IpProtocol::udp})
          .take();
  const std::string table = field_table(dissect_ip(packet));
  EXPECT_EQ(table.substr(table.find("UDP  bytes")), without_line_feed(R"(
UDP  bytes 20..27  layer 4 transport  OSI 4 transport
  520 > 520, 64 bytes
  0..15        Source Port              520, rip                RFC 768
  16..31       Destination Port         520, rip                RFC 768
  32..47       Length                   72 bytes                RFC 768
  48..63       Checksum                 0xa607, correct         RFC 768

RIP  bytes 28..91  layer 5 application  OSI 7 application
  response, version 2, 3 entries
  0..7         Command                  2, response             RFC 2453 4
  8..15        Version                  2                       RFC 2453 4
  16..31       must be zero             0                       RFC 2453 4
               Entry 1:
  32..47       Address Family           0xffff, authentication  RFC 2453 4
               Identifier
  48..63       Authentication Type      2, plain password       RFC 2453 4.1
  64..191      Authentication           "sesame"                RFC 2453 4.1
               Entry 2:
  192..207     Address Family           2, IPv4                 RFC 2453 4
               Identifier
  208..223     Route Tag                7                       RFC 2453 4
  224..255     IP Address               10.77.0.0               RFC 2453 4
  256..287     Subnet Mask              255.255.0.0             RFC 2453 4
  288..319     Next Hop                 0.0.0.0, by way of the  RFC 2453 4
                                        sender
  320..351     Metric                   1                       RFC 2453 4
               Entry 3:
  352..367     Address Family           2, IPv4                 RFC 2453 4
               Identifier
  368..383     Route Tag                0                       RFC 2453 4
  384..415     IP Address               0.0.0.0                 RFC 2453 4
  416..447     Subnet Mask              0.0.0.0                 RFC 2453 4
  448..479     Next Hop                 10.77.0.9               RFC 2453 4
  480..511     Metric                   16, out of reach        RFC 2453 4
)"));
}

TEST(FieldTable, OfEachIcmpMessage) {
  const Icmpv4Header messages[] = {
      Icmpv4Header::echo_request(7, 1),
      Icmpv4Header::unreachable(icmpv4_unreachable::host),
      Icmpv4Header::fragmentation_needed(1400),
      Icmpv4Header::time_exceeded(icmpv4_time_exceeded::in_transit),
      Icmpv4Header::parameter_problem(20),
      Icmpv4Header::redirect(icmpv4_redirect::host, ipv4_b),
      {Icmpv4Type::timestamp_reply, 0, 0x0007'0001},
  };
  std::string tables;
  for (const Icmpv4Header& message : messages) {
    const bool is_timestamp = message.type == Icmpv4Type::timestamp_reply;
    const Octets packet =
        Builder(is_timestamp ? hex("00000001 00000002 00000003") : Octets())
            .in(message)
            .in(Ipv4Header{.source = ipv4_a, .target = ipv4_b, .protocol = IpProtocol::icmp})
            .take();
    const std::string table = field_table(dissect_ip(packet));
    tables += table.substr(table.find("ICMP  bytes"));
  }
  EXPECT_EQ(tables, without_line_feed(R"(
ICMP  bytes 20..27  layer 3 network  OSI 3 network
  echo request, sequence 1
  0..7         Type                     8, echo request         RFC 792
  8..15        Code                     0                       RFC 792
  16..31       Checksum                 0xf7f7, correct         RFC 792
  32..47       Identifier               7                       RFC 792
  48..63       Sequence Number          1                       RFC 792
ICMP  bytes 20..27  layer 3 network  OSI 3 network
  destination unreachable, host unreachable
  0..7         Type                     3, destination          RFC 792
                                        unreachable
  8..15        Code                     1, host unreachable     RFC 792
  16..31       Checksum                 0xfcfe, correct         RFC 792
  32..63       unused                   0                       RFC 792
ICMP  bytes 20..27  layer 3 network  OSI 3 network
  destination unreachable, fragmentation needed, MTU 1400
  0..7         Type                     3, destination          RFC 792
                                        unreachable
  8..15        Code                     4, fragmentation needed RFC 792
  16..31       Checksum                 0xf783, correct         RFC 792
  32..47       unused                   0                       RFC 1191 4
  48..63       Next-Hop MTU             1400 bytes              RFC 1191 4
ICMP  bytes 20..27  layer 3 network  OSI 3 network
  time exceeded, in transit
  0..7         Type                     11, time exceeded       RFC 792
  8..15        Code                     0, in transit           RFC 792
  16..31       Checksum                 0xf4ff, correct         RFC 792
  32..63       unused                   0                       RFC 792
ICMP  bytes 20..27  layer 3 network  OSI 3 network
  parameter problem, the pointer says where
  0..7         Type                     12, parameter problem   RFC 792
  8..15        Code                     0, the pointer says     RFC 792
                                        where
  16..31       Checksum                 0xdfff, correct         RFC 792
  32..39       Pointer                  octet 20 of the quoted  RFC 792
                                        packet
  40..63       unused                   0                       RFC 792
ICMP  bytes 20..27  layer 3 network  OSI 3 network
  redirect, for the host, by way of 10.77.0.2
  0..7         Type                     5, redirect             RFC 792
  8..15        Code                     1, for the host         RFC 792
  16..31       Checksum                 0xf0af, correct         RFC 792
  32..63       Gateway Internet Address 10.77.0.2               RFC 792
ICMP  bytes 20..39  layer 3 network  OSI 3 network
  timestamp reply
  0..7         Type                     14, timestamp reply     RFC 792
  8..15        Code                     0                       RFC 792
  16..31       Checksum                 0xf1f1, correct         RFC 792
  32..47       Identifier               7                       RFC 792
  48..63       Sequence Number          1                       RFC 792
  64..95       Originate Timestamp      1 ms since midnight UT  RFC 792
  96..127      Receive Timestamp        2 ms since midnight UT  RFC 792
  128..159     Transmit Timestamp       3 ms since midnight UT  RFC 792
)"));
}

}  // namespace
}  // namespace koine::wire
