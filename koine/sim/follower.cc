// Flows, and what the programs at their ends write and read.
#include "koine/sim/follower.h"

#include <algorithm>

#include "koine/sim/sockets.h"
#include "koine/sim/world.h"

namespace koine::sim {
namespace {

/// How much of a datagram tells it from others that wait to leave, or to be read.
constexpr std::size_t beginning_max = 64;

std::vector<std::byte> beginning_of(Bytes data) {
  const Bytes beginning = data.first(std::min(data.size(), beginning_max));
  return {beginning.begin(), beginning.end()};
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
    const auto begin = [&](std::deque<Mark>& marks, wire::Seq at) {
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

void Follower::expect(const FlowKey& key, std::uint32_t begin, std::uint32_t end,
                      const TraceId& trace) {
  const auto found = flows_.find(key);
  if (found != flows_.end()) keep(found->second.messages, Announced{begin, end, trace});
}

std::optional<std::uint32_t> Follower::expected_end(const FlowKey& key,
                                                    const TraceId& trace) const {
  const Flow* const flow = find(key);
  if (flow == nullptr || trace == TraceId()) return std::nullopt;
  const auto message = std::ranges::find(flow->messages, trace, &Announced::trace);
  return message == flow->messages.end() ? std::nullopt : std::optional(message->to);
}

const Follower::Flow* Follower::find(const FlowKey& flow) const {
  const auto found = flows_.find(flow);
  return found == flows_.end() ? nullptr : &found->second;
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
