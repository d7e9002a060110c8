// A whole TCP/IP host as a state machine: frames, calls and the time go in, frames and events come
// out.
//
//     input(nic, frame, now) ─┐                    ┌─> poll_transmit(now, room): the next frame
//     tcp_..., udp_..., ping ─┼─> Host, one thread ┼─> poll_event(): which socket became ready
//     the deadline passed    ─┘                    └─> next_deadline()
//
// After anything that goes in, call poll_transmit() until it has nothing; then wait for the next
// input or for next_deadline(), and call it again. There is no clock, no thread and no chance
// inside: one seed decides all secrets, so the same calls give the same frames.
//
// Sockets are numbers. A number that was closed is never right again: using it fails with `closed`.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "koine/base/error.h"
#include "koine/base/fifo.h"
#include "koine/base/random.h"
#include "koine/stack/autoconf.h"
#include "koine/stack/fragments.h"
#include "koine/stack/ip.h"
#include "koine/stack/keyed_hash.h"
#include "koine/stack/neighbors.h"
#include "koine/stack/routes.h"
#include "koine/stack/tcp/connection.h"
#include "koine/stack/tcp_table.h"
#include "koine/stack/token_bucket.h"
#include "koine/wire/builder.h"
#include "koine/wire/icmpv4.h"
#include "koine/wire/icmpv6.h"
#include "koine/wire/ipv4.h"
#include "koine/wire/ipv6.h"

namespace koine::stack {

struct HostOptions {
  std::uint64_t seed = 0;
  tcp::Profile profile = tcp::linux_profile();
  bool syn_cookies = true;  ///< RFC 4987, section 3.6: used only while the SYN queue is full
  std::uint32_t syn_queue_max = 256;          ///< half-open connections of one listener
  std::size_t udp_queue_bytes_max = 1 << 20;  ///< waiting at one UDP socket
  std::uint8_t ttl = 64;
  bool forwards = false;  ///< a router: packets for others are sent on
};

struct NicOptions {
  bool ethernet = true;  ///< or bare IP packets, as on a TUN device
  wire::Mac mac{};
  std::uint16_t mtu = 1500;
};

struct SocketId {
  std::uint32_t index = 0xffff'ffff;
  std::uint32_t generation = 0;

  friend constexpr auto operator<=>(SocketId, SocketId) = default;
};

/// Bits of Event::what beyond tcp::Events.
inline constexpr std::uint8_t event_acceptable = 32;
inline constexpr std::uint8_t event_datagram = 64;  ///< a datagram, or a failure to report

struct Event {
  SocketId socket{};
  std::uint8_t what = 0;  ///< tcp::Events and the above, as bits
};

struct Transmit {
  int nic = 0;
  std::size_t size = 0;
  bool forwarded = false;  ///< somebody else's, sent on
};

struct HostCounters {
  std::uint64_t frames_in = 0;
  std::uint64_t frames_out = 0;
  std::uint64_t malformed = 0;  ///< headers that cannot be, or wrong checksums
  std::uint64_t not_for_us = 0;
  std::uint64_t no_route = 0;
  std::uint64_t forwarded = 0;
  std::uint64_t ttl_expired = 0;  ///< of packets for others
  std::uint64_t icmp_out = 0;
  std::uint64_t icmp_suppressed = 0;  ///< by the rate limit
  std::uint64_t syns_dropped = 0;     ///< the accept queue was full
  std::uint64_t cookies_sent = 0;
  std::uint64_t udp_dropped = 0;  ///< the socket's queue was full
  std::uint64_t address_conflicts = 0;
  std::uint64_t redirects_in = 0;  ///< that were believed
  std::uint64_t redirects_out = 0;
};

/// The answer to a ping.
struct EchoReply {
  Ip from{};
  std::uint16_t identifier = 0;
  std::uint16_t sequence = 0;
  std::size_t size = 0;
};

class Host {
 public:
  explicit Host(const HostOptions& options);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // Configuration.

  int add_nic(const NicOptions& options);
  /// Adds an address and the route to its prefix, and tells the link (RFC 5227; RFC 4862).
  void add_address(int nic, const Ip& address, int prefix_length, Instant now);
  void add_route(const Ip& prefix, int length, int nic, const Ip& gateway = {});
  void add_default_route(int nic, const Ip& gateway);
  /// Instead of what there was for the prefix; no hops remove it. Of several equal ones a flow
  /// keeps to one.
  void set_route(const Ip& prefix, int length, std::vector<Route> hops);
  /// Makes IPv6 addresses for the interface by itself, and finds its routers (RFC 4862): link-local
  /// after a second or two in which nobody objected, then one in each prefix that a router
  /// advertises. A default route of IPv6 that was set otherwise gives way.
  void autoconfigure(int nic, Instant now);
  /// A router that hosts on the link configure themselves by (RFC 4861, section 6.2). It makes its
  /// link-local address first.
  void advertise(int nic, const wire::RouterAdvertisement& what, Instant now);
  /// What the interface has, tentative ones not included.
  std::vector<Ip> addresses(int nic) const;
  bool is_own(const Ip& address) const;

  // The network.

  void input(int nic, Bytes frame, Instant now);
  /// Writes the next frame to the front of `room`, which holds the largest MTU and 14 bytes more.
  std::optional<Transmit> poll_transmit(Instant now, MutableBytes room);
  Instant next_deadline() const;

  std::optional<Event> poll_event();

  // TCP. Failures are those of tcp::Connection.

  Result<SocketId> tcp_listen(const IpPort& local, int backlog);
  /// Fails with would_block.
  Result<SocketId> tcp_accept(SocketId listener, Instant now);
  Result<SocketId> tcp_connect(const IpPort& remote, Instant now, const IpPort& local = {});
  Result<std::size_t> tcp_read(SocketId socket, MutableBytes into, Instant now);
  Result<std::size_t> tcp_write(SocketId socket, Bytes from, Instant now);
  Result<void> tcp_finish(SocketId socket, Instant now);
  void tcp_abort(SocketId socket, Instant now);
  /// Nothing for a number that is no connection. Setters on it need a touch() afterwards.
  tcp::Connection* tcp(SocketId socket);
  void touch(SocketId socket);
  /// The connection between these two; null if there is none.
  const tcp::Connection* find_tcp(const IpPort& local, const IpPort& remote) const;

  // UDP.

  Result<SocketId> udp_bind(const IpPort& local);
  Result<void> udp_connect(SocketId socket, const IpPort& peer);
  Result<void> udp_send(SocketId socket, Bytes from, const IpPort& to, Instant now);
  struct Received {
    std::size_t size = 0;  ///< copied
    IpPort from{};
    bool truncated = false;
  };
  /// Fails with would_block; with refused or unreachable if ICMP said so about an earlier send.
  Result<Received> udp_receive(SocketId socket, MutableBytes into);

  /// Which of our addresses datagrams for `target` come from; nothing if no way leads there.
  std::optional<Ip> source_towards(const Ip& target) const;

  // Both.

  /// The application is done with it. A connection still delivers what was written.
  void close(SocketId socket, Instant now);
  std::optional<IpPort> local(SocketId socket) const;
  std::optional<IpPort> remote(SocketId socket) const;

  // Echo (RFC 792; RFC 4443).

  Result<void> ping(const Ip& target, std::uint16_t identifier, std::uint16_t sequence, Bytes data,
                    Instant now);
  std::optional<EchoReply> poll_echo();

  const HostCounters& counters() const { return counters_; }
  const tcp::Counters& tcp_counters() const { return environment_.counters; }
  std::size_t connections() const { return table_.size(); }

 private:
  struct Nic {
    NicOptions options;
    struct Address {
      Ip ip;
      int length;
      Instant optimistic_until =
          Instant::min();  // until then it gives way to who had it (RFC 4429)
    };
    std::vector<Address> addresses;
    std::unique_ptr<Autoconf> autoconf;  // null: addresses are given
    std::uint16_t mtu_v6 = 0;            // what routers say; 0: nothing
  };
  struct TcpSocket;
  struct Listener;
  struct UdpSocket;
  struct Slot {
    std::uint32_t generation = 0;
    std::unique_ptr<TcpSocket> tcp;
    std::unique_ptr<Listener> listener;
    std::unique_ptr<UdpSocket> udp;
    std::uint8_t events = 0;
    bool event_queued = false;
  };
  struct Hop {
    int nic = 0;  // loop: a packet to ourselves
    Ip next{};
    Ip source{};
    std::size_t mtu = 0;
  };
  static constexpr int loop = -1;
  using Packet = std::vector<std::byte>;
  struct Meta {  // about a packet whose payload goes up
    Ip source{};
    Ip target{};
    Bytes packet{};  // what an ICMP error quotes
    bool multicast = false;
  };

  // host_link.cc
  void input_arp(int nic, Bytes packet, Instant now);
  void send_packet(int nic, const Ip& next, Packet packet, Instant now);
  void send_frame(int nic, wire::Mac target, wire::EtherType type, Bytes payload,
                  bool forwarded = false);
  void ask(const Neighbors::Task& task);
  void send_nd(int nic, wire::Builder message, const wire::Ipv6Address& source,
               const wire::Ipv6Address& target);
  void withdraw(int nic, const Ip& address);

  // host_autoconf.cc
  Autoconf& autoconf(int nic);
  void run_autoconf(int nic, Instant now);
  void set_routers();
  void input_router_advertisement(int nic, const wire::Ipv6View& packet,
                                  const wire::Icmpv6View& message, Instant now);

  // host_redirect.cc
  bool is_on_link(int nic, const Ip& ip) const;
  void take_redirect(int nic, const Ip& from, const Ip& better, const Ip& target);
  void input_redirect_v4(int nic, const Meta& meta, const wire::Icmpv4View& message);
  void input_redirect_v6(int nic, const wire::Ipv6View& packet, const wire::Icmpv6View& message,
                         Instant now);
  void redirect_v4(int nic, const Route& route, const wire::Ipv4View& packet, Instant now);
  void redirect_v6(int nic, const Route& route, const wire::Ipv6View& packet, Instant now);
  void forget_gateway(int nic, const Ip& gateway);
  std::optional<wire::Mac> mac_of(const Hop& hop, const Ip& target, Instant now);
  bool input_nd(int nic, const wire::Ipv6View& packet, const wire::Icmpv6View& message,
                Instant now);

  // host_ip.cc
  void input_ip(int nic, Bytes packet, Instant now);
  void input_v4(int nic, Bytes packet, Instant now, bool link_multicast);
  void input_v6(int nic, Bytes packet, Instant now);
  void input_transport(wire::IpProtocol protocol, const Meta& meta, Bytes payload,
                       std::size_t protocol_at, int nic, Instant now);
  std::optional<Hop> hop_to(const Ip& target, const Ip& source = {}) const;
  std::optional<Ip> source_for(int nic, const Ip& target) const;
  Result<void> send_ip(const Ip& source, const Ip& target, wire::IpProtocol protocol, Bytes payload,
                       Instant now, std::uint8_t ttl = 0);
  std::size_t path_mtu(const Ip& target, std::size_t link_mtu, Instant now);
  bool is_group(const Ip& target, int nic) const;

  // host_forward.cc
  std::optional<Route> route_for(const Ip& source, const Ip& target, wire::IpProtocol protocol,
                                 Bytes payload) const;
  void forward_v4(int nic, const wire::Ipv4View& view, Instant now);
  void forward_v6(int nic, const wire::Ipv6View& view, Instant now);
  void forward(const Route& route, const Ip& target, Packet frame, Instant now);
  void undeliverable(const Packet& packet, Instant now);
  static Ip source_of(const Packet& packet);

  // host_icmp.cc
  void input_icmpv4(const Meta& meta, Bytes message, int nic, Instant now);
  void input_icmpv6(const Meta& meta, Bytes message, Instant now);
  void send_error_v4(const wire::Icmpv4Header& header, Bytes about, Instant now);
  void send_error_v6(const wire::Icmpv6Header& header, Bytes about, Instant now);
  void port_unreachable(const Meta& meta, Instant now);
  void learn_error(Bytes quoted, Fault fault, std::size_t mtu, Instant now);

  // host_udp.cc
  void input_udp(const Meta& meta, Bytes datagram, Instant now);
  SocketId udp_for(const IpPort& local, const IpPort& remote) const;
  void udp_failed(const IpPort& local, const IpPort& remote, Fault fault);
  bool udp_port_taken(const IpPort& local) const;

  // host_tcp.cc
  void input_tcp(const Meta& meta, Bytes bytes, Instant now);
  void input_listener(SocketId id, const TcpKey& key, const tcp::Segment& segment, Instant now);
  SocketId make_connection(const TcpKey& key, wire::Seq iss, bool passive, SocketId listener,
                           Instant now);
  void send_tcp_header(const TcpKey& key, wire::TcpHeader header, Instant now);
  void answer_closed(const TcpKey& key, const tcp::Segment& segment, Instant now);
  std::size_t write_segment(TcpSocket& socket, const tcp::Departure& departure, Instant now,
                            MutableBytes room, int& nic);
  void settle(SocketId id);
  void ready(SocketId id);
  void forget(SocketId id);
  SocketId listener_for(const IpPort& local) const;
  std::uint32_t initial_sequence(const TcpKey& key, Instant now) const;
  std::uint32_t cookie_for(const TcpKey& key, wire::Seq irs, std::uint64_t period,
                           unsigned mss_index) const;
  std::optional<std::uint16_t> cookie_mss(const TcpKey& key, const tcp::Segment& ack,
                                          Instant now) const;
  std::optional<std::uint16_t> free_port(const Ip& local, const IpPort& remote);
  void arm(SocketId id, Instant at);
  void run_timers(Instant now);

  SocketId allocate();
  Slot* slot(SocketId id);
  const Slot* slot(SocketId id) const;
  void tell(SocketId id, std::uint8_t what);

  HostOptions options_;
  Prng chance_;
  KeyedHash secret_;
  tcp::Environment environment_;
  std::vector<Nic> nics_;
  Routes routes_;
  Neighbors neighbors_;
  Fragments fragments_;
  TokenBucket icmp_tokens_;
  std::uint32_t identification_ = 0;
  std::uint32_t port_offset_ = 0;

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  TcpTable table_;
  std::map<IpPort, SocketId> listeners_;
  std::map<std::uint16_t, std::vector<SocketId>> udp_ports_;
  struct PathMtu {
    std::size_t mtu;
    Instant until;
  };
  std::map<Ip, PathMtu> path_mtus_;
  std::map<Ip, Route> redirects_;  // better first hops, as routers have said

  Fifo<SocketId> ready_;
  Fifo<Event> events_;
  Fifo<EchoReply> echoes_;
  struct Outgoing {
    int nic;
    Packet frame;
    bool forwarded;
  };
  Fifo<Outgoing> out_;
  Fifo<Packet> loop_;
  struct Alarm {
    Instant at;
    SocketId socket;
    friend bool operator<(const Alarm& a, const Alarm& b) {  // a heap has its largest on top
      return a.at != b.at ? a.at > b.at : a.socket > b.socket;
    }
  };
  std::vector<Alarm> alarms_;
  HostCounters counters_;
};

}  // namespace koine::stack
