// ICMP: echoes answered, errors sent by the rules (RFC 1122, section 3.2.2; RFC 4443, section 2.4),
// and errors that arrive taken to the socket they are about.
#include <algorithm>

#include "koine/stack/host.h"
#include "koine/stack/host_sockets.h"
#include "koine/wire/ipv6_extensions.h"
#include "koine/wire/tcp.h"

namespace koine::stack {

using namespace wire;

namespace {

constexpr Duration path_mtu_kept = std::chrono::minutes(10);  // RFC 1191, section 6.3
constexpr std::size_t path_mtus_max = 4096;
constexpr std::size_t echoes_max = 1024;
constexpr std::size_t ipv4_path_mtu_min = 552;  // no router may make us send smaller ones

}  // namespace

void Host::input_icmpv4(const Meta& meta, Bytes bytes, int nic, Instant now) {
  const auto message = Icmpv4View::of(bytes);
  if (!message || !message->is_intact()) {
    ++counters_.malformed;
    return;
  }
  const Icmpv4Header header = message->header();
  switch (header.type) {
    case Icmpv4Type::echo_request: {
      if (meta.multicast || meta.source.is_unspecified())
        return;  // RFC 1122, 3.2.2.6: MAY be silent
      Packet reply(bytes.size());
      std::copy(bytes.begin(), bytes.end(), reply.begin());
      write(header.echo_reply(), partial_sum(message->payload()), reply);
      (void)send_ip(meta.target, meta.source, IpProtocol::icmp, reply, now);
      return;
    }
    case Icmpv4Type::echo_reply:
      if (echoes_.size() >= echoes_max) echoes_.pop_front();
      echoes_.push_back(
          {meta.source, header.identifier(), header.sequence(), message->payload().size()});
      return;
    case Icmpv4Type::unreachable:
      if (header.code == icmpv4_unreachable::fragmentation_needed) {
        // A router older than RFC 1191 does not say how much it can take.
        learn_error(message->payload(), Fault::over_limit,
                    std::max<std::size_t>(header.mtu() == 0 ? ipv4_path_mtu_min : header.mtu(),
                                          ipv4_path_mtu_min),
                    now);
      } else {
        const bool refused =
            header.code == icmpv4_unreachable::port || header.code == icmpv4_unreachable::protocol;
        learn_error(message->payload(), refused ? Fault::refused : Fault::unreachable, 0, now);
      }
      return;
    case Icmpv4Type::time_exceeded:
    case Icmpv4Type::parameter_problem:
      learn_error(message->payload(), Fault::unreachable, 0, now);
      return;
    case Icmpv4Type::redirect: input_redirect_v4(nic, meta, *message); return;
    default: return;  // source quench is history (RFC 6633)
  }
}

void Host::input_icmpv6(const Meta& meta, Bytes bytes, Instant now) {
  const auto message = Icmpv6View::of(bytes);
  const Checksum pseudo =
      pseudo_header(meta.source.bits, meta.target.bits, IpProtocol::icmpv6, bytes.size());
  if (!message || !message->is_intact(pseudo)) {
    ++counters_.malformed;
    return;
  }
  const Icmpv6Header header = message->header();
  switch (header.type) {
    case Icmpv6Type::echo_request: {
      if (meta.multicast || meta.source.is_unspecified()) return;
      Packet reply(bytes.size());
      std::copy(bytes.begin(), bytes.end(), reply.begin());
      write(header.echo_reply(),
            pseudo_header(meta.target.bits, meta.source.bits, IpProtocol::icmpv6, bytes.size()),
            partial_sum(message->payload()), reply);
      (void)send_ip(meta.target, meta.source, IpProtocol::icmpv6, reply, now);
      return;
    }
    case Icmpv6Type::echo_reply:
      if (echoes_.size() >= echoes_max) echoes_.pop_front();
      echoes_.push_back(
          {meta.source, header.identifier(), header.sequence(), message->payload().size()});
      return;
    case Icmpv6Type::packet_too_big:
      learn_error(message->payload(), Fault::over_limit,
                  std::max<std::size_t>(header.mtu(), ipv6_mtu_min), now);
      return;
    case Icmpv6Type::unreachable:
      learn_error(message->payload(),
                  header.code == icmpv6_unreachable::port ? Fault::refused : Fault::unreachable, 0,
                  now);
      return;
    case Icmpv6Type::time_exceeded:
    case Icmpv6Type::parameter_problem:
      learn_error(message->payload(), Fault::unreachable, 0, now);
      return;
    default: return;
  }
}

// `quoted` is the beginning of a packet that we are said to have sent.
void Host::learn_error(Bytes quoted, Fault fault, std::size_t mtu, Instant now) {
  Ip source;
  Ip target;
  IpProtocol protocol{};
  Bytes payload;
  if (quoted.empty()) return;
  if (std::to_integer<unsigned>(quoted[0]) >> 4 == 4) {
    if (quoted.size() < Ipv4Header::size_min) return;
    const std::size_t header_size = (std::to_integer<std::size_t>(quoted[0]) & 15) * 4;
    if (header_size < Ipv4Header::size_min || quoted.size() < header_size + 8) return;
    if ((load_be16(quoted.data() + 6) & 0x1fff) != 0) return;
    source = Ipv4Address::load(quoted.data() + 12);
    target = Ipv4Address::load(quoted.data() + 16);
    protocol = static_cast<IpProtocol>(quoted[9]);
    payload = quoted.subspan(header_size);
  } else {
    if (quoted.size() < Ipv6Header::size + 8) return;
    source = Ipv6Address::load(quoted.data() + 8);
    target = Ipv6Address::load(quoted.data() + 24);
    protocol = static_cast<IpProtocol>(quoted[6]);
    std::size_t at = Ipv6Header::size;
    if (protocol == IpProtocol::fragment) {
      if (quoted.size() < at + 16 || (load_be16(quoted.data() + at + 2) & 0xfff8) != 0) return;
      protocol = static_cast<IpProtocol>(quoted[at]);
      at += 8;
    }
    payload = quoted.subspan(at);
  }
  if (!is_own(source)) return;
  const IpPort from{source, load_be16(payload.data())};
  const IpPort to{target, load_be16(payload.data() + 2)};
  const auto remember = [&] {
    if (path_mtus_.size() >= path_mtus_max) path_mtus_.erase(path_mtus_.begin());
    path_mtus_[target] = {mtu, now + path_mtu_kept};
  };
  if (protocol == IpProtocol::udp) {
    if (mtu == 0) {
      udp_failed(from, to, fault);
    } else if (udp_for(from, to).index != SocketId{}.index) {
      remember();
    }
    return;
  }
  if (protocol != IpProtocol::tcp) return;
  const auto index = table_.find({from, to});
  if (!index) return;
  const SocketId id{*index, slots_[*index].generation};
  tcp::Connection& connection = slots_[*index].tcp->connection;
  const Seq quoted_seq{load_be32(payload.data() + 4)};
  if (mtu == 0) {
    connection.unreachable(fault, quoted_seq);
  } else {
    const std::size_t headers = target.is_v4() ? 40 : 60;
    if (connection.path_shrank(
            static_cast<std::uint16_t>(std::min<std::size_t>(mtu, 65'535) - headers), quoted_seq,
            now))
      remember();
  }
  ready(id);
}

void Host::send_error_v4(const Icmpv4Header& header, Bytes about, Instant now) {
  const auto view = Ipv4View::of(about);
  if (!view) return;
  // RFC 1122, section 3.2.2: never about errors, groups, later fragments, or nobody.
  if (view->fragment_offset() != 0 || view->source().is_unspecified() ||
      is_group(Ip(view->target()), loop))
    return;
  if (view->protocol() == IpProtocol::icmp) {
    const auto inner = Icmpv4View::of(view->payload());
    if (!inner || inner->header().is_error()) return;
  }
  if (!icmp_tokens_.take(now)) {
    ++counters_.icmp_suppressed;
    return;
  }
  // As much as fits 576 bytes (RFC 1812, section 4.3.2.3).
  const Bytes quote = about.first(
      std::min<std::size_t>(about.size(), 576 - Ipv4Header::size_min - Icmpv4Header::size));
  Packet message(Icmpv4Header::size + quote.size());
  std::copy(quote.begin(), quote.end(), message.begin() + Icmpv4Header::size);
  write(header, partial_sum(quote), message);
  ++counters_.icmp_out;
  // About a packet for somebody else it comes from the address that is nearest to who sent it.
  const Ip from = is_own(view->target()) ? view->target() : Ipv4Address{};
  (void)send_ip(from, Ip(view->source()), IpProtocol::icmp, message, now);
}

void Host::send_error_v6(const Icmpv6Header& header, Bytes about, Instant now) {
  const auto view = Ipv6View::of(about);
  if (!view || view->source().is_unspecified() || view->source().is_multicast() ||
      view->target().is_multicast())
    return;
  if (view->protocol() == IpProtocol::icmpv6) {
    const auto inner = Icmpv6View::of(view->payload());
    if (!inner || inner->header().is_error() || inner->header().type == Icmpv6Type::redirect)
      return;
  }
  const Ip target = view->source();
  const auto hop = hop_to(target, is_own(view->target()) ? Ip(view->target()) : Ip());
  if (!hop) return;
  if (!icmp_tokens_.take(now)) {
    ++counters_.icmp_suppressed;
    return;
  }
  const Bytes quote = about.first(
      std::min<std::size_t>(about.size(), ipv6_mtu_min - Ipv6Header::size - Icmpv6Header::size));
  Packet message(Icmpv6Header::size + quote.size());
  std::copy(quote.begin(), quote.end(), message.begin() + Icmpv6Header::size);
  write(header, pseudo_header(hop->source.bits, target.bits, IpProtocol::icmpv6, message.size()),
        partial_sum(quote), message);
  ++counters_.icmp_out;
  (void)send_ip(hop->source, target, IpProtocol::icmpv6, message, now);
}

void Host::port_unreachable(const Meta& meta, Instant now) {
  if (meta.multicast) return;
  if (meta.target.is_v4()) {
    send_error_v4(Icmpv4Header::unreachable(icmpv4_unreachable::port), meta.packet, now);
  } else {
    send_error_v6(Icmpv6Header::unreachable(icmpv6_unreachable::port), meta.packet, now);
  }
}

Result<void> Host::ping(const Ip& target, std::uint16_t identifier, std::uint16_t sequence,
                        Bytes data, Instant now) {
  const auto hop = hop_to(target);
  if (!hop) return fail(Fault::unreachable);
  Packet message(8 + data.size());
  std::copy(data.begin(), data.end(), message.begin() + 8);
  if (target.is_v4()) {
    write(Icmpv4Header::echo_request(identifier, sequence), partial_sum(data), message);
    return send_ip(hop->source, target, IpProtocol::icmp, message, now);
  }
  write(Icmpv6Header::echo_request(identifier, sequence),
        pseudo_header(hop->source.bits, target.bits, IpProtocol::icmpv6, message.size()),
        partial_sum(data), message);
  return send_ip(hop->source, target, IpProtocol::icmpv6, message, now);
}

}  // namespace koine::stack
