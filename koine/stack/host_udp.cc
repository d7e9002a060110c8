// UDP sockets (RFC 768; RFC 1122, section 4.1).
#include <algorithm>

#include "koine/stack/host.h"
#include "koine/stack/host_sockets.h"
#include "koine/wire/udp.h"

namespace koine::stack {

using namespace wire;

namespace {

/// Does a socket bound to `bound` hear what is sent to `target`? :: hears both versions.
bool hears(const Ip& bound, const Ip& target) {
  if (bound == target || bound == Ip()) return true;
  return bound.is_unspecified() && target.is_v4();
}

}  // namespace

bool Host::udp_port_taken(const IpPort& local) const {
  const auto users = udp_ports_.find(local.port);
  if (users == udp_ports_.end()) return false;
  for (const SocketId id : users->second) {
    const Ip& other = slot(id)->udp->local.ip;
    if (hears(other, local.ip) || hears(local.ip, other)) return true;
  }
  return false;
}

Result<SocketId> Host::udp_bind(const IpPort& local) {
  IpPort at = local;
  if (!at.ip.is_unspecified() && !is_own(at.ip)) return fail(Fault::address_unavailable);
  if (at.port == 0) {
    constexpr unsigned first = 49'152;
    constexpr unsigned count = 16'384;
    const auto start = static_cast<unsigned>(chance_.below(count));
    for (unsigned i = 0; i < count; ++i) {
      at.port = static_cast<std::uint16_t>(first + (start + i) % count);
      if (!udp_port_taken(at)) break;
      if (i + 1 == count) return fail(Fault::exhausted);
    }
  } else if (udp_port_taken(at)) {
    return fail(Fault::address_in_use);
  }
  const SocketId id = allocate();
  slot(id)->udp = std::make_unique<UdpSocket>();
  slot(id)->udp->local = at;
  udp_ports_[at.port].push_back(id);
  return id;
}

Result<void> Host::udp_connect(SocketId id, const IpPort& peer) {
  Slot* const found = slot(id);
  if (found == nullptr || !found->udp) return fail(Fault::closed);
  if (!hop_to(peer.ip)) return fail(Fault::unreachable);
  found->udp->peer = peer;
  return {};
}

Result<void> Host::udp_send(SocketId id, Bytes from, const IpPort& to, Instant now) {
  Slot* const found = slot(id);
  if (found == nullptr || !found->udp) return fail(Fault::closed);
  const UdpSocket& socket = *found->udp;
  const std::size_t size_max = to.ip.is_v4() ? 65'507 : 65'527;
  if (from.size() > size_max) return fail(Fault::over_limit);
  if (to.port == 0) return fail(Fault::address_unavailable);
  const auto hop = hop_to(to.ip, socket.local.ip);
  if (!hop || hop->source.is_v4() != to.ip.is_v4()) {
    ++counters_.no_route;
    return fail(Fault::unreachable);
  }
  Packet datagram(UdpHeader::size + from.size());
  std::copy(from.begin(), from.end(), datagram.begin() + UdpHeader::size);
  const Checksum pseudo =
      to.ip.is_v4() ? pseudo_header(hop->source.v4(), to.ip.v4(), IpProtocol::udp, datagram.size())
                    : pseudo_header(hop->source.bits, to.ip.bits, IpProtocol::udp, datagram.size());
  write(UdpHeader{socket.local.port, to.port}, pseudo, from.size(), partial_sum(from), datagram);
  return send_ip(hop->source, to.ip, IpProtocol::udp, datagram, now);
}

std::optional<Ip> Host::source_towards(const Ip& target) const {
  const auto hop = hop_to(target);
  return hop ? std::optional(hop->source) : std::nullopt;
}

Result<Host::Received> Host::udp_receive(SocketId id, MutableBytes into) {
  Slot* const found = slot(id);
  if (found == nullptr || !found->udp) return fail(Fault::closed);
  UdpSocket& socket = *found->udp;
  if (socket.fault) {
    const Fault fault = *socket.fault;
    socket.fault.reset();
    return fail(fault);
  }
  if (socket.waiting.empty()) return fail(Fault::would_block);
  const UdpSocket::Datagram datagram = std::move(socket.waiting.front());
  socket.waiting.pop_front();
  socket.bytes -= datagram.data.size();
  const std::size_t count = std::min(into.size(), datagram.data.size());
  std::copy_n(datagram.data.begin(), count, into.begin());
  return Received{count, datagram.from, count < datagram.data.size()};
}

// The most particular socket: connected to the sender, bound to the address, or to any.
SocketId Host::udp_for(const IpPort& local, const IpPort& remote) const {
  SocketId best;
  int best_score = 0;
  const auto users = udp_ports_.find(local.port);
  if (users == udp_ports_.end()) return best;
  for (const SocketId id : users->second) {
    const UdpSocket& socket = *slot(id)->udp;
    if (!hears(socket.local.ip, local.ip)) continue;
    if (socket.peer && *socket.peer != remote) continue;
    const int score = 1 + (socket.local.ip == local.ip ? 1 : 0) + (socket.peer ? 2 : 0);
    if (score <= best_score) continue;
    best_score = score;
    best = id;
  }
  return best;
}

void Host::input_udp(const Meta& meta, Bytes bytes, Instant now) {
  const auto view = UdpView::of(bytes);
  if (!view) {
    ++counters_.malformed;
    return;
  }
  const bool v4 = meta.target.is_v4();
  const bool unsummed = view->checksum() == 0;
  const std::size_t size = view->bytes().size();
  const Checksum pseudo =
      v4 ? pseudo_header(meta.source.v4(), meta.target.v4(), IpProtocol::udp, size)
         : pseudo_header(meta.source.bits, meta.target.bits, IpProtocol::udp, size);
  if (unsummed ? !v4 : !view->is_intact(pseudo)) {
    ++counters_.malformed;
    return;
  }
  const IpPort from{meta.source, view->source_port()};
  const IpPort to{meta.target, view->target_port()};
  const auto put = [&](SocketId id) {
    UdpSocket& socket = *slot(id)->udp;
    const Bytes data = view->payload();
    // What a datagram costs besides its data counts too, or empty ones would be for nothing.
    if (socket.bytes + data.size() > options_.udp_queue_bytes_max ||
        socket.waiting.size() >= 4096) {
      ++counters_.udp_dropped;
      return;
    }
    socket.waiting.push_back({from, Packet(data.begin(), data.end())});
    socket.bytes += data.size();
    tell(id, event_datagram);
  };
  if (meta.multicast) {  // everybody who listens
    const auto users = udp_ports_.find(to.port);
    if (users == udp_ports_.end()) return;
    for (const SocketId id : users->second) {
      const UdpSocket& socket = *slot(id)->udp;
      if (socket.local.ip.is_unspecified() && (!socket.peer || *socket.peer == from)) put(id);
    }
    return;
  }
  const SocketId id = udp_for(to, from);
  if (slot(id) == nullptr) {
    port_unreachable(meta, now);
    return;
  }
  put(id);
}

void Host::udp_failed(const IpPort& local, const IpPort& remote, Fault fault) {
  const SocketId id = udp_for(local, remote);
  Slot* const found = slot(id);
  // Only who is connected hears about it (RFC 1122, section 4.1.3.3, and what all systems do):
  // others could not tell which of their peers it is about.
  if (found == nullptr || !found->udp->peer) return;
  found->udp->fault = fault;
  tell(id, event_datagram);
}

}  // namespace koine::stack
