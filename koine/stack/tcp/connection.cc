// Beginning, ending, and what the application asks for.
#include "koine/stack/tcp/connection.h"

#include <algorithm>

namespace koine::stack::tcp {

using namespace wire;

const char* to_string(State state) {
  switch (state) {
    case State::closed: return "CLOSED";
    case State::syn_sent: return "SYN-SENT";
    case State::syn_received: return "SYN-RECEIVED";
    case State::established: return "ESTABLISHED";
    case State::fin_wait_1: return "FIN-WAIT-1";
    case State::fin_wait_2: return "FIN-WAIT-2";
    case State::close_wait: return "CLOSE-WAIT";
    case State::closing: return "CLOSING";
    case State::last_ack: return "LAST-ACK";
    case State::time_wait: return "TIME-WAIT";
  }
  return "?";
}

Connection::Connection(Environment& environment, const Opening& opening)
    : environment_(&environment), passive_(opening.passive) {
  const Profile& profile = environment.profile;
  iss_ = snd_una_ = opening.iss;
  snd_nxt_ = snd_end_ = iss_ + 1;
  timestamp_offset_ = opening.timestamp_offset;
  mss_own_ = profile.mss == 0 ? opening.mss : std::min(profile.mss, opening.mss);
  mss_path_ = mss_own_;
  mss_peer_ = opening.mss_default;
  mss_ = std::min(mss_peer_, mss_path_);
  receive_buffer_ = profile.receive_buffer_initial;
  user_timeout_ = profile.user_timeout;
  keep_alive_ = profile.keep_alive;
  if (profile.window_scale)
    while (rcv_scale_ < 14 && profile.receive_buffer_max >> rcv_scale_ > 65'535) ++rcv_scale_;
}

void Connection::connect(Instant now) {
  state_ = State::syn_sent;
  syn_due_ = true;
  waiting_since_ = heard_at_ = now;
}

void Connection::accept(const Segment& syn, Instant now) {
  state_ = State::syn_received;
  waiting_since_ = heard_at_ = now;
  rcv_nxt_ = ack_sent_ = syn.header.seq + 1;
  rcv_edge_ = rcv_nxt_ + std::min(receive_buffer_, 65'535u);
  learn_options(syn.header.options);
  if (use_timestamps_) {
    timestamp_recent_ = syn.header.options.timestamps->value;
    recent_at_ = now;
  }
  snd_wnd_ = snd_wnd_max_ = syn.header.window;
  snd_wl1_ = syn.header.seq;
  syn_due_ = true;
}

void Connection::accept_cookie(const Segment& ack, const TcpOptions& syn_options, Instant now) {
  Segment syn;
  syn.header.seq = ack.header.seq - 1;
  syn.header.window = ack.header.window;
  syn.header.options = syn_options;
  accept(syn, now);
  syn_due_ = false;
  sent_at_ = now;
  syns_lost_ = 1;  // when the SYN-ACK was sent is not known: no sample
}

void Connection::begin_window() {
  const Profile& profile = environment_->profile;
  const std::uint32_t mss = data_max();
  // RFC 6928, section 2. A path that lost SYNs is not to be flooded.
  const std::uint32_t window =
      syns_lost_ > profile.lost_syns_max
          ? mss
          : std::min(profile.initial_window_segments * mss, std::max(2 * mss, 14'600u));
  congestion_.begin(window);
}

Flight& Connection::flight() {
  if (!flight_) {
    flight_ = std::make_unique<Flight>();
    flight_->scoreboard.begin(snd_nxt_);
    flight_->pipe_round_end = flight_->recovery_point = snd_una_;
  }
  return *flight_;
}

Reassembly& Connection::receive() {
  if (!receive_) receive_ = std::make_unique<Reassembly>(rcv_nxt_);
  return *receive_;
}

std::uint32_t Connection::stamp(Instant now) const {
  const auto ticks = now.time_since_epoch() / environment_->profile.timestamp_tick;
  return timestamp_offset_ + static_cast<std::uint32_t>(ticks);
}

void Connection::unreachable(Fault fault, Seq quoted) {
  const bool opening = state_ == State::syn_sent || (state_ == State::syn_received && !passive_);
  if (opening && quoted == iss_) fail(fault);
}

std::optional<Fault> Connection::fault() const {
  if (!failed_) return std::nullopt;
  return fault_;
}

std::uint8_t Connection::take_events() {
  const std::uint8_t events = events_;
  events_ = 0;
  return events;
}

std::size_t Connection::footprint() const {
  std::size_t size = sizeof *this;
  if (flight_)
    size += sizeof *flight_ + flight_->data.footprint() +
            flight_->scoreboard.size() * sizeof(Scoreboard::Record);
  if (receive_) size += sizeof *receive_ + receive_->footprint();
  return size;
}

std::uint32_t Connection::room() const {
  const std::uint32_t limit = environment_->profile.send_buffer_max;
  const std::uint32_t used = queued();
  return used < limit ? limit - used : 0;
}

Result<std::size_t> Connection::read_now(MutableBytes into, Instant now) {
  if (failed_) return koine::fail(fault_);
  if (nobody_reads_) return koine::fail(Fault::closed);
  if (receive_ && receive_->ready() > 0) {
    const std::size_t count = receive_->read(into);
    round_read_ += static_cast<std::uint32_t>(count);
    opened_window(now);
    return count;
  }
  if (fin_received_) return std::size_t{0};
  return koine::fail(state_ == State::closed ? Fault::closed : Fault::would_block);
}

Result<std::size_t> Connection::write_now(Bytes from, Instant now) {
  if (failed_) return koine::fail(fault_);
  if (fin_wanted_ || state_ == State::closed) return koine::fail(Fault::closed);
  const std::size_t count = std::min<std::size_t>(from.size(), room());
  if (count == 0) {
    write_blocked_ = true;
    return koine::fail(Fault::would_block);
  }
  flight().data.write_at(snd_end_ - data_una(), from.first(count));
  snd_end_ += static_cast<std::uint32_t>(count);
  keep_memory(now);
  return count;
}

Result<void> Connection::finish(Instant now) {
  if (failed_) return koine::fail(fault_);
  if (fin_wanted_) return {};
  switch (state_) {
    case State::closed: return koine::fail(Fault::closed);
    case State::syn_sent:
    case State::syn_received: fin_wanted_ = true; break;  // sent when the connection stands
    case State::established:
      fin_wanted_ = true;
      state_ = State::fin_wait_1;
      break;
    case State::close_wait:
      fin_wanted_ = true;
      state_ = State::last_ack;
      break;
    default: break;
  }
  cork_ = false;
  arm_life(now);
  return {};
}

void Connection::close(Instant now) {
  if (state_ == State::closed || nobody_reads_) return;
  if (receive_ && receive_->ready() > 0) {
    abort();  // what the peer sent will not be read, and it shall know (RFC 2525, section 2.17)
    return;
  }
  nobody_reads_ = true;
  if (state_ == State::syn_sent) {
    set_closed();
    return;
  }
  (void)finish(now);
  arm_life(now);
}

void Connection::abort() {
  // RFC 9293, section 3.10.5.
  const bool told = state_ == State::syn_received || state_ == State::established ||
                    state_ == State::fin_wait_1 || state_ == State::fin_wait_2 ||
                    state_ == State::close_wait;
  if (told) reset_due_ = true;
  set_closed();
  failed_ = true;
  fault_ = Fault::closed;
}

void Connection::set_keep_alive(bool on, Instant now) {
  keep_alive_ = on;
  arm_life(now);
}

void Connection::fail(Fault fault) {
  failed_ = true;
  fault_ = fault;
  events_ |= event_failed | event_readable | event_writable;
  receive_.reset();
  set_closed();
}

void Connection::set_closed() {
  state_ = State::closed;
  flight_.reset();
  if (receive_ && (failed_ || nobody_reads_)) receive_.reset();
  repeat_at_ = early_at_ = ack_at_ = life_at_ = spare_at_ = never;
  syn_due_ = ack_due_ = probe_due_ = keep_alive_due_ = tail_probe_due_ = false;
  duplicate_acks_due_ = 0;
  if (!fin_received_ && !failed_ && !nobody_reads_ && !passive_) events_ |= event_readable;
  events_ |= event_closed | event_writable;
}

void Connection::enter_time_wait(Instant now) {
  state_ = State::time_wait;
  flight_.reset();
  if (receive_ && receive_->empty()) receive_.reset();
  repeat_at_ = early_at_ = spare_at_ = never;
  life_at_ = now + environment_->profile.time_wait;
}

}  // namespace koine::stack::tcp
