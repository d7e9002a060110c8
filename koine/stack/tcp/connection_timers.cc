// What the passing of time does. Each timer is an instant in the connection; next_deadline() is the
// earliest of them, so a host keeps one entry for each connection.
#include <algorithm>

#include "koine/stack/tcp/connection.h"

namespace koine::stack::tcp {

namespace {

constexpr Duration tail_probe_min = 2ms;        // not at once, however short the round trip is
constexpr Duration peer_ack_delay_max = 200ms;  // RFC 8985, section 7.2: WCDelAckT
constexpr Duration memory_kept = 1s;

}  // namespace

Instant Connection::next_deadline() const {
  Instant next = std::min({repeat_at_, early_at_, ack_at_, life_at_, spare_at_});
  if (user_timeout_ > Duration::zero() && repeat_at_ != never)
    next = std::min(next, std::max(waiting_since_ + user_timeout_, heard_at_));
  return next;
}

void Connection::run_timers(Instant now) {
  if (ack_at_ <= now) {
    ack_at_ = never;
    ack_due_ = true;
  }
  if (user_timeout_ > Duration::zero() && repeat_at_ != never &&
      now - waiting_since_ >= user_timeout_ && state_ != State::closed) {
    fail(Fault::timed_out);
    return;
  }
  if (early_at_ <= now) on_early(now);
  if (repeat_at_ <= now) {
    if (repeat_ == Repeat::persist) {
      on_persist(now);
    } else {
      on_repeat_timeout(now);
    }
  }
  if (life_at_ <= now) on_life(now);
  if (spare_at_ <= now) release_memory(now);
}

bool Connection::given_up(Instant) const {
  switch (state_) {
    case State::syn_sent: return tries_ >= environment_->profile.syn_retries;
    case State::syn_received: return tries_ >= environment_->profile.syn_ack_retries;
    default: return tries_ >= environment_->profile.retries;
  }
}

void Connection::on_repeat_timeout(Instant now) {
  repeat_at_ = never;
  repeat_ = Repeat::none;
  if (given_up(now)) {
    fail(Fault::timed_out);
    return;
  }
  ++environment_->counters.timeouts;
  ++tries_;
  rtt_.back_off();
  if (state_ == State::syn_sent || state_ == State::syn_received) {
    if (syns_lost_ < 255) ++syns_lost_;
    syn_due_ = true;
    return;
  }
  if (!flight_ || flight_->scoreboard.empty()) return;
  Flight& flight = *flight_;
  const bool again = tries_ > 1;
  if (!again) {
    flight.undo_possible = true;
    flight.undo_window = congestion_.window();
    flight.undo_threshold = congestion_.threshold();
    flight.undo_repeats = 0;
    flight.repair_stamped = false;
  }
  congestion_.on_timeout(snd_nxt_ - snd_una_, data_max(), again, environment_->profile);
  const Scoreboard::Record& front = *flight.scoreboard.front();
  const std::uint32_t front_size = front.size;
  flight.scoreboard.lose_all(front.fate == Scoreboard::Fate::sacked);
  flight.phase = Phase::repair;
  flight.recovery_point = snd_nxt_;
  flight.answered = true;
  flight.duplicate_acks = 0;
  flight.probe_out = false;
  tail_probe_due_ = false;
  early_at_ = never;
  first_repair_ = true;
  // A router that drops large packets and does not say so (RFC 2923, section 2.1; RFC 4821, 7.7):
  // full segments that are lost again and again are made smaller.
  const std::uint16_t safe = tries_ >= 5 ? 536 : 1220;
  if (flight.path.is_out) {
    path_probe_lost(now);
  } else if (tries_ >= 3 && front_size >= data_max() && mss_ > safe) {
    leave_black_hole(safe, now);
  }
}

void Connection::on_persist(Instant now) {
  repeat_at_ = never;
  repeat_ = Repeat::none;
  if (given_up(now)) {
    fail(Fault::timed_out);
    return;
  }
  if (snd_una_ + snd_wnd_ > snd_nxt_) {
    override_ = true;  // RFC 9293, section 3.8.6.2.1, (4): it has waited long enough
    return;
  }
  ++tries_;
  probe_due_ = true;
  if (!environment_->profile.probe_with_data) ++environment_->counters.window_probes;
  rtt_.back_off();
}

void Connection::on_early(Instant now) {
  early_at_ = never;
  if (!flight_ || flight_->scoreboard.empty()) return;
  if (early_ == Early::tail_loss) {
    tail_probe_due_ = true;
    return;
  }
  detect_losses(now);
  judge_path_probe(now);
  if (flight_->scoreboard.lost() == 0) return;
  if (flight_->phase == Phase::open) enter_recovery(now);
  if (flight_->phase == Phase::recovery) reduce_by_delivery(0, false);
  arm_repeat(now);
}

void Connection::on_life(Instant now) {
  const Profile& profile = environment_->profile;
  life_at_ = never;
  if (state_ == State::time_wait || (state_ == State::fin_wait_2 && nobody_reads_)) {
    set_closed();
    return;
  }
  if (!keep_alive_) return;
  if (heard_at_ + profile.keep_alive_idle > now) {
    keep_alive_sent_ = 0;
    life_at_ = heard_at_ + profile.keep_alive_idle;
    return;
  }
  if (keep_alive_sent_ >= profile.keep_alive_probes) {
    fail(Fault::timed_out);
    return;
  }
  ++keep_alive_sent_;
  keep_alive_due_ = true;
  life_at_ = now + profile.keep_alive_interval;
}

void Connection::arm_life(Instant now) {
  if (state_ == State::time_wait) return;
  life_at_ = never;
  if (state_ == State::fin_wait_2 && nobody_reads_) {
    life_at_ = now + environment_->profile.fin_wait_2;
  } else if (keep_alive_ && is_synchronized()) {
    keep_alive_sent_ = 0;
    life_at_ = now + environment_->profile.keep_alive_idle;
  }
}

void Connection::arm_repeat(Instant now) {
  repeat_ = Repeat::timeout;
  repeat_at_ = now + rtt_.timeout(environment_->profile);
}

// Data waits for the peer's window, or for company, and nothing is in flight that would bring news.
void Connection::arm_persist(Instant now) {
  const bool waiting = (snd_end_ != snd_nxt_ && !fin_sent_) || (fin_wanted_ && !fin_sent_);
  if (!waiting || repeat_ != Repeat::none || !is_synchronized()) return;
  if (rtt_.backoff() == 0) waiting_since_ = now;
  repeat_ = Repeat::persist;
  repeat_at_ = now + rtt_.timeout(environment_->profile);
}

// RFC 8985, section 7.2.
void Connection::arm_probe(Instant now) {
  if (early_ == Early::reordering && early_at_ != never) return;
  early_at_ = never;
  const Profile& profile = environment_->profile;
  if (!profile.tail_loss_probe || !use_sack_ || !flight_) return;
  const Flight& flight = *flight_;
  const Scoreboard& board = flight.scoreboard;
  if (flight.phase != Phase::open || flight.probe_out || board.empty() || board.lost() > 0 ||
      board.sacked() > 0)
    return;
  Duration patience = rtt_.has_sample() ? 2 * rtt_.smoothed() : Duration(1s);
  if (board.size() == 1) patience += peer_ack_delay_max;
  const Instant at = now + std::max(patience, tail_probe_min);
  if (at >= repeat_at_) return;
  early_ = Early::tail_loss;
  early_at_ = at;
}

void Connection::keep_memory(Instant now) {
  if (spare_at_ == never) spare_at_ = now + memory_kept;
}

void Connection::release_memory(Instant now) {
  spare_at_ = never;
  const Instant active = std::max(sent_at_, heard_at_);
  if (active + memory_kept > now) {
    spare_at_ = active + memory_kept;
    return;
  }
  if (receive_ && receive_->empty()) receive_.reset();
  if (flight_ && nothing_out() && queued() == 0 && !flight_->path.is_on) flight_.reset();
}

}  // namespace koine::stack::tcp
