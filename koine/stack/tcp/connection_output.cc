// What may be sent now, and in which order: what was lost before what is new, data before a bare
// acknowledgment (RFC 9293, sections 3.7 and 3.8.6).
#include <algorithm>

#include "koine/stack/tcp/connection.h"

namespace koine::stack::tcp {

using namespace wire;

std::optional<Departure> Connection::poll_transmit(Instant now) {
  run_timers(now);
  if (state_ == State::closed) {
    if (!reset_due_) return std::nullopt;
    reset_due_ = false;
    Departure reset;
    reset.header = header_for(tcp_rst, snd_nxt_, now);
    return departed(reset);
  }
  if (state_ == State::syn_sent || state_ == State::syn_received) return syn_to_send(now);
  if (duplicate_acks_due_ > 0) {  // one for each: the peer may be counting
    --duplicate_acks_due_;
    return departed(pure_ack(snd_nxt_, now));
  }
  if (auto repeat = repeat_to_send(now)) return departed(*repeat);
  if (auto data = data_to_send(now)) return departed(*data);
  if (keep_alive_due_ || probe_due_) {
    // Old on purpose: whoever is there has to answer that it is not acceptable.
    keep_alive_due_ = probe_due_ = false;
    return departed(pure_ack(snd_una_ - 1, now));
  }
  if (ack_due_) return departed(pure_ack(snd_nxt_, now));
  if (nothing_out()) arm_persist(now);
  return std::nullopt;
}

Departure Connection::departed(Departure departure) {
  const TcpHeader& header = departure.header;
  ++environment_->counters.segments_out;
  if (header.window == 0 && !header.flags.has_any(tcp_syn | tcp_fin | tcp_rst))
    ++environment_->counters.zero_windows_out;
  if (header.flags.has(tcp_ack)) ack_left(header);
  return departure;
}

void Connection::ack_left(const TcpHeader& header) {
  ack_sent_ = header.ack;
  ack_due_ = false;
  ack_at_ = never;
  segments_unacked_ = 0;
}

std::optional<Departure> Connection::syn_to_send(Instant now) {
  if (!syn_due_) return std::nullopt;
  syn_due_ = false;
  if (tries_ > 0 || repeat_at_ != never) ++environment_->counters.retransmitted;
  const Profile& profile = environment_->profile;
  const bool answer = state_ == State::syn_received;
  Departure departure;
  TcpHeader& header = departure.header;
  header.seq = iss_;
  header.flags = tcp_syn;
  header.window = static_cast<std::uint16_t>(std::min(receive_buffer_, 65'535u));
  TcpOptions& options = header.options;
  options.mss = mss_own_;
  if (answer ? use_scale_ : profile.window_scale) options.window_scale = rcv_scale_;
  options.sack_permitted = answer ? use_sack_ : profile.sack;
  if (answer ? use_timestamps_ : profile.timestamps)
    options.timestamps = TcpTimestamps{stamp(now), answer ? timestamp_recent_ : 0};
  if (answer) {
    header.flags |= tcp_ack;
    header.ack = rcv_nxt_;
    rcv_edge_ = later(rcv_edge_, rcv_nxt_ + header.window);
  }
  if (repeat_at_ == never) {  // one that a repeated SYN asked for does not move the timer
    sent_at_ = now;
    repeat_ = Repeat::timeout;
    repeat_at_ = now + rtt_.timeout(profile);
  } else if (answer && syns_lost_ < 255) {
    ++syns_lost_;  // ambiguous from now on: no round trip is measured
  }
  return departed(departure);
}

TcpHeader Connection::header_for(TcpFlags flags, Seq seq, Instant now) const {
  TcpHeader header;
  header.seq = seq;
  header.ack = rcv_nxt_;
  header.flags = flags | tcp_ack;
  if (use_timestamps_) header.options.timestamps = TcpTimestamps{stamp(now), timestamp_recent_};
  return header;
}

void Connection::put_ack(TcpHeader& header, bool with_sack, Instant) {
  header.window = static_cast<std::uint16_t>(window_to_offer());
  if (!with_sack || !use_sack_) return;
  const std::size_t count_max = use_timestamps_ ? 3 : 4;
  if (has_duplicate_) {
    header.options.sack.push_back(duplicate_);
    has_duplicate_ = false;
  }
  if (receive_ && receive_->has_islands()) receive_->report(count_max, header.options.sack);
}

Departure Connection::pure_ack(Seq seq, Instant now) {
  Departure departure;
  departure.header = header_for({}, seq, now);
  put_ack(departure.header, true, now);
  return departure;
}

// The right edge moves on only by a worthwhile step (RFC 9293, section 3.8.6.2.2), and never back.
// What the peer is told is a multiple of the scale's unit: a remainder is rounded up, and taken
// when it comes, unless the buffer is full.
std::uint32_t Connection::window_to_offer() {
  const std::uint32_t ready = receive_ ? receive_->ready() : 0;
  std::uint32_t room = receive_buffer_ > ready ? receive_buffer_ - ready : 0;
  room = std::min(room, 65'535u << rcv_scale_);
  const Seq edge = rcv_nxt_ + room;
  if (edge > rcv_edge_ &&
      edge - rcv_edge_ >= std::min<std::uint32_t>(receive_buffer_ / 2, mss_own_))
    rcv_edge_ = edge;
  const std::uint32_t window = rcv_edge_ > rcv_nxt_ ? rcv_edge_ - rcv_nxt_ : 0;
  const std::uint32_t remainder_max = (1u << rcv_scale_) - 1;
  const std::uint32_t rounded = (window + remainder_max) & ~remainder_max;
  if (rounded > room + remainder_max || rounded >> rcv_scale_ > 65'535) return window >> rcv_scale_;
  rcv_edge_ = later(rcv_edge_, rcv_nxt_ + rounded);
  return rounded >> rcv_scale_;
}

// After a read: the peer is told when the window has at least doubled.
void Connection::opened_window(Instant now) {
  if (!can_receive()) return;
  const Profile& profile = environment_->profile;
  const Duration round = std::max<Duration>(rtt_.smoothed(), 1us);
  if (now - round_at_ >= round) {
    if (2 * std::uint64_t{round_read_} > receive_buffer_ &&
        receive_buffer_ < profile.receive_buffer_max)
      receive_buffer_ = static_cast<std::uint32_t>(
          std::min({2 * std::uint64_t{round_read_}, 2 * std::uint64_t{receive_buffer_},
                    std::uint64_t{profile.receive_buffer_max}}));
    round_read_ = 0;
    round_at_ = now;
  }
  const std::uint32_t ready = receive_ ? receive_->ready() : 0;
  const std::uint32_t room =
      std::min(receive_buffer_ > ready ? receive_buffer_ - ready : 0, 65'535u << rcv_scale_);
  const std::uint32_t offered = rcv_edge_ > rcv_nxt_ ? rcv_edge_ - rcv_nxt_ : 0;
  if (room >= 2 * offered &&
      room - offered >= std::min<std::uint32_t>(receive_buffer_ / 2, mss_own_))
    ack_due_ = true;
}

Departure Connection::segment_of(Seq start, std::uint32_t size, bool fin, Instant now) {
  Departure departure;
  TcpFlags flags = tcp_ack;
  if (size > 0 && start + size == snd_end_) flags |= tcp_psh;
  if (fin) flags |= tcp_fin;
  departure.header = header_for(flags, start, now);
  departure.data_at = start - data_una();
  departure.data_size = size;
  return departure;
}

std::optional<Departure> Connection::repeat_to_send(Instant now) {
  if (!flight_) return std::nullopt;
  Flight& flight = *flight_;
  const Scoreboard::Record* record = flight.scoreboard.first_lost();
  if (record != nullptr && flight.path.is_out && record->end() == flight.path.end) {
    path_probe_lost(now);  // behind others that were lost: it is not sent again as large as it was
    record = flight.scoreboard.first_lost();
  }
  bool probe = false;
  if (record != nullptr) {
    if (!first_repair_ && network_holds() + record->size > congestion_.window())
      return std::nullopt;
    // A window that shrank holds back all but the first (RFC 9293, section 3.8.6, SHLD-15).
    if (record->start != snd_una_ && record->end() > snd_una_ + snd_wnd_) return std::nullopt;
  } else if (tail_probe_due_) {
    const std::uint32_t unsent = fin_sent_ ? 0 : snd_end_ - snd_nxt_;
    const bool new_data = unsent > 0 && snd_nxt_ < snd_una_ + snd_wnd_;
    record = flight.scoreboard.back();
    if (new_data) return std::nullopt;  // data_to_send() takes the probe up
    tail_probe_due_ = false;
    if (record == nullptr || record->fate != Scoreboard::Fate::in_flight) return std::nullopt;
    probe = true;
    flight.probe_out = flight.probe_was_repeat = true;
    flight.probe_end = snd_nxt_;
    ++environment_->counters.tail_loss_probes;
  } else {
    return std::nullopt;
  }

  const Scoreboard::Record copy = *record;
  flight.scoreboard.repeated(copy, now);
  first_repair_ = false;
  ++environment_->counters.retransmitted;
  flight.prr_out += copy.size;
  ++flight.undo_repeats;
  if (!flight.repair_stamped && !probe) {
    flight.repair_stamped = true;
    flight.repair_stamp = stamp(now);
  }
  Departure departure = segment_of(copy.start, copy.size - (copy.fin ? 1 : 0), copy.fin, now);
  // The segment keeps its size, so SACK blocks go with it only if they fit.
  const bool room = departure.data_size + 12u + 36u <= mss_;
  put_ack(departure.header, room, now);
  sent_at_ = now;
  if (repeat_ != Repeat::timeout || repeat_at_ == never || probe) arm_repeat(now);
  return departure;
}

// RFC 9293, section 3.8.6.2.1, with Nagle's rule (3.7.4).
bool Connection::may_send_small(std::uint32_t size, std::uint32_t unsent,
                                std::uint32_t usable) const {
  if (override_) return true;
  if (cork_) return false;
  if (size == unsent && unsent <= usable) {
    if (no_delay_ || nothing_out()) return true;
    switch (environment_->profile.nagle) {
      case Nagle::off: return true;
      case Nagle::standard: return false;
      case Nagle::minshall: return !flight_->small_out || flight_->small_end <= snd_una_;
    }
  }
  return nothing_out() && size >= snd_wnd_max_ / 2;
}

std::optional<Departure> Connection::data_to_send(Instant now) {
  const std::uint32_t unsent = fin_sent_ ? 0 : snd_end_ - snd_nxt_;
  const bool fin_unsent = fin_wanted_ && !fin_sent_;
  if (unsent == 0 && !fin_unsent) return std::nullopt;
  Flight& flight = this->flight();
  const Profile& profile = environment_->profile;

  if (nothing_out() && now - sent_at_ > rtt_.base(profile) && unsent > 0 && !probe_due_) {
    const std::uint32_t mss = data_max();
    congestion_.on_idle(
        std::min(profile.initial_window_segments * mss, std::max(2 * mss, 14'600u)));
  }

  const Seq edge = snd_una_ + snd_wnd_;
  std::uint32_t usable = edge > snd_nxt_ ? edge - snd_nxt_ : 0;
  const bool window_probe = probe_due_ && usable == 0 && nothing_out();
  if (window_probe) {
    if (!profile.probe_with_data) return std::nullopt;
    usable = 1;  // RFC 9293, section 3.8.6.1
  }
  std::uint32_t data_size_max = data_max();
  const bool reports = use_sack_ && (has_duplicate_ || (receive_ && receive_->has_islands()));
  const std::uint32_t path_size = reports || window_probe ? 0 : path_probe(unsent, usable, now);
  if (path_size > 0) data_size_max = path_size;
  std::uint32_t size = std::min({unsent, data_size_max, usable});
  bool fin = fin_unsent && size == unsent && usable > size;
  if (size == 0 && !fin) {
    tail_probe_due_ = false;
    return std::nullopt;
  }

  const bool tail_probe = tail_probe_due_;
  const std::uint32_t pipe = network_holds();
  if (pipe + size > congestion_.window() && pipe > 0 && !tail_probe) {
    flight.window_was_full = true;
    if (pipe > flight.pipe_max) flight.pipe_max = pipe;
    flight.pipe_round_end = snd_nxt_;
    return std::nullopt;
  }
  if (size < data_size_max && !fin && !window_probe && !tail_probe &&
      !may_send_small(size, unsent, usable))
    return std::nullopt;

  tail_probe_due_ = probe_due_ = override_ = false;
  Departure departure = segment_of(snd_nxt_, size, fin, now);
  put_ack(departure.header, reports, now);
  if (reports && size + departure.header.options.size() > mss_) {
    size = mss_ - static_cast<std::uint32_t>(departure.header.options.size());
    departure.data_size = size;
    departure.header.flags.bits &= static_cast<std::uint8_t>(~(tcp_psh.bits | tcp_fin.bits));
    fin = false;
  }
  if (nothing_out()) waiting_since_ = now;
  if (window_probe) ++environment_->counters.window_probes;
  flight.scoreboard.sent(snd_nxt_, size + (fin ? 1 : 0), fin, now);
  snd_nxt_ += size + (fin ? 1 : 0);
  fin_sent_ = fin_sent_ || fin;
  if (path_size > 0) path_probe_left(size);
  if (flight.phase == Phase::recovery) flight.prr_out += size;
  if (size < data_size_max) {
    flight.small_out = true;
    flight.small_end = snd_nxt_;
  }
  const std::uint32_t holds = network_holds();
  if (snd_una_ >= flight.pipe_round_end || holds > flight.pipe_max) {
    flight.pipe_max = holds;
    flight.window_was_full = false;
    flight.pipe_round_end = snd_nxt_;
  }
  sent_at_ = now;
  if (tail_probe) {
    flight.probe_out = true;
    flight.probe_was_repeat = false;
    flight.probe_end = snd_nxt_;
    ++environment_->counters.tail_loss_probes;
    arm_repeat(now);
  } else if (repeat_ != Repeat::timeout || repeat_at_ == never) {
    arm_repeat(now);
  }
  arm_probe(now);
  return departure;
}

void Connection::copy_data(const Departure& departure, MutableBytes into) const {
  if (departure.data_size > 0)
    flight_->data.copy_from(departure.data_at, into.first(departure.data_size));
}

}  // namespace koine::stack::tcp
