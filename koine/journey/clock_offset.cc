#include "koine/journey/clock_offset.h"

#include <algorithm>
#include <numeric>

#include "koine/journey/spans.h"

namespace koine::journey {
namespace {

/// What drift can add in `ns`, rounded up; and once more for what was rounded when it was learned.
std::int64_t drift(std::int64_t ns) { return ns / ClockOffset::drift_divisor + 2; }

}  // namespace

/// The bounds of the last journey are of all of it if they are widened by as much as passed between
/// its beginning and what was learned last.
Offset ClockOffset::of(const Journey& journey, bool says_same_clock) {
  const Offset same{.method = Offset::Method::same_clock};
  if (says_same_clock && !is_another_clock_) {
    if (misfit_of(journey, same).empty()) return same;
    is_another_clock_ = true;
  }
  learn(journey);
  const std::int64_t begun = journey.request.write_in.ns;
  const std::int64_t last = std::max({learned_ns_, begun, journey.reply.recv_out.ns});
  return at(add(last, subtract(last, begun)));
}

/// A bound b that held at the moment m holds at a later moment t as b + drift(t - m). Written as
/// (b - m/D) + t/D, the best of all bounds is one number, whenever it is asked for. The moments of
/// arrival are not known on the client's clock; the journey's beginning is earlier than both, which
/// makes the bounds only wider.
void ClockOffset::learn(const Journey& journey) {
  const Leg& there = journey.request;
  const Leg& back = journey.reply;
  if (!there.write_in || journey.clock_stepped) return;
  const std::int64_t begun = there.write_in.ns;
  const std::int64_t ended = std::max(begun, back.recv_out.ns);

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
  for (const Stamp* stamp : {&there.write_in, &sent(there), &arrived(there), &sent(back),
                             &arrived(back), &back.recv_out})
    if (!stamp->can_be()) return;
  if (arrived(there)) upper = arrived(there).ns - sent(there).ns;
  if (arrived(back) && sent(back)) lower = sent(back).ns - arrived(back).ns;
  // The server cannot have had it for longer than it was away.
  if (upper && lower && subtract(*lower, *upper) > drift(ended - begun)) return;
  if (!upper_ && !lower_) origin_ns_ = begun;
  learned_ns_ = std::max(learned_ns_, ended);
  const std::int64_t age = (begun - origin_ns_) / drift_divisor;
  const auto learn_both = [&] {
    if (upper) upper_ = std::min(upper_.value_or(INT64_MAX), *upper - age);
    if (lower) lower_ = std::max(lower_.value_or(INT64_MIN), *lower + age);
  };
  learn_both();
  if (upper_ && lower_ && subtract(*lower_, *upper_) > 2 * drift(learned_ns_ - origin_ns_)) {
    ++resets_;
    upper_.reset();
    lower_.reset();
    learn_both();
  }
}

Offset ClockOffset::at(std::int64_t client_ns) const {
  if (!upper_ || !lower_) return {};
  const std::int64_t widening = drift(std::max<std::int64_t>(subtract(client_ns, origin_ns_), 0));
  const std::int64_t upper = *upper_ + widening;
  const std::int64_t lower = *lower_ - widening;
  const std::int64_t theta = std::midpoint(lower, upper);
  if (upper < lower) return {};
  // Rounded up: the truth may be at either end.
  return {.theta_ns = theta, .half_ns = upper - theta, .method = Offset::Method::bounds};
}

}  // namespace koine::journey
