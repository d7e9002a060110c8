// SO_TIMESTAMPING (socket(7), Documentation/networking/timestamping.rst of Linux): what the kernel
// says about when bytes left and arrived. Switching it on, and reading what it says.
//
// Debian 12 has the headers of Linux 6.1; what came later is defined here and tried at run time.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

#include "koine/base/bytes.h"
#include "koine/transport/endpoint.h"

namespace koine::os {

/// What a socket was found to offer.
struct Timestamping {
  bool receiving = false;   ///< arrivals are stamped
  bool sending = false;     ///< departures are, when a message asks for it
  bool confirming = false;  ///< so are confirmations: TCP
  bool frames = false;      ///< departures come back as whole frames
  std::string lacking{};    ///< why there is not more, in words; empty if nothing is missing
};

/// Switches the stamps of a socket on. Nothing is stamped on its way out until a message asks for
/// it. What is counted (report keys) begins at 0 with the next byte or datagram.
Timestamping enable_timestamping(int fd, Transport transport, bool frames);

/// From now on whole frames come back with the stamps of departures, or no longer. The count goes
/// on. False if the kernel does not allow it.
bool give_frames(int fd, Transport transport, bool wanted);

/// Switches them off.
void disable_timestamping(int fd);

/// One report from a socket's error queue.
struct Report {
  enum class Kind : std::uint8_t { other, scheduled, sent, confirmed };
  Kind kind = Kind::other;
  std::uint32_t key = 0;  ///< TCP: the last byte of a message, counted from 0; UDP: the datagram
  std::int64_t ns = 0;    ///< CLOCK_REALTIME
  std::size_t frame_bytes = 0;  ///< of the room that was given; 0 if no frame came along
};

/// What an SCM_TSTAMP_ of linux/errqueue.h says.
Report::Kind kind_of_stamp(std::uint32_t type);

/// Takes the next report; nothing if there is none.
std::optional<Report> next_report(int fd, MutableBytes frame);

/// Room for the control messages of one call.
struct ControlBuffer {
  alignas(cmsghdr) std::byte bytes[256];
};

/// Asks for stamps of what this message sends: scheduled, sent, and (TCP) confirmed. `id` is what
/// reports of a datagram shall be called, if the kernel lets us choose (Linux 6.13).
void ask_for_stamps(msghdr& message, ControlBuffer& room, bool confirming,
                    std::optional<std::uint32_t> id);

/// When the kernel had what this recvmsg(2) gave; nothing if it did not stamp it.
std::optional<std::int64_t> arrival_of(const msghdr& message);

}  // namespace koine::os
