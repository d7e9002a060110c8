// Spans: the steps of a journey, derived from its stamps.
//
// One function does it, and its spans always add up to the total: they share their ends, what lies
// between two places without a stamp is one span, and no span is negative.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "koine/journey/journey.h"

namespace koine::journey {

/// The thirteen steps, in their order. What bounds them is in journey.h.
enum class Step : std::uint8_t {
  copy_there,     ///< 1: the program hands it over, the kernel copies and wraps it
  queue_there,    ///< 2a: in the queue of the device
  resend_there,   ///< 2b: lost and sent again
  network_there,  ///< 3
  idle_there,     ///< 4: it is there, and the program has not asked for it
  wake_there,     ///< 5: the program is woken, and its system copies
  program,        ///< the server thinks
  copy_back,      ///< 1' to 5': the answer's
  queue_back,
  resend_back,
  network_back,
  idle_back,
  wake_back,
};

inline constexpr int steps = 13;

/// "1", "2a", ..., "5'"; "-" for the program.
const char* number_of(Step step);
/// "copy + TCP/IP", "queue of the device", ...
const char* name_of(Step step);

enum class Where : std::uint8_t { client, network, server };
Where where(Step step);

/// One or more steps in a row, between two moments on the client's clock.
struct Span {
  Step first{};
  Step last{};  ///< the same, where all stamps are there
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
  /// How the duration is to be read: at_most if what it ends with came late, at_least if what it
  /// begins with did, missing (nobody knows) if both.
  Quality quality = Quality::exact;
  /// By how much the clocks' offset leaves its length open, either way; 0 inside one host.
  std::int64_t half_ns = 0;

  std::int64_t ns() const { return subtract(end_ns, begin_ns); }
  bool is(Step step) const { return first == step && last == step; }
  bool covers(Step step) const { return first <= step && step <= last; }
};

struct Spans {
  std::vector<Span> spans{};  ///< in their order; none if fewer than two places have a stamp
  std::int64_t total_ns = 0;  ///< their sum
  std::string misfit{};       ///< misfit_of() the journey

  /// Null if the stamps do not tell that step from its neighbours.
  const Span* find(Step step) const;
};

/// Of a journey whose clock was stepped there are none.
Spans spans_of(const Journey& journey);

/// What the stamps say that cannot be, if the server's clock is ahead by so much: "the request
/// arrived 3.20 ms before the request was sent". Empty if they fit. A peer that errs or lies gives
/// such stamps; the steps still add up, and mean nothing.
std::string misfit_of(const Journey& journey, const Offset& offset);

/// When the leg arrived, on the receiver's clock: the earlier of what the receiver's kernel says
/// and when the sender's had the confirmation, because segments that wait together keep the last
/// one's stamp. `sender_minus_receiver_ns` is what the sender's clock is ahead.
Stamp arrival_of(const Leg& leg, std::int64_t sender_minus_receiver_ns);

}  // namespace koine::journey
