#include "koine/wire/dissect_text.h"

#include <gtest/gtest.h>

#include "koine/wire/builder.h"
#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

Dissection dissect_ip(Bytes packet) { return dissect(packet, LinkType::raw_ip); }

TEST(FieldTable, ShowsAProblemUnderItsFieldAndTheBytesThatRemain) {
  const Octets packet = hex("46000018 00000000 4063 dce1 0a4d00010a4d0002 8805 0000");
  const std::string table = field_table(dissect_ip(packet));
  EXPECT_EQ(table.substr(table.find("  160  ")), without_line_feed(R"(
  160          Copied                   set                     RFC 791 3.1
  161..162     Class                    0, control              RFC 791 3.1
  163..167     Number                   8                       RFC 791 3.1
  168..175     Length                   5 bytes                 RFC 791 3.1
               !! the header has only 4 bytes left
  176..191     Remaining Bytes          0000                    RFC 791 3.1
)"));
}

TEST(LayerTable, ShowsWhatEachLayerAddedFromTheTop) {
  const Octets data = hex(linux_frame::tcp_data);
  EXPECT_EQ(layer_table(dissect(data), data), without_line_feed(R"(
 layer          bytes     as sent, and what it says
 5 Data         6         "world\n"
 4 TCP          32+6      8a1c 1b58 5fc691f2 495a3107 80 18 003f d76b 0000 01 01
                          08 0a 771d6174 e8e4697c
                          35356 > 7000, PSH ACK, seq 1606849010, ack 1230647559,
                          win 63
 3 IPv4         20+38     45 00 003a c4a7 4000 40 06 617a 0a4d0001 0a4d0002
                          10.77.0.1 > 10.77.0.2, ttl 64, don't fragment
 2 Ethernet II  14+58     02000000000b 02000000000a 0800
                          02:00:00:00:00:0a > 02:00:00:00:00:0b, IPv4
 1 wire         72        66 of 72 bytes are wrapping (91 %)
)"));
  const Octets error = hex(linux_frame::port_unreachable);
  EXPECT_EQ(layer_table(dissect(error), error), without_line_feed(R"(
 layer          bytes     as sent, and what it says
 5 Data         3         "abc"
 (quoted)
 4 UDP          8+3       b232 0009 000b 749d
 (quoted)                 45618 > 9, 3 bytes
 3 IPv4         20+11     45 00 001f 1a29 4000 40 11 0c09 0a4d0001 0a4d0002
 (quoted)                 10.77.0.1 > 10.77.0.2, ttl 64, don't fragment
 3 ICMP         8+31      03 03 11b6 00000000
                          destination unreachable, port unreachable
 3 IPv4         20+39     45 c0 003b ca22 0000 40 01 9b43 0a4d0002 0a4d0001
                          10.77.0.2 > 10.77.0.1, ttl 64
 2 Ethernet II  14+59     02000000000a 02000000000b 0800
                          02:00:00:00:00:0b > 02:00:00:00:00:0a, IPv4
 1 wire         73        73 of 73 bytes are wrapping (100 %)
)"));
}

TEST(LayerTable, SaysWhatIsPaddingAndWhatWasNotCaptured) {
  const Octets reply = Builder()
                           .in(ArpPacket{ArpOperation::reply, mac_b, ipv4_b, mac_a, ipv4_a})
                           .in(EthernetHeader{mac_a, mac_b, EtherType::arp})
                           .take();
  EXPECT_EQ(layer_table(dissect(reply), reply), without_line_feed(R"(
 layer          bytes     as sent, and what it says
 2 Padding      18        00000000 00000000 00000000 00000000 0000
 2 ARP          28+0      0001 0800 06 04 0002 02000000000b 0a4d0002
                          02000000000a 0a4d0001
                          10.77.0.2 is at 02:00:00:00:00:0b
 2 Ethernet II  14+46     02000000000a 02000000000b 0806
                          02:00:00:00:00:0b > 02:00:00:00:00:0a, ARP
 1 wire         60        60 of 60 bytes are wrapping (100 %)
)"));
  const Octets cut = prefix(hex(linux_frame::tcp_data), 50);
  EXPECT_EQ(layer_table(dissect(cut, LinkType::ethernet, {.wire_length = 72}), cut, 72),
            without_line_feed(R"(
 layer          bytes     as sent, and what it says
 4 TCP          16+0      8a1c 1b58 5fc691f2 495a3107 80 18 003f
                          the rest is not captured
 3 IPv4         20+16     45 00 003a c4a7 4000 40 06 617a 0a4d0001 0a4d0002
                          10.77.0.1 > 10.77.0.2, ttl 64, don't fragment
 2 Ethernet II  14+36     02000000000b 02000000000a 0800
                          02:00:00:00:00:0a > 02:00:00:00:00:0b, IPv4
 1 wire         72        50 of 50 bytes are wrapping (100 %), 22 more were not
                          captured
)"));
}

TEST(LayerTable, RepeatsWhatIsWrong) {
  Octets data = hex(linux_frame::tcp_data);
  data.back() ^= std::byte{1};
  EXPECT_EQ(layer_table(dissect(data), data), without_line_feed(R"(
 layer          bytes     as sent, and what it says
 5 Data         6         776f726c 640b
 4 TCP          32+6      8a1c 1b58 5fc691f2 495a3107 80 18 003f d76b 0000 01 01
                          08 0a 771d6174 e8e4697c
                          35356 > 7000, PSH ACK, seq 1606849010, ack 1230647559,
                          win 63
                          !! Checksum: wrong: these bytes need 0xd76a
 3 IPv4         20+38     45 00 003a c4a7 4000 40 06 617a 0a4d0001 0a4d0002
                          10.77.0.1 > 10.77.0.2, ttl 64, don't fragment
 2 Ethernet II  14+58     02000000000b 02000000000a 0800
                          02:00:00:00:00:0a > 02:00:00:00:00:0b, IPv4
 1 wire         72        66 of 72 bytes are wrapping (91 %)
)"));
}

}  // namespace
}  // namespace koine::wire
