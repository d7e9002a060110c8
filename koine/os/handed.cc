#include "koine/os/handed.h"

#include "koine/os/sockaddr.h"
#include "koine/os/socket_stream.h"

namespace koine::os {

Result<Handed> take_socket(std::unique_ptr<Stream> stream) {
  auto* socket = dynamic_cast<SocketStream*>(stream.get());
  if (socket == nullptr) {
    return std::unexpected(
        Error(Fault::unsupported, "serve", stream->name())
            .with_note("only sockets of the kernel's have threads or processes"));
  }
  Handed handed;
  handed.peer = socket->peer();
  handed.fd = socket->release();
  handed.transport = transport_of(handed.fd.get()).value_or(Transport::tcp);
  return handed;
}

}  // namespace koine::os
