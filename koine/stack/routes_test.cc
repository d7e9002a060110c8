#include "koine/stack/routes.h"

#include <gtest/gtest.h>

#include <map>

#include "koine/base/random.h"

namespace koine::stack {
namespace {

Ip v4(std::uint32_t bits) { return wire::Ipv4Address{bits}; }

/// A table that looks at everything.
class Naive {
 public:
  void set(const Ip& prefix, int length, int nic) {
    all_[{prefix.is_v4(), length, cut(prefix, length)}] = nic;
  }
  void remove(const Ip& prefix, int length) {
    all_.erase({prefix.is_v4(), length, cut(prefix, length)});
  }
  std::optional<int> find(const Ip& target) const {
    for (int length = target.is_v4() ? 32 : 128; length >= 0; --length) {
      const auto found = all_.find({target.is_v4(), length, cut(target, length)});
      if (found != all_.end()) return found->second;
    }
    return std::nullopt;
  }
  std::size_t size() const { return all_.size(); }

 private:
  static Ip cut(const Ip& ip, int length) {
    if (ip.is_v4()) return v4(length == 0 ? 0 : ip.v4().bits >> (32 - length) << (32 - length));
    const auto keep = [](std::uint64_t bits, int count) {
      return count <= 0 ? 0 : count >= 64 ? bits : bits >> (64 - count) << (64 - count);
    };
    return wire::Ipv6Address{keep(ip.bits.high, length), keep(ip.bits.low, length - 64)};
  }
  std::map<std::tuple<bool, int, Ip>, int> all_;
};

std::optional<int> nic_of(const Routes& routes, const Ip& target) {
  const auto route = routes.find(target);
  if (!route) return std::nullopt;
  return route->nic;
}

TEST(RouteTree, TheLongestPrefixDecides) {
  Routes routes;
  routes.add(v4(0), 0, {1, {}});
  routes.add(v4(0x0a00'0000), 8, {2, {}});
  routes.add(v4(0x0a01'0000), 16, {3, {}});
  routes.add(v4(0x0a01'0203), 32, {4, {}});
  EXPECT_EQ(nic_of(routes, v4(0x0a01'0203)), 4);
  EXPECT_EQ(nic_of(routes, v4(0x0a01'0204)), 3);
  EXPECT_EQ(nic_of(routes, v4(0x0a02'0204)), 2);
  EXPECT_EQ(nic_of(routes, v4(0x0b02'0204)), 1);
  routes.remove(v4(0x0a01'0000), 16);
  EXPECT_EQ(nic_of(routes, v4(0x0a01'0204)), 2);
}

// Prefixes in a small part of the address space, so that many contain each other; set, replaced and
// removed again.
TEST(RouteTree, AgreesWithATableThatLooksAtEverything) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Prng chance(seed);
    Routes routes;
    Naive naive;
    const auto address = [&]() -> Ip {
      if (chance.chance(0.5)) return v4(static_cast<std::uint32_t>(chance() & 0x8000'0c07));
      return wire::Ipv6Address{chance() & 0xc000'0000'0000'0003, chance() & 0xc000'0000'0000'0003};
    };
    for (int i = 0; i < 3'000; ++i) {
      const Ip prefix = address();
      const int length = static_cast<int>(chance.below(prefix.is_v4() ? 33 : 129));
      if (chance.chance(0.45)) {
        routes.remove(prefix, length);
        naive.remove(prefix, length);
      } else {
        routes.add(prefix, length, {i, {}});
        naive.set(prefix, length, i);
      }
      for (int j = 0; j < 5; ++j) {
        const Ip target = address();
        ASSERT_EQ(nic_of(routes, target), naive.find(target)) << "seed " << seed << ", step " << i;
      }
      ASSERT_LE(routes.nodes(), 2 * naive.size());
    }
  }
}

TEST(RouteTree, IsEmptyWhenEverythingWasRemoved) {
  Prng chance(1);
  Routes routes;
  std::vector<std::pair<Ip, int>> known;
  for (int i = 0; i < 10'000; ++i) {
    known.emplace_back(v4(static_cast<std::uint32_t>(chance())),
                       static_cast<int>(8 + chance.below(25)));
    routes.add(known.back().first, known.back().second, {i, {}});
  }
  EXPECT_GT(routes.nodes(), 9'000u);
  for (const auto& [prefix, length] : known) routes.remove(prefix, length);
  EXPECT_EQ(routes.nodes(), 0u);
  EXPECT_FALSE(routes.find(v4(0x0a00'0001)));
}

TEST(RouteTree, VersionsDoNotShareADefaultRoute) {
  Routes routes;
  routes.add(Ip(), 0, {6, {}});
  EXPECT_FALSE(routes.find(v4(0x0a00'0001)));
  EXPECT_EQ(nic_of(routes, wire::Ipv6Address{1, 1}), 6);
  routes.add(v4(0), 0, {4, {}});
  EXPECT_EQ(nic_of(routes, v4(0x0a00'0001)), 4);
}

}  // namespace
}  // namespace koine::stack
