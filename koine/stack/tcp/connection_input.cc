// A segment arrives: RFC 9293, section 3.10.7, with the defences of RFC 5961.
//
// The steps stand in the order of the RFC, and the comments name them.
#include <algorithm>

#include "koine/stack/tcp/connection.h"

namespace koine::stack::tcp {

using namespace wire;

namespace {

/// TS.Recent is forgotten after 24 days (RFC 7323, section 5.5).
constexpr Duration timestamp_age_max = std::chrono::hours(24 * 24);

bool stamp_before(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) < 0; }

TcpHeader reset_for_ack(Seq ack) { return TcpHeader{.seq = ack, .flags = tcp_rst}; }

}  // namespace

Answer Connection::input(const Segment& segment, Instant now) {
  ++environment_->counters.segments_in;
  Answer answer;
  if (state_ == State::closed) return answer;
  heard_at_ = now;
  if (state_ == State::syn_sent) return in_syn_sent(segment, now);

  const TcpFlags flags = segment.header.flags;

  // In a simultaneous open the peer's SYN comes a second time, with its ACK; from a peer that never
  // saw our SYN-ACK it comes without one.
  if (state_ == State::syn_received && flags.has(tcp_syn) && !flags.has(tcp_rst) &&
      segment.header.seq + 1 == rcv_nxt_) {
    if (!flags.has(tcp_ack)) {
      syn_due_ = true;
      return answer;
    }
    Segment rest = segment;
    rest.header.seq += 1;
    rest.header.flags.bits &= static_cast<std::uint8_t>(~tcp_syn.bits);
    return input(rest, now);
  }

  // A new connection may begin where an old one is fading away (RFC 6191; RFC 9293, MUST-13).
  if (state_ == State::time_wait && flags.has(tcp_syn) && !flags.has_any(tcp_rst | tcp_ack))
    return in_time_wait_syn(segment, now);

  // First, the sequence number; before it, the timestamp (RFC 7323, section 5.3, R1).
  if ((!flags.has(tcp_rst) && timestamp_is_old(segment, now)) || !is_acceptable(segment)) {
    if (!flags.has(tcp_rst)) refuse(segment, now);
    return answer;
  }

  // Second, RST.
  if (flags.has(tcp_rst)) {
    take_reset(segment, now);
    return answer;
  }

  // Fourth, SYN: never right in a synchronized state (RFC 5961, section 4.2).
  if (flags.has(tcp_syn)) {
    if (state_ == State::syn_received && passive_) {
      set_closed();  // back to LISTEN, which is the host's
    } else {
      challenge(now);
    }
    return answer;
  }

  // Fifth, ACK.
  if (!flags.has(tcp_ack)) return answer;
  learn_timestamp(segment, now);
  if (!take_ack(segment, now, answer)) return answer;

  // Seventh, text; eighth, FIN. Urgent data stays where it is, in line (RFC 6093).
  if (segment.length() > 0) take_text(segment, now, answer);
  return answer;
}

// 3.10.7.3
Answer Connection::in_syn_sent(const Segment& segment, Instant now) {
  const TcpHeader& header = segment.header;
  const bool has_ack = header.flags.has(tcp_ack);
  if (has_ack && (header.ack <= iss_ || header.ack > snd_nxt_)) {
    Answer answer;
    if (!header.flags.has(tcp_rst)) answer.reset = reset_for_ack(header.ack);
    return answer;
  }
  if (header.flags.has(tcp_rst)) {
    if (has_ack) fail(Fault::refused);
    return {};
  }
  if (!header.flags.has(tcp_syn)) return {};

  rcv_nxt_ = header.seq + 1;
  rcv_edge_ = rcv_nxt_ + std::min(receive_buffer_, 65'535u);
  ack_sent_ = rcv_nxt_;
  learn_options(header.options);
  if (use_timestamps_) {
    timestamp_recent_ = header.options.timestamps->value;
    recent_at_ = now;
  }
  snd_wnd_ = snd_wnd_max_ = header.window;  // of a SYN: never scaled (RFC 7323, section 2.2)
  snd_wl1_ = header.seq;
  snd_wl2_ = header.ack;
  if (!has_ack) {  // simultaneous open
    state_ = State::syn_received;
    syn_due_ = true;
    tries_ = 0;
    return {};
  }
  snd_una_ = header.ack;
  if (syns_lost_ == 0) {
    rtt_.sample(now - sent_at_);
  } else if (use_timestamps_ && header.options.timestamps->echo != 0) {
    rtt_.sample((stamp(now) - header.options.timestamps->echo) *
                environment_->profile.timestamp_tick);
  } else {
    rtt_.syn_was_lost();
  }
  become_established(now);
  ack_due_ = true;
  Answer answer;
  Segment rest = segment;
  rest.header.seq += 1;
  rest.header.flags.bits &= static_cast<std::uint8_t>(~tcp_syn.bits);
  if (rest.length() > 0) take_text(rest, now, answer);
  return answer;
}

void Connection::become_established(Instant now) {
  syn_acked_ = true;
  syn_due_ = false;
  state_ = State::established;
  repeat_at_ = never;
  repeat_ = Repeat::none;
  rtt_.forgive();
  tries_ = 0;
  quick_acks_ = environment_->profile.quick_acks;
  round_at_ = now;
  begin_window();
  events_ |= event_connected | event_writable;
  arm_life(now);
}

// RFC 9293, table 6.
bool Connection::is_acceptable(const Segment& segment) const {
  const Seq seq = segment.header.seq;
  const std::uint32_t length = segment.length();
  const std::uint32_t window = rcv_edge_ - rcv_nxt_;
  if (window == 0) {
    // "Special allowance should be made to accept valid ACKs, URGs, and RSTs": what carries data as
    // well is looked at too, and its data left out in take_text().
    return seq == rcv_nxt_;
  }
  if (in_window(seq, rcv_nxt_, window)) return true;
  return length > 0 && in_window(seq + (length - 1), rcv_nxt_, window);
}

// "If an incoming segment is not acceptable, an acknowledgment should be sent in reply."
void Connection::refuse(const Segment& segment, Instant now) {
  const TcpHeader& header = segment.header;
  if (state_ == State::syn_received) {
    syn_due_ = true;  // a SYN-ACK carries the same acknowledgment, and can complete the handshake
    return;
  }
  const std::uint32_t length = segment.length();
  if (state_ == State::time_wait && header.flags.has(tcp_fin)) {
    life_at_ = now + environment_->profile.time_wait;  // the peer has not heard our last ACK
  }
  if (length == 0 || header.flags.has(tcp_syn)) {
    challenge(now);
    return;
  }
  if (header.seq + length <= rcv_nxt_) ++environment_->counters.duplicates_in;
  // Old data is reported as a duplicate (RFC 2883, section 4).
  const Seq end = header.seq + static_cast<std::uint32_t>(segment.data.size());
  if (use_sack_ && !segment.data.empty() && end <= rcv_nxt_ && !header.flags.has(tcp_syn)) {
    has_duplicate_ = true;
    duplicate_ = {header.seq, end};
  }
  // It came again because our ACK was lost, and the answer carries its own timestamp, as BSD's does
  // (Stevens, TCP/IP Illustrated, volume 2, p. 869). With that of the first one the peer would take
  // the time it waited for a round trip, and wait longer the next time, and so on without an end.
  if (rcv_nxt_ - header.seq <= receive_buffer_) learn_timestamp(segment, now);
  ack_due_ = true;
}

bool Connection::take_reset(const Segment& segment, Instant now) {
  if (segment.header.seq != rcv_nxt_) {  // RFC 5961, section 3.2
    challenge(now);
    return false;
  }
  switch (state_) {
    case State::syn_received:
      if (passive_) {
        set_closed();
      } else {
        fail(Fault::refused);
      }
      break;
    case State::closing:
    case State::last_ack:
    case State::time_wait: set_closed(); break;
    default: fail(Fault::reset); break;
  }
  return true;
}

Answer Connection::in_time_wait_syn(const Segment& segment, Instant now) {
  Answer answer;
  const auto& stamps = segment.header.options.timestamps;
  const bool later_stamp =
      use_timestamps_ && stamps && stamp_before(timestamp_recent_, stamps->value);
  const bool same_stamp = use_timestamps_ && stamps && stamps->value == timestamp_recent_;
  const bool later_seq = segment.header.seq >= rcv_nxt_;
  if (later_stamp || (later_seq && (same_stamp || !use_timestamps_ || !stamps))) {
    answer.reopen = true;
  } else {
    challenge(now);
  }
  return answer;
}

bool Connection::take_ack(const Segment& segment, Instant now, Answer& answer) {
  const TcpHeader& header = segment.header;
  const Seq ack = header.ack;
  if (state_ == State::syn_received) {
    if (ack <= snd_una_ || ack > snd_nxt_) {
      answer.reset = reset_for_ack(ack);
      return false;
    }
    if (syns_lost_ == 0) {
      rtt_.sample(now - sent_at_);
    } else if (use_timestamps_ && header.options.timestamps &&
               header.options.timestamps->echo != 0) {
      rtt_.sample((stamp(now) - header.options.timestamps->echo) *
                  environment_->profile.timestamp_tick);
    } else {
      rtt_.syn_was_lost();
    }
    become_established(now);
    snd_una_ = iss_ + 1;
    snd_wnd_ = std::uint32_t{header.window} << snd_scale_;
    snd_wnd_max_ = std::max(snd_wnd_max_, snd_wnd_);
    snd_wl1_ = header.seq;
    snd_wl2_ = ack;
    if (fin_wanted_) state_ = State::fin_wait_1;
  }
  // RFC 5961, section 5.2.
  if (ack > snd_nxt_ || snd_una_ - ack > snd_wnd_max_) {
    if (!(ack > snd_una_ && ack <= snd_nxt_)) {
      if (segment.length() > 0) {
        ack_due_ = true;
      } else {
        challenge(now);
      }
      return false;
    }
  }

  const bool fin_was_out = fin_sent_;
  const bool was_waiting = state_ == State::time_wait;
  if (ack >= snd_una_) {
    acknowledged(header, static_cast<std::uint32_t>(segment.length()), now);
  } else if (use_sack_ && flight_ && !header.options.sack.empty()) {
    acknowledged(header, segment.length(), now);  // an old ACK may still report what arrived
  }
  if (state_ == State::closed) return false;

  if (fin_was_out && snd_una_ == snd_end_ + 1) {
    switch (state_) {
      case State::fin_wait_1:
        state_ = State::fin_wait_2;
        arm_life(now);
        break;
      case State::closing: enter_time_wait(now); break;
      case State::last_ack: set_closed(); return false;
      default: break;
    }
  }
  if (was_waiting && segment.length() > 0) {
    ack_due_ = true;
    life_at_ = now + environment_->profile.time_wait;
  }
  return true;
}

void Connection::take_text(const Segment& segment, Instant now, Answer& answer) {
  const TcpHeader& header = segment.header;
  Seq seq = header.seq;
  Bytes data = segment.data;
  bool fin = header.flags.has(tcp_fin);
  if (!can_receive()) return;  // the peer has finished already: nothing that follows is new

  // What lies beyond the window is cut off, a FIN with it. A FIN alone needs no room.
  const std::uint32_t window = rcv_edge_ - rcv_nxt_;
  const std::uint32_t offset = seq - rcv_nxt_;  // meaningful if seq is not old
  const bool old = seq < rcv_nxt_;
  if (!old && offset + data.size() > window) {
    data = data.first(window > offset ? window - offset : 0);
    fin = false;
    ack_due_ = true;
  } else if (old && (rcv_nxt_ - seq) + std::uint64_t{window} < data.size()) {
    data = data.first(rcv_nxt_ - seq + window);
    fin = false;
    ack_due_ = true;
  }
  if (fin_known_) {  // nothing counts behind the FIN that came first
    const std::uint32_t room = fin_at_ - seq;
    if (seq > fin_at_) return;
    if (data.size() > room) data = data.first(room);
    fin = fin && seq + static_cast<std::uint32_t>(data.size()) == fin_at_;
  }
  if (nobody_reads_ && seq + static_cast<std::uint32_t>(data.size()) > rcv_nxt_) {
    // RFC 1122, section 4.2.2.13: tell the peer that its data is lost.
    answer.reset = TcpHeader{.seq = snd_nxt_, .ack = rcv_nxt_, .flags = tcp_rst | tcp_ack};
    set_closed();
    return;
  }
  if (fin && !fin_known_) {
    fin_known_ = true;
    fin_at_ = seq + static_cast<std::uint32_t>(data.size());
  }

  if (!data.empty()) {
    const std::uint32_t size = static_cast<std::uint32_t>(data.size());
    if (seq < receive().highest()) {
      Counters& counters = environment_->counters;
      ++(receive_->has(seq, seq + size) ? counters.duplicates_in : counters.late_in);
    }
    const Reassembly::Outcome outcome =
        receive().insert(seq, data, environment_->profile.out_of_order_ranges_max);
    if (outcome.duplicate.left != outcome.duplicate.right) {
      has_duplicate_ = true;
      duplicate_ = outcome.duplicate;
    }
    rcv_nxt_ += outcome.advanced;
    if (outcome.advanced > 0) {
      events_ |= event_readable;
      // At once when a hole was filled, when another is left, and for what came twice.
      acknowledge_data(outcome.filled || receive_->has_islands() || outcome.advanced < size, now);
    } else {
      if (outcome.apart) ++environment_->counters.out_of_order_in;
      if (duplicate_acks_due_ < 255) ++duplicate_acks_due_;
    }
    keep_memory(now);
  } else if (fin && seq > rcv_nxt_) {
    if (duplicate_acks_due_ < 255) ++duplicate_acks_due_;
  }
  if (fin_known_ && !fin_received_ && rcv_nxt_ == fin_at_) take_fin(now);
}

void Connection::take_fin(Instant now) {
  fin_received_ = true;
  rcv_nxt_ += 1;
  if (rcv_edge_ < rcv_nxt_) rcv_edge_ = rcv_nxt_;
  ack_due_ = true;
  events_ |= event_readable;
  switch (state_) {
    case State::established: state_ = State::close_wait; break;
    case State::fin_wait_1:
      // Our FIN is not acknowledged, or take_ack() would have moved on.
      state_ = State::closing;
      break;
    case State::fin_wait_2: enter_time_wait(now); break;
    default: break;
  }
  arm_life(now);
}

// RFC 9293, section 3.8.6.3; RFC 5681, section 4.2.
void Connection::acknowledge_data(bool at_once, Instant now) {
  ++segments_unacked_;
  if (quick_acks_ > 0) {
    --quick_acks_;
    at_once = true;
  }
  if (at_once || segments_unacked_ >= environment_->profile.segments_per_ack) {
    ack_due_ = true;
  } else if (ack_at_ == never) {
    ack_at_ = now + environment_->profile.delayed_ack;
  }
}

void Connection::learn_options(const TcpOptions& options) {
  const Profile& profile = environment_->profile;
  if (options.mss) mss_peer_ = std::max<std::uint16_t>(*options.mss, 64);
  use_sack_ = profile.sack && options.sack_permitted;
  use_timestamps_ = profile.timestamps && options.timestamps;
  use_scale_ = profile.window_scale && options.window_scale;
  snd_scale_ = use_scale_ ? *options.window_scale : std::uint8_t{0};
  if (!use_scale_) rcv_scale_ = 0;
  set_mss(std::min(mss_peer_, mss_path_));
}

// RFC 7323, section 4.3.
void Connection::learn_timestamp(const Segment& segment, Instant now) {
  const auto& stamps = segment.header.options.timestamps;
  if (!use_timestamps_ || !stamps) return;
  if (stamp_before(stamps->value, timestamp_recent_) && now - recent_at_ < timestamp_age_max)
    return;
  if (segment.header.seq > ack_sent_) return;
  timestamp_recent_ = stamps->value;
  recent_at_ = now;
}

// PAWS. A segment without the option is taken: some peers and boxes lose it (RFC 7323, section 3.2,
// says SHOULD drop, and then such a connection hangs).
bool Connection::timestamp_is_old(const Segment& segment, Instant now) const {
  const auto& stamps = segment.header.options.timestamps;
  return use_timestamps_ && stamps && stamp_before(stamps->value, timestamp_recent_) &&
         now - recent_at_ < timestamp_age_max;
}

// RFC 5961, section 7: limited for each connection and for the host.
void Connection::challenge(Instant now) {
  if (challenged_at_ != Instant::min() &&
      now - challenged_at_ < environment_->profile.challenge_interval)
    return;
  if (!environment_->challenges.take(now)) return;
  challenged_at_ = now;
  ++environment_->counters.challenges;
  if (state_ == State::syn_received) {
    syn_due_ = true;  // the only acknowledgment there is before the connection stands
  } else {
    ack_due_ = true;
  }
}

}  // namespace koine::stack::tcp
