// Configuration, sockets as numbers, events, and the order in which frames leave.
#include "koine/stack/host.h"

#include <algorithm>

#include "koine/stack/host_sockets.h"

namespace koine::stack {

Host::Host(const HostOptions& options)
    : options_(options),
      chance_(options.seed),
      secret_{chance_(), chance_()},  // braces: in this order, whoever compiles
      environment_(options.profile, chance_()),
      icmp_tokens_(50, 1000),
      table_(chance_()) {
  identification_ = static_cast<std::uint32_t>(chance_());
  port_offset_ = static_cast<std::uint32_t>(chance_());
}

Host::~Host() = default;

int Host::add_nic(const NicOptions& options) {
  nics_.emplace_back().options = options;
  return static_cast<int>(nics_.size()) - 1;
}

void Host::add_route(const Ip& prefix, int length, int nic, const Ip& gateway) {
  set_route(prefix, length, {{nic, gateway}});
}

void Host::add_default_route(int nic, const Ip& gateway) {
  const Ip any = gateway.is_v4() ? Ip(wire::Ipv4Address{}) : Ip();
  set_route(any, 0, {{nic, gateway}});
}

bool Host::is_own(const Ip& address) const {
  if (address.is_loopback()) return true;
  for (const Nic& nic : nics_)
    for (const Nic::Address& own : nic.addresses)
      if (own.ip == address) return true;
  return false;
}

SocketId Host::allocate() {
  if (free_slots_.empty()) {
    slots_.emplace_back();
    return {static_cast<std::uint32_t>(slots_.size() - 1), 0};
  }
  const std::uint32_t index = free_slots_.back();
  free_slots_.pop_back();
  return {index, slots_[index].generation};
}

Host::Slot* Host::slot(SocketId id) {
  if (id.index >= slots_.size() || slots_[id.index].generation != id.generation) return nullptr;
  return &slots_[id.index];
}
const Host::Slot* Host::slot(SocketId id) const {
  if (id.index >= slots_.size() || slots_[id.index].generation != id.generation) return nullptr;
  return &slots_[id.index];
}

void Host::forget(SocketId id) {
  Slot* const found = slot(id);
  if (found == nullptr) return;
  if (found->tcp) {
    table_.erase(found->tcp->key);
    if (found->tcp->half_open)
      if (Slot* listener = slot(found->tcp->listener); listener != nullptr && listener->listener)
        --listener->listener->half_open;
  }
  found->tcp.reset();
  found->udp.reset();
  found->listener.reset();
  found->events = 0;
  found->event_queued = false;
  ++found->generation;
  free_slots_.push_back(id.index);
}

void Host::tell(SocketId id, std::uint8_t what) {
  Slot* const found = slot(id);
  if (found == nullptr || what == 0) return;
  found->events |= what;
  if (found->event_queued) return;
  found->event_queued = true;
  events_.push_back({id, 0});
}

std::optional<Event> Host::poll_event() {
  while (!events_.empty()) {
    Event event = events_.front();
    events_.pop_front();
    Slot* const found = slot(event.socket);
    if (found == nullptr) continue;
    event.what = found->events;
    found->events = 0;
    found->event_queued = false;
    return event;
  }
  return std::nullopt;
}

std::optional<EchoReply> Host::poll_echo() {
  if (echoes_.empty()) return std::nullopt;
  const EchoReply reply = echoes_.front();
  echoes_.pop_front();
  return reply;
}

void Host::close(SocketId id, Instant now) {
  Slot* const found = slot(id);
  if (found == nullptr) return;
  if (found->tcp) {
    found->tcp->owned = false;
    found->tcp->connection.close(now);
    ready(id);
    return;
  }
  if (found->listener) {
    listeners_.erase(found->listener->local);
    for (const SocketId waiting : found->listener->complete) tcp_abort(waiting, now);
    for (std::uint32_t i = 0; i < slots_.size(); ++i) {
      TcpSocket* const socket = slots_[i].tcp.get();
      if (socket == nullptr || socket->listener != id || !socket->half_open) continue;
      tcp_abort({i, slots_[i].generation}, now);
    }
  }
  if (found->udp) {
    auto& users = udp_ports_[found->udp->local.port];
    std::erase(users, id);
    if (users.empty()) udp_ports_.erase(found->udp->local.port);
  }
  forget(id);
}

std::optional<IpPort> Host::local(SocketId id) const {
  const Slot* const found = slot(id);
  if (found == nullptr) return std::nullopt;
  if (found->tcp) return found->tcp->key.local;
  if (found->listener) return found->listener->local;
  if (found->udp) return found->udp->local;
  return std::nullopt;
}

std::optional<IpPort> Host::remote(SocketId id) const {
  const Slot* const found = slot(id);
  if (found == nullptr) return std::nullopt;
  if (found->tcp) return found->tcp->key.remote;
  if (found->udp) return found->udp->peer;
  return std::nullopt;
}

void Host::arm(SocketId id, Instant at) {
  alarms_.push_back({at, id});
  std::push_heap(alarms_.begin(), alarms_.end());
}

void Host::run_timers(Instant now) {
  while (!alarms_.empty() && alarms_.front().at <= now) {
    const Alarm alarm = alarms_.front();
    std::pop_heap(alarms_.begin(), alarms_.end());
    alarms_.pop_back();
    Slot* const found = slot(alarm.socket);
    if (found == nullptr || !found->tcp || found->tcp->armed != alarm.at) continue;
    found->tcp->armed = Instant::max();
    ready(alarm.socket);  // it finds out itself whether anything is due
  }
  while (auto task = neighbors_.poll(now)) {
    if (!task->is_failure) {
      ask(*task);
      continue;
    }
    forget_gateway(task->nic, task->ip);
    for (const Packet& packet : task->failed) undeliverable(packet, now);
  }
  for (std::size_t nic = 0; nic < nics_.size(); ++nic)
    if (nics_[nic].autoconf) run_autoconf(static_cast<int>(nic), now);
  while (auto expired = fragments_.expire(now)) {
    if (expired->first_packet.empty()) continue;  // RFC 792: only with the first piece
    if (expired->key.source.is_v4()) {
      send_error_v4(wire::Icmpv4Header::time_exceeded(wire::icmpv4_time_exceeded::in_reassembly),
                    expired->first_packet, now);
    } else {
      send_error_v6(wire::Icmpv6Header::time_exceeded(wire::icmpv6_time_exceeded::in_reassembly),
                    expired->first_packet, now);
    }
  }
}

Instant Host::next_deadline() const {
  Instant next = std::min(neighbors_.next_deadline(), fragments_.next_deadline());
  if (!alarms_.empty()) next = std::min(next, alarms_.front().at);
  for (const Nic& nic : nics_)
    if (nic.autoconf) next = std::min(next, nic.autoconf->next_deadline());
  return next;
}

std::optional<Transmit> Host::poll_transmit(Instant now, MutableBytes room) {
  run_timers(now);
  for (;;) {
    if (!loop_.empty()) {
      const Packet packet = std::move(loop_.front());
      loop_.pop_front();
      input_ip(loop, packet, now);
      continue;
    }
    if (!out_.empty()) {
      const Outgoing next = std::move(out_.front());
      out_.pop_front();
      if (next.frame.size() > room.size()) continue;
      std::copy(next.frame.begin(), next.frame.end(), room.begin());
      ++counters_.frames_out;
      return Transmit{next.nic, next.frame.size(), next.forwarded};
    }
    if (ready_.empty()) return std::nullopt;
    const SocketId id = ready_.front();
    Slot* const found = slot(id);
    if (found == nullptr || !found->tcp) {
      ready_.pop_front();
      continue;
    }
    const auto departure = found->tcp->connection.poll_transmit(now);
    // Two timeouts are advice against the way there (RFC 1122, section 3.3.1.4): the router that
    // told of a shorter one is asked again.
    if (!redirects_.empty() && found->tcp->connection.timeouts_in_row() >= 2)
      redirects_.erase(found->tcp->key.remote.ip);
    if (!departure) {
      ready_.pop_front();
      found->tcp->in_ready = false;
      settle(id);
      continue;
    }
    int nic = 0;
    const std::size_t size = write_segment(*found->tcp, *departure, now, room, nic);
    if (size == 0) continue;  // to ourselves, or waiting for a neighbor
    ++counters_.frames_out;
    return Transmit{nic, size, false};
  }
}

}  // namespace koine::stack
