// So many at once, and so many a second: the limit on ICMP errors (RFC 1812, section 4.3.2.8;
// RFC 4443, section 2.4 (f)).
#pragma once

#include <algorithm>
#include <cstdint>

#include "koine/base/time.h"

namespace koine::stack {

class TokenBucket {
 public:
  TokenBucket(std::uint32_t burst, std::uint32_t per_second)
      : interval_(Duration(1s) / per_second), burst_(burst), tokens_(burst) {}

  bool take(Instant now) {
    const auto earned = (now - filled_) / interval_;
    if (earned > 0) {
      tokens_ = static_cast<std::uint32_t>(std::min<Duration::rep>(burst_, tokens_ + earned));
      filled_ = tokens_ == burst_ ? now : filled_ + earned * interval_;
    }
    if (tokens_ == 0) return false;
    --tokens_;
    return true;
  }

 private:
  Duration interval_;
  std::uint32_t burst_;
  std::uint32_t tokens_;
  Instant filled_{};
};

}  // namespace koine::stack
