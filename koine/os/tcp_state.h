// What TCP says of a connection (TCP_INFO, tcp(7)), and what that tells of a message that it did
// not send at once.
#pragma once

#include <cstdint>
#include <optional>

#include "koine/journey/journey.h"

namespace koine::os {

/// At one moment. Zero where the kernel does not say.
struct TcpInfo {
  /// The first segments of a connection are not paced (Linux).
  static constexpr std::uint32_t segments_unpaced = 10;

  std::uint32_t cwnd = 0;       ///< congestion window, segments
  std::uint32_t in_flight = 0;  ///< segments that are sent, and neither confirmed nor lost
  std::uint32_t srtt_us = 0;
  std::uint32_t mss = 0;
  std::uint32_t unsent_bytes = 0;
  std::uint32_t retransmits = 0;        ///< since it was opened
  std::uint32_t out_of_order = 0;       ///< segments received so, since then
  std::uint32_t segments_sent = 0;      ///< with data, since then
  std::uint64_t pacing_rate = 0;        ///< bytes a second, if it paces
  std::uint64_t window_limited_us = 0;  ///< since then, the receiver's window was full
  std::uint64_t buffer_limited_us = 0;  ///< and the send buffer had room for no more in flight
};

std::optional<TcpInfo> read_tcp_info(int fd);

/// What a connection was told to do. It is asked for only when something was held back.
struct TcpOptions {
  bool paces = false;                    ///< SO_MAX_PACING_RATE, or a congestion control that does
  bool waits_for_confirmations = false;  ///< Nagle's algorithm: no TCP_NODELAY
};

TcpOptions read_tcp_options(int fd);

/// A message that was not sent at once.
struct Held {
  std::uint64_t bytes = 0;   ///< its own, and all that were not sent before it
  std::int64_t ns = 0;       ///< so long
  std::int64_t late_ns = 0;  ///< it had left so long before it was asked why
  bool had_it = true;        ///< TCP had all of it meanwhile; else the program may have been slow
};

/// What held it back, if the connection was like this before it was written and like that when it
/// had left. Unknown rather than wrong.
journey::HeldBy what_held(const TcpInfo& before, const TcpInfo& after, const TcpOptions& options,
                          const Held& held);

}  // namespace koine::os
