// What a server allows one peer, and all of them together. Every limit is finite unless somebody
// says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

#include "koine/base/time.h"

namespace koine {

struct Limits {
  /// Connections at a time. Further ones wait in the listener's backlog until one ends.
  std::size_t connections = 10'000;

  /// Connections at a time from one IP address. A further one is refused with a reset.
  std::size_t connections_per_address = 1'024;

  /// A connection on which no byte moves for so long is closed.
  Duration idle = 60s;

  /// A peer that takes what is sent to it more slowly than this, on average over `idle`, is closed:
  /// who drips is slow, however short the gaps. Only the time counts in which something waits to be
  /// sent to it. 0 allows any. (How slowly a message may arrive is for ReaderOptions to say.)
  std::uint64_t taken_bytes_per_second_min = 64;

  /// A connection that moves fewer bytes than this per second, both ways together and on average
  /// over `idle`, is closed. It is for services whose peers always have something to say; 0 allows
  /// any, as a person needs who types.
  std::uint64_t bytes_per_second_min = 0;

  /// Bytes that all connections have written and the network has not taken. Beyond, those with the
  /// most are closed, within 100 ms, until the rest fit. (One connection is bounded by its stream:
  /// 64 KiB.)
  std::size_t unsent_bytes = std::size_t{64} << 20;

  /// Peers of a datagram server that are remembered, when each peer has a handler of its own. A
  /// datagram from one more is dropped.
  std::size_t datagram_peers = 10'000;

  /// Datagrams that wait for one peer's handler. A further one is dropped, as UDP may.
  std::size_t datagrams_waiting = 64;

  /// Bytes of the datagrams that wait for all peers' handlers. A datagram beyond is dropped.
  std::size_t datagram_bytes_waiting = std::size_t{64} << 20;
};

/// What happened to the connections of a server.
struct ServerCounts {
  std::uint64_t accepted = 0;   ///< connections that reached a handler
  std::uint64_t finished = 0;   ///< handlers that ended by themselves, well or with an error
  std::uint64_t failed = 0;     ///< of these: with an error
  std::uint64_t refused = 0;    ///< over the limit of their address
  std::uint64_t idle = 0;       ///< closed because no byte moved
  std::uint64_t slow = 0;       ///< closed because too few bytes moved, or too many waited
  std::uint64_t cut = 0;        ///< still running when the time to drain was up
  std::uint64_t datagrams = 0;  ///< datagrams that reached a handler, or wait for one
  std::uint64_t dropped = 0;    ///< datagrams over a limit, or left when a peer's handler ended

  ServerCounts& operator+=(const ServerCounts& other);
};

}  // namespace koine
