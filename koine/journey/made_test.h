// Journeys made up for tests.
#pragma once

#include "koine/journey/journey.h"

namespace koine::journey {

inline constexpr std::int64_t made_at = 1'800'000'000'000'000'000;  // some day in 2027

/// All stamps are there; the steps take 1, 2, ... 13 microseconds, but for resending, which takes
/// no time: each message was sent once. The server's clock is ahead by `theta_ns`.
inline Journey made_journey(std::int64_t theta_ns = 0) {
  Journey journey{.id = 7};
  std::int64_t at = made_at;
  const auto after_us = [&](std::int64_t us, std::int64_t shift) {
    at += us * 1000;
    return Stamp::exactly(at + shift);
  };
  const auto fill = [&](Leg& leg, std::int64_t first, std::int64_t sender, std::int64_t receiver) {
    leg.bytes = 40;
    leg.write_in = after_us(first == 1 ? 0 : first - 1, sender);
    leg.sched = after_us(first, sender);
    leg.write_out = leg.sched;
    leg.snd = {after_us(first + 1, sender)};
    leg.sendings = 1;
    leg.rx = after_us(first + 3, receiver);
    leg.recv_in = after_us(first + 4, receiver);
    leg.recv_out = after_us(first + 5, receiver);
  };
  fill(journey.request, 1, 0, theta_ns);
  fill(journey.reply, 8, theta_ns, 0);
  journey.offset = {theta_ns, 0, Offset::Method::same_clock};
  return journey;
}

}  // namespace koine::journey
