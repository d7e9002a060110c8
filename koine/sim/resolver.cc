#include "koine/sim/resolver.h"

#include <algorithm>

#include "koine/async/combine.h"
#include "koine/async/within.h"
#include "koine/transport/reader.h"
#include "koine/wire/dns.h"

namespace koine::sim {
namespace {

using wire::DnsCode;
using wire::DnsMessage;
using wire::DnsType;

constexpr int aliases_max = 8;  // of one name, one behind the other

/// The name itself, and all that end in it.
bool is_localhost(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  const std::size_t dot = name.rfind('.');
  return wire::is_same_dns_name(dot == name.npos ? name : name.substr(dot + 1), "localhost");
}

bool answers(const DnsMessage& reply, const DnsMessage& query) {
  return reply.is_response && reply.id == query.id && reply.operation == query.operation &&
         reply.questions.size() == 1 &&
         wire::is_same_dns_name(reply.questions[0].name, query.questions[0].name) &&
         reply.questions[0].type == query.questions[0].type &&
         reply.questions[0].network_class == query.questions[0].network_class;
}

Io<DnsMessage> ask_by_tcp(Network& network, Address server, DnsMessage query) {
  auto stream = co_await attempt(network.connect(std::move(server), Transport::tcp));
  const auto bytes = write(query);
  std::byte length[2];
  store_be16(length, static_cast<std::uint16_t>(bytes.size()));
  co_await attempt(write_all(*stream, Bytes(length), Bytes(bytes)));
  Reader reader(*stream);
  const auto reply = co_await attempt(reader.prefixed(LengthPrefix::be16));
  if (!reply) co_return fail(Fault::ended, "ask", stream->name());
  auto message = wire::parse_dns(*reply);
  if (!message || !answers(*message, query))
    co_return fail(Fault::malformed, "ask", stream->name());
  co_return std::move(*message);
}

Io<DnsMessage> ask_by_udp(Network& network, Address server, DnsMessage query) {
  const IpAddress any = server.ip().is_v4() ? any_v4 : any_v6;
  auto socket = co_await attempt(network.bind(Endpoint::udp(any, 0)));
  co_await attempt(socket->connect(server));
  const auto bytes = write(query);
  co_await attempt(send_to(*socket, bytes, server));
  std::vector<std::byte> room(DnsMessage::udp_bytes_max);
  for (;;) {
    const Received received = co_await attempt(receive_from(*socket, room));
    auto message = wire::parse_dns(Bytes(room).first(received.size));
    // Whatever else comes may be from anybody who knows our port.
    if (message && answers(*message, query)) co_return std::move(*message);
  }
}

/// One try with one server.
Io<DnsMessage> ask(Network& network, Address server, DnsMessage query) {
  auto asking = ask_by_udp(network, server, query);
  auto reply = co_await attempt(std::move(asking));
  if (!reply.is_truncated) co_return std::move(reply);
  auto asking_again = ask_by_tcp(network, std::move(server), std::move(query));
  co_return co_await asking_again;
}

std::vector<IpAddress> addresses_in(const DnsMessage& reply) {
  std::string name = reply.questions.front().name;
  for (int i = 0; i < aliases_max; ++i) {
    const auto alias = std::ranges::find_if(reply.answers, [&](const wire::DnsRecord& record) {
      return std::holds_alternative<wire::DnsName>(record.data) && record.type == DnsType::cname &&
             wire::is_same_dns_name(record.name, name);
    });
    if (alias == reply.answers.end()) break;
    name = std::get<wire::DnsName>(alias->data).name;
  }
  std::vector<IpAddress> addresses;
  for (const wire::DnsRecord& record : reply.answers) {
    if (!wire::is_same_dns_name(record.name, name)) continue;
    std::byte bytes[wire::Ipv6Address::size];
    if (const auto* const v4 = std::get_if<wire::Ipv4Address>(&record.data)) {
      v4->store(bytes);
      addresses.push_back(IpAddress::v4(std::span(bytes).first<4>()));
    } else if (const auto* const v6 = std::get_if<wire::Ipv6Address>(&record.data)) {
      v6->store(bytes);
      addresses.push_back(IpAddress::v6(bytes));
    }
  }
  return addresses;
}

struct Found {
  std::vector<IpAddress> addresses{};
  std::optional<Error> error{};  // why there are none; nothing is said about a name without any
};

/// The addresses of one kind. It does not fail, so that the other kind is heard too.
Io<Found> look_up(Network& network, std::string name, DnsType type, std::vector<Address> servers,
                  ResolverOptions options) {
  bool was_silent = false;
  std::string last_words = "no server is known";
  Duration patience = options.timeout;
  for (int i = 0; i < std::max(options.tries, 1); ++i, patience *= 2) {
    for (const Address& server : servers) {
      DnsMessage query{.id = static_cast<std::uint16_t>(network.loop().chance()()),
                       .recursion_desired = true};
      query.questions.push_back({.name = name, .type = type});
      auto asking = ask(network, server, std::move(query));
      const auto reply = co_await within(patience, std::move(asking));
      if (!reply) {
        was_silent |= reply.error() == Fault::timed_out;
        last_words = to_string(reply.error());
      } else if (reply->code == DnsCode::ok || reply->code == DnsCode::no_such_name) {
        co_return Found{addresses_in(*reply), {}};
      } else {
        last_words = to_string(server) + " answered with code " +
                     std::to_string(static_cast<int>(reply->code));
      }
    }
  }
  const Fault fault = was_silent ? Fault::timed_out : Fault::unreachable;
  co_return Found{{}, Error(fault, "resolve", name).with_note(std::move(last_words))};
}

}  // namespace

Io<std::vector<IpAddress>> resolve(Network& network, std::string name, std::vector<Address> servers,
                                   ResolverOptions options) {
  if (const auto ip = parse_ip(name)) co_return std::vector<IpAddress>{*ip};
  if (is_localhost(name)) co_return std::vector<IpAddress>{loopback_v6, loopback_v4};
  if (!wire::is_dns_name(name)) {
    co_return std::unexpected(
        Error(Fault::malformed, "resolve", name)
            .with_note("expected labels of 1 to 63 octets between dots, 255 octets in all"));
  }
  const Instant begun = network.loop().now();
  auto asking_v4 = look_up(network, name, DnsType::a, servers, options);
  auto asking_v6 = look_up(network, name, DnsType::aaaa, std::move(servers), options);
  auto both = all(std::move(asking_v4), std::move(asking_v6));
  auto [v4, v6] = co_await attempt(std::move(both));
  std::vector<IpAddress> addresses = std::move(v4.addresses);
  addresses.insert(addresses.end(), v6.addresses.begin(), v6.addresses.end());
  if (!addresses.empty()) co_return std::move(addresses);
  const Duration elapsed = network.loop().now() - begun;
  for (auto* each : {&v4, &v6})
    if (each->error) co_return std::unexpected(std::move(*each->error).with_elapsed(elapsed));
  co_return std::unexpected(Error(Fault::not_found, "resolve", name)
                                .with_note("the name server knows no address of that name")
                                .with_elapsed(elapsed));
}

}  // namespace koine::sim
