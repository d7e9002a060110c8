// A leg of a journey, read off what a follower has recorded.
#include <algorithm>

#include "koine/sim/follower.h"
#include "koine/sim/host.h"
#include "koine/sim/track.h"
#include "koine/wire/udp.h"

namespace koine::sim {
namespace {

using journey::Hop;
using journey::Stamp;

std::int64_t ns_of(Instant at) { return (at.time_since_epoch() + Follower::epoch).count(); }

Stamp stamp_of(Instant at) { return Stamp::exactly(ns_of(at)); }

std::string why_of(Fate fate) {
  switch (fate) {
    case Fate::lost: return "by chance";
    case Fate::queue_full: return "the queue was full";
    case Fate::too_large: return "larger than the MTU";
    case Fate::cut: return "the link was cut";
    case Fate::damaged: return "damaged";
    case Fate::ignored:
    case Fate::delivered: break;
  }
  return {};
}

/// The record that has the position before `end`.
template <class Records>
auto of(const Records& records, std::uint32_t end) -> decltype(&records.front()) {
  for (const auto& each : records)
    if (end - each.from - 1 < each.to - each.from) return &each;
  return nullptr;
}

}  // namespace

/// The way of one sending.
class Follower::Way {
 public:
  Way(const Flow& flow, const Sending& sending, std::uint32_t number)
      : flow_(flow), sending_(sending), number_(number) {}

  /// Its hops, until the receiver's stack had all of the message, for that reason at the end.
  std::vector<Hop> hops(std::optional<Instant> had, const std::string& why_last) {
    std::vector<int> path;
    for (int at = leaf(); at != none; at = passage(at).before) path.push_back(at);
    for (std::size_t i = path.size(); i-- > 0;) {
      const Passage& each = passage(path[i]);
      if (!link(each)) break;
      const Passage* const next = i == 0 ? nullptr : &passage(path[i - 1]);
      node(each, next, had, why_last);
    }
    return std::move(hops_);
  }

 private:
  const Passage& passage(int at) const { return sending_.passages[static_cast<std::size_t>(at)]; }

  /// Where it came to its end: at its target, or as far as it came.
  int leaf() const {
    if (sending_.arrival != none) return sending_.arrival;
    int best = none;
    for (int i = 0; i < static_cast<int>(sending_.passages.size()); ++i) {
      const Passage& each = passage(i);
      if (each.end != sending_.end) continue;
      // Switches send copies to hosts that it is not for.
      const auto* const host = dynamic_cast<const Host*>(each.to->node);
      const bool is_astray = host != nullptr && host != flow_.target && each.is_here &&
                             !each.is_sent_on && best != none;
      if (!is_astray) best = i;
    }
    return best;
  }

  void add(Hop::What what, const Passage& on, bool is_link, Instant in, Instant out,
           std::string why = {}) {
    const Node& at = is_link ? *on.from->node : *on.to->node;
    hops_.push_back({.what = what,
                     .at = at.name(),
                     .towards = is_link ? on.to->node->name() : std::string(),
                     .why = std::move(why),
                     .in_ns = ns_of(in),
                     .out_ns = ns_of(out),
                     .sending = number_});
  }

  /// False if it went no farther than that link.
  bool link(const Passage& each) {
    const Instant lost = each.lost.value_or(Instant::max());
    if (each.begins) {
      const Instant begins = std::min(*each.begins, lost);
      const Instant ends = std::min(*each.ends, lost);
      add(Hop::What::queue, each, true, each.in, begins);
      add(Hop::What::serialisation, each, true, begins, ends);
      const Instant until = std::min(each.at.value_or(ends), lost);
      if (until > ends || each.is_here) add(Hop::What::propagation, each, true, ends, until);
    }
    if (each.lost) {
      add(Hop::What::lost, each, true, lost, lost, why_of(each.fate));
    } else if (!each.at) {
      const Instant end = each.ends.value_or(each.in);
      add(Hop::What::lost, each, true, end, end, why_of(Fate::damaged));
    }
    return each.is_here;
  }

  void node(const Passage& each, const Passage* next, std::optional<Instant> had,
            const std::string& why_last) {
    const Instant at = *each.at;
    const Instant taken = each.taken.value_or(at);
    const bool stood_still = taken > at;
    const char* const still = "it stood still";
    if (next != nullptr) {
      std::string why;
      if (next->in > at) why = stood_still ? still : "asking for the next hop's address";
      add(Hop::What::processing, each, false, at, next->in, why);
    } else if (sending_.arrival != none) {
      const Instant until = had.value_or(taken);
      std::string why;
      if (until > at) why = stood_still ? still : why_last;
      add(Hop::What::processing, each, false, at, until, why);
    } else {
      add(Hop::What::lost, each, false, taken, taken, "not sent on");
    }
  }

  const Flow& flow_;
  const Sending& sending_;
  std::uint32_t number_;
  std::vector<Hop> hops_;
};

std::optional<Instant> Follower::arrival(const FlowKey& key, std::uint32_t end) const {
  const Flow* const flow = find(key);
  const Mark* const had = flow == nullptr ? nullptr : of(flow->had, end);
  return had == nullptr ? std::nullopt : std::optional(had->out);
}

void Follower::fill(journey::Journey& journey, bool is_reply, const FlowKey& key,
                    std::uint32_t end) const {
  const Flow* const flow = find(key);
  if (flow == nullptr) return;
  journey::Leg& leg = is_reply ? journey.reply : journey.request;

  // Whose beginning nobody announced is what was written at once.
  const Write* const written = of(flow->writes, end);
  std::uint32_t begin = written == nullptr ? end - 1 : written->from;
  for (const Announced& message : flow->messages)
    if (message.to == end) begin = message.from;
  if (const Write* const first = of(flow->writes, begin + 1)) leg.write_in = stamp_of(first->in);
  if (written != nullptr && written->out) leg.write_out = stamp_of(*written->out);
  if (leg.bytes == 0 && written != nullptr) leg.bytes = key.is_tcp ? end - begin : written->bytes;

  const auto has = [&](const Sending& sending, std::uint32_t position) {
    if (key.is_tcp) return position - sending.begin < sending.end - sending.begin;
    return sending.number == end - 1 && written != nullptr &&
           sending.end == written->bytes + wire::UdpHeader::size;
  };
  std::vector<const Sending*> sendings;
  for (const Sending& sending : flow->sendings)
    if (!sending.passages.empty() && has(sending, end - 1)) sendings.push_back(&sending);

  const Mark* const had = of(flow->had, end);
  if (had != nullptr) leg.rx = stamp_of(had->out);
  if (const Mark* const read = of(flow->reads, end)) {
    leg.recv_in = stamp_of(read->in);
    leg.recv_out = stamp_of(read->out);
  }
  if (const Mark* const acked = of(flow->acked, end); acked != nullptr && key.is_tcp)
    leg.ack = stamp_of(acked->out);
  if (sendings.empty()) return;

  leg.sched = stamp_of(sendings.front()->passages.front().in);
  leg.sendings = static_cast<std::uint32_t>(sendings.size());
  // Later ones than the one that arrived were not needed.
  const auto arrived_at = [](const Sending* sending) {
    if (sending->arrival == none) return Instant::max();
    return *sending->passages[static_cast<std::size_t>(sending->arrival)].taken;
  };
  const auto arrived = std::ranges::min_element(sendings, {}, arrived_at);
  const bool has_arrived = (*arrived)->arrival != none;
  if (has_arrived) sendings.erase(arrived + 1, sendings.end());
  std::uint32_t number = 0;
  const auto sent_at = [](const Sending& sending) {
    const Passage& first = sending.passages.front();
    return first.begins.value_or(first.in);
  };

  // What the last byte had to wait for at the receiver.
  std::string why_last = "for the bytes before it";
  std::vector<Hop> pieces;
  {
    const auto is_before = [&](const Sending& sending) {
      if (!key.is_tcp) return sending.number == end - 1;
      return is_after(end, sending.end) && is_after(sending.end, begin);
    };
    for (const Sending& sending : flow->sendings) {
      if (sending.passages.empty() || sending.arrival != none || has(sending, end - 1) ||
          !is_before(sending) || pieces.size() == 16)
        continue;
      const std::vector<Hop> way = Way(*flow, sending, 0).hops(std::nullopt, {});
      if (way.empty() || way.back().what != Hop::What::lost) continue;
      pieces.push_back(way.back());
    }
    if (!pieces.empty())
      why_last += ", lost " + (pieces.back().towards.empty() ? "in " + pieces.back().at
                                                             : "on the link " + pieces.back().at +
                                                                   "-" + pieces.back().towards);
  }

  leg.snd.clear();
  leg.hops.clear();
  for (const Sending* const sending : sendings) {
    ++number;
    const bool is_last = sending == sendings.back();
    // The one that arrived is always among those that are kept.
    if (leg.snd.size() == journey::Leg::sendings_max - 1 && !is_last) continue;
    leg.snd.push_back(stamp_of(sent_at(*sending)));
    const bool ends_it = is_last && has_arrived && had != nullptr;
    const auto way = Way(*flow, *sending, number)
                         .hops(ends_it ? std::optional(had->out) : std::nullopt, why_last);
    leg.hops.insert(leg.hops.end(), way.begin(), way.end());
  }
  leg.hops.insert(leg.hops.end(), pieces.begin(), pieces.end());

  if (leg.bytes > Track::large_bytes_min && key.is_tcp) {
    for (const Sending& sending : flow->sendings) {
      if (sending.passages.empty() || !has(sending, begin)) continue;
      leg.first_snd = stamp_of(sent_at(sending));
      break;
    }
  }
  const Sending& kept = *sendings.back();
  const auto is_there = [&](const journey::Frame& frame) { return frame.reply == is_reply; };
  if (!kept.bytes.empty() && std::ranges::none_of(journey.frames, is_there))
    journey.frames.push_back({.reply = is_reply,
                              .at = leg.snd.back(),
                              .bytes = kept.bytes,
                              .wire_bytes = kept.wire_bytes});
}

}  // namespace koine::sim
