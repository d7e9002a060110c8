#include "koine/sim/name_server.h"

#include <algorithm>

#include "koine/async/scope.h"
#include "koine/async/within.h"
#include "koine/sim/world.h"
#include "koine/transport/reader.h"
#include "koine/wire/dns.h"

namespace koine::sim {
namespace {

using wire::DnsCode;
using wire::DnsMessage;
using wire::DnsRecord;
using wire::DnsType;

std::uint32_t whole_seconds(Duration time) {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(time).count());
}

DnsRecord record_of(const std::string& name, const IpAddress& address, Duration time_to_live) {
  DnsRecord record{.name = name, .time_to_live = whole_seconds(time_to_live)};
  if (address.is_v4()) {
    record.type = DnsType::a;
    record.data = wire::Ipv4Address::load(address.bytes().data());
  } else {
    record.type = DnsType::aaaa;
    record.data = wire::Ipv6Address::load(address.bytes().data());
  }
  return record;
}

void answer_question(const World& world, DnsMessage& reply, const NameServerOptions& options) {
  const wire::DnsQuestion& question = reply.questions.front();
  if (question.network_class != wire::dns_class_internet) {
    reply.code = DnsCode::refused;
    return;
  }
  reply.is_authoritative = true;
  const auto addresses = world.addresses_of(question.name);
  if (addresses.empty()) reply.code = DnsCode::no_such_name;
  for (const IpAddress& address : addresses) {
    const DnsType type = address.is_v4() ? DnsType::a : DnsType::aaaa;
    if (question.type == type || question.type == DnsType::any)
      reply.answers.push_back(record_of(question.name, address, options.time_to_live));
  }
  if (!reply.answers.empty()) return;
  const std::uint32_t nothing = whole_seconds(options.time_to_live_of_nothing);
  reply.authority.push_back(
      {.name = ".",
       .type = DnsType::soa,
       .time_to_live = nothing,
       .data = wire::DnsAuthority{.server = ".", .mailbox = ".", .serial = 1, .minimum = nothing}});
}

Io<void> serve_udp(Datagram& socket, const World& world, NameServerOptions options) {
  std::vector<std::byte> room(DnsMessage::udp_bytes_max);
  for (;;) {
    const Result<Received> query = co_await receive_from(socket, room);
    if (!query) {
      if (query.error() == Fault::closed) co_return std::unexpected(query.error());
      continue;  // an answer of ours met a closed port
    }
    const auto reply = answer_about_names(world, Bytes(room).first(query->size),
                                          DnsMessage::udp_bytes_max, options);
    if (reply.empty()) continue;
    const auto sent = socket.send_now(reply, query->from);
    (void)sent;  // who hears nothing asks again
  }
}

/// Two bytes of length stand before each message (RFC 1035, section 4.2.2).
Io<void> answer_all(Stream& stream, const World& world, NameServerOptions options) {
  Reader reader(stream);
  while (const auto query =
             co_await attempt(within(options.idle_max, reader.prefixed(LengthPrefix::be16)))) {
    const auto reply = answer_about_names(world, *query, DnsMessage::tcp_bytes_max, options);
    if (reply.empty()) break;
    std::byte length[2];
    store_be16(length, static_cast<std::uint16_t>(reply.size()));
    auto writing = write_all(stream, Bytes(length), Bytes(reply));
    co_await attempt(within(options.idle_max, std::move(writing)));
  }
  co_return stream.finish();
}

Task<void> serve_client(std::unique_ptr<Stream> stream, const World* world,
                        NameServerOptions options) {
  auto answering = answer_all(*stream, *world, options);
  const Result<void> over = co_await answering;
  (void)over;  // who went away has no need of us
}

Io<void> serve_tcp(Listener& listener, const World& world, NameServerOptions options) {
  Scope clients;
  for (;;) {
    auto stream = co_await attempt(accept(listener));
    if (clients.running() < options.clients_max)
      clients.spawn(serve_client(std::move(stream), &world, options));
  }
}

}  // namespace

std::vector<std::byte> answer_about_names(const World& world, Bytes query, std::size_t bytes_max,
                                          const NameServerOptions& options) {
  if (query.size() < DnsMessage::header_size) return {};
  const auto asked = wire::parse_dns(query);
  DnsMessage reply{.id = load_be16(query.data()), .is_response = true};
  if (!asked) {
    if ((query[2] & std::byte{0x80}) != std::byte{}) return {};  // an answer, and not a good one
    reply.code = DnsCode::format_error;
    return write(reply, bytes_max);
  }
  if (asked->is_response) return {};
  reply.operation = asked->operation;
  reply.recursion_desired = asked->recursion_desired;
  if (asked->operation != 0) {
    reply.code = DnsCode::not_implemented;
  } else if (asked->questions.size() != 1) {
    reply.code = DnsCode::format_error;
  } else {
    reply.questions = asked->questions;
    answer_question(world, reply, options);
  }
  return write(reply, bytes_max);
}

Io<void> serve_names(Network& network, const World& world, NameServerOptions options) {
  const Endpoint by_udp = Endpoint::udp("", options.port).value();
  const Endpoint by_tcp = Endpoint::tcp("", options.port).value();
  auto socket = co_await attempt(network.bind(by_udp));
  auto listener = co_await attempt(network.listen(by_tcp));
  Scope both(network.loop());
  both.spawn(serve_udp(*socket, world, options));
  both.spawn(serve_tcp(*listener, world, options));
  co_return co_await both.join();
}

}  // namespace koine::sim
