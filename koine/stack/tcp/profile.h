// The numbers a TCP lives by: what the RFCs say (strict), or what Linux does where they leave room.
//
// A profile is data. Nothing in the state machine asks which one it was given.
#pragma once

#include <cstdint>

#include "koine/base/time.h"

namespace koine::stack::tcp {

enum class CongestionControl : std::uint8_t {
  reno,   ///< RFC 5681, appropriate byte counting (RFC 3465)
  cubic,  ///< RFC 9438
};

/// When a segment that is not full waits for what is in flight (RFC 9293, section 3.7.4).
enum class Nagle : std::uint8_t {
  off,
  standard,  ///< while anything is unacknowledged
  minshall,  ///< while another segment that was not full is unacknowledged
};

struct Profile {
  // Retransmission (RFC 6298).
  Duration rto_initial = 1s;
  Duration rto_min = 1s;
  Duration rto_max = 60s;
  Duration rto_after_lost_syn = 3s;  ///< section 5.7
  std::uint8_t syn_retries = 6;
  std::uint8_t syn_ack_retries = 5;
  std::uint8_t retries = 15;       ///< of data, without any answer, before giving up
  Duration user_timeout = 0s;      ///< RFC 5482; 0 leaves the decision to `retries`
  std::uint8_t lost_syns_max = 0;  ///< more than so many lost SYNs, and we begin with one segment

  // Acknowledgments (RFC 9293, section 3.8.6.3).
  Duration delayed_ack = 200ms;
  std::uint8_t segments_per_ack = 2;
  std::uint8_t quick_acks = 0;  ///< the first segments of a connection that are answered at once

  // Options that we offer.
  std::uint16_t mss = 0;  ///< at most this; 0: what the link's MTU leaves
  bool sack = true;
  bool timestamps = true;
  bool window_scale = true;
  Duration timestamp_tick = 1ms;  ///< RFC 7323, section 5.4: 1 ms to 1 s

  // Buffers, in bytes. The receive buffer grows with what is read in a round trip.
  std::uint32_t receive_buffer_initial = 65'535;
  std::uint32_t receive_buffer_max = 4u << 20;
  std::uint32_t send_buffer_max = 4u << 20;
  std::uint16_t out_of_order_ranges_max = 1024;

  // Congestion (RFC 5681, 6928, 9406).
  CongestionControl congestion = CongestionControl::cubic;
  std::uint8_t initial_window_segments = 10;
  std::uint8_t byte_counting_limit = 2;  ///< segments that one ACK may count for: RFC 3465's L
  bool hystart = true;
  bool tail_loss_probe = true;

  Nagle nagle = Nagle::standard;

  // Waiting for the end.
  Duration time_wait = 240s;  ///< 2 MSL, RFC 9293, section 3.4.2
  Duration fin_wait_2 = 60s;  ///< when nobody will read any more

  // Keep-alive, off unless asked for (RFC 9293, section 3.8.4).
  bool keep_alive = false;
  Duration keep_alive_idle = 7200s;
  Duration keep_alive_interval = 75s;
  std::uint8_t keep_alive_probes = 9;

  /// A probe of a closed window carries one octet of new data (RFC 9293, section 3.8.6.1), or it is
  /// an old sequence number without data, which asks the same question.
  bool probe_with_data = true;

  /// Between two answers to segments that are not acceptable and carry no data, so that two ends
  /// that find each other unacceptable do not talk for ever (RFC 5961, section 7).
  Duration challenge_interval = 500ms;
};

/// As the RFCs have it.
constexpr Profile strict_profile() { return {}; }

/// As a recent Linux behaves.
constexpr Profile linux_profile() {
  Profile profile;
  profile.rto_min = 200ms;
  profile.rto_max = 120s;
  profile.lost_syns_max = 1;
  profile.delayed_ack = 40ms;
  profile.quick_acks = 16;
  profile.receive_buffer_initial = 64'240;
  profile.receive_buffer_max = 15u << 20;
  profile.byte_counting_limit = 8;
  profile.nagle = Nagle::minshall;
  profile.time_wait = 60s;
  profile.probe_with_data = false;
  return profile;
}

}  // namespace koine::stack::tcp
