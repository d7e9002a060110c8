#include "koine/journey/verdict.h"

#include <algorithm>

#include "koine/journey/hops.h"
#include "koine/journey/text.h"

namespace koine::journey {
namespace {

std::string times(std::uint32_t count) {
  if (count == 1) return "once";
  if (count == 2) return "twice";
  return std::to_string(count) + " times";
}

bool is_reply(Step step) { return step >= Step::copy_back; }

/// "server", "client": whose program or system the step is in.
std::string host_of(Step step) { return where(step) == Where::server ? "server" : "client"; }

/// How often the message of a leg was sent before the one that arrived.
std::string sent_again(const Leg& leg) {
  const std::uint32_t again = leg.sendings > 1 ? leg.sendings - 1 : 1;
  return "lost " + times(again) + " on the way ";
}

/// What a span usually takes. A step that is not usually told apart is compared with nothing: it
/// takes its full length.
std::int64_t usual_ns(const Span& span, const Medians& medians) {
  return medians.known() ? medians.of(span.first, span.last).value_or(0) : 0;
}

/// Beyond this, what a message took after it was sent again is not what it usually takes.
constexpr std::int64_t late_ns_min = 1'000'000;

/// True if a message that was sent again may have been late only: its receiver does not say which
/// sending arrived, and the last one did not bring what usually follows as soon as it usually does.
bool may_be_late(const Leg& leg, const Span& resent, const Spans& spans, const Medians& medians) {
  if (leg.rx || leg.recv_out) return false;
  std::int64_t rest = 0;
  std::int64_t usual = 0;
  for (const Span& span : spans.spans) {
    if (span.first <= resent.last) continue;
    rest = add(rest, span.ns());
    usual = add(usual, usual_ns(span, medians));
    if (span.covers(Step::program)) break;
  }
  return rest > resent.ns() / 4 || rest > std::max(add(usual, usual), late_ns_min);
}

/// A thread that had no CPU, if that explains most of the step: it could neither ask nor wake up.
std::string no_cpu(const Leg& leg, const Span& span) {
  if (!leg.cpu_wait_ns || *leg.cpu_wait_ns <= span.ns() / 2) return {};
  return host_of(span.last) + "'s thread waited " +
         short_time(std::min(*leg.cpu_wait_ns, span.ns())) + " for a CPU";
}

std::string wake_up(const Leg& leg, const Span& span) {
  const std::string waited = no_cpu(leg, span);
  if (!waited.empty()) return waited;
  return host_of(span.last) + "'s thread took " + short_time(span.ns()) + " to wake up";
}

std::string not_asking(const Leg& leg, const Span& span) {
  const std::string waited = no_cpu(leg, span);
  if (!waited.empty()) return waited + " before it could ask";
  return host_of(span.first) + "'s program did not ask for it for " + short_time(span.ns());
}

/// TX_SCHED that comes long after the program's write has returned: the kernel held the message
/// back. Otherwise it had no room for all of it, or the program was slow.
bool held_back(const Leg& leg, const Span& span) {
  return leg.write_out && leg.sched && subtract(leg.sched.ns, leg.write_out.ns) > span.ns() / 2;
}

/// Why it was, if that is known.
std::string held_by(const TcpState& tcp) {
  switch (tcp.held_by) {
    case HeldBy::unknown: return "";
    case HeldBy::receiver_window: return ": the receiver's window was full";
    case HeldBy::congestion_window:
      return ": the congestion window was full (" + std::to_string(tcp.cwnd) + " segments)";
    case HeldBy::pacing: return ": TCP paces what it sends";
    case HeldBy::send_buffer: return ": the send buffer is too small";
    case HeldBy::nagle: return ": less than a segment waits for confirmations (Nagle)";
  }
  return "";
}

std::string copying(const Leg& leg, const Span& span) {
  const std::string why = held_by(leg.tcp);
  if (!held_back(leg, span))
    return host_of(span.first) + " took " + short_time(span.ns()) + " to hand it over" + why;
  std::string words = host_of(span.first) + "'s system held it back for " +
                      short_time(subtract(leg.sched.ns, leg.write_out.ns)) + why;
  if (leg.tcp.unsent_bytes != 0)
    words += " (" + std::to_string(leg.tcp.unsent_bytes) + " bytes before it were not yet sent)";
  return words;
}

/// Whose message it is, if its thread had no CPU while it handed the message over, and that
/// explains most of the span. What the thread's CPU was to send, it did not send meanwhile either:
/// the fault shows in the network's step as well.
std::string no_cpu_to_send(const Journey& journey, const Leg& leg, const Span& span) {
  if (!leg.write_cpu_wait_ns || !leg.write_in || !leg.write_out) return {};
  const bool is_reply = &leg == &journey.reply;
  const std::int64_t shift = is_reply ? journey.offset.theta_ns : 0;
  const std::int64_t together = subtract(std::min(subtract(leg.write_out.ns, shift), span.end_ns),
                                         std::max(subtract(leg.write_in.ns, shift), span.begin_ns));
  const std::int64_t waited = std::min(*leg.write_cpu_wait_ns, together);
  if (waited <= span.ns() / 2) return {};
  return std::string(is_reply ? "server" : "client") + "'s thread waited " + short_time(waited) +
         " for a CPU while it handed the message over";
}

/// What may have happened beside, if the sender's system had not yet heard of the message's arrival
/// when it was asked for the last time: nobody waits for that for ever.
std::string or_sent_again(const Leg& leg, const Span& span) {
  const bool is_told = leg.tcp.mss == 0 || leg.snd.empty() || leg.ack;
  return is_told || span.ns() <= late_ns_min ? "" : ", or lost and sent again";
}

/// A run of steps that no stamp tells apart: the other end is silent, or the kernel is.
std::string unknown_steps(const Leg& leg, const Span& span) {
  std::string words = short_time(span.ns());
  if (span.covers(Step::program)) return words + " in the network and at the other end";
  const std::string again = or_sent_again(leg, span);
  if (span.first == Step::network_there && span.last == Step::idle_there)
    return words + " in the network on the way there, or unread at the server" + again;
  if (span.first == Step::network_back && span.last == Step::idle_back)
    return words + " in the network on the way back, or unread at the client" + again;
  if (span.first == Step::network_there && span.last == Step::wake_there)
    return words + " in the network on the way there, or until the server woke up" + again;
  if (span.first == Step::network_back && span.last == Step::wake_back)
    return words + " in the network on the way back, or until the client woke up" + again;
  if (where(span.first) == where(span.last) && where(span.first) != Where::network)
    return words + " in the " + host_of(span.first) + "'s system";
  return words + " between " + name_of(span.first) + " and " + name_of(span.last);
}

/// The place and what it was there; the same of the way there and of the way back are two.
bool is_same_place(const Hop& a, const Hop& b) {
  return a.what == b.what && a.at == b.at && a.towards == b.towards;
}

std::string lost_and_sent_again(const std::vector<Hop>& lost) {
  std::string words = words_of(lost.front());
  if (lost.size() > 1)
    words += ", then " + times(static_cast<std::uint32_t>(lost.size() - 1)) + " more";
  return words + ", and sent again";
}

/// The hop that exceeds most what is usual for it; null in a real network.
const Hop* worst_of(const std::vector<Hop>& hops, const Medians& medians) {
  const Hop* worst = nullptr;
  std::int64_t most = INT64_MIN;
  for (const Hop& hop : hops) {
    const std::int64_t excess = subtract(hop.ns(), medians.of(hop).value_or(0));
    if (excess <= most) continue;
    most = excess;
    worst = &hop;
  }
  return worst;
}

std::string words_of(const Journey& journey, const Span& span, const Spans& spans,
                     const Medians& medians) {
  const Leg& leg = is_reply(span.first) ? journey.reply : journey.request;
  const std::string there = is_reply(span.first) ? "back" : "there";
  const std::string took = short_time(span.ns());
  for (const Leg* sent : {&journey.request, &journey.reply}) {
    const std::string waited = no_cpu_to_send(journey, *sent, span);
    if (!waited.empty()) return waited;
  }
  if (span.first != span.last) return unknown_steps(leg, span);
  const std::vector<Hop> hops = hops_of(journey, span.first);
  const Hop* const worst = worst_of(hops, medians);
  switch (span.first) {
    case Step::copy_there:
    case Step::copy_back: return copying(leg, span);
    case Step::queue_there:
    case Step::queue_back:
      if (worst != nullptr) return words_of(*worst);
      return took + " in the queue of the " + host_of(span.first) + "'s own device";
    case Step::resend_there:
    case Step::resend_back:
      if (worst != nullptr) return lost_and_sent_again(hops) + ": " + took;
      if (may_be_late(leg, span, spans, medians))
        return "sent again after " + took + ": lost on the way " + there + ", or late";
      return sent_again(leg) + there + " (" + took + ")";
    case Step::network_there:
    case Step::network_back:
      if (worst != nullptr) return words_of(*worst);
      return took + " in the network on the way " + there + or_sent_again(leg, span);
    case Step::idle_there:
    case Step::idle_back: return not_asking(leg, span);
    case Step::wake_there:
    case Step::wake_back: return wake_up(leg, span);
    case Step::program: return "server's program took " + took + " to answer";
  }
  return took;
}

}  // namespace

void Latest::push(std::int64_t value) {
  if (as_they_came_.size() < values_max) {
    as_they_came_.push_back(value);
  } else {
    in_order_.erase(std::ranges::lower_bound(in_order_, as_they_came_[oldest_]));
    as_they_came_[oldest_] = value;
    oldest_ = (oldest_ + 1) % values_max;
  }
  in_order_.insert(std::ranges::upper_bound(in_order_, value), value);
}

void Medians::learn(const Journey& journey, const Spans& spans) {
  if (spans.spans.empty() || !spans.misfit.empty()) return;
  totals_.push(spans.total_ns);
  for (const Span& span : spans.spans) {
    const auto same = [&](const Row& row) {
      return row.first == span.first && row.last == span.last;
    };
    auto row = std::find_if(rows_.begin(), rows_.end(), same);
    if (row == rows_.end()) row = rows_.insert(row, Row{span.first, span.last});
    row->ns.push(span.ns());
    ++row->journeys;
  }
  for (const Leg* leg : {&journey.request, &journey.reply}) {
    for (const Hop& hop : leg->hops) {
      const auto same = [&](const HopRow& row) { return is_same_place(row.hop, hop); };
      auto row = std::find_if(hops_.begin(), hops_.end(), same);
      if (row == hops_.end()) {
        if (hops_.size() == hops_max) continue;
        row = hops_.insert(row, HopRow{hop});
      }
      row->ns.push(hop.ns());
    }
  }
}

std::int64_t Medians::total_ns() const { return totals_.count() == 0 ? 0 : totals_.median(); }

const Medians::Row* Medians::row_of(Step first, Step last) const {
  for (const Row& row : rows_)
    if (row.first == first && row.last == last && row.ns.count() >= journeys_min) return &row;
  return nullptr;
}

std::optional<std::int64_t> Medians::of(Step first, Step last) const {
  const Row* const run = row_of(first, last);
  std::int64_t sum = 0;
  for (int step = static_cast<int>(first); first != last && step <= static_cast<int>(last);
       ++step) {
    const Row* const one = row_of(static_cast<Step>(step), static_cast<Step>(step));
    if (one == nullptr || (run != nullptr && one->journeys <= run->journeys)) break;
    sum = add(sum, one->ns.median());
    if (step == static_cast<int>(last)) return sum;
  }
  return run == nullptr ? std::nullopt : std::optional(run->ns.median());
}

std::optional<std::int64_t> Medians::of(const Hop& hop) const {
  for (const HopRow& row : hops_)
    if (is_same_place(row.hop, hop) && row.ns.count() >= journeys_min) return row.ns.median();
  return std::nullopt;
}

namespace {

/// The span that exceeds most what it usually takes; together with what follows, if the stamp
/// between them came late: nobody knows which of the two it was.
Verdict worst_of(const Spans& spans, const Medians& medians) {
  std::size_t worst = 0;
  const auto excess = [&](std::size_t i) {
    return spans.spans[i].ns() - usual_ns(spans.spans[i], medians);
  };
  for (std::size_t i = 1; i < spans.spans.size(); ++i)
    if (excess(i) > excess(worst)) worst = i;
  Verdict verdict{.span = spans.spans[worst], .excess_ns = excess(worst)};
  verdict.usual_ns = usual_ns(verdict.span, medians);
  for (std::size_t i = worst; i + 1 < spans.spans.size(); ++i) {
    const Quality end = spans.spans[i].quality;
    if (end != Quality::at_most && end != Quality::missing) break;
    const Span& next = spans.spans[i + 1];
    verdict.span.last = next.last;
    verdict.span.end_ns = next.end_ns;
    verdict.span.quality = next.quality;
    verdict.excess_ns = add(verdict.excess_ns, excess(i + 1));
    verdict.usual_ns = add(verdict.usual_ns, usual_ns(next, medians));
  }
  return verdict;
}

}  // namespace

Verdict judge(const Journey& journey, const Spans& spans, const Medians& medians) {
  Verdict verdict;
  if (journey.clock_stepped) {
    verdict.words = "a clock was set meanwhile: these times mean nothing";
    return verdict;
  }
  if (!spans.misfit.empty()) {
    verdict.words = "the stamps do not fit, and these times mean nothing: " + spans.misfit;
    return verdict;
  }
  if (spans.spans.empty()) {
    verdict.words = "too few stamps to tell";
    return verdict;
  }
  verdict = worst_of(spans, medians);
  verdict.compared = medians.known();
  const Hop* end = end_of(journey.request);
  if (end == nullptr) end = end_of(journey.reply);
  if (end != nullptr) {
    verdict.words = words_of(*end) + ", and never arrived";
  } else if (!verdict.compared) {
    verdict.words =
        "nothing to compare with yet; longest: " + words_of(journey, verdict.span, spans, medians);
  } else if (verdict.excess_ns <= medians.total_ns() / 2) {
    verdict.words = "as usual (median " + short_time(medians.total_ns()) + ")";
  } else {
    verdict.words = words_of(journey, verdict.span, spans, medians);
    const std::vector<Hop> hops = hops_of(journey, verdict.span.first);
    const Hop* const hop =
        verdict.span.first == verdict.span.last ? worst_of(hops, medians) : nullptr;
    const std::int64_t usual = hop != nullptr ? medians.of(*hop).value_or(0) : verdict.usual_ns;
    if (usual != 0) verdict.words += ", usually " + short_time(usual);
  }
  return verdict;
}

}  // namespace koine::journey
