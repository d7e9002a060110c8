// How long an answer takes, and how long to wait for one (RFC 6298).
#pragma once

#include <algorithm>
#include <cstdint>

#include "koine/stack/tcp/profile.h"

namespace koine::stack::tcp {

class RttEstimator {
 public:
  bool has_sample() const { return smoothed_ >= Duration::zero(); }

  /// SRTT; zero before the first sample.
  Duration smoothed() const { return has_sample() ? smoothed_ : Duration::zero(); }
  Duration variation() const { return variation_; }

  /// Section 2. `measured` must come from data that was sent once, or from a timestamp (Karn).
  void sample(Duration measured) {
    measured = std::max(measured, Duration::zero());
    if (!has_sample()) {
      smoothed_ = measured;
      variation_ = measured / 2;
      return;
    }
    const Duration distance = measured > smoothed_ ? measured - smoothed_ : smoothed_ - measured;
    variation_ += (distance - variation_) / 4;
    smoothed_ += (measured - smoothed_) / 8;
  }

  /// The timeout without backing off.
  Duration base(const Profile& profile) const {
    if (!has_sample()) return lost_syn_ ? profile.rto_after_lost_syn : profile.rto_initial;
    return std::clamp(smoothed_ + 4 * variation_, profile.rto_min, profile.rto_max);
  }

  /// The timeout now: doubled for every expiry since the last progress.
  Duration timeout(const Profile& profile) const {
    Duration timeout = base(profile);
    for (int i = 0; i < backoff_ && timeout < profile.rto_max; ++i) timeout *= 2;
    return std::min(timeout, profile.rto_max);
  }

  void back_off() { backoff_ = static_cast<std::uint8_t>(std::min(backoff_ + 1, 63)); }
  void forgive() { backoff_ = 0; }
  int backoff() const { return backoff_; }

  /// Section 5.7: the handshake itself gave no sample.
  void syn_was_lost() { lost_syn_ = true; }

 private:
  Duration smoothed_{-1};
  Duration variation_{0};
  std::uint8_t backoff_ = 0;
  bool lost_syn_ = false;
};

}  // namespace koine::stack::tcp
