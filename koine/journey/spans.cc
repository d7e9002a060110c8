#include "koine/journey/spans.h"

#include <algorithm>
#include <array>
#include <optional>

#include "koine/journey/text.h"

namespace koine::journey {
namespace {

/// A place on the way: nothing, if nobody stamped it.
struct Place {
  Stamp stamp{};  // on the client's clock
  bool at_server = false;
};

using Places = std::array<Place, steps + 1>;

/// The last sending that can have been the one that arrived; later ones were not needed.
Stamp sending_that_arrived(const Leg& leg, const Stamp& arrival) {
  Stamp found = leg.snd.front();
  for (const Stamp& sending : leg.snd)
    if (!arrival || sending.ns <= arrival.ns) found = sending;
  return found;
}

Stamp shifted(Stamp stamp, std::int64_t by_ns) {
  stamp.ns = add(stamp.ns, by_ns);
  return stamp;
}

/// The six places of one leg and the program that has it, from `places[at]` on. What is added to
/// the sender's stamps and to the receiver's makes them the client's.
void place(Places& places, std::size_t at, const Leg& leg, std::int64_t sender_shift,
           std::int64_t receiver_shift, bool sender_is_server) {
  const auto put = [&](std::size_t which, const Stamp& stamp, std::int64_t shift, bool at_server) {
    const Stamp on_client = shifted(stamp, shift);
    if (stamp && on_client.can_be()) places[at + which] = {on_client, at_server};
  };
  put(0, leg.write_in, sender_shift, sender_is_server);
  put(1, leg.sched, sender_shift, sender_is_server);
  Stamp arrival;
  if (leg.rx || leg.recv_out) {
    arrival = leg.rx ? arrival_of(leg, subtract(receiver_shift, sender_shift)) : Stamp{};
    put(4, arrival, receiver_shift, !sender_is_server);
  } else if (leg.ack) {
    // Nobody speaks for the receiver: it had the message before the confirmation came.
    put(4, {leg.ack.ns, Quality::at_most}, sender_shift, sender_is_server);
  }
  if (!leg.snd.empty()) {
    put(2, leg.snd.front(), sender_shift, sender_is_server);
    const Stamp until =
        arrival ? shifted(arrival, subtract(receiver_shift, sender_shift)) : leg.ack;
    put(3, sending_that_arrived(leg, until), sender_shift, sender_is_server);
  }
  // Who asks may do so before it is there: without its arrival that is no step of its own.
  if (arrival) put(5, leg.recv_in, receiver_shift, !sender_is_server);
  put(6, leg.recv_out, receiver_shift, !sender_is_server);
}

/// A stamp of those that follow each other.
struct Passed {
  Stamp stamp;
  bool at_server;
  const char* what;
  bool may_be_earlier = false;  // who asks may have done so long before
};

Stamp first_sending(const Leg& leg) { return leg.snd.empty() ? Stamp{} : leg.snd.front(); }

/// One clock, read by a program and by its system, may differ by the last digits.
constexpr std::int64_t reading_ns = 1000;

}  // namespace

const char* number_of(Step step) {
  static constexpr const char* numbers[] = {"1",  "2a",  "2b",  "3",  "4",  "5", "-",
                                            "1'", "2a'", "2b'", "3'", "4'", "5'"};
  return numbers[static_cast<std::size_t>(step)];
}

const char* name_of(Step step) {
  static constexpr const char* names[] = {"copy + TCP/IP",
                                          "queue of the device",
                                          "lost and sent again",
                                          "network there",
                                          "program not asking",
                                          "wake-up + copy",
                                          "program",
                                          "copy + TCP/IP",
                                          "queue of the device",
                                          "lost and sent again",
                                          "network back",
                                          "program not asking",
                                          "wake-up + copy"};
  return names[static_cast<std::size_t>(step)];
}

Where where(Step step) {
  switch (step) {
    case Step::network_there:
    case Step::network_back: return Where::network;
    case Step::idle_there:
    case Step::wake_there:
    case Step::program:
    case Step::copy_back:
    case Step::queue_back:
    case Step::resend_back: return Where::server;
    default: return Where::client;
  }
}

Stamp arrival_of(const Leg& leg, std::int64_t sender_minus_receiver_ns) {
  if (!leg.rx || !leg.ack) return leg.rx;
  const std::int64_t confirmed = subtract(leg.ack.ns, sender_minus_receiver_ns);
  if (confirmed >= leg.rx.ns) return leg.rx;
  return {confirmed, Quality::at_most};
}

std::string misfit_of(const Journey& journey, const Offset& offset) {
  const Leg& there = journey.request;
  const Leg& back = journey.reply;
  const std::array<Passed, 12> way = {{
      {there.write_in, false, "the request was written"},
      {there.sched, false, "the request was queued"},
      {first_sending(there), false, "the request was sent"},
      {there.rx, true, "the request arrived"},
      {there.recv_in, true, "the server asked for the request", true},
      {there.recv_out, true, "the request was read"},
      {back.write_in, true, "the answer was written"},
      {back.sched, true, "the answer was queued"},
      {first_sending(back), true, "the answer was sent"},
      {back.rx, false, "the answer arrived"},
      {back.recv_in, false, "the client asked for the answer", true},
      {back.recv_out, false, "the answer was read"},
  }};
  const bool one_axis = offset.method != Offset::Method::unknown;
  for (std::size_t i = 0; i < way.size(); ++i) {
    const Passed& later = way[i];
    if (!later.stamp) continue;
    if (!later.stamp.can_be()) return std::string("no clock shows the time when ") + later.what;
    if (later.may_be_earlier || later.stamp.quality == Quality::at_least) continue;
    for (std::size_t j = 0; j < i; ++j) {
      const Passed& earlier = way[j];
      const bool crosses = later.at_server != earlier.at_server;
      // A late stamp says nothing of what follows.
      if (!earlier.stamp || earlier.stamp.quality == Quality::at_most || (crosses && !one_axis))
        continue;
      std::int64_t by = subtract(earlier.stamp.ns, later.stamp.ns);
      std::int64_t open = reading_ns;
      if (crosses) {
        by = later.at_server ? add(by, offset.theta_ns) : subtract(by, offset.theta_ns);
        open = add(open, std::max<std::int64_t>(offset.half_ns, 0));
      }
      if (by > open)
        return std::string(later.what) + " " + short_time(by) + " before " + earlier.what;
    }
  }
  return {};
}

Spans spans_of(const Journey& journey) {
  Spans all;
  if (journey.clock_stepped) return all;
  all.misfit = misfit_of(journey, journey.offset);
  Places places{};
  const std::int64_t to_client = subtract(0, journey.offset.theta_ns);
  place(places, 0, journey.request, 0, to_client, false);
  place(places, 7, journey.reply, to_client, 0, true);

  std::optional<std::size_t> begin;
  std::optional<std::size_t> end;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (!places[i].stamp) continue;
    if (!begin) begin = i;
    end = i;
  }
  if (!begin || begin == end || places[*end].stamp.ns < places[*begin].stamp.ns) return all;

  // What lies outside the journey (an offset that is a little wrong, a stamp that came late) is
  // moved to its nearest end, so nothing is counted twice and nothing is lost.
  std::int64_t at = places[*begin].stamp.ns;
  std::size_t last = *begin;
  for (std::size_t i = *begin + 1; i <= *end; ++i) {
    if (!places[i].stamp) continue;
    const std::int64_t until = std::clamp(places[i].stamp.ns, at, places[*end].stamp.ns);
    Span span{.first = static_cast<Step>(last),
              .last = static_cast<Step>(i - 1),
              .begin_ns = at,
              .end_ns = until};
    // A late stamp at the end makes the span too long; at the beginning, too short.
    const bool late_end = places[i].stamp.quality == Quality::at_most;
    const bool late_begin = places[last].stamp.quality == Quality::at_most;
    if (late_end) span.quality = late_begin ? Quality::missing : Quality::at_most;
    if (late_begin && !late_end) span.quality = Quality::at_least;
    if (places[i].at_server != places[last].at_server) span.half_ns = journey.offset.half_ns;
    all.spans.push_back(span);
    at = until;
    last = i;
  }
  all.total_ns = places[*end].stamp.ns - places[*begin].stamp.ns;
  return all;
}

const Span* Spans::find(Step step) const {
  for (const Span& span : spans)
    if (span.is(step)) return &span;
  return nullptr;
}

}  // namespace koine::journey
