// Segment: interfaces that hear each other's broadcasts, and the prefixes they share.
#pragma once

#include <cassert>
#include <cstdint>
#include <vector>

#include "koine/stack/ip.h"

namespace koine::sim {

class Host;
struct Nic;

class Segment {
 public:
  static constexpr std::uint32_t segments_max = 1 << 16;
  static constexpr std::uint32_t members_max = 254;
  static constexpr int v4_length = 24;
  static constexpr int v6_length = 64;

  explicit Segment(std::uint32_t number) : number_(number) {
    assert(number < segments_max && "10.0.0.0/8 has 65 536 networks of 254 addresses");
  }

  struct Member {
    Host* host;
    Nic* nic;
    std::uint32_t number;
  };

  Member& add(Host& host, Nic& nic) {
    assert(members_.size() < members_max && "a network has 254 addresses");
    members_.push_back({&host, &nic, static_cast<std::uint32_t>(members_.size() + 1)});
    return members_.back();
  }
  const std::vector<Member>& members() const { return members_; }

  /// 10.S.S.n
  stack::Ip v4(const Member& member) const {
    return wire::Ipv4Address{std::uint32_t{10} << 24 | number_ << 8 | member.number};
  }
  /// fd00:0:0:S::n
  stack::Ip v6(const Member& member) const {
    return wire::Ipv6Address{std::uint64_t{0xfd} << 56 | number_, member.number};
  }

 private:
  std::uint32_t number_;
  std::vector<Member> members_;
};

}  // namespace koine::sim
