#include "koine/journey/clock_offset.h"

#include <algorithm>

namespace koine::journey {
namespace {

/// What drift can add in `ns`, rounded up; and once more for what was rounded when it was learned.
std::int64_t drift(std::int64_t ns) { return ns / ClockOffset::drift_divisor + 2; }

}  // namespace

/// A bound b that held at the moment m holds at a later moment t as b + drift(t - m). Written as
/// (b - m/D) + t/D, the best of all bounds is one number, whenever it is asked for. The moments of
/// arrival are not known on the client's clock; the journey's beginning is earlier than both, which
/// makes the bounds only wider.
void ClockOffset::learn(const Journey& journey) {
  const Leg& there = journey.request;
  const Leg& back = journey.reply;
  if (!there.write_in || journey.clock_stepped) return;
  const std::int64_t begun = there.write_in.ns;
  if (!upper_ && !lower_) origin_ns_ = begun;

  std::optional<std::int64_t> upper;
  std::optional<std::int64_t> lower;
  // Sent: the first time, since a later one may have left after the one that arrived; or, where
  // the kernel does not say, when the program began. A late stamp here would be no bound. Arrived:
  // a late stamp only makes the bound wider.
  const auto sent = [](const Leg& leg) -> const Stamp& {
    const bool by_kernel = !leg.snd.empty() && leg.snd.front().quality == Quality::exact;
    return by_kernel ? leg.snd.front() : leg.write_in;
  };
  const auto arrived = [](const Leg& leg) -> const Stamp& {
    return leg.rx ? leg.rx : leg.recv_out;
  };
  if (arrived(there)) upper = arrived(there).ns - sent(there).ns;
  if (arrived(back) && sent(back)) lower = sent(back).ns - arrived(back).ns;
  const std::int64_t age = (begun - origin_ns_) / drift_divisor;
  const auto learn_both = [&] {
    if (upper) upper_ = std::min(upper_.value_or(INT64_MAX), *upper - age);
    if (lower) lower_ = std::max(lower_.value_or(INT64_MIN), *lower + age);
  };
  learn_both();
  const std::int64_t ended = back.recv_out ? back.recv_out.ns : begun;
  if (upper_ && lower_ && *lower_ - *upper_ > 2 * drift(ended - origin_ns_)) {
    ++resets_;
    upper_.reset();
    lower_.reset();
    learn_both();
  }
}

Offset ClockOffset::at(std::int64_t client_ns) const {
  if (!upper_ || !lower_) return {};
  const std::int64_t widening = drift(std::max<std::int64_t>(client_ns - origin_ns_, 0));
  const std::int64_t upper = *upper_ + widening;
  const std::int64_t lower = *lower_ - widening;
  const std::int64_t theta = lower + (upper - lower) / 2;
  // Rounded up: the truth may be at either end.
  return {.theta_ns = theta, .half_ns = upper - theta, .method = Offset::Method::bounds};
}

}  // namespace koine::journey
