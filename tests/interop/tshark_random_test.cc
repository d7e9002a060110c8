// Segments that no person chose, and broken ones: what tshark says and what we say.
#include <cstdio>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "koine/wire/builder.h"
#include "koine/wire/dissect.h"
#include "koine/wire/vectors_test.h"
#include "tests/interop/tshark.h"

namespace koine::wire {
namespace {

// Every field and option that tshark reads is compared.
TEST_F(Tshark, AgreesAboutRandomSegments) {
  Prng prng(18);
  std::vector<TcpHeader> headers;
  std::vector<std::string> payloads;
  Capture capture;
  ASSERT_EQ(capture.writer().add_interface({.name = "a", .link = LinkType::raw_ip}), 0u);
  for (int i = 0; i < 2'000; ++i) {
    TcpHeader header;
    header.source_port = static_cast<std::uint16_t>(50'000 + prng.below(10'000));
    header.target_port = static_cast<std::uint16_t>(50'000 + prng.below(10'000));
    header.seq = {static_cast<std::uint32_t>(prng())};
    header.ack = {static_cast<std::uint32_t>(prng())};
    header.flags = {static_cast<std::uint8_t>(prng())};
    header.window = static_cast<std::uint16_t>(prng());
    if (prng.chance(0.3)) header.options.mss = static_cast<std::uint16_t>(prng());
    if (prng.chance(0.3)) header.options.window_scale = static_cast<std::uint8_t>(prng.below(15));
    header.options.sack_permitted = prng.chance(0.3);
    if (prng.chance(0.5)) {
      header.options.timestamps.emplace();
      header.options.timestamps->value = static_cast<std::uint32_t>(prng());
    }
    for (std::size_t n = prng.below(header.options.sack_blocks_max() + 1); n > 0; --n) {
      const Seq left{static_cast<std::uint32_t>(prng())};
      header.options.sack.push_back(
          {left, left + 1 + static_cast<std::uint32_t>(prng.below(1000))});
    }
    const std::string payload(prng.below(1400), 'k');
    Builder builder(as_bytes(payload));
    if (prng.chance(0.5)) {
      builder.in(header, ipv4_a, ipv4_b)
          .in(Ipv4Header{.source = ipv4_a, .target = ipv4_b, .protocol = IpProtocol::tcp});
    } else {
      builder.in(header, ipv6_a, ipv6_b)
          .in(Ipv6Header{.source = ipv6_a, .target = ipv6_b, .protocol = IpProtocol::tcp});
    }
    ASSERT_TRUE(capture.writer().write({.bytes = builder.bytes()}));
    headers.push_back(header);
    payloads.push_back(payload);
  }
  capture.save();
  capture.expect_sound();

  const auto rows =
      capture.fields({"tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags",
                      "tcp.hdr_len", "tcp.window_size_value", "tcp.len", "tcp.checksum.status",
                      "tcp.options.mss_val", "tcp.options.wscale.shift",
                      "tcp.options.timestamp.tsval", "tcp.options.sack_le", "tcp.options.sack_re"});
  ASSERT_EQ(rows.size(), headers.size());
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const TcpHeader& header = headers[i];
    const TcpOptions& options = header.options;
    const auto text = [](const auto& number) {
      return number ? std::to_string(*number) : std::string();
    };
    std::string left, right;
    for (const SackBlock& block : options.sack) {
      left += (left.empty() ? "" : ",") + std::to_string(block.left.value);
      right += (right.empty() ? "" : ",") + std::to_string(block.right.value);
    }
    char flags[8];
    std::snprintf(flags, sizeof(flags), "0x%04x", static_cast<unsigned>(header.flags.bits));
    EXPECT_EQ(
        rows[i],
        (std::vector<std::string>{
            std::to_string(header.source_port), std::to_string(header.target_port),
            std::to_string(header.seq.value), std::to_string(header.ack.value), flags,
            std::to_string(header.size()), std::to_string(header.window),
            std::to_string(payloads[i].size()), "1", text(options.mss), text(options.window_scale),
            options.timestamps ? std::to_string(options.timestamps->value) : "", left, right}))
        << "frame " << i + 1;
  }
}

// The other way round: what is broken for tshark is broken for our dissection too.
TEST_F(Tshark, FindsWrongWhateverChecksumWeFindWrong) {
  Prng prng(19);
  Capture capture;
  ASSERT_EQ(capture.writer().add_interface({.name = "a"}), 0u);
  std::vector<bool> ours;
  for (int i = 0; i < 400; ++i) {
    Octets frame = hex(prng.chance(0.5) ? linux_frame::tcp_data : linux_frame::udp_over_ipv6);
    const std::size_t payload_at = frame.size() - 4;
    if (prng.chance(0.5)) frame[payload_at] ^= static_cast<std::byte>(1 << prng.below(8));
    ASSERT_TRUE(capture.writer().write({.bytes = frame}));
    ours.push_back(dissect(frame).has_problem());
  }
  capture.save();
  const auto rows = capture.fields({"tcp.checksum.status", "udp.checksum.status"});
  ASSERT_EQ(rows.size(), ours.size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    EXPECT_EQ(rows[i][0] == "0" || rows[i][1] == "0", ours[i]) << "frame " << i + 1;
}

}  // namespace
}  // namespace koine::wire
