#include "koine/wire/tcp.h"

#include <gtest/gtest.h>

#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

constexpr std::size_t segment_at = 34;  // behind Ethernet and IPv4 without options

Bytes segment_of(const Octets& frame) { return Bytes(frame).subspan(segment_at); }

Octets written(const TcpHeader& header, Bytes payload) {
  Octets segment(header.size() + payload.size());
  std::copy(payload.begin(), payload.end(),
            segment.begin() + static_cast<std::ptrdiff_t>(header.size()));
  const Checksum pseudo = pseudo_header(ipv4_a, ipv4_b, IpProtocol::tcp, segment.size());
  EXPECT_EQ(write(header, pseudo, partial_sum(payload), segment), header.size());
  return segment;
}

TEST(Tcp, ReadsTheSynThatLinuxSent) {
  const Octets frame = hex(linux_frame::tcp_syn);
  const auto view = TcpView::of(segment_of(frame));
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->is_intact(pseudo_header(ipv4_a, ipv4_b, IpProtocol::tcp, 40)));
  EXPECT_TRUE(view->payload().empty());
  TcpHeader expected{.source_port = 35356,
                     .target_port = 7000,
                     .seq = {0x5fc6'91f1},
                     .flags = tcp_syn,
                     .window = 64240};
  expected.options = {.mss = 1460,
                      .window_scale = 10,
                      .sack_permitted = true,
                      .timestamps = TcpTimestamps{0x771d'6174, 0}};
  EXPECT_EQ(view->header(), expected);
}

TEST(Tcp, ReadsTheDataThatLinuxSent) {
  const Octets frame = hex(linux_frame::tcp_data);
  const auto view = TcpView::of(segment_of(frame));
  ASSERT_TRUE(view);
  EXPECT_EQ(as_text(view->payload()), "world\n");
  TcpHeader expected{.source_port = 35356,
                     .target_port = 7000,
                     .seq = {0x5fc6'91f2},
                     .ack = {0x495a'3107},
                     .flags = tcp_psh | tcp_ack,
                     .window = 63};
  expected.options.timestamps = TcpTimestamps{0x771d'6174, 0xe8e4'697c};
  EXPECT_EQ(view->header(), expected);
}

TEST(Tcp, WritesWhatLinuxSentByteForByte) {
  for (const auto text : {linux_frame::tcp_syn, linux_frame::tcp_data}) {
    const Octets frame = hex(text);
    const auto view = TcpView::of(segment_of(frame));
    ASSERT_TRUE(view);
    EXPECT_EQ(to_hex(written(view->header(), view->payload())), to_hex(segment_of(frame)));
  }
}

TEST(Tcp, NoPrefixOfTheHeaderIsASegment) {
  const Octets frame = hex(linux_frame::tcp_syn);
  const Bytes segment = segment_of(frame);
  for (std::size_t size = 0; size < segment.size(); ++size)
    EXPECT_FALSE(parse_tcp(prefix(segment, size))) << size;
  EXPECT_TRUE(parse_tcp(segment));
}

TEST(Tcp, AnOffsetThatIsTooSmallOrTooLargeIsRefused) {
  Octets segment = prefix(segment_of(hex(linux_frame::tcp_syn)), 40);
  for (const int words : {0, 1, 4, 11, 15}) {
    segment[12] = static_cast<std::byte>(words << 4);
    EXPECT_FALSE(TcpView::of(segment)) << words;
  }
}

TcpHeader random_header(Prng& prng) {
  TcpHeader header{.source_port = static_cast<std::uint16_t>(prng()),
                   .target_port = static_cast<std::uint16_t>(prng()),
                   .seq = {static_cast<std::uint32_t>(prng())},
                   .ack = {static_cast<std::uint32_t>(prng())},
                   .flags = {static_cast<std::uint8_t>(prng())},
                   .window = static_cast<std::uint16_t>(prng()),
                   .urgent = static_cast<std::uint16_t>(prng())};
  TcpOptions& options = header.options;
  if (prng.chance(0.3)) options.mss = static_cast<std::uint16_t>(prng());
  if (prng.chance(0.3)) options.window_scale = static_cast<std::uint8_t>(prng.below(15));
  options.sack_permitted = prng.chance(0.3);
  if (prng.chance(0.5)) {
    const auto value = static_cast<std::uint32_t>(prng());
    options.timestamps = TcpTimestamps{value, static_cast<std::uint32_t>(prng())};
  }
  for (std::size_t blocks = prng.below(options.sack_blocks_max() + 1); blocks > 0; --blocks) {
    const Seq left{static_cast<std::uint32_t>(prng())};
    options.sack.push_back({left, left + static_cast<std::uint32_t>(prng())});
  }
  return header;
}

TEST(Tcp, AnyHeaderSurvivesWritingAndReading) {
  Prng prng(5);
  for (int i = 0; i < 20'000; ++i) {
    const TcpHeader header = random_header(prng);
    const Octets payload = random_octets(prng, prng.below(80));
    const Octets segment = written(header, payload);
    const auto view = TcpView::of(segment);
    ASSERT_TRUE(view);
    ASSERT_EQ(view->header(), header);
    ASSERT_EQ(to_hex(view->payload()), to_hex(payload));
    ASSERT_TRUE(view->is_intact(pseudo_header(ipv4_a, ipv4_b, IpProtocol::tcp, segment.size())));
    ASSERT_EQ(parse_tcp_options(view->option_bytes()), view->options());
  }
}

TEST(Tcp, SackBlocksFitBesideTheOtherOptions) {
  TcpOptions options;
  EXPECT_EQ(options.sack_blocks_max(), 4u);
  options.timestamps.emplace();
  EXPECT_EQ(options.sack_blocks_max(), 3u);
  options.sack = {{}, {}, {}};
  EXPECT_EQ(options.sack_blocks_max(), 3u);
  EXPECT_EQ(options.size(), 40u);
  options.mss = 1460;
  EXPECT_EQ(options.sack_blocks_max(), 2u);
}

TEST(TcpOptions, ThatAreUnknownAreSkipped) {
  const Octets bytes =
      hex("fd06 f989 0001"  // an experiment (RFC 6994)
          "1302"            // nothing but kind and length
          "02040200"        // maximum segment size 512
          "00"              // the end
          "0204ffff");      // not looked at any more
  EXPECT_EQ(parse_tcp_options(bytes), (TcpOptions{.mss = 512}));
}

TEST(TcpOptions, OfKnownKindsAndWrongLengthsAreSkipped) {
  const Octets bytes =
      hex("0203ff"               // maximum segment size, one octet short
          "0304 0707"            // window scale, one too long
          "0403 00"              // SACK-permitted, one too long
          "0502"                 // SACK without a block
          "0509 00000000000000"  // SACK, a block that is one octet short
          "0809 00000000000000"  // timestamps, one octet short
          "0303 07");            // window scale 7
  EXPECT_EQ(parse_tcp_options(bytes), (TcpOptions{.window_scale = 7}));
}

TEST(TcpOptions, AWindowScaleBeyondFourteenCountsAsFourteen) {
  EXPECT_EQ(parse_tcp_options(hex("03030f")).window_scale, 14);
  EXPECT_EQ(parse_tcp_options(hex("0303ff")).window_scale, 14);
}

TEST(TcpOptions, OfALengthThatIsImpossibleEndTheReading) {
  for (const char* text : {
           "02040200 0000",                  // kind 0 ends before anything is broken
           "02040200 fe00 ffff",             // length 0: would never get on
           "02040200 fe01 ffff",             // length 1: does not cover itself
           "02040200 fe05 ffff",             // reaches beyond the header
           "02040200 02",                    // a kind without a length
           "02040200 050a 00000001 000000",  // a SACK block that is cut off
       }) {
    TcpOptions expected{.mss = 512};
    expected.broken = std::string_view(text) != "02040200 0000";
    EXPECT_EQ(parse_tcp_options(hex(text)), expected) << text;
  }
}

// picotcp#506, RIOT#12086: a zero where the length belongs kept young stacks busy for ever.
TEST(TcpOptions, OfLengthZeroDoNotLoop) {
  for (int kind = 2; kind < 256; ++kind) {
    const Octets bytes = {static_cast<std::byte>(kind), std::byte{0}};
    EXPECT_TRUE(parse_tcp_options(bytes).broken);
  }
}

// A header has no room for a fifth; the walk does not rely on having been given a header's options.
TEST(TcpOptions, KeepFourOfMoreSackBlocks) {
  std::string text = "052a";
  for (int i = 0; i < 10; ++i) text += "00000001";
  EXPECT_EQ(parse_tcp_options(hex(text)).sack.size(), 4u);
}

TEST(TcpFlags, PrintAsPeopleSayThem) {
  EXPECT_EQ(to_string(tcp_syn | tcp_ack), "SYN ACK");
  EXPECT_EQ(to_string(tcp_fin | tcp_psh | tcp_ack), "FIN PSH ACK");
  EXPECT_EQ(to_string(TcpFlags{}), "none");
}

}  // namespace
}  // namespace koine::wire
