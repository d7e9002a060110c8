// Connecting to a name: resolve it, then race its addresses (Happy Eyeballs, RFC 8305).
#include <memory>
#include <optional>
#include <vector>

#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/async/within.h"
#include "koine/transport/network.h"

namespace koine {
namespace {

/// RFC 8305, section 4: the families take turns, beginning with that of the best address.
std::vector<Address> interleaved(const std::vector<IpAddress>& ips, std::uint16_t port) {
  std::vector<Address> ordered;
  ordered.reserve(ips.size());
  const bool v6_first = ips.front().is_v6();
  std::size_t mine = 0;
  std::size_t other = 0;
  const auto next_of = [&](std::size_t& from, bool v6) {
    while (from < ips.size() && ips[from].is_v6() != v6) ++from;
    if (from < ips.size()) ordered.emplace_back(ips[from++], port);
  };
  while (ordered.size() < ips.size()) {
    next_of(mine, v6_first);
    next_of(other, !v6_first);
  }
  return ordered;
}

/// The race: who won, or how the attempts failed.
struct Race {
  std::unique_ptr<Stream> winner;
  std::optional<Error> error;
  std::size_t failed = 0;
  Event news;
};

Task<void> run_one(Network& network, Address address, Transport transport, Race& race) {
  auto stream = co_await network.connect(std::move(address), transport);
  if (stream && race.winner == nullptr) {
    race.winner = std::move(*stream);
  } else if (!stream) {
    ++race.failed;
    // What the best address said is what a person wants to read.
    if (!race.error) race.error = std::move(stream.error());
  }
  race.news.set();
}

Io<std::unique_ptr<Stream>> race_to(Network& network, std::vector<Address> addresses,
                                    Transport transport, Duration delay) {
  Race race;
  Scope attempts(network.loop());
  for (std::size_t started = 0; race.winner == nullptr && race.failed < addresses.size();) {
    race.news.reset();
    if (started < addresses.size()) {
      attempts.spawn(run_one(network, addresses[started++], transport, race));
      if (started < addresses.size()) {
        // The next one starts after the delay, or at once when one has failed.
        co_await within(delay, race.news.wait());
        continue;
      }
    }
    co_await race.news.wait();
  }
  if (race.winner != nullptr) co_return std::move(race.winner);
  co_return std::unexpected(std::move(*race.error));
}

Io<std::unique_ptr<Stream>> dial_any(Network& network, Endpoint peer, Duration delay) {
  if (peer.is_any()) {
    std::vector<Address> loopback{Address(loopback_v6, peer.port()),
                                  Address(loopback_v4, peer.port())};
    auto race = race_to(network, std::move(loopback), peer.transport(), delay);
    co_return co_await race;
  }
  if (const auto address = peer.address()) {
    auto connection = network.connect(*address, peer.transport());
    co_return co_await connection;
  }
  if (!peer.has_name()) {
    co_return std::unexpected(
        Error(Fault::unsupported, "connect", to_string(peer))
            .with_note("an inherited socket can be listened on, not connected to"));
  }
  auto lookup = network.resolve(peer.host());
  const auto ips = co_await attempt(std::move(lookup));
  auto race = race_to(network, interleaved(ips, peer.port()), peer.transport(), delay);
  co_return co_await race;
}

}  // namespace

Io<std::unique_ptr<Stream>> dial(Network& network, Endpoint peer, DialOptions options) {
  const std::string name = to_string(peer);
  auto connection =
      within(options.timeout, dial_any(network, std::move(peer), options.attempt_delay));
  auto stream = co_await connection;
  if (!stream) co_return std::unexpected(std::move(stream.error()).with_operation("connect", name));
  co_return std::move(*stream);
}

Io<std::unique_ptr<Stream>> dial(Network& network, std::string peer, DialOptions options) {
  auto endpoint = parse_endpoint(peer);
  if (!endpoint) co_return std::unexpected(std::move(endpoint.error()));
  auto connection = dial(network, std::move(*endpoint), options);
  co_return co_await connection;
}

Io<Endpoint> resolved(Network& network, Endpoint endpoint) {
  if (!endpoint.has_name()) co_return endpoint;
  auto lookup = network.resolve(endpoint.host());
  const auto ips = co_await attempt(std::move(lookup));
  co_return endpoint.at(Address(ips.front(), endpoint.port()), endpoint.transport());
}

}  // namespace koine
