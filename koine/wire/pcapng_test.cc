#include "koine/wire/pcapng.h"

#include <gtest/gtest.h>

#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

/// All frames of a file, and what ended them.
struct Read {
  std::vector<PcapngFrame> frames;
  std::vector<PcapngInterface> interfaces;
  std::string error;
};

Read read_all(Bytes file) {
  Read read;
  PcapngReader reader(file);
  for (;;) {
    auto frame = reader.next();
    if (!frame) read.error = to_string(frame.error());
    if (!frame || !*frame) break;
    read.frames.push_back(**frame);
  }
  read.interfaces = reader.interfaces();
  return read;
}

TEST(Pcapng, WritesTheBlocksOfTheStandardByteForByte) {
  std::string file;
  PcapngWriter writer(file);
  ASSERT_TRUE(writer.begin_section("a test"));
  const auto nic = writer.add_interface({.name = "a:eth0", .mac = mac_a});
  ASSERT_TRUE(nic);
  const Octets bytes = hex("0102030405");
  ASSERT_TRUE(writer.write({.interface = *nic,
                            .at = Duration(0x0000'0001'0000'0002),
                            .bytes = bytes,
                            .direction = PcapngDirection::outbound,
                            .id = 7,
                            .comment = "hi"}));
  const char* const expected =
      // Section header: magic, version 1.0, length unknown; application, comment.
      "0a0d0d0a 38000000 4d3c2b1a 0100 0000 ffffffffffffffff"
      "0400 0500 6b6f696e 65000000  0100 0600 61207465 73740000  00000000 38000000"
      // Interface: Ethernet, no snap length; name, MAC, nanoseconds.
      "01000000 38000000 0100 0000 00000000"
      "0200 0600 613a6574 68300000  0600 0600 02000000 000a0000  0900 0100 09000000"
      "00000000 38000000"
      // Frame: interface 0, time high and low, captured 5 of 5; comment, outbound, id.
      "06000000 48000000 00000000 01000000 02000000 05000000 05000000 0102030405 000000"
      "0100 0200 68690000  0200 0400 02000000  0500 0800 07000000 00000000"
      "00000000 48000000";
  EXPECT_EQ(to_hex(as_bytes(file)), to_hex(hex(expected)));
}

TEST(Pcapng, ReadsBackWhatItWrote) {
  const Octets bytes = hex(linux_frame::tcp_data);
  std::string file;
  PcapngWriter writer(file, Duration(1'000));
  const PcapngInterface client{.name = "client:eth0", .description = "of the client", .mac = mac_a};
  const PcapngInterface tunnel{.name = "tun0", .link = LinkType::raw_ip, .snap_length = 20};
  ASSERT_EQ(writer.add_interface(client), 0u);
  ASSERT_EQ(writer.add_interface(tunnel), 1u);
  const PcapngFrame frame{.interface = 0,
                          .at = 1'700'000'000s + 123'456'789ns,
                          .bytes = bytes,
                          .direction = PcapngDirection::inbound,
                          .id = 0xfedc'ba98'7654'3210,
                          .comment = "trace 7"};
  ASSERT_TRUE(writer.write(frame));
  ASSERT_TRUE(writer.write({.interface = 1, .bytes = Bytes(bytes).subspan(14)}));
  ASSERT_TRUE(writer.write({.interface = 0, .bytes = {}}));

  const Read read = read_all(as_bytes(file));
  EXPECT_EQ(read.error, "");
  EXPECT_EQ(read.interfaces, (std::vector<PcapngInterface>{client, tunnel}));
  ASSERT_EQ(read.frames.size(), 3u);
  EXPECT_EQ(read.frames[0].at, frame.at + 1'000ns);
  EXPECT_EQ(to_hex(read.frames[0].bytes), to_hex(bytes));
  EXPECT_EQ(read.frames[0].wire_length, bytes.size());
  EXPECT_EQ(read.frames[0].direction, PcapngDirection::inbound);
  EXPECT_EQ(read.frames[0].id, frame.id);
  EXPECT_EQ(read.frames[0].comment, "trace 7");
  EXPECT_EQ(read.frames[1].interface, 1u);
  EXPECT_EQ(read.frames[1].bytes.size(), 20u);
  EXPECT_EQ(read.frames[1].wire_length, bytes.size() - 14);
  EXPECT_EQ(read.frames[1].id, std::nullopt);
  EXPECT_TRUE(read.frames[2].bytes.empty());
}

TEST(Pcapng, PutsLostFramesOnAnInterfaceOfTheirOwn) {
  const Octets bytes = hex(linux_frame::ping);
  std::string file;
  PcapngWriter writer(file);
  ASSERT_TRUE(writer.add_interface({.name = "a:eth0"}));
  ASSERT_TRUE(writer.add_interface({.name = "a:tun0", .link = LinkType::raw_ip}));
  ASSERT_TRUE(writer.write_lost({.interface = 0, .bytes = bytes, .comment = "queue full at r3:2"}));
  ASSERT_TRUE(writer.write_lost({.interface = 1, .bytes = Bytes(bytes).subspan(14)}));
  ASSERT_TRUE(writer.write_lost({.interface = 0, .bytes = bytes, .comment = "link cut"}));

  const Read read = read_all(as_bytes(file));
  ASSERT_EQ(read.interfaces.size(), 4u);
  EXPECT_EQ(read.interfaces[2].name, "lost");
  EXPECT_EQ(read.interfaces[3].name, "lost (IP)");
  EXPECT_EQ(read.interfaces[3].link, LinkType::raw_ip);
  ASSERT_EQ(read.frames.size(), 3u);
  EXPECT_EQ(read.frames[0].interface, 2u);
  EXPECT_EQ(read.frames[0].comment, "queue full at r3:2");
  EXPECT_EQ(read.frames[1].interface, 3u);
  EXPECT_EQ(read.frames[2].interface, 2u);
}

TEST(Pcapng, SectionsHaveInterfacesOfTheirOwnAndNumbersGoOn) {
  std::string file;
  PcapngWriter writer(file);
  ASSERT_EQ(writer.add_interface({.name = "one"}), 0u);
  ASSERT_TRUE(writer.write({.interface = 0, .bytes = hex("01")}));
  ASSERT_TRUE(writer.write_lost({.interface = 0, .bytes = hex("02")}));
  ASSERT_TRUE(writer.begin_section("the second"));
  ASSERT_EQ(writer.add_interface({.name = "two"}), 2u);
  ASSERT_TRUE(writer.write({.interface = 2, .bytes = hex("03")}));
  ASSERT_TRUE(writer.write_lost({.interface = 2, .bytes = hex("04")}));
  ASSERT_TRUE(writer.write_tls_keys("CLIENT_RANDOM 00 11\n"));

  const Read read = read_all(as_bytes(file));
  EXPECT_EQ(read.error, "");
  ASSERT_EQ(read.frames.size(), 4u);
  std::string names;
  for (const PcapngFrame& frame : read.frames) names += read.interfaces[frame.interface].name + " ";
  EXPECT_EQ(names, "one lost two lost ");
}

TEST(Pcapng, TheFailureOfTheSinkIsTheWritersAnswer) {
  int blocks_left = 2;
  PcapngWriter writer([&](Bytes) -> Result<void> {
    if (blocks_left-- > 0) return {};
    return fail(Fault::exhausted, "write", "capture.pcapng");
  });
  ASSERT_TRUE(writer.add_interface({.name = "a"}));
  const auto written = writer.write({.interface = 0, .bytes = hex("01")});
  ASSERT_FALSE(written);
  EXPECT_EQ(to_string(written.error()), "write capture.pcapng: out of resources");
}

TEST(Pcapng, ALongCommentIsCutAndTheFileStaysWhole) {
  const std::string comment(100'000, 'k');
  std::string file;
  PcapngWriter writer(file);
  ASSERT_TRUE(writer.add_interface({.name = "a"}));
  ASSERT_TRUE(writer.write({.interface = 0, .bytes = hex("01"), .comment = comment}));
  const Read read = read_all(as_bytes(file));
  ASSERT_EQ(read.error, "");
  EXPECT_EQ(read.frames.front().comment.size(), 65'535u);
}

/// A section header and an Ethernet interface, in the order of the machines that swap bytes.
std::string big_endian_head(std::string_view interface_options = "") {
  const std::size_t size = 20 + hex(interface_options).size();
  return std::string("0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c") +
         "00000001 000000" + to_hex(Octets{static_cast<std::byte>(size)}) + " 0001 0000 00000000" +
         std::string(interface_options) + "000000" + to_hex(Octets{static_cast<std::byte>(size)});
}

std::string big_endian_frame(std::string_view ticks) {
  return "00000006 00000024 00000000" + std::string(ticks) + "00000002 00000002 aabb0000 00000024";
}

TEST(PcapngReader, ReadsTheOtherByteOrderAndOtherClocks) {
  const struct {
    const char* options;
    const char* ticks;
    std::int64_t ns;
    const char* clock;
  } cases[] = {
      {"", "00000000 00000007", 7'000, "microseconds if nothing is said"},
      {"00090001 09000000", "00000001 00000000", 0x1'0000'0000, "nanoseconds"},
      {"00090001 03000000", "00000000 00000007", 7'000'000, "milliseconds"},
      {"00090001 00000000", "00000000 00000007", 7'000'000'000, "seconds"},
      {"00090001 0c000000", "00000000 00001f40", 8, "picoseconds"},
      {"00090001 81000000", "00000000 00000003", 1'500'000'000, "halves of a second"},
      {"00090001 a0000000", "00000001 80000000", 1'500'000'000, "2^-32 seconds"},
      {"00090001 be000000", "60000000 00000000", 1'500'000'000, "2^-62 seconds"},
      {"00090001 09000000 000e0008 0000000000000002", "00000000 00000007", 2'000'000'007,
       "nanoseconds with an offset"},
      {"00090001 ff000000", "00000000 00000007", 0, "2^-127 seconds"},
  };
  for (const auto& [options, ticks, ns, clock] : cases) {
    const Octets file = hex(big_endian_head(options) + big_endian_frame(ticks));
    const Read read = read_all(file);
    EXPECT_EQ(read.error, "") << clock;
    ASSERT_EQ(read.frames.size(), 1u) << clock;
    EXPECT_EQ(read.frames[0].at.count(), ns) << clock;
    EXPECT_EQ(to_hex(read.frames[0].bytes), "aabb");
  }
}

TEST(PcapngReader, PassesOverBlocksAndOptionsItDoesNotKnow) {
  const Octets file = hex(big_endian_head("0777 0003 01020300") +
                          "00000bad 00000014 0102030405060708 00000014"     // a block of a vendor
                          "00000003 00000014 00000003 aabbcc00 00000014" +  // a simple packet
                          big_endian_frame("00000000 00000000"));
  const Read read = read_all(file);
  EXPECT_EQ(read.error, "");
  ASSERT_EQ(read.frames.size(), 2u);
  EXPECT_EQ(to_hex(read.frames[0].bytes), "aabbcc");
}

TEST(PcapngReader, SaysAtWhichByteWhatIsWrong) {
  const std::string head = big_endian_head();  // 48 bytes
  const struct {
    std::string file;
    const char* error;
  } cases[] = {
      {"d4c3b2a1 0200 0400 00000000", "byte 0: no section header: not a pcapng file"},
      {"0a0d0d0a", "byte 0: a block that is cut off"},
      {"0a0d0d0a 0000001c 01020304", "byte 8: no byte-order magic"},
      {"0a0d0d0a 00000010 1a2b3c4d 00000010", "byte 0: a section header that is too short"},
      {"0a0d0d0a 0000001c 1a2b3c4d 0002 0000 ffffffffffffffff 0000001c",
       "byte 12: a version that is not 1"},
      {head + "00000006 0000000b 00000000", "byte 52: a block length of 11"},
      {head + "00000006 0000000d 00000000 00000000", "byte 52: a block length of 13"},
      {head + "00000006 00000000 00000000", "byte 52: a block length of 0"},
      {head + "00000006 00000010 00000000",
       "byte 52: a block of 16 bytes, of which only 12 are in the file"},
      {head + "00000006 fffffffc 00000000",
       "byte 52: a block of 4294967292 bytes, of which only 12 are in the file"},
      {head + "00000bad 0000000c 00000010", "byte 56: a block's two lengths differ"},
      {head + "00000006 0000000c 0000000c", "byte 48: a frame that is too short"},
      {head + "00000003 0000000c 0000000c", "byte 48: a frame that is too short"},
      {head + "00000006 00000020 00000001 00000000 00000000 00000000 00000000 00000020",
       "byte 56: a frame on an interface that is not there"},
      {head + "00000006 00000020 ffffffff 00000000 00000000 00000000 00000000 00000020",
       "byte 56: a frame on an interface that is not there"},
      {head + "00000006 00000020 00000000 00000000 00000000 00000001 00000001 00000020",
       "byte 68: a frame that reaches beyond its block"},
      {head + "00000006 00000020 00000000 00000000 00000000 ffffffff 00000001 00000020",
       "byte 68: a frame that reaches beyond its block"},
      {head + "00000003 00000010 00000001 00000010",
       "byte 56: a frame that reaches beyond its block"},
      {head + "00000006 00000024 00000000 00000000 00000000 00000000 00000000 0001 0001 00000024",
       "byte 78: an option that reaches beyond its block"},
      {head + "00000001 0000000c 0000000c", "byte 48: an interface that is too short"},
      {big_endian_head("0002ffff"), "byte 46: an option that reaches beyond its block"},
      {head.substr(0, head.find("00000001 000000")) + "00000003 00000010 00000000 00000010",
       "byte 28: a frame on an interface that is not there"},
  };
  for (const auto& [file, error] : cases) {
    const Octets bytes = hex(file);
    EXPECT_EQ(read_all(bytes).error, std::string("read pcapng: malformed: ") + error) << file;
    PcapngReader reader(bytes);
    while (reader.next()) continue;
    EXPECT_EQ(reader.next().error().note(), error) << "and says so again";
  }
}

TEST(PcapngReader, AnswersEveryFrameBeforeTheFileEndsTooEarly) {
  std::string file;
  std::vector<std::size_t> ends;  // of the blocks
  PcapngWriter writer([&](Bytes block) -> Result<void> {
    file += as_text(block);
    ends.push_back(file.size());
    return {};
  });
  ASSERT_TRUE(writer.add_interface({.name = "a"}));
  for (const auto text : linux_frame::all)
    ASSERT_TRUE(writer.write({.bytes = hex(text), .id = 1, .comment = "x"}));
  for (std::size_t size = 0; size <= file.size(); ++size) {
    const Octets cut = prefix(as_bytes(file), size);
    const Read read = read_all(cut);
    std::size_t frames = 0;
    bool at_an_end = size == 0;
    for (std::size_t block = 0; block < ends.size(); ++block) {
      if (ends[block] <= size && block >= 2) ++frames;
      if (ends[block] == size) at_an_end = true;
    }
    ASSERT_EQ(read.frames.size(), frames) << size;
    ASSERT_EQ(read.error.empty(), at_an_end) << size;
  }
}

TEST(PcapngReader, RefusesInterfacesWithoutEnd) {
  std::string file;
  PcapngWriter writer(file);
  for (std::size_t i = 0; i <= PcapngReader::interfaces_max; ++i)
    ASSERT_TRUE(writer.add_interface({}));
  const Read read = read_all(as_bytes(file));
  EXPECT_EQ(read.interfaces.size(), PcapngReader::interfaces_max);
  EXPECT_NE(read.error.find("more than 65536 interfaces"), std::string::npos) << read.error;
}

TEST(PcapngReader, BearsAnyChangeOfAnyByte) {
  std::string good;
  PcapngWriter writer(good);
  ASSERT_TRUE(writer.add_interface({.name = "a", .description = "b", .mac = mac_a}));
  ASSERT_TRUE(writer.write({.bytes = hex(linux_frame::ping), .id = 1, .comment = "x"}));
  Prng prng(17);
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int i = 0; i < 8; ++i) {
      Octets bad = prefix(as_bytes(good), good.size());
      bad[at] = static_cast<std::byte>(prng());
      EXPECT_LE(read_all(bad).frames.size(), 1u);
    }
  }
}

}  // namespace
}  // namespace koine::wire
