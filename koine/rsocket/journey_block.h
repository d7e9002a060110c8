// What two peers tell each other about journeys: entries "message/x.koine.journey.v0" of composite
// metadata, one block each. Integers have their most significant byte first; a stamp is 40 bits of
// nanoseconds behind a base of 64 bits (CLOCK_REALTIME of who took it), and its quality 2 bits: 0
// missing, 1 exact, 2 at most, 3 at least.
//
//     hello    1 | version 0 | tells (8) | boot (64) | time namespace (64)
//     request  2 | flags (8): 1 followed, 2 frames wanted, 4 the next one is followed
//                | trace id (128), if followed
//     reply    3 | flags (8): 1 the answer has metadata of its own before this
//                | qualities (16) | base (64) | rx, recv_in, recv_out, handler_in, handler_out,
//                  write_in (40 each) | waited for a CPU (40), all ones: unknown
//     late     4 | qualities (8) | stream (32) | base (64) | write_out, sched, ack, first_snd (40
//                  each) | sendings, cwnd, srtt_us, mss, unsent_bytes, retransmits (32 each)
//                | count (8) | snd: quality (8), stamp (40), each | bytes of the frame (8)
//                | its length on the wire (32) and the bytes, if there are any
//
// hello travels in SETUP and in METADATA_PUSH, request in a request's metadata, reply in its
// answer's, late in METADATA_PUSH. A block of another length than these is none.
#pragma once

#include <optional>
#include <string_view>
#include <variant>

#include "koine/journey/journey.h"
#include "koine/rsocket/metadata.h"

namespace koine::rsocket {

inline constexpr std::string_view journey_mime_type = "message/x.koine.journey.v0";

/// What a peer lets the other know about the way of its messages.
enum class Tells : std::uint8_t { nothing, stamps, stamps_and_frames };

struct HelloBlock {
  Tells tells = Tells::nothing;
  journey::ClockIdentity clock = {};

  friend bool operator==(const HelloBlock&, const HelloBlock&) = default;
};

struct RequestBlock {
  bool is_followed = false;
  bool wants_frames = false;
  bool next_is_followed = false;
  std::array<std::uint8_t, 16> trace_id = {};  ///< W3C Trace Context; of one that is followed

  friend bool operator==(const RequestBlock&, const RequestBlock&) = default;
};

/// What the server knows when it answers.
struct ReplyBlock {
  bool has_own_metadata = false;
  journey::Stamp rx = {};
  journey::Stamp recv_in = {};
  journey::Stamp recv_out = {};
  journey::Stamp handler_in = {};
  journey::Stamp handler_out = {};
  journey::Stamp write_in = {};
  std::optional<std::int64_t> cpu_wait_ns = {};

  friend bool operator==(const ReplyBlock&, const ReplyBlock&) = default;
};

/// What it learns afterwards: the sender's half of the answer's leg, and its frame.
struct LateBlock {
  std::uint32_t stream_id = 0;
  journey::Leg leg = {};
  std::optional<journey::Frame> frame = {};

  friend bool operator==(const LateBlock&, const LateBlock&) = default;
};

using JourneyBlock = std::variant<HelloBlock, RequestBlock, ReplyBlock, LateBlock>;

/// Appends the entry with that block. A stamp that lies more than 18 minutes behind the earliest of
/// its block is left out.
void append_block(ByteVector& metadata, const JourneyBlock& block);

/// The block of an entry's content. Fault::malformed for what is none, or cut off, or too long.
Result<JourneyBlock> parse_block(Bytes content);

}  // namespace koine::rsocket
