// Datagrams: programs that answer them, one by one or one peer at a time.
//
//     koine::Io<void> echo(const koine::DatagramRequest& request) {
//       co_await attempt(send_to(request.socket, request.bytes, request.from));
//       co_return {};
//     }
//
//     int main() { return koine::serve("udp://127.0.0.1:4001", echo); }
//
// It is beside koine.h and not in it, so that only who answers datagrams pays for compiling it.
#pragma once

#include "koine/app/datagram_server.h"
#include "koine/koine.h"
