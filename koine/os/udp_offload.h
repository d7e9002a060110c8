// Trains: many UDP datagrams of one size, from or to one peer, that pass through the kernel as one
// (UDP_SEGMENT and UDP_GRO: udp(7); Documentation/networking/segmentation-offloads.rst of Linux).
// The last may be shorter.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "koine/os/timestamping.h"

namespace koine::os {

/// Datagrams of one train: UDP_MAX_SEGMENTS of Linux 6.9, and of those before. More than the kernel
/// takes are refused with EINVAL.
inline constexpr std::size_t train_datagrams_max = 128;
inline constexpr std::size_t train_datagrams_max_once = 64;

/// True if the kernel cuts trains into datagrams (Linux 4.18). One that cannot would send a train
/// as one large datagram, so it has to be asked before.
bool can_send_trains(int fd);

/// Lets the kernel hand over what arrives as trains (Linux 5.0): whether it may do so from now on.
bool accept_trains(int fd);

/// Whether it may do so already.
bool accepts_trains(int fd);

/// Makes this message a train of datagrams of `datagram_bytes` each.
void cut_into(msghdr& message, ControlBuffer& room, std::size_t datagram_bytes);

/// What each datagram of a received train has, or 0 if it is no train.
std::size_t datagram_bytes_of(const msghdr& message);

}  // namespace koine::os
