#include <gtest/gtest.h>

#include "koine/wire/icmpv4.h"
#include "koine/wire/icmpv6.h"
#include "koine/wire/vectors_test.h"

namespace koine::wire {
namespace {

Bytes without_headers(const Octets& frame, std::size_t headers) {
  return Bytes(frame).subspan(headers);
}

TEST(Icmpv4, ReadsAndWritesWhatLinuxSent) {
  const struct {
    std::string_view frame;
    Icmpv4Header header;
  } cases[] = {
      {linux_frame::ping, Icmpv4Header::echo_request(0x23bc, 1)},
      {linux_frame::port_unreachable, Icmpv4Header::unreachable(icmpv4_unreachable::port)},
  };
  for (const auto& [frame, header] : cases) {
    const Octets bytes = hex(frame);
    const auto view = Icmpv4View::of(without_headers(bytes, 34));
    ASSERT_TRUE(view);
    EXPECT_TRUE(view->is_intact());
    EXPECT_EQ(view->header(), header);
    Octets again(view->bytes().begin(), view->bytes().end());
    std::fill_n(again.begin(), 8, std::byte{0xee});
    write(header, partial_sum(view->payload()), again);
    EXPECT_EQ(to_hex(again), to_hex(view->bytes()));
  }
}

TEST(Icmpv6, ReadsAndWritesWhatLinuxSent) {
  const Octets bytes = hex(linux_frame::port_unreachable_over_ipv6);
  const auto view = Icmpv6View::of(without_headers(bytes, 54));
  ASSERT_TRUE(view);
  const Checksum pseudo = pseudo_header(ipv6_b, ipv6_a, IpProtocol::icmpv6, view->bytes().size());
  EXPECT_TRUE(view->is_intact(pseudo));
  const Icmpv6Header header = Icmpv6Header::unreachable(icmpv6_unreachable::port);
  EXPECT_EQ(view->header(), header);
  Octets again(view->bytes().begin(), view->bytes().end());
  std::fill_n(again.begin(), 8, std::byte{0xee});
  write(header, pseudo, partial_sum(view->payload()), again);
  EXPECT_EQ(to_hex(again), to_hex(view->bytes()));
}

TEST(Icmp, AMessageShorterThanItsHeaderIsRefused) {
  const Octets bytes(8);
  for (std::size_t size = 0; size < 8; ++size) {
    EXPECT_FALSE(parse_icmpv4(prefix(bytes, size)));
    EXPECT_FALSE(parse_icmpv6(prefix(bytes, size)));
  }
  EXPECT_TRUE(parse_icmpv4(bytes));
  EXPECT_TRUE(parse_icmpv6(bytes));
}

TEST(Icmp, KnowsErrorsFromQuestions) {
  for (const int type : {3, 4, 5, 11, 12})
    EXPECT_TRUE((Icmpv4Header{static_cast<Icmpv4Type>(type), 0, 0}).is_error()) << type;
  for (const int type : {0, 8, 9, 10, 13, 14, 17, 18, 40, 255})
    EXPECT_FALSE((Icmpv4Header{static_cast<Icmpv4Type>(type), 0, 0}).is_error()) << type;
  EXPECT_TRUE(Icmpv6Header::packet_too_big(1280).is_error());
  EXPECT_FALSE(Icmpv6Header::echo_request(1, 2).is_error());
}

TEST(Icmp, TheFourOctetsMeanWhatTheTypeSays) {
  EXPECT_EQ(Icmpv4Header::fragmentation_needed(1400).mtu(), 1400);
  EXPECT_EQ(Icmpv4Header::parameter_problem(20).pointer(), 20);
  EXPECT_EQ(Icmpv4Header::redirect(icmpv4_redirect::host, ipv4_b).gateway(), ipv4_b);
  EXPECT_EQ(Icmpv4Header::echo_request(7, 9).echo_reply().identifier(), 7);
  EXPECT_EQ(Icmpv4Header::echo_request(7, 9).echo_reply().sequence(), 9);
  EXPECT_EQ(Icmpv6Header::packet_too_big(70'000).mtu(), 70'000u);
  EXPECT_EQ(Icmpv6Header::parameter_problem(2, 42).pointer(), 42u);
}

TEST(Icmp, AnyMessageSurvivesWritingAndReading) {
  Prng prng(12);
  for (int i = 0; i < 10'000; ++i) {
    Octets bytes = random_octets(prng, 8 + prng.below(60));
    const Bytes payload = Bytes(bytes).subspan(8);
    const Icmpv4Header v4{static_cast<Icmpv4Type>(prng() & 0xff), static_cast<std::uint8_t>(prng()),
                          static_cast<std::uint32_t>(prng())};
    write(v4, partial_sum(payload), bytes);
    ASSERT_TRUE(Icmpv4View::of(bytes)->is_intact());
    ASSERT_EQ(parse_icmpv4(bytes), v4);

    const Icmpv6Header v6{static_cast<Icmpv6Type>(prng() & 0xff), static_cast<std::uint8_t>(prng()),
                          static_cast<std::uint32_t>(prng())};
    const Checksum pseudo = pseudo_header(ipv6_a, ipv6_b, IpProtocol::icmpv6, bytes.size());
    write(v6, pseudo, partial_sum(payload), bytes);
    ASSERT_TRUE(Icmpv6View::of(bytes)->is_intact(pseudo));
    ASSERT_EQ(parse_icmpv6(bytes), v6);
  }
}

}  // namespace
}  // namespace koine::wire
