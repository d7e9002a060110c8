// What a connection needs only while something it wrote is not yet acknowledged: the data, the
// scoreboard and the state of loss recovery. It is made by the first write and goes with idleness.
#pragma once

#include "koine/stack/tcp/paged_bytes.h"
#include "koine/stack/tcp/scoreboard.h"

namespace koine::stack::tcp {

enum class Phase : std::uint8_t {
  open,      ///< nothing is believed lost
  recovery,  ///< fast recovery: proportional rate reduction (RFC 6937)
  repair,    ///< after a timeout: slow start through what was lost
};

/// The search for the largest segment that the path carries (RFC 4821). Sizes are those of data
/// and options, as an MSS is.
struct PathSearch {
  bool is_on = false;
  bool is_out = false;    // a probe is
  bool try_high = false;  // next; otherwise the middle
  std::uint16_t high = 0;
  std::uint16_t size = 0;  // of the probe
  Seq end{};               // of the probe
  Instant at{};            // no probe before
};

struct Flight {
  PagedBytes data;  // position 0 is the first byte that is not acknowledged
  Scoreboard scoreboard;

  Phase phase = Phase::open;
  Seq recovery_point{};   // the phase ends when everything before it is acknowledged
  bool answered = false;  // a loss before recovery_point was answered already
  std::uint32_t duplicate_acks = 0;

  // Proportional rate reduction.
  std::uint32_t prr_delivered = 0;
  std::uint32_t prr_out = 0;
  std::uint32_t prr_flight = 0;  // RecoverFS

  // What to put back if nothing had been lost.
  bool undo_possible = false;
  std::uint32_t undo_window = 0;
  std::uint32_t undo_threshold = 0;
  std::uint32_t undo_repeats = 0;  // retransmissions that no DSACK has yet called needless
  std::uint32_t repair_stamp = 0;  // our timestamp on the first retransmission
  bool repair_stamped = false;

  // RACK (RFC 8985, section 5.2) and its reordering window.
  Instant rack_sent = Instant::min();
  Seq rack_end{};
  Duration rack_rtt{};
  Duration rtt_min = Duration::max();
  Instant rtt_min_at{};
  bool reordering_seen = false;
  std::uint8_t window_quarters = 1;
  std::uint8_t window_keep = 0;
  bool dsack_round = false;
  Seq dsack_round_end{};

  // Tail loss probe (section 7).
  bool probe_out = false;
  bool probe_was_repeat = false;
  Seq probe_end{};

  // Was the window the bound (RFC 7661)?
  std::uint32_t pipe_max = 0;
  Seq pipe_round_end{};
  bool window_was_full = false;

  PathSearch path;

  Seq small_end{};  // end of the last segment that was not full (Nagle, Minshall's way)
  bool small_out = false;
};

}  // namespace koine::stack::tcp
