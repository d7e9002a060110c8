// Whole tables of fields, compared as a reader sees them: the headers up to the transport layer,
// and every option of theirs.

#include <gtest/gtest.h>

#include "koine/wire/builder.h"
#include "koine/wire/dissect_text.h"
#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

Dissection dissect_ip(Bytes packet) { return dissect(packet, LinkType::raw_ip); }

TEST(FieldTable, OfATcpSynNamesEveryFieldAndOption) {
  EXPECT_EQ(field_table(dissect(hex(linux_frame::tcp_syn))), without_line_feed(R"(
Ethernet II  bytes 0..13  layer 2 data link  OSI 2 data link
  02:00:00:00:00:0a > 02:00:00:00:00:0b, IPv4
  0..47        Destination Address      02:00:00:00:00:0b       IEEE 802.3 3.2.4
  48..95       Source Address           02:00:00:00:00:0a       IEEE 802.3 3.2.5
  96..111      Type                     0x0800, IPv4            IEEE 802.3 3.2.6

IPv4  bytes 14..33  layer 3 network  OSI 3 network
  10.77.0.1 > 10.77.0.2, ttl 64, don't fragment
  0..3         Version                  4                       RFC 791 3.1
  4..7         IHL                      5 words, 20 bytes       RFC 791 3.1
  8..13        Differentiated Services  0, best effort          RFC 2474 3
  14..15       ECN                      0, not ECN-capable      RFC 3168 5
  16..31       Total Length             60 bytes                RFC 791 3.1
  32..47       Identification           0xc4a5                  RFC 791 3.1
  48           Reserved                 0                       RFC 791 3.1
  49           Don't Fragment           set                     RFC 791 3.1
  50           More Fragments           not set                 RFC 791 3.1
  51..63       Fragment Offset          0 units, 0 bytes        RFC 791 3.1
  64..71       Time to Live             64 hops                 RFC 791 3.1
  72..79       Protocol                 6, TCP                  RFC 791 3.1
  80..95       Header Checksum          0x617a, correct         RFC 791 3.1
  96..127      Source Address           10.77.0.1               RFC 791 3.1
  128..159     Destination Address      10.77.0.2               RFC 791 3.1

TCP  bytes 34..73  layer 4 transport  OSI 4 transport
  35356 > 7000, SYN, seq 1606849009, win 64240
  0..15        Source Port              35356                   RFC 9293 3.1
  16..31       Destination Port         7000                    RFC 9293 3.1
  32..63       Sequence Number          1606849009              RFC 9293 3.1
  64..95       Acknowledgment Number    0                       RFC 9293 3.1
  96..99       Data Offset              10 words, 40 bytes      RFC 9293 3.1
  100..103     Rsrvd                    0                       RFC 9293 3.1
  104          CWR                      not set                 RFC 9293 3.1
  105          ECE                      not set                 RFC 9293 3.1
  106          URG                      not set                 RFC 9293 3.1
  107          ACK                      not set                 RFC 9293 3.1
  108          PSH                      not set                 RFC 9293 3.1
  109          RST                      not set                 RFC 9293 3.1
  110          SYN                      set, sequence numbers   RFC 9293 3.1
                                        begin here
  111          FIN                      not set                 RFC 9293 3.1
  112..127     Window                   64240 bytes             RFC 9293 3.1
  128..143     Checksum                 0xc8b1, correct         RFC 9293 3.1
  144..159     Urgent Pointer           0, does not count       RFC 9293 3.1
               Maximum Segment Size:
  160..167     Kind                     2                       RFC 9293 3.2
  168..175     Length                   4 bytes                 RFC 9293 3.2
  176..191     Maximum Segment Size     1460 bytes              RFC 9293 3.2
               SACK-Permitted:
  192..199     Kind                     4                       RFC 2018 2
  200..207     Length                   2 bytes                 RFC 2018 2
               Timestamps:
  208..215     Kind                     8                       RFC 7323 3.2
  216..223     Length                   10 bytes                RFC 7323 3.2
  224..255     TS Value                 1998414196              RFC 7323 3.2
  256..287     TS Echo Reply            0                       RFC 7323 3.2
               No-Operation:
  288..295     Kind                     1, nothing but filling  RFC 9293 3.2
               Window Scale:
  296..303     Kind                     3                       RFC 7323 2.2
  304..311     Length                   3 bytes                 RFC 7323 2.2
  312..319     shift.cnt                10, windows count 1024  RFC 7323 2.2
                                        bytes
)"));
}

TEST(FieldTable, OfAnArpReply) {
  EXPECT_EQ(field_table(dissect(hex(linux_frame::arp_reply))), without_line_feed(R"(
Ethernet II  bytes 0..13  layer 2 data link  OSI 2 data link
  02:00:00:00:00:0b > 02:00:00:00:00:0a, ARP
  0..47        Destination Address      02:00:00:00:00:0a       IEEE 802.3 3.2.4
  48..95       Source Address           02:00:00:00:00:0b       IEEE 802.3 3.2.5
  96..111      Type                     0x0806, ARP             IEEE 802.3 3.2.6

ARP  bytes 14..41  layer 2 data link  OSI 2 data link
  10.77.0.2 is at 02:00:00:00:00:0b
  0..15        Hardware Type            1, Ethernet             RFC 826
  16..31       Protocol Type            0x0800, IPv4            RFC 826
  32..39       Hardware Address Length  6 bytes                 RFC 826
  40..47       Protocol Address Length  4 bytes                 RFC 826
  48..63       Operation                2, reply                RFC 826
  64..111      Sender Hardware Address  02:00:00:00:00:0b       RFC 826
  112..143     Sender Protocol Address  10.77.0.2               RFC 826
  144..191     Target Hardware Address  02:00:00:00:00:0a       RFC 826
  192..223     Target Protocol Address  10.77.0.1               RFC 826
)"));
}

TEST(FieldTable, OfEveryIpv4Option) {
  Ipv4Header header{
      .source = ipv4_a, .target = ipv4_b, .protocol = IpProtocol::none, .dscp = 46, .ecn = 3};
  for (const std::byte octet : hex("01 0707040a4d0002 440c0d010a4d000100000001 94040000 88040009"
                                   "8203ff 9e02 00 0000"))
    header.options.push_back(octet);
  EXPECT_EQ(field_table(dissect_ip(Builder().in(header).take())), without_line_feed(R"(
IPv4  bytes 0..55  layer 3 network  OSI 3 network
  10.77.0.1 > 10.77.0.2, ttl 64
  0..3         Version                  4                       RFC 791 3.1
  4..7         IHL                      14 words, 56 bytes      RFC 791 3.1
  8..13        Differentiated Services  46, expedited           RFC 2474 3
                                        forwarding
  14..15       ECN                      3, congestion           RFC 3168 5
                                        experienced
  16..31       Total Length             56 bytes                RFC 791 3.1
  32..47       Identification           0x0000                  RFC 791 3.1
  48           Reserved                 0                       RFC 791 3.1
  49           Don't Fragment           not set                 RFC 791 3.1
  50           More Fragments           not set                 RFC 791 3.1
  51..63       Fragment Offset          0 units, 0 bytes        RFC 791 3.1
  64..71       Time to Live             64 hops                 RFC 791 3.1
  72..79       Protocol                 59, nothing             RFC 791 3.1
  80..95       Header Checksum          0x4ec9, correct         RFC 791 3.1
  96..127      Source Address           10.77.0.1               RFC 791 3.1
  128..159     Destination Address      10.77.0.2               RFC 791 3.1
               No Operation:
  160..167     Type                     1, nothing but filling  RFC 791 3.1
               Record Route:
  168          Copied                   not set                 RFC 791 3.1
  169..170     Class                    0, control              RFC 791 3.1
  171..175     Number                   7                       RFC 791 3.1
  176..183     Length                   7 bytes                 RFC 791 3.1
  184..191     Pointer                  4                       RFC 791 3.1
  192..223     Address                  10.77.0.2               RFC 791 3.1
               Internet Timestamp:
  224          Copied                   not set                 RFC 791 3.1
  225..226     Class                    2, debugging and        RFC 791 3.1
                                        measurement
  227..231     Number                   4                       RFC 791 3.1
  232..239     Length                   12 bytes                RFC 791 3.1
  240..247     Pointer                  13                      RFC 791 3.1
  248..251     Overflow                 0                       RFC 791 3.1
  252..255     Flag                     1, addresses and times  RFC 791 3.1
  256..287     Address                  10.77.0.1               RFC 791 3.1
  288..319     Timestamp                1 ms since midnight UT  RFC 791 3.1
               Router Alert:
  320          Copied                   set                     RFC 791 3.1
  321..322     Class                    0, control              RFC 791 3.1
  323..327     Number                   20                      RFC 791 3.1
  328..335     Length                   4 bytes                 RFC 791 3.1
  336..351     Value                    0, every router looks   RFC 2113 2.1
                                        at the packet
               Stream Identifier:
  352          Copied                   set                     RFC 791 3.1
  353..354     Class                    0, control              RFC 791 3.1
  355..359     Number                   8                       RFC 791 3.1
  360..367     Length                   4 bytes                 RFC 791 3.1
  368..383     Stream ID                9                       RFC 791 3.1
               Security:
  384          Copied                   set                     RFC 791 3.1
  385..386     Class                    0, control              RFC 791 3.1
  387..391     Number                   2                       RFC 791 3.1
  392..399     Length                   3 bytes                 RFC 791 3.1
  400..407     Data                     ff                      RFC 791 3.1
               Option 30:
  408          Copied                   set                     RFC 791 3.1
  409..410     Class                    0, control              RFC 791 3.1
  411..415     Number                   30                      RFC 791 3.1
  416..423     Length                   2 bytes                 RFC 791 3.1
               End of Option List:
  424..431     Type                     0, the options end here RFC 791 3.1
  432..447     Padding                  0000                    RFC 791 3.1
)"));
}

TEST(FieldTable, OfEveryIpv6ExtensionHeader) {
  const Octets routing = hex("2c02 00 00 00000000 20010db8000000000000000000000009");
  Octets behind_routing = Builder(as_bytes("abcd"))
                              .in(UdpHeader{1, 2}, ipv6_a, ipv6_b)
                              .in(Ipv6Fragment{0, false, 0x1234}, IpProtocol::udp)
                              .take();
  behind_routing.insert(behind_routing.begin(), routing.begin(), routing.end());
  const Octets packet =
      Builder(behind_routing)
          .in_options(hex("040105 1e01ff c20400010000 00 00"), IpProtocol::routing)
          .in_options(hex("05020000"), IpProtocol::destination_options)
          .in(Ipv6Header{.source = ipv6_a,
                         .target = ipv6_b,
                         .protocol = IpProtocol::hop_by_hop,
                         .dscp = 48,
                         .flow_label = 0x12345})
          .take();
  EXPECT_EQ(field_table(dissect_ip(packet)), without_line_feed(R"(
IPv6  bytes 0..39  layer 3 network  OSI 3 network
  2001:db8::1 > 2001:db8::2, hop limit 64
  0..3         Version                  6                       RFC 8200 3
  4..9         Differentiated Services  48, network control     RFC 2474 3
  10..11       ECN                      0, not ECN-capable      RFC 3168 5
  12..31       Flow Label               0x12345                 RFC 6437 2
  32..47       Payload Length           68 bytes                RFC 8200 3
  48..55       Next Header              0, hop-by-hop options   RFC 8200 3
  56..63       Hop Limit                64 hops                 RFC 8200 3
  64..191      Source Address           2001:db8::1             RFC 8200 3
  192..319     Destination Address      2001:db8::2             RFC 8200 3

IPv6 Hop-by-Hop Options  bytes 40..47  layer 3 network  OSI 3 network
  then destination options
  0..7         Next Header              60, destination options RFC 8200 4.3
  8..15        Hdr Ext Len              0 units, 8 bytes in all RFC 8200 4.3
               Router Alert:
  16..23       Type                     5                       RFC 8200 4.2
  24..31       Opt Data Len             2 bytes                 RFC 8200 4.2
  32..47       Value                    0, multicast listener   RFC 2711 2.1
                                        discovery
               PadN:
  48..55       Type                     1                       RFC 8200 4.2
  56..63       Opt Data Len             0 bytes                 RFC 8200 4.2

IPv6 Destination Options  bytes 48..63  layer 3 network  OSI 3 network
  then routing header
  0..7         Next Header              43, routing header      RFC 8200 4.6
  8..15        Hdr Ext Len              1 unit, 16 bytes in all RFC 8200 4.6
               Tunnel Encapsulation Limit:
  16..23       Type                     4                       RFC 8200 4.2
  24..31       Opt Data Len             1 byte                  RFC 8200 4.2
  32..39       Limit                    5                       RFC 2473 4.1.1
               Option 30:
  40..41       If Unknown               0, skip it              RFC 8200 4.2
  42           May Change on the Way    not set                 RFC 8200 4.2
  43..47       Number                   30                      RFC 8200 4.2
  48..55       Opt Data Len             1 byte                  RFC 8200 4.2
  56..63       Data                     ff                      RFC 8200 4.2
               Jumbo Payload:
  64..71       Type                     194                     RFC 8200 4.2
  72..79       Opt Data Len             4 bytes                 RFC 8200 4.2
  80..111      Jumbo Payload Length     65536                   RFC 2675 2
               Pad1:
  112..119     Type                     0                       RFC 8200 4.2
  120..127     Type                     0                       RFC 8200 4.2

IPv6 Routing  bytes 64..87  layer 3 network  OSI 3 network
  then fragment header
  0..7         Next Header              44, fragment header     RFC 8200 4.4
  8..15        Hdr Ext Len              2 units, 24 bytes in    RFC 8200 4.4
                                        all
  16..23       Routing Type             0, deprecated by RFC    RFC 8200 4.4
                                        5095
  24..31       Segments Left            0                       RFC 8200 4.4
  32..63       Reserved                 0                       RFC 8200 4.4
  64..191      Address                  2001:db8::9             RFC 8200 4.4

IPv6 Fragment  bytes 88..95  layer 3 network  OSI 3 network
  then UDP, fragment at 0
  0..7         Next Header              17, UDP                 RFC 8200 4.5
  8..15        Reserved                 0                       RFC 8200 4.5
  16..28       Fragment Offset          0 units, 0 bytes        RFC 8200 4.5
  29..30       Res                      0                       RFC 8200 4.5
  31           M                        not set, the last       RFC 8200 4.5
                                        fragment
  32..63       Identification           0x00001234              RFC 8200 4.5

UDP  bytes 96..103  layer 4 transport  OSI 4 transport
  1 > 2, 4 bytes
  0..15        Source Port              1                       RFC 768
  16..31       Destination Port         2                       RFC 768
  32..47       Length                   12 bytes                RFC 768
  48..63       Checksum                 0xdf97, correct         RFC 768

Data  bytes 104..107  layer 5 application  OSI 7 application
  4 bytes
  0..31        Data                     "abcd"
)"));
}

}  // namespace
}  // namespace koine::wire
