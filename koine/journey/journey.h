// Journey: one message's way from a program's memory to another's, and its answer's way back, as
// the times at which it passed the places that bound the steps.
//
//     client program   client's system          network    server's system      server program
//     write_in ─ 1 ─ sched ─ 2a ─ snd ─ 2b ─ snd ─ 3 ─ rx ─ 4 ─ recv_in ─ 5 ─ recv_out
//     recv_out ─ 5' ─ recv_in ─ 4' ─ rx ─ 3' ─ snd ─ 2b' ─ snd ─ 2a' ─ sched ─ 1' ─ write_in
//
// Only stamps are stored. Everything else is derived from them (spans.h, verdict.h), so two views
// of a journey cannot contradict each other.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "koine/journey/arithmetic.h"

namespace koine::journey {

/// What a stamp says about the moment that it stands for.
enum class Quality : std::uint8_t {
  missing,   ///< nobody took it
  exact,     ///< the moment itself
  at_most,   ///< it was then, or earlier
  at_least,  ///< it was then, or later
};

/// "missing", "exact", "at most", "at least"
const char* to_string(Quality quality);

/// A moment on the clock of the host that took it: nanoseconds of CLOCK_REALTIME, since 1970.
struct Stamp {
  /// Beyond it, in the year 2116, there are none; so all differences of two can be told.
  static constexpr std::int64_t ns_end = std::int64_t{1} << 62;

  std::int64_t ns = 0;
  Quality quality = Quality::missing;

  /// False for what a peer has made up, and no clock can show.
  bool can_be() const { return ns >= 0 && ns < ns_end; }

  explicit operator bool() const { return quality != Quality::missing; }
  friend bool operator==(const Stamp&, const Stamp&) = default;

  static Stamp exactly(std::int64_t ns) { return {ns, Quality::exact}; }
};

/// What kept TCP from sending a message at once.
enum class HeldBy : std::uint8_t {
  unknown,            ///< or nothing did
  receiver_window,    ///< the receiver had no room: it had not read what was there (RFC 9293)
  congestion_window,  ///< as much was under way as the network is thought to bear (RFC 5681)
  pacing,             ///< TCP sends no faster than at a rate
  send_buffer,        ///< the send buffer holds less than could be under way
  nagle,              ///< less than a segment waits while something is not confirmed (RFC 896)
};

/// "unknown", "receiver's window", "congestion window", "pacing", "send buffer", "Nagle"
const char* to_string(HeldBy held_by);

/// What TCP knew when the message left (TCP_INFO, tcp(7)). Zero where the kernel does not say.
struct TcpState {
  std::uint32_t cwnd = 0;          ///< congestion window, segments
  std::uint32_t srtt_us = 0;       ///< smoothed round-trip time
  std::uint32_t mss = 0;           ///< bytes that one segment carries
  std::uint32_t unsent_bytes = 0;  ///< written before and not yet sent
  std::uint32_t retransmits = 0;   ///< of the connection while the message was under way
  HeldBy held_by = HeldBy::unknown;

  friend bool operator==(const TcpState&, const TcpState&) = default;
};

/// A piece of a message's way, as only a simulated world knows it (koine/sim/follower.h). Between
/// two hosts of a real network nobody stamps anything.
struct Hop {
  enum class What : std::uint8_t {
    queue,          ///< waited in `at` for its turn on the link to `towards`
    serialisation,  ///< was put on that link, bit after bit
    propagation,    ///< travelled along it
    processing,     ///< was inside of `at`, and `why` it took time
    lost,           ///< on that link, or inside of `at`, and `why`; takes no time
  };

  What what{};
  std::string at{};       ///< a node
  std::string towards{};  ///< the node at the other end of the link; empty: inside of `at`
  std::string why{};
  std::int64_t in_ns = 0;  ///< on the sender's clock
  std::int64_t out_ns = 0;
  std::uint32_t sending = 0;  ///< 1: the first; 0: of a piece of the message before its last

  std::int64_t ns() const { return subtract(out_ns, in_ns); }
  friend bool operator==(const Hop&, const Hop&) = default;
};

/// "queue", "serialisation", "propagation", "processing", "lost"
const char* to_string(Hop::What what);

/// One direction of a journey. The sender fills in the first half, the receiver the second.
struct Leg {
  /// More sendings than this are counted and not kept.
  static constexpr std::size_t sendings_max = 8;

  std::uint64_t bytes = 0;

  // At the sender.
  Stamp write_in{};            ///< the program handed it over
  Stamp write_out{};           ///< its last byte was copied into the kernel
  Stamp sched{};               ///< the kernel handed it to the queue of the device (TX_SCHED)
  std::vector<Stamp> snd{};    ///< each time the queue handed it to the driver (TX_SOFTWARE)
  std::uint32_t sendings = 0;  ///< how often; more than snd holds beyond sendings_max
  Stamp first_snd{};  ///< of a large message: when its first bytes left; the others are of its last
  Stamp ack{};        ///< the receiver's kernel has confirmed it (TX_ACK); TCP only
  TcpState tcp{};
  /// How long the sending thread could have run and had no CPU, between write_in and write_out;
  /// looked at only if that took long.
  std::optional<std::int64_t> write_cpu_wait_ns{};

  // At the receiver.
  Stamp rx{};        ///< its kernel had it (RX_SOFTWARE)
  Stamp recv_in{};   ///< the program was asking for it from then on
  Stamp recv_out{};  ///< and had it
  /// How long the receiving thread could have run and had no CPU, while it waited for this message.
  std::optional<std::int64_t> cpu_wait_ns{};

  /// In a simulated world: the way of each sending, up to the one that arrived. Its hops share
  /// their ends, from when it was handed to the queue of the device until `rx`.
  std::vector<Hop> hops{};

  friend bool operator==(const Leg&, const Leg&) = default;
};

/// Bytes of a frame as they left, or arrived.
struct Frame {
  /// What is kept of a frame: headers, and little of what is private.
  static constexpr std::size_t bytes_max = 128;

  bool reply = false;  ///< of the answer
  Stamp at{};
  std::vector<std::byte> bytes{};
  std::uint64_t wire_bytes = 0;  ///< how long it was

  friend bool operator==(const Frame&, const Frame&) = default;
};

/// Server's clock minus client's, at the time of a journey.
struct Offset {
  enum class Method : std::uint8_t {
    unknown,
    same_clock,  ///< both ends read one clock: the same boot of the same machine
    bounds,      ///< messages arrive after they were sent (clock_offset.h)
  };

  std::int64_t theta_ns = 0;
  std::int64_t half_ns = 0;  ///< the truth lies within theta_ns ± half_ns
  Method method = Method::unknown;

  friend bool operator==(const Offset&, const Offset&) = default;
};

/// "unknown", "same clock", "bounds"
const char* to_string(Offset::Method method);

/// How far a host's CLOCK_REALTIME, which stamps are of, is ahead of a clock that nobody can set.
/// Two clocks cannot be read at once, so it is known to lie between these.
struct ClockPair {
  std::int64_t least_ns = 0;
  std::int64_t most_ns = 0;

  /// True if CLOCK_REALTIME was set between the two readings: they cannot both be right.
  bool contradicts(const ClockPair& other) const {
    return most_ns < other.least_ns || other.most_ns < least_ns;
  }
  friend bool operator==(const ClockPair&, const ClockPair&) = default;
};

/// Names a clock without telling which machine's it is: two processes with the same one read the
/// same clock.
struct ClockIdentity {
  std::uint64_t boot = 0;  ///< a hash of what names this boot of this machine; 0: unknown
  std::uint64_t time_namespace = 0;

  bool is_same_as(const ClockIdentity& other) const {
    return boot != 0 && boot == other.boot && time_namespace == other.time_namespace;
  }
  friend bool operator==(const ClockIdentity&, const ClockIdentity&) = default;
};

struct Journey {
  std::uint64_t id = 0;
  std::array<std::uint8_t, 16> trace_id{};  ///< W3C Trace Context; all zero: none
  std::string client{};                     ///< "tcp://127.0.0.1:59654"; empty if nobody knows
  std::string server{};
  Leg request{};
  Leg reply{};
  Stamp handler_in{};   ///< at the server: when the program began with the answer,
  Stamp handler_out{};  ///< and when it had one; neither bounds a step
  Offset offset{};
  std::vector<Frame> frames{};
  std::string verdict{};              ///< in words; empty if nobody judged
  std::optional<ClockPair> clocks{};  ///< of our end, when it began
  bool clock_stepped = false;         ///< somebody set a clock meanwhile: the times mean nothing

  friend bool operator==(const Journey&, const Journey&) = default;
};

/// What a journey, or a socket, can know.
enum class Level : std::uint8_t {
  nothing,
  programs,          ///< programs' stamps only
  one_end,           ///< the kernel's stamps of one end
  both_ends,         ///< of both
  both_with_frames,  ///< and the bytes of the frames
};

/// "the kernel's stamps of one end"
const char* to_string(Level level);

/// What is there, by the stamps that are.
Level level_of(const Journey& journey);

/// How many of the fourteen places of a journey have a stamp.
int stamps_of(const Journey& journey);

/// The client's half with what the server's half knows and it does not: stamps, frames, addresses.
/// `offset` is how the server's stamps are to be read.
Journey join(Journey client, const Journey& server, Offset offset);

}  // namespace koine::journey
