#include "cli/reach.h"

#include <algorithm>

#include "koine/app/client.h"
#include "koine/async/sleep.h"
#include "koine/async/within.h"

namespace koine::cli {
namespace {

/// Somebody waits for the server to start: look often at first.
RetryOptions pauses() {
  RetryOptions retry;
  retry.pause_first = 10ms;
  retry.pause_max = 1s;
  return retry;
}

}  // namespace

Patience::Patience(ReachOptions options) : options_(options), begun_(Loop::current().now()) {}

Duration Patience::left() const {
  return std::max(begun_ + options_.timeout - Loop::current().now(), Duration::zero());
}

Io<void> Patience::after(Error error) {
  ++attempts_;
  if (!options_.patient || !may_pass(error.fault())) co_return std::unexpected(std::move(error));
  const Duration pause = pause_after(attempts_, pauses(), Loop::current().chance());
  const bool is_last = pause >= left();
  co_await sleep(std::min(pause, left()));
  if (is_last) {
    std::string note = std::to_string(attempts_) + " attempts";
    co_return std::unexpected(
        std::move(error).with_note(std::move(note)).with_elapsed(Loop::current().now() - begun_));
  }
  co_return Result<void>();
}

Io<std::unique_ptr<Stream>> reach(Network& network, Endpoint peer, ReachOptions options) {
  Patience patience(options);
  for (;;) {
    DialOptions dialling{.timeout = patience.left()};
    auto dialled = dial(network, peer, dialling);
    auto stream = co_await dialled;
    if (stream) co_return std::move(*stream);
    auto next = patience.after(std::move(stream.error()));
    co_await attempt(std::move(next));
  }
}

Io<std::vector<Address>> datagram_peers(Network& network, Endpoint peer, Duration timeout) {
  std::vector<Address> peers;
  if (peer.is_any()) {
    peers = {Address(loopback_v6, peer.port()), Address(loopback_v4, peer.port())};
    co_return peers;
  }
  auto looking_up = within(timeout, resolved(network, std::move(peer)));
  const Endpoint found = co_await attempt(std::move(looking_up));
  if (const auto address = found.address()) peers.push_back(*address);
  if (peers.empty()) {
    co_return std::unexpected(
        Error(Fault::unsupported, "connect", to_string(found))
            .with_note("an inherited socket can be listened on, not connected to"));
  }
  co_return peers;
}

Result<std::unique_ptr<Datagram>> datagram_to(Network& network, const Address& peer,
                                              Transport transport) {
  Endpoint here;
  if (transport == Transport::unix_datagram) {
    // A name that the kernel chooses, so that the server has somewhere to send its answer.
    here = Endpoint::of(Address::unix_abstract("").value(), transport);
  } else {
    here = Endpoint::udp(peer.ip().is_v6() ? any_v6 : any_v4, 0);
  }
  auto socket = network.bind(here);
  if (!socket) return socket;
  if (auto connected = (*socket)->connect(peer); !connected) {
    return std::unexpected(Error(connected.error().fault(), "connect",
                                 to_string(Endpoint::of(peer, transport)),
                                 connected.error().system()));
  }
  return socket;
}

}  // namespace koine::cli
