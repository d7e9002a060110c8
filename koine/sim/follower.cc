#include "koine/sim/follower.h"

#include <algorithm>

#include "koine/sim/sockets.h"
#include "koine/sim/trace.h"
#include "koine/sim/world.h"
#include "koine/wire/ethernet.h"
#include "koine/wire/ipv4.h"
#include "koine/wire/ipv6_extensions.h"
#include "koine/wire/tcp.h"
#include "koine/wire/udp.h"

namespace koine::sim {
namespace {

using namespace wire;

/// How much of a datagram tells it from others that wait to leave, or to be read.
constexpr std::size_t beginning_max = 64;

std::vector<std::byte> beginning_of(Bytes data) {
  const Bytes beginning = data.first(std::min(data.size(), beginning_max));
  return {beginning.begin(), beginning.end()};
}

bool begins_with(Bytes data, Bytes beginning) {
  const std::size_t size = std::min(data.size(), beginning.size());
  return std::ranges::equal(data.first(size), beginning.first(size));
}

/// How many bytes there are in these pieces, from the first one on.
std::uint32_t covered(std::vector<std::pair<std::uint32_t, std::uint32_t>>& pieces) {
  std::ranges::sort(pieces);
  std::uint32_t end = 0;
  for (const auto& [from, to] : pieces)
    if (from <= end) end = std::max(end, to);
  return end;
}

template <class Record>
void keep(std::deque<Record>& records, Record record) {
  if (records.size() == Follower::records_max) records.pop_front();
  records.push_back(std::move(record));
}

}  // namespace

Instant Follower::world_now() const { return world_.timeline().now(); }

journey::Stamp Follower::now() const {
  return journey::Stamp::exactly((world_now().time_since_epoch() + epoch).count());
}

// Flows.

Follower::Flow& Follower::add(const FlowKey& key) {
  const auto [at, is_new] = flows_.try_emplace(key);
  if (is_new) {
    at->second.source = world_.host_of(key.source.ip);
    at->second.target = world_.host_of(key.target.ip);
  }
  return at->second;
}

void Follower::follow(const FlowKey& key) {
  for (const FlowKey& each : {key, key.reverse()}) {
    Flow& flow = add(each);
    if (flow.users++ != 0 || flow.source == nullptr || flow.target == nullptr) continue;
    // Where both ends are now is where the first records begin.
    const auto* const sender = flow.source->stack()->find_tcp(each.source, each.target);
    stack::Host* const there = flow.target->stack();
    const auto* const receiver =
        there == nullptr ? nullptr : there->find_tcp(each.target, each.source);
    if (sender == nullptr) continue;
    const Instant now = world_now();
    const auto begin = [&](std::deque<Mark>& marks, Seq at) {
      marks.push_back({at.value, at.value, now, now});
    };
    const std::uint32_t end = sender->snd_end().value;
    flow.writes.push_back({.from = end, .to = end, .in = now, .out = now});
    begin(flow.acked, sender->snd_una());
    begin(flow.had, receiver == nullptr ? sender->snd_una() : receiver->rcv_nxt());
    begin(flow.reads, receiver == nullptr ? sender->snd_una() : receiver->next_read());
  }
}

void Follower::let_go(const FlowKey& key) {
  for (const FlowKey& each : {key, key.reverse()}) {
    const auto found = flows_.find(each);
    if (found == flows_.end() || --found->second.users != 0) continue;
    flows_.erase(found);
    last_ = current_ = {};
  }
}

void Follower::let_go(Host& host, std::uint16_t port) {
  const auto found = followed_ports_.find({&host, port});
  if (--found->second != 0) return;
  followed_ports_.erase(found);
  std::erase_if(flows_, [&](const auto& each) {
    const auto& [key, flow] = each;
    return !key.is_tcp && !followed_ports_.contains({flow.source, key.source.port}) &&
           !followed_ports_.contains({flow.target, key.target.port});
  });
  last_ = current_ = {};
}

void Follower::expect(const FlowKey& key, std::uint32_t begin, std::uint32_t end) {
  const auto found = flows_.find(key);
  if (found != flows_.end()) keep(found->second.messages, std::pair(begin, end));
}

const Follower::Flow* Follower::find(const FlowKey& flow) const {
  const auto found = flows_.find(flow);
  return found == flows_.end() ? nullptr : &found->second;
}

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
  if (keeps_frames_) {
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

// Programs.

void Follower::written(const FlowKey& key, std::uint32_t taken, std::uint32_t end) {
  const auto found = flows_.find(key);
  if (found == flows_.end()) return;
  std::deque<Write>& writes = found->second.writes;
  const std::uint32_t before = writes.empty() ? taken : writes.back().to;
  if (is_after(end, before)) keep(writes, Write{.from = before, .to = end, .in = world_now()});
  for (Write& write : writes)
    if (!write.out && !is_after(write.to, taken)) write.out = world_now();
}

void Follower::read(const FlowKey& key, std::uint32_t end) {
  const auto found = flows_.find(key);
  if (found == flows_.end()) return;
  Flow& flow = found->second;
  const Instant now = world_now();
  const std::uint32_t from = flow.reads.empty() ? end : flow.reads.back().to;
  keep(flow.reads, Mark{from, end, flow.asked.value_or(now), now});
  flow.asked.reset();
}

void Follower::asks(const FlowKey& key) {
  const auto found = flows_.find(key);
  if (found != flows_.end() && !found->second.asked) found->second.asked = world_now();
}

/// By the socket that sends, or the one that is meant.
bool Follower::is_followed(Host& host, const stack::IpPort& local,
                           const stack::IpPort& target) const {
  for (const auto& [port, users] : followed_ports_) {
    if (port == Port(&host, local.port)) return true;
    if (port.second == target.port && world_.host_of(target.ip) == port.first) return true;
  }
  return false;
}

void Follower::datagram_written(Host& host, const stack::IpPort& local, const stack::IpPort& target,
                                Bytes data) {
  if (!is_followed(host, local, target)) return;
  FlowKey key{local, target, false};
  if (local.ip.is_unspecified()) {
    const auto source = host.stack()->source_towards(target.ip);
    if (!source) return;
    key.source.ip = *source;
  }
  Flow& flow = add(key);
  const std::uint32_t number = flow.datagrams++;
  keep(flow.writes, Write{.from = number,
                          .to = number + 1,
                          .in = world_now(),
                          .out = world_now(),
                          .beginning = beginning_of(data),
                          .bytes = static_cast<std::uint32_t>(data.size())});
  last_written_[{&host, local.port}] = {key, number};
}

void Follower::datagram_read(Host& host, std::uint16_t port, const stack::IpPort& from,
                             Bytes data) {
  const auto asked = asked_.extract({&host, port});
  last_read_.erase({&host, port});
  const Instant now = world_now();
  for (auto& [key, flow] : flows_) {
    if (key.is_tcp || flow.target != &host || key.target.port != port || key.source != from)
      continue;
    for (const Mark& had : flow.had) {
      const auto write = std::ranges::find(flow.writes, had.from, &Write::from);
      if (write == flow.writes.end() || write->was_read || write->bytes < data.size() ||
          !begins_with(data, write->beginning))
        continue;
      write->was_read = true;
      keep(flow.reads, Mark{write->from, write->to, asked ? asked.mapped() : now, now});
      last_read_[{&host, port}] = {key, write->from};
      return;
    }
  }
}

void Follower::datagram_asked(Host& host, std::uint16_t port) {
  asked_.try_emplace({&host, port}, world_now());
}

std::optional<Follower::DatagramAt> Follower::last_written(Host& host, std::uint16_t port) const {
  const auto found = last_written_.find({&host, port});
  return found == last_written_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<Follower::DatagramAt> Follower::last_read(Host& host, std::uint16_t port) const {
  const auto found = last_read_.find({&host, port});
  return found == last_read_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace koine::sim
