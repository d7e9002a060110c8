// What the connections of one host share: the profile, the quota of challenge ACKs, and counters.
#pragma once

#include <cstdint>

#include "koine/base/random.h"
#include "koine/stack/tcp/profile.h"

namespace koine::stack::tcp {

/// How many challenge ACKs the whole host sends in a second (RFC 5961, section 7). The number is
/// drawn anew each second: a fixed one lets an attacker count what others were sent
/// (CVE-2016-5696).
class ChallengeQuota {
 public:
  explicit ChallengeQuota(std::uint64_t seed) : chance_(seed) {}

  bool take(Instant now) {
    if (now >= renewed_ + 1s || renewed_ == Instant::min()) {
      renewed_ = now;
      left_ = 500 + static_cast<std::uint32_t>(chance_.below(500));
    }
    if (left_ == 0) return false;
    --left_;
    return true;
  }

 private:
  Prng chance_;
  Instant renewed_ = Instant::min();
  std::uint32_t left_ = 0;
};

struct Counters {
  std::uint64_t segments_in = 0;
  std::uint64_t segments_out = 0;
  std::uint64_t retransmitted = 0;  ///< segments sent again for any reason, SYNs among them
  std::uint64_t fast_recoveries = 0;
  std::uint64_t timeouts = 0;  ///< RTO
  std::uint64_t tail_loss_probes = 0;
  std::uint64_t spurious_recoveries = 0;  ///< undone (Eifel or DSACK)
  std::uint64_t zero_windows_out = 0;     ///< segments that offered no room; SYN, FIN and RST aside
  std::uint64_t out_of_order_in = 0;      ///< beyond a hole
  std::uint64_t late_in = 0;              ///< new, and what follows it had come before
  std::uint64_t duplicates_in = 0;        ///< nothing in them was new
  std::uint64_t challenges = 0;
  std::uint64_t window_probes = 0;
  std::uint64_t path_probes = 0;  ///< larger segments, to find out whether the path carries them
};

struct Environment {
  explicit Environment(const Profile& its_profile, std::uint64_t seed)
      : profile(its_profile), challenges(seed) {}

  Profile profile;
  ChallengeQuota challenges;
  Counters counters{};
};

}  // namespace koine::stack::tcp
