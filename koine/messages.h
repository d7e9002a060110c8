// Messages: programs that ask each other for answers and streams of items, by RSocket 1.0.
//
//     koine::Io<Sum> add(Add request) { co_return Sum{request.a + request.b}; }
//
//     int main() {
//       koine::Service service;
//       service.on("add", add);
//       return koine::serve("rsocket+tcp://:7001", service);
//     }
//
//     koine::Peer peer = co_await attempt(dial(network, "rsocket+tcp://10.0.0.2:7001"));
//     Sum sum = co_await attempt(within(200ms, peer.call<Sum>("add", Add{2, 3})));
//
// It is beside koine.h and not in it, so that only who talks in messages pays for compiling it. How
// a struct becomes bytes: koine/rsocket/json.h, protobuf.h beside it, or a Codec of one's own.
#pragma once

#include "koine/koine.h"
#include "koine/rsocket/peer.h"

namespace koine {

using rsocket::Channel;
using rsocket::Message;
using rsocket::Peer;
using rsocket::PeerOptions;
using rsocket::Service;
using rsocket::Sink;
using rsocket::Source;
using rsocket::StreamOptions;

}  // namespace koine
