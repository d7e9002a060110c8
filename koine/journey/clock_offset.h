// ClockOffset: how far a server's clock is ahead of a client's, as bounds that the truth never
// leaves.
//
// A message arrives after it was sent. So each request says theta <= rx_server - snd_client, each
// reply theta >= snd_server - rx_client, and nothing has to be assumed about the way there and back
// being alike. What was learned before is widened by how much two clocks can drift apart since.
#pragma once

#include <cstdint>
#include <optional>

#include "koine/journey/journey.h"

namespace koine::journey {

class ClockOffset {
 public:
  /// Two clocks under NTP part by at most so much of the time that passes: 100 ppm.
  static constexpr std::int64_t drift_divisor = 10'000;

  /// How the stamps of the server's half of a journey are to be read, while it lasted; learns from
  /// it. `says_same_clock`: the server says that it reads the client's clock, which is believed
  /// until stamps contradict it.
  Offset of(const Journey& journey, bool says_same_clock);

  /// Takes what a journey of both halves says. Of stamps of sending, only exact ones count: a late
  /// one is no bound. A journey that contradicts itself says nothing.
  void learn(const Journey& journey);

  /// Bounds that hold at `client_ns` on the client's clock; unknown until both sides have one.
  /// Not for moments before the end of the last journey that was learned.
  Offset at(std::int64_t client_ns) const;

  /// How often a journey contradicted what was known, so that a clock must have been set. All that
  /// was known before is then forgotten.
  std::uint64_t resets() const { return resets_; }

 private:
  // As if the clocks never drifted, at origin_ns_: time widens both from there on.
  std::optional<std::int64_t> upper_;
  std::optional<std::int64_t> lower_;
  std::int64_t origin_ns_ = 0;
  std::int64_t learned_ns_ = 0;  // when the last journey ended
  bool is_another_clock_ = false;
  std::uint64_t resets_ = 0;
};

}  // namespace koine::journey
