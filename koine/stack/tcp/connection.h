// One end of a TCP connection (RFC 9293) as a state machine: segments, calls and the time go in,
// segments come out.
//
//     input(segment, now)  ─┐
//     write, read, finish ──┼─> state ──> poll_transmit(now) until nothing is left
//     the deadline passed  ─┘        └──> next_deadline(): call poll_transmit again then, or
//     earlier
//
// It has no clock, no socket, no address and no randomness: its host hands in the time, finds the
// connection a segment belongs to, and writes ports, checksums and packets. Several files share the
// work: connection_input.cc is RFC 9293's section 3.10.7, connection_recovery.cc what an
// acknowledgment means, connection_output.cc what may be sent, connection_path.cc how much of it at
// a time, connection_timers.cc what time does.
//
// An idle connection owns no buffer.
#pragma once

#include <memory>
#include <optional>

#include "koine/base/error.h"
#include "koine/stack/tcp/congestion.h"
#include "koine/stack/tcp/environment.h"
#include "koine/stack/tcp/flight.h"
#include "koine/stack/tcp/reassembly.h"
#include "koine/stack/tcp/rtt.h"

namespace koine::stack::tcp {

enum class State : std::uint8_t {
  closed,
  syn_sent,
  syn_received,
  established,
  fin_wait_1,
  fin_wait_2,
  close_wait,
  closing,
  last_ack,
  time_wait,
};

/// "ESTABLISHED", as RFC 9293 writes it.
const char* to_string(State state);

/// A segment that arrived; its checksum was right.
struct Segment {
  wire::TcpHeader header{};
  Bytes data{};

  /// SEG.LEN: data, SYN and FIN.
  std::uint32_t length() const {
    return static_cast<std::uint32_t>(data.size()) + (header.flags.has(wire::tcp_syn) ? 1 : 0) +
           (header.flags.has(wire::tcp_fin) ? 1 : 0);
  }
};

/// A segment to be sent. Ports are the host's to fill in; copy_data() gives the data.
struct Departure {
  wire::TcpHeader header{};
  std::uint32_t data_at = 0;
  std::uint32_t data_size = 0;
};

/// What became of a segment, beyond what poll_transmit() will tell.
struct Answer {
  std::optional<wire::TcpHeader> reset{};  ///< to be sent back, ports not yet filled in
  bool reopen = false;  ///< a SYN for a new connection under the same addresses (RFC 6191):
                        ///< remove this one and give the segment to the listener
};

/// What the host has to know to begin a connection.
struct Opening {
  Seq iss{};                           ///< RFC 6528
  std::uint32_t timestamp_offset = 0;  ///< RFC 7323, section 5.4
  std::uint16_t mss = 1460;            ///< what we can receive: the link's MTU less 40 or 60
  std::uint16_t mss_default = 536;     ///< of a peer that names none; 1220 for IPv6
  bool passive = false;                ///< made by a listener
};

/// Events that the host passes on, as bits; see take_events().
enum Events : std::uint8_t {
  event_connected = 1,
  event_readable = 2,  ///< data, the end, or a failure
  event_writable = 4,  ///< room after there was none, or a failure
  event_failed = 8,
  event_closed = 16,  ///< nothing more will happen; the host may forget the connection
};

class Connection {
 public:
  Connection(Environment& environment, const Opening& opening);

  // Beginning.

  /// Sends a SYN.
  void connect(Instant now);
  /// A listener's connection: `syn` has a SYN, and neither ACK nor RST. Answers it.
  void accept(const Segment& syn, Instant now);
  /// The same for a SYN that was answered with a cookie (RFC 4987): `ack` completes the handshake
  /// whose SYN had these options.
  void accept_cookie(const Segment& ack, const wire::TcpOptions& syn_options, Instant now);

  // The network.

  Answer input(const Segment& segment, Instant now);

  /// The next segment to send now, if there is one.
  std::optional<Departure> poll_transmit(Instant now);
  void copy_data(const Departure& departure, MutableBytes into) const;

  /// When poll_transmit() has to be called at the latest; Instant::max() for never. Valid after
  /// poll_transmit() had nothing to send.
  Instant next_deadline() const;

  /// ICMP says that the path carries segments with at most `mss` data and option bytes, in answer
  /// to a segment that began with `quoted`. Forged ones are ignored (RFC 5927, section 4.1).
  bool path_shrank(std::uint16_t mss, Seq quoted, Instant now);
  void path_grew(std::uint16_t mss);

  /// ICMP says that the peer cannot be reached: fails a connection that is being opened; later it
  /// is only a hint (RFC 5927, section 5).
  void unreachable(Fault fault, Seq quoted);

  // The application.

  /// Copies what has arrived: how many bytes, zero at the end.
  Result<std::size_t> read_now(MutableBytes into, Instant now);
  /// Takes a prefix of `from`, at least one byte.
  Result<std::size_t> write_now(Bytes from, Instant now);
  /// No more will be written; what was is still delivered. Reading goes on.
  Result<void> finish(Instant now);
  /// Nobody will read or write any more. Resets if data is left unread, or arrives later (RFC 1122,
  /// section 4.2.2.13).
  void close(Instant now);
  /// Drops everything and resets.
  void abort();

  void set_no_delay(bool on) { no_delay_ = on; }
  /// Holds segments that are not full until off.
  void set_cork(bool on) { cork_ = on; }
  void set_keep_alive(bool on, Instant now);
  /// Zero: the profile's number of retries decides.
  void set_user_timeout(Duration timeout) { user_timeout_ = timeout; }

  // What a person or a test may want to know.

  State state() const { return state_; }
  std::optional<Fault> fault() const;
  std::uint8_t take_events();
  bool closed() const { return state_ == State::closed && !reset_due_; }
  std::uint32_t readable() const { return receive_ ? receive_->ready() : 0; }
  std::uint32_t unacknowledged() const { return snd_nxt_ - snd_una_; }
  std::uint32_t queued() const { return snd_end_ - data_una(); }
  std::uint32_t room() const;
  std::uint16_t send_mss() const { return mss_; }
  std::uint32_t congestion_window() const { return congestion_.window(); }
  std::uint32_t slow_start_threshold() const { return congestion_.threshold(); }
  /// Of the retransmission or persist timer, without an answer.
  unsigned timeouts_in_row() const { return tries_; }
  std::uint32_t pipe() const { return flight_ ? flight_->scoreboard.pipe() : 0; }
  Phase phase() const { return flight_ ? flight_->phase : Phase::open; }
  const RttEstimator& rtt() const { return rtt_; }
  Seq snd_una() const { return snd_una_; }
  Seq snd_nxt() const { return snd_nxt_; }
  std::uint32_t snd_wnd() const { return snd_wnd_; }
  /// Behind the last byte that was written.
  Seq snd_end() const { return snd_end_; }
  Seq rcv_nxt() const { return rcv_nxt_; }
  /// Of the byte that is read next.
  Seq next_read() const { return rcv_nxt_ - readable() - (fin_received_ ? 1 : 0); }
  std::uint32_t rcv_wnd() const { return rcv_edge_ - rcv_nxt_; }
  bool passive() const { return passive_; }
  bool closed_by_user() const { return nobody_reads_; }
  std::size_t footprint() const;  ///< bytes, buffers and all

 private:
  static constexpr Instant never = Instant::max();
  enum class Repeat : std::uint8_t { none, timeout, persist };
  enum class Early : std::uint8_t { none, reordering, tail_loss };

  // connection_input.cc
  Answer in_syn_sent(const Segment& segment, Instant now);
  bool is_acceptable(const Segment& segment) const;
  void refuse(const Segment& segment, Instant now);
  bool take_reset(const Segment& segment, Instant now);
  Answer in_time_wait_syn(const Segment& segment, Instant now);
  bool take_ack(const Segment& segment, Instant now, Answer& answer);
  void take_text(const Segment& segment, Instant now, Answer& answer);
  void take_fin(Instant now);
  void learn_options(const wire::TcpOptions& options);
  void learn_timestamp(const Segment& segment, Instant now);
  bool timestamp_is_old(const Segment& segment, Instant now) const;
  void challenge(Instant now);
  void become_established(Instant now);
  void acknowledge_data(bool at_once, Instant now);

  // connection_recovery.cc
  void acknowledged(const wire::TcpHeader& header, std::uint32_t data_size, Instant now);
  bool take_sacks(const wire::TcpHeader& header, Delivery& delivery);
  void measure(const wire::TcpHeader& header, const Delivery& delivery, bool progress, Instant now);
  void update_rack(const Delivery& delivery, bool dsack, Instant now);
  void detect_losses(Instant now);
  Duration reordering_window() const;
  void judge_probe(const wire::TcpHeader& header, bool dsack, Instant now);
  void judge_recovery(const wire::TcpHeader& header, bool progress, bool dsack);
  void enter_recovery(Instant now);
  void reduce_by_delivery(std::uint32_t delivered, bool progress);
  void undo();
  void grow_window(const Delivery& delivery, Instant now);
  bool window_is_bound();
  std::uint32_t network_holds() const;  // "pipe"

  // connection_output.cc
  wire::TcpHeader header_for(wire::TcpFlags flags, Seq seq, Instant now) const;
  std::optional<Departure> syn_to_send(Instant now);
  std::optional<Departure> repeat_to_send(Instant now);
  std::optional<Departure> data_to_send(Instant now);
  Departure segment_of(Seq start, std::uint32_t size, bool fin, Instant now);
  Departure pure_ack(Seq seq, Instant now);
  void put_ack(wire::TcpHeader& header, bool with_sack, Instant now);
  void ack_left(const wire::TcpHeader& header);
  std::uint32_t window_to_offer();
  bool may_send_small(std::uint32_t size, std::uint32_t unsent, std::uint32_t usable) const;
  Departure departed(Departure departure);
  void opened_window(Instant now);

  // connection_path.cc
  std::uint32_t data_max() const;
  std::uint32_t mss_limit() const { return std::min(mss_own_, mss_peer_); }
  std::uint32_t option_size() const { return use_timestamps_ ? 12u : 0u; }
  void set_mss(std::uint32_t mss);
  void cut_to_fit();
  bool only_probe_lost() const;
  void leave_black_hole(std::uint32_t safe, Instant now);
  void search_path(std::uint32_t high, Instant at, bool try_high);
  std::uint32_t path_probe(std::uint32_t unsent, std::uint32_t usable, Instant now) const;
  void path_probe_left(std::uint32_t size);
  void judge_path_probe(Instant now);
  void path_probe_lost(Instant now);
  void end_path_search(Instant now);

  // connection_timers.cc
  void run_timers(Instant now);
  void on_repeat_timeout(Instant now);
  void on_persist(Instant now);
  void on_early(Instant now);
  void on_life(Instant now);
  void arm_repeat(Instant now);
  void arm_persist(Instant now);
  void arm_probe(Instant now);
  void arm_life(Instant now);
  void keep_memory(Instant now);
  void release_memory(Instant now);
  bool given_up(Instant now) const;

  Flight& flight();
  Reassembly& receive();
  void fail(Fault fault);
  void set_closed();
  void enter_time_wait(Instant now);
  void begin_window();
  std::uint32_t stamp(Instant now) const;
  Seq data_una() const { return syn_acked_ ? wire::earlier(snd_una_, snd_end_) : snd_una_ + 1; }
  bool nothing_out() const { return snd_una_ == snd_nxt_; }
  bool can_receive() const {
    return state_ == State::established || state_ == State::fin_wait_1 ||
           state_ == State::fin_wait_2;
  }
  bool is_synchronized() const { return state_ >= State::established; }

  Environment* environment_;
  std::unique_ptr<Flight> flight_;
  std::unique_ptr<Reassembly> receive_;
  Congestion congestion_;
  RttEstimator rtt_;

  // When something has to happen; `never` if it has not.
  Instant repeat_at_ = never;  // the retransmission or persist timer
  Instant early_at_ = never;   // reordering window or tail loss probe
  Instant ack_at_ = never;     // delayed ACK
  Instant life_at_ = never;    // keep-alive, FIN-WAIT-2, TIME-WAIT
  Instant spare_at_ = never;   // memory that was not needed since goes back

  Instant heard_at_{};
  Instant sent_at_{};        // the last data
  Instant waiting_since_{};  // the oldest data, or probe, without an answer
  Instant challenged_at_ = Instant::min();
  Instant recent_at_{};  // TS.Recent's age
  Duration user_timeout_{};

  Seq iss_{};
  Seq snd_una_{};
  Seq snd_nxt_{};
  Seq snd_end_{};  // behind the last byte that was written
  std::uint32_t snd_wnd_ = 0;
  std::uint32_t snd_wnd_max_ = 0;
  Seq snd_wl1_{};
  Seq snd_wl2_{};
  Seq rcv_nxt_{};
  Seq rcv_edge_{};  // the right edge that the peer was promised; never moves back
  Seq fin_at_{};    // the peer's FIN, if fin_known_
  Seq ack_sent_{};  // Last.ACK.sent
  std::uint32_t timestamp_offset_ = 0;
  std::uint32_t timestamp_recent_ = 0;
  std::uint32_t receive_buffer_ = 0;
  std::uint32_t round_read_ = 0;  // bytes read in this round trip, for the buffer's growth
  Instant round_at_{};
  std::uint16_t mss_ = 536;        // data and option bytes of a segment that we send
  std::uint16_t mss_peer_ = 536;   // what the peer said
  std::uint16_t mss_path_ = 1460;  // what our link and the path to the peer carry
  std::uint16_t mss_own_ = 1460;   // what we say

  State state_ = State::closed;
  Repeat repeat_ = Repeat::none;
  Early early_ = Early::none;
  Fault fault_{};
  std::uint8_t events_ = 0;
  std::uint8_t snd_scale_ = 0;
  std::uint8_t rcv_scale_ = 0;
  std::uint8_t tries_ = 0;  // timeouts, or probes, without an answer
  std::uint8_t segments_unacked_ = 0;
  std::uint8_t quick_acks_ = 0;
  std::uint8_t duplicate_acks_due_ = 0;
  std::uint8_t syns_lost_ = 0;
  std::uint8_t keep_alive_sent_ = 0;

  bool passive_ : 1 = false;
  bool failed_ : 1 = false;
  bool use_sack_ : 1 = false;
  bool use_timestamps_ : 1 = false;
  bool use_scale_ : 1 = false;
  bool syn_acked_ : 1 = false;
  bool syn_due_ : 1 = false;
  bool ack_due_ : 1 = false;
  bool reset_due_ : 1 = false;
  bool probe_due_ : 1 = false;  // of a closed window
  bool keep_alive_due_ : 1 = false;
  bool tail_probe_due_ : 1 = false;
  bool fin_wanted_ : 1 = false;
  bool fin_sent_ : 1 = false;
  bool fin_known_ : 1 = false;  // the peer's FIN has come, perhaps out of order
  bool fin_received_ : 1 = false;
  bool nobody_reads_ : 1 = false;
  bool no_delay_ : 1 = false;
  bool cork_ : 1 = false;
  bool keep_alive_ : 1 = false;
  bool write_blocked_ : 1 = false;
  bool override_ : 1 = false;      // a small segment waited long enough
  bool first_repair_ : 1 = false;  // one retransmission may leave whatever the window says
  bool has_duplicate_ : 1 = false;
  SackBlock duplicate_{};  // to be reported once (RFC 2883)
};

}  // namespace koine::stack::tcp
