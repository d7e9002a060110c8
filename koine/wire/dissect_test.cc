#include "koine/wire/dissect.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "koine/wire/builder.h"
#include "koine/wire/dissect_text.h"
#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

/// What dissect() promises for any bytes at all.
void expect_covered(const Dissection& dissection, Bytes frame) {
  std::size_t byte = 0;
  for (const Layer& layer : dissection.layers) {
    ASSERT_EQ(layer.offset, byte) << layer.name << " in " << to_hex(frame);
    std::size_t bit = 0;
    for (const Field& field : layer.fields) {
      ASSERT_EQ(field.bit_offset, bit) << layer.name << " " << field.name;
      ASSERT_FALSE(field.name.empty());
      ASSERT_GE(layer.place.internet, 1);
      bit += field.bit_count;
    }
    ASSERT_EQ(bit, layer.length * 8) << layer.name << " in " << to_hex(frame);
    byte += layer.length;
  }
  ASSERT_EQ(byte, frame.size());
}

TEST(Dissect, FindsNothingWrongInWhatLinuxSent) {
  for (const auto text : linux_frame::all) {
    const Octets frame = hex(text);
    const Dissection dissection = dissect(frame);
    expect_covered(dissection, frame);
    EXPECT_FALSE(dissection.has_problem()) << field_table(dissection);
  }
}

TEST(Dissect, FindsAProblemInEveryFrameThatEndsTooEarly) {
  for (const auto text : linux_frame::all) {
    const Octets frame = hex(text);
    for (std::size_t size = 0; size < frame.size(); ++size) {
      const Octets cut = prefix(frame, size);
      const Dissection dissection = dissect(cut);
      expect_covered(dissection, cut);
      EXPECT_TRUE(dissection.has_problem() || size == 14) << field_table(dissection);
    }
  }
}

TEST(Dissect, DoesNotBlameTheFrameForWhatTheCaptureCutOff) {
  for (const auto text : linux_frame::all) {
    const Octets frame = hex(text);
    for (std::size_t size = 0; size < frame.size(); ++size) {
      const Octets cut = prefix(frame, size);
      const Dissection dissection = dissect(cut, LinkType::ethernet, {.wire_length = frame.size()});
      expect_covered(dissection, cut);
      EXPECT_FALSE(dissection.has_problem()) << field_table(dissection);
    }
  }
}

TEST(Dissect, CoversWhateverItIsGiven) {
  Prng prng(15);
  for (int i = 0; i < 3'000; ++i) {
    Octets frame;
    if (prng.chance(0.2)) {
      frame = random_octets(prng, prng.below(200));
    } else {
      frame = hex(linux_frame::all[prng.below(std::size(linux_frame::all))]);
      for (std::uint64_t flips = 1 + prng.below(4); flips > 0; --flips)
        frame[prng.below(frame.size())] = static_cast<std::byte>(prng());
      frame.resize(prng.below(frame.size() + 20));
    }
    expect_covered(dissect(frame), frame);
    expect_covered(dissect(frame, LinkType::raw_ip), frame);
    const Dissection dissection = dissect(frame);
    // No line of either table is too long for a terminal.
    for (const std::string& table : {field_table(dissection), layer_table(dissection, frame)}) {
      std::size_t begin = 0;
      for (std::size_t end; (end = table.find('\n', begin)) != std::string::npos; begin = end + 1)
        ASSERT_LE(end - begin, 80u) << table;
    }
  }
}

/// "Layer/Field: problem" for everything that is wrong.
std::string problems_of(const Dissection& dissection) {
  std::string text;
  for (const Layer& layer : dissection.layers) {
    for (const Field& field : layer.fields) {
      if (field.problem.empty()) continue;
      if (!text.empty()) text += "\n";
      text += layer.name + "/" + field.name + ": " + field.problem;
    }
  }
  return text;
}

const char* const ipv4_ping =
    "4500 0024 e23e 4000 40 01 43fe 0a4d0001 0a4d0002 08 00 c832 23bc 0001 0001020304050607";

TEST(Dissect, SaysWhatIsMalformedAtTheFieldWhereItBreaks) {
  const struct {
    std::string packet;
    const char* problems;
  } cases[] = {
      {"3500 0024", "Data/Data: neither IPv4 nor IPv6"},
      {"44000014000000004001000000000000 00000000", "IPv4/IHL: a header has at least 20 bytes"},
      {"46000014 0000000040 06 0000 0a4d00010a4d0002 00000000",
       "IPv4/Total Length: less than the header\n"
       "IPv4/Header Checksum: wrong: these bytes need 0x6548"},
      {"45000015 00000000 4063 0000 0a4d00010a4d0002",
       "IPv4/Total Length: only 20 are in the frame\n"
       "IPv4/Header Checksum: wrong: these bytes need 0x65ea"},
      {"46000018 00000000 4063 dce6 0a4d00010a4d0002 8800 0000",
       "IPv4/Length: less than the type and length themselves"},
      {"46000018 00000000 4063 dce1 0a4d00010a4d0002 8805 0000",
       "IPv4/Length: the header has only 4 bytes left"},
      {"4500001d 00002fff 4063 35e3 0a4d00010a4d0002 010203040506070809",
       "IPv4/Fragment Offset: a fragment in the middle is no multiple of 8 bytes long"},
      {"45000024 e23e1fff 4001 63ff 0a4d00010a4d0002 01020304050607080910111213141516",
       "IPv4/Fragment Offset: reaches beyond the largest packet"},
      {"60000000 0005 3b 40 20010db8000000000000000000000001 20010db8000000000000000000000002",
       "IPv6/Payload Length: only 0 are in the frame"},
      {"60000000 0008 3c 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
       "3b01010400000000",
       "IPv6 Destination Options/Hdr Ext Len: only 8 are left in the packet"},
      {"60000000 0008 3c 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
       "3b00010500000000",
       "IPv6 Destination Options/Opt Data Len: the header has only 4 bytes left"},
      {"60000000 0010 3c 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
       "0000010400000000 3b00010400000000",
       "IPv6 Hop-by-Hop Options/Next Header: hop-by-hop options have to be the first extension "
       "header"},
      {"60000000 0008 11 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
       "0001000200080000",
       "UDP/Checksum: over IPv6 a checksum has to be made"},
      {"45000020 00000000 4011 6631 0a4d00010a4d0002 0001 0002 0007 0000 01020304",
       "UDP/Length: less than the header"},
      {"45000020 00000000 4011 6631 0a4d00010a4d0002 0001 0002 000d 0000 01020304",
       "UDP/Length: only 12 are in the packet"},
      {"4500001b 00000000 4011 6636 0a4d00010a4d0002 0001 0002 0008 00",
       "UDP/Length: only 7 are in the packet\nUDP/Checksum: 1 of 2 bytes here: the bytes end"},
      {std::string(ipv4_ping).replace(5, 4, "0023"),
       "IPv4/Header Checksum: wrong: these bytes need 0x43ff\n"
       "ICMP/Checksum: wrong: these bytes need 0xc839"},
  };
  for (const auto& [packet, problems] : cases) {
    const Octets bytes = hex(packet);
    const Dissection dissection = dissect(bytes, LinkType::raw_ip);
    expect_covered(dissection, bytes);
    EXPECT_EQ(problems_of(dissection), problems) << packet << "\n" << field_table(dissection);
  }
}

/// A TCP header with these options, filled up with zeros, before one byte, in an IPv4 packet.
Dissection dissect_tcp_options(std::string_view options) {
  Octets bytes = hex("0001 0002 00000003 00000004 5002 0000 0000 0000");
  const Octets more = hex(options);
  bytes.insert(bytes.end(), more.begin(), more.end());
  while (bytes.size() % 4 != 0) bytes.push_back({});
  bytes[12] = static_cast<std::byte>(bytes.size() / 4 << 4);
  bytes.push_back(std::byte{'x'});
  const Checksum sum = pseudo_header(ipv4_a, ipv4_b, IpProtocol::tcp, bytes.size()).add(bytes);
  store_be16(&bytes[16], sum.value());
  const Octets packet =
      Builder(bytes)
          .in(Ipv4Header{.source = ipv4_a, .target = ipv4_b, .protocol = IpProtocol::tcp})
          .take();
  const Dissection dissection = dissect(packet, LinkType::raw_ip);
  expect_covered(dissection, packet);
  return dissection;
}

TEST(Dissect, SaysWhatIsMalformedInTcp) {
  const struct {
    const char* options;
    const char* problems;
  } cases[] = {
      {"0200 05b4", "TCP/Length: less than the kind and length themselves"},
      {"0101 02", "TCP/Length: less than the kind and length themselves"},
      {"0209 05b4", "TCP/Length: the header has only 4 bytes left"},
      {"0203 05", "TCP/Length: not the length of this kind: the option is ignored"},
      {"0303 0f", "TCP/shift.cnt: more than 14, counts as 14"},
      {"01010102", "TCP/Length: missing: the header ends"},
      {"050a 00000002 00000001", "TCP/Right Edge of Block: not after the left edge"},
      {"1302", "TCP/Length: not the length of this kind: the option is ignored"},
      {"fd04 f989 2204 0102 1c04 8001", ""},  // an experiment, and others that are in order
  };
  for (const auto& [options, problems] : cases)
    EXPECT_EQ(problems_of(dissect_tcp_options(options)), problems) << options;
}

TEST(Dissect, SaysWhatIsMalformedInMessagesWithinUdpAndIcmp) {
  const struct {
    const char* message;
    const char* problems;
  } rip[] = {
      {"03 02 0000", "RIP/Command: neither request nor response"},
      {"02 03 0000", "RIP/Version: neither 1 nor 2"},
      {"02 02 0000 0002 0000 0a4d0000 ff00ff00 00000000 00000011",
       "RIP/Subnet Mask: a mask with holes\nRIP/Metric: not 1 to 16"},
      {"02 02 0000 0002 0000 0a4d00", "RIP/IP Address: 3 of 4 bytes here: the bytes end"},
      {"02 01 0000 0002 0000 0a4d0000 00000000 00000000 00000001", ""},
  };
  for (const auto& [message, problems] : rip) {
    const Octets packet =
        Builder(hex(message))
            .in(UdpHeader{520, 520}, ipv4_a, rip_routers)
            .in(Ipv4Header{.source = ipv4_a, .target = rip_routers, .protocol = IpProtocol::udp})
            .take();
    EXPECT_EQ(problems_of(dissect(packet, LinkType::raw_ip)), problems) << message;
  }

  const struct {
    const char* body;
    const char* problems;
  } solicitations[] = {
      {"20010db8000000000000000000000002 0100 02000000000a",
       "ICMPv6/Length: an option has a length: the message is discarded"},
      {"20010db8000000000000000000000002 0102 02000000000a",
       "ICMPv6/Length: the message has only 8 bytes left"},
      {"ff020000000000000000000000000002", "ICMPv6/Target Address: a group"},
      {"20010db80000", "ICMPv6/Target Address: 6 of 16 bytes here: the bytes end"},
      {"20010db8000000000000000000000002 0501 0000 000005dc 0302 81c0 00000000 0000000000000000",
       "ICMPv6/Length: not the length of this kind: the option is ignored"},
      {"20010db8000000000000000000000002 fd01 000000000000", ""},
  };
  for (const auto& [body, problems] : solicitations) {
    const Octets packet =
        Builder(hex(body))
            .in(Icmpv6Header{Icmpv6Type::neighbor_solicitation, 0, 0}, ipv6_a, ipv6_b)
            .in(Ipv6Header{.source = ipv6_a, .target = ipv6_b, .protocol = IpProtocol::icmpv6})
            .take();
    EXPECT_EQ(problems_of(dissect(packet, LinkType::raw_ip)), problems) << body;
  }
}

TEST(Dissect, GivesEachLayerItsPlaceAmongFiveAndSeven) {
  const Dissection dissection = dissect(hex(linux_frame::tcp_data));
  ASSERT_EQ(dissection.layers.size(), 4u);
  EXPECT_EQ(dissection.layers[0].place, place_link);
  EXPECT_EQ(dissection.layers[1].place, place_network);
  EXPECT_EQ(dissection.layers[2].place, place_transport);
  EXPECT_EQ(dissection.layers[3].place, place_application);
  EXPECT_EQ(internet_layer_name(5), "application");
  EXPECT_EQ(osi_layer_name(7), "application");
  EXPECT_EQ(osi_layer_name(5), "session");
}

TEST(Dissect, ChecksumsOfFramesFromBeforeTheDeviceAreLeftAlone) {
  Octets frame = hex(linux_frame::tcp_data);
  frame[50] ^= std::byte{0xff};
  EXPECT_TRUE(dissect(frame).has_problem());
  EXPECT_FALSE(dissect(frame, LinkType::ethernet, {.verify_checksums = false}).has_problem());
}

TEST(Dissect, OfFragmentsShowsTheFirstOnesHeadersAndTheOthersBytes) {
  Prng prng(16);
  const Octets datagram =
      Builder(random_octets(prng, 2000)).in(UdpHeader{7, 9}, ipv4_a, ipv4_b).take();
  Ipv4Header header{.source = ipv4_a, .target = ipv4_b, .protocol = IpProtocol::udp};
  header.more_fragments = true;
  const Octets first = Builder(Bytes(datagram).first(1480)).in(header).take();
  header.more_fragments = false;
  header.fragment_offset = 1480;
  const Octets second = Builder(Bytes(datagram).subspan(1480)).in(header).take();

  const Dissection head = dissect(first, LinkType::raw_ip);
  EXPECT_FALSE(head.has_problem()) << field_table(head);
  ASSERT_EQ(head.layers.size(), 3u);
  EXPECT_EQ(head.layers[1].name, "UDP");
  EXPECT_EQ(head.layers[1].fields.back().value.substr(8), "not checked: in other fragments");

  const Dissection tail = dissect(second, LinkType::raw_ip);
  EXPECT_FALSE(tail.has_problem());
  ASSERT_EQ(tail.layers.size(), 2u);
  EXPECT_EQ(tail.layers[1].name, "Fragment Data");
}

/// Errors that quote errors: the wire has no end to them, the dissection has.
TEST(Dissect, OfErrorsWithinErrorsStopsAtTheSecondQuote) {
  Octets packet = hex(ipv4_ping);
  for (int i = 0; i < 4; ++i)
    packet = Builder(packet)
                 .in(Icmpv4Header::unreachable(icmpv4_unreachable::host))
                 .in(Ipv4Header{.source = ipv4_b, .target = ipv4_a, .protocol = IpProtocol::icmp})
                 .take();
  const Dissection dissection = dissect(packet, LinkType::raw_ip);
  expect_covered(dissection, packet);
  EXPECT_EQ(dissection.layers.size(), 7u) << layer_table(dissection, packet);
  EXPECT_EQ(dissection.layers.back().name, "Data");
}

}  // namespace
}  // namespace koine::wire
