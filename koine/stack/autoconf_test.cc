#include "koine/stack/autoconf.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "koine/stack/wire_test.h"

namespace koine::stack {
namespace {

using wire::Ipv6Address;
using wire::RouterAdvertisement;

constexpr Ipv6Address prefix_of(std::uint64_t net) { return {0x2001'0db8'0000'0000 | net, 0}; }
constexpr Ipv6Address in(std::uint64_t net, std::uint64_t low) {
  return {prefix_of(net).high, low};
}
constexpr wire::Mac mac_of(std::uint8_t i) { return wire::Mac::of(2, 0, 0, 0, 0, i); }
// What host i makes of a prefix.
constexpr Ipv6Address made_by(std::uint8_t i, std::uint64_t net) {
  return in(net, wire::link_local_of(mac_of(i)).low);
}

RouterAdvertisement announcing(std::uint64_t net, std::uint32_t valid_s = 7200,
                               std::uint16_t lifetime_s = 1800) {
  RouterAdvertisement what{.router_lifetime_s = lifetime_s, .options = {}};
  what.options.prefixes.push_back({.prefix = {prefix_of(net), 64},
                                   .on_link = true,
                                   .autonomous = true,
                                   .valid_s = valid_s,
                                   .preferred_s = valid_s});
  return what;
}

bool has(const Host& host, const Ip& address) {
  const auto all = host.addresses(0);
  return std::find(all.begin(), all.end(), address) != all.end();
}

class Link : public testing::Test {
 protected:
  // Whether a ping comes back.
  bool reaches(Host& from, const Ip& target) {
    if (!from.ping(target, 1, ++sequence_, {}, net.now)) return false;
    return net.run([&] { return from.poll_echo().has_value(); }, 5s);
  }
  Segment net;

 private:
  std::uint16_t sequence_ = 0;
};

// RFC 4862 as a whole: no address was given for the prefix, no route for what lies behind it.
TEST_F(Link, AHostFindsItsAddressesAndTheWayOut) {
  Host& host = net.add();
  Host& router = net.add({.forwards = true});
  const int inner = router.add_nic({.ethernet = true, .mac = wire::Mac::of(2, 0, 0, 0, 1, 2)});
  router.add_address(inner, in(9, 1), 64, net.now);
  router.add_address(0, in(7, 1), 64, net.now);
  router.advertise(0, announcing(7), net.now);
  host.autoconfigure(0, net.now);
  net.rest(10s);
  EXPECT_TRUE(has(host, wire::link_local_of(mac_of(1))));
  EXPECT_TRUE(has(host, made_by(1, 7)));
  EXPECT_TRUE(has(router, wire::link_local_of(mac_of(2))));
  EXPECT_FALSE(has(router, made_by(2, 7)));  // routers do not configure themselves
  EXPECT_TRUE(reaches(host, in(9, 1)));
  EXPECT_TRUE(reaches(host, wire::link_local_of(mac_of(2))));
}

TEST_F(Link, HostsWithoutARouterStillHaveTheLink) {
  Host& a = net.add();
  Host& b = net.add();
  a.autoconfigure(0, net.now);
  b.autoconfigure(0, net.now);
  const std::uint64_t before = net.frames;
  net.rest(60s);
  // A question about each given address and the link-local one, three for routers, and silence.
  EXPECT_EQ(net.frames - before, 2u * (2 + 1 + 3));
  EXPECT_TRUE(reaches(a, wire::link_local_of(mac_of(2))));
  EXPECT_FALSE(a.ping(in(9, 1), 1, 1, {}, net.now));
}

TEST_F(Link, AnAddressThatSomebodyHasIsNotTaken) {
  Host& host = net.add();
  Host& squatter = net.add();
  Host& router = net.add({.forwards = true});
  squatter.add_address(0, made_by(1, 7), 64, net.now);
  router.advertise(0, announcing(7), net.now);
  host.autoconfigure(0, net.now);
  net.rest(20s);
  EXPECT_TRUE(has(host, wire::link_local_of(mac_of(1))));
  EXPECT_FALSE(has(host, made_by(1, 7)));
  EXPECT_TRUE(has(squatter, made_by(1, 7)));
  EXPECT_EQ(host.counters().address_conflicts, 1u);
}

TEST_F(Link, ALinkLocalAddressThatSomebodyHasEndsIt) {
  Host& host = net.add();
  Host& squatter = net.add();
  Host& router = net.add({.forwards = true});
  squatter.add_address(0, wire::link_local_of(mac_of(1)), 64, net.now);
  router.advertise(0, announcing(7), net.now);
  host.autoconfigure(0, net.now);
  net.rest(1000s);
  EXPECT_FALSE(has(host, wire::link_local_of(mac_of(1))));
  EXPECT_FALSE(has(host, made_by(1, 7)));
}

// RFC 4429: an address that was given is used at once, and lost if somebody had it.
TEST_F(Link, AnAddressGivenTwiceStaysWithWhoHadItFirst) {
  Host& first = net.add();
  net.rest(5s);
  Host& second = net.add();
  second.add_address(0, Segment::v6(1), 64, net.now);
  EXPECT_TRUE(has(second, Segment::v6(1)));
  net.rest(5s);
  EXPECT_TRUE(has(first, Segment::v6(1)));
  EXPECT_FALSE(has(second, Segment::v6(1)));
  EXPECT_TRUE(reaches(second, Segment::v6(1)));
}

TEST_F(Link, WhatARouterGaveGoesWhenItsTimeIsOver) {
  Host& host = net.add();
  Host& router = net.add({.forwards = true});
  router.advertise(0, announcing(7, 90, 60), net.now);
  host.autoconfigure(0, net.now);
  net.rest(10s);
  EXPECT_TRUE(host.ping(in(9, 1), 1, 1, {}, net.now));
  // It falls silent.
  net.drop = [](const Segment::Frame& frame) { return frame[11] == std::byte{2}; };
  net.rest(65s);
  EXPECT_FALSE(host.ping(in(9, 1), 1, 1, {}, net.now)) << "the router is none any more";
  EXPECT_TRUE(has(host, made_by(1, 7)));
  EXPECT_TRUE(host.ping(in(7, 99), 1, 1, {}, net.now)) << "still on the link";
  net.rest(40s);
  EXPECT_FALSE(has(host, made_by(1, 7)));
  EXPECT_FALSE(host.ping(in(7, 99), 1, 1, {}, net.now));
}

// The time of an address is not that of the link's prefix: one may be over before the other.
TEST_F(Link, AnAddressThatGoesLeavesThePrefixWhereItIs) {
  Host& host = net.add();
  Host& router = net.add({.forwards = true});
  RouterAdvertisement what = announcing(7, 90);
  what.options.prefixes[0].on_link = false;
  what.options.prefixes.push_back(
      {.prefix = {prefix_of(7), 64}, .on_link = true, .valid_s = 5000, .preferred_s = 5000});
  router.advertise(0, what, net.now);
  host.autoconfigure(0, net.now);
  net.rest(10s);
  net.drop = [](const Segment::Frame& frame) { return frame[11] == std::byte{2}; };
  net.rest(100s);
  EXPECT_FALSE(has(host, made_by(1, 7)));
  EXPECT_TRUE(host.ping(in(7, 99), 1, 1, {}, net.now));
}

// RFC 4861, section 6.1.2: what comes from afar, or from no router, is not believed.
TEST_F(Link, AdvertisementsFromElsewhereAreNotBelieved) {
  Host& host = net.add();
  host.autoconfigure(0, net.now);
  net.rest(3s);
  const auto advertise = [&](const Ipv6Address& source, std::uint8_t hop_limit) {
    wire::Builder frame;
    frame.in(announcing(7), source, wire::ipv6_all_nodes)
        .in(wire::Ipv6Header{.source = source,
                             .target = wire::ipv6_all_nodes,
                             .protocol = wire::IpProtocol::icmpv6,
                             .hop_limit = hop_limit})
        .in(wire::EthernetHeader{wire::multicast_mac_of(wire::ipv6_all_nodes), mac_of(9),
                                 wire::EtherType::ipv6});
    host.input(0, frame.bytes(), net.now);
    net.rest(5s);
    return has(host, made_by(1, 7));
  };
  const Ipv6Address stranger = wire::link_local_of(mac_of(9));
  EXPECT_FALSE(advertise(stranger, 254));
  EXPECT_FALSE(advertise(in(9, 9), 255));
  EXPECT_TRUE(advertise(stranger, 255));
}

// A forged word with a short time takes no address away at once (RFC 4862, section 5.5.3, (e)).
TEST(Autoconf, ALifetimeShrinksToTwoHoursAtMost) {
  Autoconf autoconf(mac_of(1), 1);
  Instant now(1000s);
  autoconf.begin(now, true);
  std::vector<Autoconf::Task> done;
  const auto live_until = [&](Instant until) {
    for (;;) {
      while (const auto task = autoconf.poll(now)) done.push_back(*task);
      if (autoconf.next_deadline() > until) break;
      now = std::max(now, autoconf.next_deadline());
    }
    now = until;
  };
  const auto was = [&](Autoconf::Action what) {
    return std::any_of(done.begin(), done.end(), [&](const auto& each) {
      return each.what == what && each.address == made_by(1, 7);
    });
  };
  live_until(now + 3s);
  autoconf.take(wire::link_local_of(mac_of(9)), announcing(7, 100'000), now);
  live_until(now + 5s);
  EXPECT_TRUE(was(Autoconf::Action::assign));
  autoconf.take(wire::link_local_of(mac_of(9)), announcing(7, 1), now);
  live_until(now + 7190s);
  EXPECT_FALSE(was(Autoconf::Action::withdraw));
  live_until(now + 20s);
  EXPECT_TRUE(was(Autoconf::Action::withdraw));
}

// RFC 7527: on a link that sends everything back, one's own question is no objection; that of
// another, who wants the same address at the same time, is one.
TEST(Autoconf, KnowsItsOwnQuestionByTheNonce) {
  for (const bool own : {true, false}) {
    Autoconf autoconf(mac_of(1), 1);
    Instant now(1000s);
    autoconf.begin(now, true);
    now = autoconf.next_deadline();
    const auto question = autoconf.poll(now);
    ASSERT_TRUE(question && question->what == Autoconf::Action::probe);
    EXPECT_EQ(autoconf.claimed(question->address, question->nonce + (own ? 0 : 1)), !own);
    now += 2s;
    const auto next = autoconf.poll(now);
    EXPECT_EQ(next && next->what == Autoconf::Action::assign, own);
  }
}

TEST(Autoconf, ARouterAnswersSoonButNotTooOften) {
  Autoconf autoconf(mac_of(1), 1);
  Instant now(1000s);
  autoconf.announce(announcing(7), now);
  std::vector<Instant> spoken;
  const Instant end = now + 100s;
  for (Instant asked = now + 5s; now < end;) {
    while (const auto task = autoconf.poll(now))
      if (task->what == Autoconf::Action::advertise) spoken.push_back(now);
    if (asked <= now) {
      autoconf.solicited(now);
      asked = now + 200ms;
    }
    now = std::min(asked, autoconf.next_deadline());
  }
  ASSERT_GT(spoken.size(), 25u);
  for (std::size_t i = 1; i < spoken.size(); ++i) {
    EXPECT_GE(spoken[i] - spoken[i - 1], Autoconf::advertisement_gap);
    EXPECT_LE(spoken[i] - spoken[i - 1], Autoconf::advertisement_gap + 4s);
  }
}

}  // namespace
}  // namespace koine::stack
