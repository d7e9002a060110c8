// What a Host keeps for each socket. Only its own files include this.
#pragma once

#include <deque>

#include "koine/base/fifo.h"
#include "koine/stack/host.h"

namespace koine::stack {

struct Host::TcpSocket {
  tcp::Connection connection;
  TcpKey key;
  SocketId listener{};             // who made it, until it was accepted
  Instant armed = Instant::max();  // the earliest alarm that is set
  bool in_ready = false;
  bool owned = false;  // the application has it
  bool half_open = false;
};

struct Host::Listener {
  IpPort local;
  std::size_t backlog;
  std::uint32_t half_open = 0;
  std::deque<SocketId> complete;
};

struct Host::UdpSocket {
  struct Datagram {
    IpPort from;
    Packet data;
  };
  IpPort local;
  std::optional<IpPort> peer;
  Fifo<Datagram> waiting;
  std::size_t bytes = 0;
  std::optional<Fault> fault;
};

}  // namespace koine::stack
