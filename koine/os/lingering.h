// Lingering: what happens to a connection that was closed before everything was sent and read.
//
// The owner is gone; the reactor sends the rest, promises the end, and reads and drops what the
// peer still sends until it ends too. Closing right away would answer unread data with a reset, and
// a reset makes the peer's kernel drop what it had received but not delivered (RFC 9293,
// section 3.10.7.4).
#pragma once

#include "koine/os/fd.h"
#include "koine/os/reactor.h"
#include "koine/os/socket_stream.h"

namespace koine::os {

/// Bounds: time in all, and what is read and dropped.
inline constexpr Duration linger_time_max = 5s;
inline constexpr std::size_t linger_read_bytes_max = std::size_t{1} << 20;

/// How many connections and datagram sockets of a loop may linger; a further one is closed at once.
inline constexpr std::size_t lingering_max = 1024;

/// What could not be delivered in the end is no secret: then the peer sees a reset.
void linger(Reactor& reactor, Fd fd, Outbox outbox);

/// Closes at once and drops what is unsent; the peer sees a reset (RFC 9293, section 3.10.5). Unix
/// sockets have no such thing, their peer sees the end.
void close_with_reset(Fd fd);

}  // namespace koine::os
