// What the programs of a simulated host may ask of its network.
#include "koine/sim/resolver.h"
#include "koine/sim/sockets.h"
#include "koine/sim/world.h"

namespace koine::sim {
namespace {

/// Waits until a connection that was begun is complete, or has failed.
class Connected final : public Trying<Connected, void> {
 public:
  explicit Connected(SimStream& stream) : stream_(stream) {}
  Result<void> attempt_once() { return stream_.connected(); }
  void park() { stream_.writable().join(*this); }
  Activity activity() const override { return {"connect", stream_.name()}; }

 private:
  SimStream& stream_;
};

/// The address to listen at, if `at` is one and its transport is `transport`.
Result<stack::IpPort> place_of(const Endpoint& at, Transport transport) {
  if (at.transport() != transport) {
    return std::unexpected(Error(Fault::unsupported, "listen", to_string(at))
                               .with_note("a simulated host has TCP and UDP"));
  }
  if (at.has_name()) {
    return std::unexpected(
        Error(Fault::not_found, "listen", to_string(at)).with_note("resolve the name first"));
  }
  return ip_port_of(*at.address()).value();
}

}  // namespace

Io<std::unique_ptr<Stream>> HostNetwork::connect_stream(Address peer, Transport transport,
                                                        const os::Connector*) {
  const auto target = ip_port_of(peer);
  if (transport != Transport::tcp || !target) {
    co_return std::unexpected(Error(Fault::unsupported, "connect", to_string(peer))
                                  .with_note("only TCP connects on a simulated host"));
  }
  const std::string name = to_string(Endpoint::of(peer, transport));
  if (!host_.is_up()) co_return fail(Fault::closed, "connect", name);
  const Instant begun = host_.local_now();
  const auto id = host_.stack()->tcp_connect(*target, begun);
  if (!id) co_return fail(id.error().fault(), "connect", name);
  host_.poke();
  auto stream = std::make_unique<SimStream>(host_, *id, std::move(peer));
  auto connected = co_await Connected(*stream);
  if (!connected) {
    co_return std::unexpected(std::move(connected.error()).with_elapsed(host_.local_now() - begun));
  }
  co_return std::move(stream);
}

Result<std::unique_ptr<Listener>> HostNetwork::listen(const Endpoint& at,
                                                      const ListenOptions& options) {
  auto place = place_of(at, Transport::tcp);
  if (!place) return std::unexpected(std::move(place.error()));
  if (!host_.is_up()) return fail(Fault::closed, "listen", to_string(at));
  std::erase_if(shared_, [](const auto& each) { return each.second.expired(); });
  if (options.shared) {
    if (const auto known = shared_.find(*place); known != shared_.end())
      return std::make_unique<SimListener>(loop(), at, known->second.lock());
  }
  const auto id = host_.stack()->tcp_listen(*place, options.backlog);
  if (!id) return fail(id.error().fault(), "listen", to_string(at));
  place->port = host_.stack()->local(*id)->port;
  auto port = std::make_shared<ListeningPort>(host_, *id);
  if (options.shared) shared_[*place] = port;
  return std::make_unique<SimListener>(loop(), at.with_port(place->port), std::move(port));
}

Result<std::unique_ptr<Datagram>> HostNetwork::bind_datagram(const Endpoint& at,
                                                             const ListenOptions&,
                                                             const os::DatagramMaker*) {
  const auto place = place_of(at, Transport::udp);
  if (!place) return std::unexpected(place.error());
  if (!host_.is_up()) return fail(Fault::closed, "listen", to_string(at));
  const auto id = host_.stack()->udp_bind(*place);
  if (!id) return fail(id.error().fault(), "listen", to_string(at));
  return std::make_unique<SimDatagram>(host_, *id);
}

Io<std::vector<IpAddress>> HostNetwork::resolve(std::string name) {
  auto servers = host_.name_servers_.value_or(host_.world_.name_servers());
  if (!servers.empty() || host_.name_servers_) {
    auto resolving = sim::resolve(*this, std::move(name), std::move(servers));
    co_return co_await resolving;
  }
  if (auto address = parse_ip(name)) co_return std::vector<IpAddress>{*address};
  auto addresses = host_.world_.addresses_of(name);
  if (addresses.empty()) {
    co_return std::unexpected(
        Error(Fault::not_found, "resolve", name).with_note("no host of this world has that name"));
  }
  co_return addresses;
}

}  // namespace koine::sim
