// The walk over IPv4 options.
#include "koine/wire/ipv4.h"

namespace koine::wire {

std::optional<Ipv4Option> Ipv4Options::next() {
  while (at_ < options_.size()) {
    const auto type = std::to_integer<std::uint8_t>(options_[at_]);
    if (type == ipv4_option_end) break;
    if (type == ipv4_option_no_operation) {
      ++at_;
      continue;
    }
    const std::size_t left = options_.size() - at_;
    const std::size_t length = left < 2 ? 0 : std::to_integer<std::size_t>(options_[at_ + 1]);
    if (length < 2 || length > left) {
      broken_at_ = at_;
      break;
    }
    const Ipv4Option option{type, at_, options_.subspan(at_ + 2, length - 2)};
    at_ += length;
    return option;
  }
  at_ = options_.size();
  return std::nullopt;
}

}  // namespace koine::wire
