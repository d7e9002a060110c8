// The frames of a flow, on their way over links and through nodes.
#include <algorithm>

#include "koine/sim/follower.h"
#include "koine/sim/host.h"
#include "koine/sim/trace.h"
#include "koine/wire/ethernet.h"
#include "koine/wire/ipv4.h"
#include "koine/wire/ipv6_extensions.h"
#include "koine/wire/tcp.h"
#include "koine/wire/udp.h"

namespace koine::sim {
namespace {

using namespace wire;

/// How many bytes there are in these pieces, from the first one on.
std::uint32_t covered(std::vector<std::pair<std::uint32_t, std::uint32_t>>& pieces) {
  std::ranges::sort(pieces);
  std::uint32_t end = 0;
  for (const auto& [from, to] : pieces)
    if (from <= end) end = std::max(end, to);
  return end;
}

}  // namespace

Follower::Flow* Follower::find(const Seen& seen) {
  if (seen.has_ports) {
    const auto found = flows_.find(seen.flow);
    return found == flows_.end() ? nullptr : &found->second;
  }
  // A later fragment has no ports: its first one was seen.
  for (auto& [key, flow] : flows_) {
    if (key.is_tcp || key.source.ip != seen.flow.source.ip || key.target.ip != seen.flow.target.ip)
      continue;
    for (const Sending& sending : flow.sendings)
      if (sending.id == seen.id) return &flow;
  }
  return nullptr;
}

/// What the frame carries: nothing, if it is neither a segment nor a datagram nor a piece of one.
std::optional<Follower::Seen> Follower::look(Bytes frame) {
  const auto ethernet = EthernetView::of(frame);
  if (!ethernet) return std::nullopt;
  Seen seen;
  IpProtocol protocol{};
  Bytes payload;
  if (ethernet->type() == EtherType::ipv4) {
    const auto ip = Ipv4View::of(ethernet->payload());
    if (!ip) return std::nullopt;
    seen.flow.source.ip = ip->source();
    seen.flow.target.ip = ip->target();
    seen.begin = static_cast<std::uint32_t>(ip->fragment_offset());
    seen.id = ip->identification();
    protocol = ip->protocol();
    payload = ip->payload();
  } else if (ethernet->type() == EtherType::ipv6) {
    const auto ip = Ipv6View::of(ethernet->payload());
    if (!ip) return std::nullopt;
    const Ipv6Chain chain = Ipv6Chain::walk(*ip);
    if (chain.problem) return std::nullopt;
    seen.flow.source.ip = ip->source();
    seen.flow.target.ip = ip->target();
    if (chain.fragment) seen.begin = static_cast<std::uint32_t>(chain.fragment->offset);
    protocol = chain.protocol;
    payload = chain.payload;
    seen.id = chain.fragment ? chain.fragment->identification : Trace::hash_of(payload);
  } else {
    return std::nullopt;
  }
  seen.end = seen.begin + static_cast<std::uint32_t>(payload.size());
  if (protocol == IpProtocol::tcp) {
    const auto segment = TcpView::of(payload);
    if (!segment || seen.begin != 0) return std::nullopt;
    seen.flow.source.port = segment->source_port();
    seen.flow.target.port = segment->target_port();
    seen.begin = segment->seq().value;
    seen.end = seen.begin + static_cast<std::uint32_t>(segment->payload().size());
    return seen;
  }
  if (protocol != IpProtocol::udp) return std::nullopt;
  seen.flow.is_tcp = false;
  seen.has_ports = seen.begin == 0;
  if (!seen.has_ports) return seen;
  if (payload.size() < UdpHeader::size) return std::nullopt;
  seen.flow.source.port = load_be16(payload.data());
  seen.flow.target.port = load_be16(payload.data() + 2);
  seen.data_size = load_be16(payload.data() + 4) - std::uint32_t{UdpHeader::size};
  seen.data = payload.subspan(UdpHeader::size);
  return seen;
}

// Frames.

/// The first passage of such a frame that fits.
template <class Fits>
Follower::Place Follower::place_of(Flow& flow, const Seen& seen, Fits&& fits) {
  for (Sending& sending : flow.sendings) {
    if (sending.id != seen.id) continue;
    for (std::size_t i = 0; i < sending.passages.size(); ++i) {
      const Passage& passage = sending.passages[i];
      if (seen.begin - passage.begin <= passage.end - passage.begin &&
          seen.end - passage.begin <= passage.end - passage.begin && fits(passage))
        return {&sending, static_cast<int>(i)};
    }
  }
  return {};
}

/// The host sends it for the first time, or again.
Follower::Sending* Follower::begin_sending(Flow& flow, const Seen& seen, Bytes frame) {
  if (seen.begin == seen.end) return nullptr;  // an acknowledgment
  std::uint32_t number = 0;
  if (!seen.flow.is_tcp) {
    Write* datagram = nullptr;
    if (seen.has_ports) {
      for (Write& write : flow.writes) {
        if (write.has_left || write.bytes != seen.data_size ||
            !begins_with(seen.data, write.beginning))
          continue;
        datagram = &write;
        break;
      }
      if (datagram == nullptr) return nullptr;
      datagram->has_left = true;
      number = datagram->from;
    } else {
      for (const Sending& sending : flow.sendings)
        if (sending.id == seen.id) number = sending.number;
    }
  }
  if (flow.sendings.size() == records_max) {
    for (Place* each : {&last_, &current_})
      if (each->sending == &flow.sendings.front()) *each = {};
  }
  Sending made{.number = number, .begin = seen.begin, .end = seen.end, .id = seen.id};
  if (wants_frames_ != 0) {
    const Bytes kept = frame.first(std::min(frame.size(), journey::Frame::bytes_max));
    made.bytes.assign(kept.begin(), kept.end());
    made.wire_bytes = frame.size();
  }
  keep(flow.sendings, std::move(made));
  return &flow.sendings.back();
}

void Follower::sent(const Nic& from, const Nic& to, Bytes frame, Instant at) {
  last_ = {};
  const auto seen = look(frame);
  Flow* const flow = seen ? find(*seen) : nullptr;
  if (flow == nullptr) return;
  Place before;
  Sending* sending = nullptr;
  if (from.node == flow->source) {
    sending = begin_sending(*flow, *seen, frame);
  } else {
    // Switches send at once what arrives; routers may have had to ask first.
    const auto is_here = [&](const Passage& passage) {
      return passage.to->node == from.node && passage.is_here;
    };
    if (current_ && is_here(*current_) && current_.sending->id == seen->id &&
        seen->end - current_->begin <= current_->end - current_->begin) {
      before = current_;
    } else {
      before = place_of(*flow, *seen, [&](const Passage& passage) {
        return is_here(passage) && !passage.is_sent_on;
      });
    }
    sending = before.sending;
  }
  if (sending == nullptr) return;
  // The last piece of what arrived: it is all sent on.
  if (before && before->end == seen->end) before->is_sent_on = true;
  sending->passages.push_back({.from = &from,
                               .to = &to,
                               .before = before.passage,
                               .begin = seen->begin,
                               .end = seen->end,
                               .in = at});
  last_ = {sending, static_cast<int>(sending->passages.size()) - 1};
}

void Follower::scheduled(Instant begins, Instant ends) {
  if (!last_) return;
  last_->begins = begins;
  last_->ends = ends;
}

void Follower::departed(Instant at) {
  if (!last_) return;
  if (last_->at) {  // one of two
    Passage copy = *last_;
    copy.at = at;
    last_.sending->passages.push_back(copy);
  } else {
    last_->at = at;
  }
}

void Follower::arrived(const Nic& to, Bytes frame, Instant at) {
  current_ = {};
  const auto seen = look(frame);
  Flow* const flow = seen ? find(*seen) : nullptr;
  if (flow == nullptr) return;
  current_ = place_of(*flow, *seen, [&](const Passage& passage) {
    return passage.to == &to && passage.at == at && !passage.is_here && !passage.lost;
  });
  if (current_) current_->is_here = true;
}

void Follower::failed(const Nic& from, const Nic& to, Bytes frame, Fate fate, Instant at) {
  const auto seen = look(frame);
  Flow* const flow = seen ? find(*seen) : nullptr;
  if (flow == nullptr) return;
  const bool is_last = last_ && last_->from == &from && last_->to == &to && !last_->at;
  const Place lost = is_last ? last_ : place_of(*flow, *seen, [&](const Passage& passage) {
    return passage.from == &from && passage.to == &to && !passage.is_here && !passage.lost;
  });
  if (!lost) return;
  // By chance: on the way, that is, after it had its turn.
  const bool had_its_turn = fate == Fate::lost || fate == Fate::damaged;
  lost->lost = had_its_turn && lost->ends ? *lost->ends : at;
  lost->fate = fate;
}

void Follower::taken(const Host& host, Bytes frame) {
  const auto seen = look(frame);
  Flow* const flow = seen ? find(*seen) : nullptr;
  if (flow == nullptr) return;
  const Place place = place_of(*flow, *seen, [&](const Passage& passage) {
    return passage.to->node == &host && passage.is_here && !passage.taken;
  });
  if (place) place->taken = world_now();
  if (flow->target != &host) return;
  if (place && place.sending->arrival == none && place->end == place.sending->end)
    place.sending->arrival = place.passage;
  arrived_at_target(*flow, *seen, place.sending);
}

/// What the receiver's stack has now, and what it has learned that the other one has.
void Follower::arrived_at_target(Flow& flow, const Seen& seen, const Sending* sending) {
  const FlowKey& key = seen.flow;
  const Instant now = world_now();
  const auto reached = [&](std::deque<Mark>& marks, std::uint32_t position) {
    if (!marks.empty() && !is_after(position, marks.back().to)) return;
    const std::uint32_t from = marks.empty() ? position : marks.back().to;
    keep(marks, Mark{from, position, now, now});
  };
  if (key.is_tcp) {
    stack::Host* const stack = flow.target->stack();
    const auto* const connection =
        stack == nullptr ? nullptr : stack->find_tcp(key.target, key.source);
    if (connection == nullptr) return;
    reached(flow.had, connection->rcv_nxt().value);
    if (const auto back = flows_.find(key.reverse()); back != flows_.end())
      reached(back->second.acked, connection->snd_una().value);
    return;
  }
  if (sending == nullptr) return;
  const auto write = std::ranges::find(flow.writes, sending->number, &Write::from);
  if (write == flow.writes.end()) return;
  const std::uint32_t whole = write->bytes + std::uint32_t{UdpHeader::size};
  if (covered(write->pieces) == whole) return;  // one of two
  write->pieces.emplace_back(seen.begin, seen.end);
  if (covered(write->pieces) == whole) keep(flow.had, Mark{write->from, write->to, now, now});
}

}  // namespace koine::sim
