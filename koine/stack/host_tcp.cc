// Connections and listeners of a host: finding them, making them, and writing their segments.
#include <algorithm>

#include "koine/stack/host.h"
#include "koine/stack/host_sockets.h"
#include "koine/wire/ethernet.h"
#include "koine/wire/tcp.h"

namespace koine::stack {

using namespace wire;
using tcp::Segment;

namespace {

constexpr Duration cookie_period = 64s;
constexpr std::uint16_t cookie_sizes[] = {536, 1220, 1440, 1460};

Checksum pseudo_of(const Ip& source, const Ip& target, std::size_t size) {
  return target.is_v4() ? pseudo_header(source.v4(), target.v4(), IpProtocol::tcp, size)
                        : pseudo_header(source.bits, target.bits, IpProtocol::tcp, size);
}

}  // namespace

// RFC 6528: a hash of the connection, and a clock of 4 microseconds that keeps old and new apart.
std::uint32_t Host::initial_sequence(const TcpKey& key, Instant now) const {
  const std::uint64_t hash =
      secret_({key.local.ip.bits.high, key.local.ip.bits.low, key.remote.ip.bits.high,
               key.remote.ip.bits.low, std::uint64_t{key.local.port} << 16 | key.remote.port, 1});
  return static_cast<std::uint32_t>(hash) +
         static_cast<std::uint32_t>(now.time_since_epoch() / 4us);
}

SocketId Host::listener_for(const IpPort& local) const {
  for (const Ip& ip : {local.ip, local.ip.is_v4() ? Ip(Ipv4Address{}) : Ip(), Ip()}) {
    const auto found = listeners_.find({ip, local.port});
    if (found != listeners_.end()) return found->second;
  }
  return {};
}

Result<SocketId> Host::tcp_listen(const IpPort& local, int backlog) {
  IpPort at = local;
  if (!at.ip.is_unspecified() && !is_own(at.ip)) return fail(Fault::address_unavailable, "listen");
  if (at.port == 0) {
    constexpr unsigned first = 49'152;
    constexpr unsigned count = 16'384;
    const auto start = static_cast<unsigned>(chance_.below(count));
    for (unsigned i = 0; i < count; ++i) {
      at.port = static_cast<std::uint16_t>(first + (start + i) % count);
      if (!listeners_.contains(at)) break;
      if (i + 1 == count) return fail(Fault::exhausted, "listen");
    }
  }
  if (listeners_.contains(at)) return fail(Fault::address_in_use, "listen");
  const SocketId id = allocate();
  slot(id)->listener = std::make_unique<Listener>(
      Listener{at, static_cast<std::size_t>(std::max(backlog, 1)), 0, {}});
  listeners_[at] = id;
  return id;
}

Result<SocketId> Host::tcp_accept(SocketId id, Instant) {
  Slot* const found = slot(id);
  if (found == nullptr || !found->listener) return fail(Fault::closed, "accept");
  auto& complete = found->listener->complete;
  while (!complete.empty()) {
    const SocketId connection = complete.front();
    complete.pop_front();
    Slot* const accepted = slot(connection);
    if (accepted == nullptr) continue;  // reset meanwhile
    accepted->tcp->owned = true;
    accepted->tcp->listener = {};
    tell(connection, tcp::event_writable |
                         (accepted->tcp->connection.readable() > 0 ? tcp::event_readable : 0));
    return connection;
  }
  return fail(Fault::would_block, "accept");
}

// RFC 6056, algorithm 3: for each destination another beginning, and from there in order.
std::optional<std::uint16_t> Host::free_port(const Ip& local, const IpPort& remote) {
  constexpr std::uint32_t first = 32'768;
  constexpr std::uint32_t count = 28'232;
  const auto offset = static_cast<std::uint32_t>(secret_(
      {local.bits.high, local.bits.low, remote.ip.bits.high, remote.ip.bits.low, remote.port, 2}));
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto port = static_cast<std::uint16_t>(first + (offset + port_offset_++) % count);
    if (!table_.find({{local, port}, remote})) return port;
  }
  return std::nullopt;
}

SocketId Host::make_connection(const TcpKey& key, Seq iss, bool passive, SocketId listener,
                               Instant now) {
  const bool v4 = key.remote.ip.is_v4();
  const std::size_t headers = v4 ? 40 : 60;
  const auto hop = hop_to(key.remote.ip, key.local.ip);
  const std::size_t link_mtu = hop ? hop->mtu : 1500;
  tcp::Opening opening;
  opening.iss = iss;
  opening.timestamp_offset = static_cast<std::uint32_t>(
      secret_({key.local.ip.bits.low, key.remote.ip.bits.low,
               std::uint64_t{key.local.port} << 16 | key.remote.port, 3}));
  opening.mss = static_cast<std::uint16_t>(std::min<std::size_t>(link_mtu, 65'535) - headers);
  opening.mss_default = v4 ? 536 : 1220;
  opening.passive = passive;
  const SocketId id = allocate();
  slots_[id.index].tcp = std::make_unique<TcpSocket>(TcpSocket{
      .connection = tcp::Connection(environment_, opening), .key = key, .listener = listener});
  const std::size_t path = path_mtu(key.remote.ip, link_mtu, now);
  if (path < link_mtu)
    slots_[id.index].tcp->connection.path_grew(static_cast<std::uint16_t>(path - headers));
  table_.insert(key, id.index);
  return id;
}

Result<SocketId> Host::tcp_connect(const IpPort& remote, Instant now, const IpPort& local) {
  const auto hop = hop_to(remote.ip, local.ip);
  if (!hop || remote.ip.is_multicast() || remote.ip.is_unspecified() || remote.port == 0)
    return fail(Fault::unreachable, "connect");
  if (!is_own(hop->source)) return fail(Fault::address_unavailable, "connect");
  TcpKey key{{hop->source, local.port}, remote};
  if (key.local.port == 0) {
    const auto port = free_port(key.local.ip, remote);
    if (!port) return fail(Fault::exhausted, "connect");
    key.local.port = *port;
  } else if (table_.find(key)) {
    return fail(Fault::address_in_use, "connect");
  }
  const SocketId id = make_connection(key, {initial_sequence(key, now)}, false, {}, now);
  slots_[id.index].tcp->owned = true;
  slots_[id.index].tcp->connection.connect(now);
  ready(id);
  return id;
}

tcp::Connection* Host::tcp(SocketId id) {
  Slot* const found = slot(id);
  return found == nullptr || !found->tcp ? nullptr : &found->tcp->connection;
}
const tcp::Connection* Host::find_tcp(const IpPort& local, const IpPort& remote) const {
  const auto index = table_.find({local, remote});
  return index ? &slots_[*index].tcp->connection : nullptr;
}
void Host::touch(SocketId id) {
  if (tcp(id) != nullptr) ready(id);
}

Result<std::size_t> Host::tcp_read(SocketId id, MutableBytes into, Instant now) {
  tcp::Connection* const connection = tcp(id);
  if (connection == nullptr) return fail(Fault::closed, "read");
  auto result = connection->read_now(into, now);
  if (result) ready(id);
  return result;
}

Result<std::size_t> Host::tcp_write(SocketId id, Bytes from, Instant now) {
  tcp::Connection* const connection = tcp(id);
  if (connection == nullptr) return fail(Fault::closed, "write");
  auto result = connection->write_now(from, now);
  if (result) ready(id);
  return result;
}

Result<void> Host::tcp_finish(SocketId id, Instant now) {
  tcp::Connection* const connection = tcp(id);
  if (connection == nullptr) return fail(Fault::closed, "finish");
  auto result = connection->finish(now);
  ready(id);
  return result;
}

void Host::tcp_abort(SocketId id, Instant) {
  Slot* const found = slot(id);
  if (found == nullptr || !found->tcp) return;
  found->tcp->owned = false;
  found->tcp->connection.abort();
  ready(id);
}

void Host::ready(SocketId id) {
  Slot* const found = slot(id);
  if (found == nullptr || !found->tcp) return;
  if (!found->tcp->in_ready) {
    found->tcp->in_ready = true;
    ready_.push_back(id);
  }
}

// What follows from a connection's state: events, its alarm, its end.
void Host::settle(SocketId id) {
  Slot* const found = slot(id);
  if (found == nullptr || !found->tcp) return;
  TcpSocket& socket = *found->tcp;
  const std::uint8_t what = socket.connection.take_events();
  if ((what & tcp::event_connected) != 0 && socket.half_open) {
    socket.half_open = false;
    if (Slot* const listener = slot(socket.listener); listener != nullptr && listener->listener) {
      --listener->listener->half_open;
      listener->listener->complete.push_back(id);
      tell(socket.listener, event_acceptable);
    }
  }
  if (socket.owned) tell(id, what);
  if (socket.connection.closed() && !socket.owned) {
    const bool waits = slot(socket.listener) != nullptr && !socket.half_open &&
                       !socket.connection.fault() && socket.connection.readable() > 0;
    if (!waits) {
      forget(id);
      return;
    }
  }
  if (socket.in_ready) return;  // until it has nothing to send, its deadline is now
  const Instant next = socket.connection.next_deadline();
  if (next < socket.armed) {
    socket.armed = next;
    arm(id, next);
  }
}

void Host::input_tcp(const Meta& meta, Bytes bytes, Instant now) {
  const auto view = TcpView::of(bytes);
  if (!view || !view->is_intact(pseudo_of(meta.source, meta.target, bytes.size()))) {
    ++counters_.malformed;
    return;
  }
  if (meta.multicast) return;  // RFC 9293, section 3.9.2.3: MUST-57
  const TcpKey key{{meta.target, view->target_port()}, {meta.source, view->source_port()}};
  const Segment segment{view->header(), view->payload()};
  const auto index = table_.find(key);
  if (!index) {
    const SocketId listener = listener_for(key.local);
    if (slot(listener) != nullptr) {
      input_listener(listener, key, segment, now);
    } else {
      answer_closed(key, segment, now);
    }
    return;
  }
  const SocketId id{*index, slots_[*index].generation};
  TcpSocket& socket = *slots_[*index].tcp;
  if (socket.half_open && segment.header.flags.has(tcp_ack) && !segment.header.flags.has(tcp_rst)) {
    // No room in the accept queue: the handshake is not over yet, as far as we know.
    const Slot* const listener = slot(socket.listener);
    if (listener != nullptr && listener->listener &&
        listener->listener->complete.size() >= listener->listener->backlog) {
      ++counters_.syns_dropped;
      return;
    }
  }
  const Seq before = socket.connection.snd_una();
  tcp::Answer answer = socket.connection.input(segment, now);
  if (answer.reset) send_tcp_header(key, *answer.reset, now);
  if (answer.reopen) {
    const SocketId listener = listener_for(key.local);
    if (slot(listener) == nullptr) return;
    if (socket.owned) {
      // The application has not closed its end: the number stays, the address pair is free.
      socket.connection.abort();
    }
    forget(id);
    input_listener(listener, key, segment, now);
    return;
  }
  if (socket.connection.snd_una() != before) {
    // Progress: the way there works (RFC 4861, section 7.3.1).
    if (const auto hop = hop_to(key.remote.ip, key.local.ip); hop && hop->nic != loop)
      neighbors_.confirm(hop->nic, hop->next, now);
  }
  ready(id);
  settle(id);
}

// RFC 9293, section 3.10.7.1.
void Host::answer_closed(const TcpKey& key, const Segment& segment, Instant now) {
  const TcpHeader& header = segment.header;
  if (header.flags.has(tcp_rst)) return;
  if (header.flags.has(tcp_ack)) {
    send_tcp_header(key, TcpHeader{.seq = header.ack, .flags = tcp_rst}, now);
  } else {
    send_tcp_header(
        key, TcpHeader{.ack = header.seq + segment.length(), .flags = tcp_rst | tcp_ack}, now);
  }
}

// RFC 9293, section 3.10.7.2, with a bounded SYN queue.
void Host::input_listener(SocketId id, const TcpKey& key, const Segment& segment, Instant now) {
  const TcpHeader& header = segment.header;
  Listener& listener = *slot(id)->listener;
  if (header.flags.has(tcp_rst)) return;
  if (header.flags.has(tcp_ack)) {
    const auto mss = options_.syn_cookies && !header.flags.has(tcp_syn)
                         ? cookie_mss(key, segment, now)
                         : std::nullopt;
    if (!mss || listener.complete.size() >= listener.backlog) {
      if (!mss) send_tcp_header(key, TcpHeader{.seq = header.ack, .flags = tcp_rst}, now);
      return;
    }
    const SocketId made = make_connection(key, header.ack - 1, true, id, now);
    TcpSocket& socket = *slots_[made.index].tcp;
    socket.half_open = true;
    ++listener.half_open;
    socket.connection.accept_cookie(segment, TcpOptions{.mss = *mss}, now);
    const tcp::Answer answer = socket.connection.input(segment, now);
    if (answer.reset) send_tcp_header(key, *answer.reset, now);
    ready(made);
    settle(made);
    return;
  }
  if (!header.flags.has(tcp_syn)) return;
  if (listener.complete.size() >= listener.backlog) {
    ++counters_.syns_dropped;  // in silence: the peer tries again, and there may be room then
    return;
  }
  if (listener.half_open >= options_.syn_queue_max) {
    if (!options_.syn_cookies) {
      ++counters_.syns_dropped;
      return;
    }
    ++counters_.cookies_sent;
    const std::uint16_t theirs = header.options.mss.value_or(536);
    unsigned mss_index = 0;
    while (mss_index + 1 < std::size(cookie_sizes) && cookie_sizes[mss_index + 1] <= theirs)
      ++mss_index;
    const auto period = static_cast<std::uint64_t>(now.time_since_epoch() / cookie_period);
    TcpHeader reply{.seq = {cookie_for(key, header.seq, period, mss_index)},
                    .ack = header.seq + 1,
                    .flags = tcp_syn | tcp_ack,
                    .window = static_cast<std::uint16_t>(
                        std::min(options_.profile.receive_buffer_initial, 65'535u))};
    const auto hop = hop_to(key.remote.ip, key.local.ip);
    if (hop)
      reply.options.mss = static_cast<std::uint16_t>(std::min<std::size_t>(hop->mtu, 65'535) -
                                                     (key.remote.ip.is_v4() ? 40 : 60));
    send_tcp_header(key, reply, now);
    return;
  }
  const SocketId made = make_connection(key, {initial_sequence(key, now)}, true, id, now);
  TcpSocket& socket = *slots_[made.index].tcp;
  socket.half_open = true;
  ++listener.half_open;
  socket.connection.accept(segment, now);
  ready(made);
}

// 5 bits of time, 3 of segment size, 24 of a hash that only we can make.
std::uint32_t Host::cookie_for(const TcpKey& key, Seq irs, std::uint64_t period,
                               unsigned mss_index) const {
  const std::uint64_t hash =
      secret_({key.local.ip.bits.high, key.local.ip.bits.low, key.remote.ip.bits.high,
               key.remote.ip.bits.low, std::uint64_t{key.local.port} << 16 | key.remote.port,
               irs.value, period, mss_index});
  return static_cast<std::uint32_t>((period & 31) << 27 | mss_index << 24 | (hash & 0xff'ffff));
}

std::optional<std::uint16_t> Host::cookie_mss(const TcpKey& key, const Segment& ack,
                                              Instant now) const {
  const std::uint32_t cookie = ack.header.ack.value - 1;
  const auto period = static_cast<std::uint64_t>(now.time_since_epoch() / cookie_period);
  const unsigned mss_index = cookie >> 24 & 7;
  if (mss_index >= std::size(cookie_sizes)) return std::nullopt;
  for (std::uint64_t age = 0; age < 2 && age <= period; ++age)
    if (cookie_for(key, ack.header.seq - 1, period - age, mss_index) == cookie)
      return cookie_sizes[mss_index];
  return std::nullopt;
}

void Host::send_tcp_header(const TcpKey& key, TcpHeader header, Instant now) {
  header.source_port = key.local.port;
  header.target_port = key.remote.port;
  Packet bytes(header.size());
  write(header, pseudo_of(key.local.ip, key.remote.ip, bytes.size()), {}, bytes);
  (void)send_ip(key.local.ip, key.remote.ip, IpProtocol::tcp, bytes, now);
}

// Writes the whole frame to the front of `room`; zero if the packet went elsewhere.
std::size_t Host::write_segment(TcpSocket& socket, const tcp::Departure& departure, Instant now,
                                MutableBytes room, int& nic) {
  const TcpKey& key = socket.key;
  const auto hop = hop_to(key.remote.ip, key.local.ip);
  if (!hop) {
    ++counters_.no_route;
    return 0;
  }
  nic = hop->nic;
  TcpHeader header = departure.header;
  header.source_port = key.local.port;
  header.target_port = key.remote.port;
  const bool v4 = key.remote.ip.is_v4();
  const std::size_t ip_size = v4 ? Ipv4Header::size_min : Ipv6Header::size;
  const std::size_t tcp_size = header.size();
  const std::size_t segment_size = tcp_size + departure.data_size;
  const bool ethernet = nic != loop && nics_[static_cast<std::size_t>(nic)].options.ethernet;
  const auto compose = [&](MutableBytes packet) {
    const MutableBytes data = packet.subspan(ip_size + tcp_size, departure.data_size);
    socket.connection.copy_data(departure, data);
    write(header, pseudo_of(key.local.ip, key.remote.ip, segment_size), partial_sum(data),
          packet.subspan(ip_size));
    if (v4) {
      // Don't-fragment asks the path for its MTU; an atomic packet's ID says nothing (RFC 6864).
      write(Ipv4Header{.source = key.local.ip.v4(),
                       .target = key.remote.ip.v4(),
                       .protocol = IpProtocol::tcp,
                       .ttl = options_.ttl,
                       .identification = static_cast<std::uint16_t>(++identification_),
                       .dont_fragment = true},
            segment_size, packet);
    } else {
      write(Ipv6Header{.source = key.local.ip.bits,
                       .target = key.remote.ip.bits,
                       .protocol = IpProtocol::tcp,
                       .hop_limit = options_.ttl},
            segment_size, packet);
    }
  };
  const auto mac = ethernet ? mac_of(*hop, key.remote.ip, now) : std::nullopt;
  if (nic == loop || (ethernet && !mac)) {
    Packet packet(ip_size + segment_size);
    compose(packet);
    if (nic == loop) {
      loop_.push_back(std::move(packet));
    } else {
      neighbors_.hold(nic, hop->next, std::move(packet));
      run_timers(now);  // the question leaves at once
    }
    return 0;
  }
  const std::size_t link_size = ethernet ? EthernetHeader::size : 0;
  const std::size_t size = link_size + ip_size + segment_size;
  if (room.size() < std::max(size, ethernet ? ethernet_frame_min : 0)) return 0;
  if (ethernet)
    write(EthernetHeader{*mac, nics_[static_cast<std::size_t>(nic)].options.mac,
                         v4 ? EtherType::ipv4 : EtherType::ipv6},
          room);
  compose(room.subspan(link_size));
  if (!ethernet || size >= ethernet_frame_min) return size;
  std::fill(room.begin() + static_cast<std::ptrdiff_t>(size), room.begin() + ethernet_frame_min,
            std::byte{0});
  return ethernet_frame_min;
}

}  // namespace koine::stack
