// Redirects: hosts take the shorter way that their router tells of, and nobody else's word.
#include <gtest/gtest.h>

#include "koine/stack/wire_test.h"
#include "koine/wire/builder.h"

namespace koine::stack {
namespace {

using wire::Ipv6Address;

constexpr wire::Mac mac_of(std::uint8_t i) { return wire::Mac::of(2, 0, 0, 0, 0, i); }

// A host whose router does not lead to the far network itself, but by way of another on the link.
class Detour : public testing::TestWithParam<bool> {
 protected:
  Detour() {
    far_ = router_two.add_nic({.ethernet = true, .mac = wire::Mac::of(2, 0, 0, 0, 1, 3)});
    router_two.add_address(far_, target(), GetParam() ? 64 : 24, net.now);
    if (GetParam()) {
      router_one.advertise(0, {.router_lifetime_s = 1800, .options = {}}, net.now);
      router_two.autoconfigure(0, net.now);
      host.autoconfigure(0, net.now);
      net.rest(10s);
    } else {
      host.add_default_route(0, Segment::v4(2));
    }
    router_one.add_route(target(), GetParam() ? 64 : 24, 0, second());
  }
  static Ip target() {
    if (GetParam()) return Ipv6Address{0x2001'0db8'0000'0009, 1};
    return wire::Ipv4Address::of(192, 168, 9, 1);
  }
  static Ip second() { return GetParam() ? Ip(wire::link_local_of(mac_of(3))) : Segment::v4(3); }

  bool reached() {
    if (!host.ping(target(), 1, ++sequence_, std::vector<std::byte>(600), net.now)) return false;
    return net.run([&] { return host.poll_echo().has_value(); }, 2s);
  }

  // Says that the far address is reached by way of `better`, in the name of somebody.
  void forge(const Ip& from, const Ip& better, std::uint8_t hop_limit = 255) {
    const Ip own = host.addresses(0)[GetParam() ? 1 : 0];
    wire::Builder quoted(std::vector<std::byte>(8));
    wire::Builder frame;
    if (GetParam()) {
      quoted.in(wire::Ipv6Header{.source = own.bits, .target = target().bits});
      frame
          .in(wire::NdRedirect{.target = better.bits,
                               .destination = target().bits,
                               .options = {.redirected = quoted.bytes()}},
              from.bits, own.bits)
          .in(wire::Ipv6Header{.source = from.bits,
                               .target = own.bits,
                               .protocol = wire::IpProtocol::icmpv6,
                               .hop_limit = hop_limit});
    } else {
      quoted.in(wire::Ipv4Header{.source = own.v4(), .target = target().v4()});
      frame = wire::Builder(quoted.bytes());
      frame.in(wire::Icmpv4Header::redirect(wire::icmpv4_redirect::host, better.v4()))
          .in(wire::Ipv4Header{
              .source = from.v4(), .target = own.v4(), .protocol = wire::IpProtocol::icmp});
    }
    frame.in(wire::EthernetHeader{mac_of(1), mac_of(9),
                                  GetParam() ? wire::EtherType::ipv6 : wire::EtherType::ipv4});
    host.input(0, frame.bytes(), net.now);
  }

  Segment net;
  Host& host = net.add();
  Host& router_one = net.add({.forwards = true});
  Host& router_two = net.add({.forwards = true});

 private:
  int far_ = 0;
  std::uint16_t sequence_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Versions, Detour, testing::Bool(),
                         [](const auto& each) { return each.param ? "Ipv6" : "Ipv4"; });

TEST_P(Detour, IsTakenOnce) {
  EXPECT_TRUE(reached());
  EXPECT_EQ(router_one.counters().forwarded, 1u);
  EXPECT_EQ(router_one.counters().redirects_out, 1u);
  EXPECT_EQ(host.counters().redirects_in, 1u);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(reached());
  EXPECT_EQ(router_one.counters().forwarded, 1u);
}

TEST_P(Detour, IsTakenAgainWhenTheShorterWayIsGone) {
  EXPECT_TRUE(reached());
  EXPECT_TRUE(reached());
  // The second router goes silent towards the host: after a while its neighbor entry is probed,
  // nobody answers, and the first router is asked again.
  net.drop = [&](const Segment::Frame& frame) {
    return frame[5] == std::byte{3} && frame[11] == std::byte{1};
  };
  const std::uint64_t before = router_one.counters().forwarded;
  for (int i = 0; i < 60 && router_one.counters().forwarded == before; ++i) {
    (void)reached();
    net.rest(2s);
  }
  EXPECT_GT(router_one.counters().forwarded, before);
}

// A stream does not wait until the neighbor is given up: that would take half a minute and more.
TEST_P(Detour, IsTakenAgainByAStreamThatGetsNoAnswer) {
  ASSERT_TRUE(router_two.tcp_listen({{}, 80}, 5));
  const SocketId client = host.tcp_connect({target(), 80}, net.now).value();
  ASSERT_TRUE(net.run([&] { return host.tcp(client)->state() == tcp::State::established; }));
  EXPECT_GT(host.counters().redirects_in, 0u);
  net.drop = [&](const Segment::Frame& frame) {
    return frame[5] == std::byte{3} && frame[11] == std::byte{1};
  };
  ASSERT_TRUE(host.tcp_write(client, std::vector<std::byte>(100), net.now));
  EXPECT_TRUE(net.run([&] { return host.tcp(client)->unacknowledged() == 0; }, 5s));
}

TEST_P(Detour, NobodyElseIsBelieved) {
  const bool v6 = GetParam();
  const auto link_local = [&](std::uint8_t i) { return Ip(wire::link_local_of(mac_of(i))); };
  const Ip router = v6 ? link_local(2) : Segment::v4(2);
  const Ip stranger = v6 ? link_local(9) : Segment::v4(9);
  const Ip afar =
      v6 ? Ip(Ipv6Address{0x2001'0db8'0000'0008, 1}) : wire::Ipv4Address::of(8, 8, 8, 8);
  forge(stranger, stranger);                           // not the router in use
  forge(router, afar);                                 // a gateway that is not on the link
  forge(router, v6 ? link_local(1) : Segment::v4(1));  // ourselves
  if (v6) forge(router, stranger, 254);                // from afar
  EXPECT_EQ(host.counters().redirects_in, 0u);
  forge(router, stranger);
  EXPECT_EQ(host.counters().redirects_in, 1u);
}

TEST_P(Detour, RoutersBelieveNone) {
  router_two.add_default_route(0, GetParam() ? Ip(wire::link_local_of(mac_of(2))) : Segment::v4(2));
  const Ip elsewhere = GetParam() ? Ip(Ipv6Address{0x2001'0db8'0000'0077, 1})
                                  : wire::Ipv4Address::of(192, 168, 77, 1);
  router_one.add_route(elsewhere, GetParam() ? 64 : 24, 0,
                       GetParam() ? Ip(wire::link_local_of(mac_of(1))) : Segment::v4(1));
  (void)router_two.ping(elsewhere, 1, 1, {}, net.now);
  net.rest(5s);
  EXPECT_EQ(router_one.counters().redirects_out, 1u);
  EXPECT_EQ(router_two.counters().redirects_in, 0u);
}

}  // namespace
}  // namespace koine::stack
