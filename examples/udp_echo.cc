// Sends each datagram back to whoever sent it: RFC 862 over UDP.
//
//     udp_echo udp://127.0.0.1:4002
#include "koine/datagrams.h"

koine::Io<void> echo(const koine::DatagramRequest& request) {
  if (!request.from.ip().is_loopback()) co_return {};  // two echoes that face each other never stop
  co_await attempt(send_to(request.socket, request.bytes, request.from));
  co_return {};
}

int main(int count, char** words) {
  return koine::serve(count > 1 ? words[1] : "udp://127.0.0.1:4002", echo);
}
