#include "koine/transport/network.h"

// Weak names: they are there if the kernel's sockets are, and are never looked for. See
// docs/decisions/0010-parts-are-linked-by-who-names-them.md.
namespace koine::os {
[[gnu::weak]] extern const Connector connector;
[[gnu::weak]] extern const DatagramMaker datagram_maker;
}  // namespace koine::os

namespace koine {

template class Trying<Accept, std::unique_ptr<Stream>>;
template class Trying<ReceiveFrom, Received>;
template class Trying<SendTo, void>;
template class Trying<FlushDatagrams, void>;

Io<std::unique_ptr<Stream>> Network::connect(Address peer, Transport transport) {
  return connect_stream(std::move(peer), transport, &os::connector);
}

Result<std::unique_ptr<Datagram>> Network::bind(const Endpoint& at, const ListenOptions& options) {
  return bind_datagram(at, options, &os::datagram_maker);
}

}  // namespace koine
