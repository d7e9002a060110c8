// What two peers tell each other about journeys: entries "message/x.koine.journey.v0" of composite
// metadata, one block each. Integers have their most significant byte first; a stamp is 40 bits of
// nanoseconds behind a base of 64 bits (CLOCK_REALTIME of who took it), and its quality 2 bits: 0
// missing, 1 exact, 2 at most, 3 at least.
//
//     hello    1 | version 0 | tells (8) | largest message it takes (32) | boot (64)
//                | time namespace (64)
//     request  2 | flags (8): 1 followed, 2 frames wanted, 4 the next one is followed, 8 items are
//                | trace id (128), if followed | one item in so many (32), if items are
//     reply    3 | flags (8): 1 the answer has metadata of its own before this
//                | qualities (16) | base (64) | rx, recv_in, recv_out, handler_in, handler_out,
//                  write_in (40 each) | waited for a CPU (40), all ones: unknown
//     late     4 | qualities (8) | stream (32) | item (64), 0: the answer | base (64)
//                | write_out, sched, ack, first_snd (40 each) | sendings, cwnd, srtt_us, mss,
//                  unsent_bytes, retransmits (32 each) | held by (8): journey::HeldBy
//                | writer waited for a CPU (40)
//                | count (8) | snd: quality (8), stamp (40), each | bytes of the frame (8)
//                | its length on the wire (32) and the bytes, if there are any
//     item     5 | flags (8): 1 the item has metadata of its own before this, 2 its sender joins
//                | item (64), from 1 | trace id (128) | write_in (64), 0: missing
//     half     6 | stream (32) | item (64), 0: the request | qualities and all behind, as in reply
//
// hello travels in SETUP and in METADATA_PUSH, request in a request's metadata, reply in its
// answer's, item in an item's, late and half in METADATA_PUSH. A block of another length than these
// is none.
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
  std::uint32_t message_bytes_max = 0;  ///< of the messages that it takes, data and metadata
  journey::ClockIdentity clock = {};

  friend bool operator==(const HelloBlock&, const HelloBlock&) = default;
};

struct RequestBlock {
  bool is_followed = false;
  bool wants_frames = false;
  bool next_is_followed = false;
  std::array<std::uint8_t, 16> trace_id = {};  ///< W3C Trace Context; of one that is followed
  std::uint32_t items_every = 0;  ///< of a stream or channel: one item in so many is; 0: none

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

/// What it learns afterwards: the sender's half of the answer's leg, or an item's, and its frame.
struct LateBlock {
  std::uint32_t stream_id = 0;
  std::uint64_t item = 0;  ///< 0: the answer, ERROR and COMPLETE included
  journey::Leg leg = {};
  std::optional<journey::Frame> frame = {};

  friend bool operator==(const LateBlock&, const LateBlock&) = default;
};

/// With an item that is followed. One journey has one way: who asked for the stream joins it, and
/// hears of its end that is not its own: by a HalfBlock of items that it sends, by a LateBlock of
/// those that it receives.
struct ItemBlock {
  bool has_own_metadata = false;
  bool sender_joins = false;
  std::uint64_t item = 0;  ///< which one of its sender's on that stream, from 1
  std::array<std::uint8_t, 16> trace_id = {};
  journey::Stamp write_in = {};  ///< exact, or missing

  friend bool operator==(const ItemBlock&, const ItemBlock&) = default;
};

/// What the receiver knows of a message that no answer could carry it back for: one that has none,
/// or is answered by ERROR, or by a message that has no room left. Where there is no answer,
/// write_in is when this was told.
struct HalfBlock {
  std::uint32_t stream_id = 0;
  std::uint64_t item = 0;  ///< 0: the request
  ReplyBlock half = {};

  friend bool operator==(const HalfBlock&, const HalfBlock&) = default;
};

using JourneyBlock =
    std::variant<HelloBlock, RequestBlock, ReplyBlock, LateBlock, ItemBlock, HalfBlock>;

/// Appends the entry with that block. A stamp that lies more than 18 minutes behind the earliest of
/// its block is left out.
void append_block(ByteVector& metadata, const JourneyBlock& block);

/// The block of an entry's content. Fault::malformed for what is none, or cut off, or too long.
Result<JourneyBlock> parse_block(Bytes content);

/// What the server knows of it when it answers.
ReplyBlock reply_block_of(const journey::Journey& journey);

/// What a block says, for the journey of whom it is told.
void add_half(journey::Journey& journey, const ReplyBlock& reply);
void add_half(journey::Journey& journey, const LateBlock& late);

}  // namespace koine::rsocket
