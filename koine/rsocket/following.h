// Following: what a peer does for the journeys of its messages and the peer's.
//
// It exists only while a recorder is attached, or once the other side has offered to follow; a
// peer without one looks at a pointer for each message.
//
//     asker                                       answerer
//     hello (SETUP, or METADATA_PUSH)  ─────────>  keeps it
//                                      <─────────  hello (METADATA_PUSH), if it tells
//     call, with its block             ─────────>  stamps its arrival, and the handler
//                                      <─────────  answer, with what is known by then
//                                      <─────────  late block: before the next answer, or alone
//     any other request, its block     ─────────>  stamps its arrival, and the handler
//                                      <─────────  half block: in the same way
//     item, its block                  ─────────>  stamps its arrival
//                                      <─────────  half block
//     stamps its arrival               <─────────  item, with its block
//                                      <─────────  late block
//     joins both, and hands the journey to the recorder
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "koine/async/event.h"
#include "koine/async/loop.h"
#include "koine/journey/track.h"
#include "koine/rsocket/flow.h"
#include "koine/rsocket/journeys.h"
#include "koine/rsocket/request.h"

namespace koine::rsocket {

class Peer;
struct Event;

/// Somebody who waits for the journeys of one request and, if it has any, of its first items.
struct Follower {
  static constexpr std::size_t items_max = 16;  // that are kept

  bool frames = false;
  FlowJourneys journeys = {};  ///< null and empty for what could not be followed
  std::size_t under_way = 0;
  koine::Event done = {};  ///< set while nothing is

  void begins();
  void ends(std::uint64_t item, bool is_reply, std::shared_ptr<const journey::Journey> journey);
  void loses();
};

class Following final : public InJourneys, private Timer {
 public:
  /// An answerer's half waits so long for an answer to ride with, and is looked at again every so
  /// long while TCP has not confirmed what it is about, which may be sent again: not so long that
  /// who asked gives up. Then it goes alone, but no more than ten times a second: then all that
  /// wait go together.
  static constexpr Duration late_after = 20ms;
  static constexpr Duration confirming_max = 700ms;
  static constexpr Duration alone_gap = 100ms;

  /// An asker waits so long for it, and an answerer for room to send it.
  static constexpr Duration late_patience = 1s;

  /// And so long for a peer's hello.
  static constexpr Duration patience = 250ms;

  /// Messages of one peer that are followed at a time, and its callers'; more are only counted.
  static constexpr std::size_t followed_max = 256;

  explicit Following(Peer& peer) : peer_(peer) {}
  Following(const Following&) = delete;
  Following& operator=(const Following&) = delete;
  ~Following() { lose(); }

  /// Null: follow no longer.
  void attach(journey::Recorder* recorder, Tells tells);
  /// Goes by what is attached there, now and later.
  void join(Journeys& journeys);
  void follow_with(Journeys& journeys);

  /// The stream has changed, or is gone: what was under way is followed no more.
  void lose();
  void begin_anew();

  // What is said before there is anything to follow.

  /// For SETUP: empty if there is nothing to offer.
  ByteVector offer();
  /// The connection is there: offers what SETUP has not.
  void connected();
  void hear_push(Bytes metadata);
  /// True while the peer may yet say hello.
  bool may_be_greeted() const { return offered_ && !theirs_ && greeted_until_ > now(); }
  koine::Event& greeting() { return greeting_; }

  // Asking.

  /// How the next request is followed.
  struct Asking {
    std::shared_ptr<journey::Journey> journey = {};  ///< null: not at all
    bool is_told = false;                            ///< the peer is
    bool is_crowded = false;
    bool is_left_out = false;
    std::uint32_t items_every = 0;
    std::shared_ptr<Follower> follower = {};
  };
  /// A request is to be sent: appends to `metadata`, unless that is null, what the peer shall know.
  Asking begin(FrameType type, ByteVector* metadata, std::size_t request_bytes,
               const std::shared_ptr<Follower>& follower);
  /// It is in the output, `bytes` behind `bytes_before` others.
  void asked(std::uint32_t id, FrameType type, Asking asking, std::size_t bytes,
             std::size_t bytes_before);

  // Answering.

  void called(std::uint32_t id, FrameType type, Bytes content, std::size_t bytes);
  void handler_begins(std::uint32_t id);
  bool tells(std::uint32_t id) const;
  /// Before the answer is in the output: appends to `metadata`.
  std::shared_ptr<journey::Journey> answering(std::uint32_t id, const Payload& answer,
                                              ByteVector& metadata);
  /// Before an ERROR or COMPLETE is, which have no metadata.
  std::shared_ptr<journey::Journey> ending(std::uint32_t id);
  void answered(std::uint32_t id, const std::shared_ptr<journey::Journey>& journey,
                std::size_t bytes, std::size_t bytes_before);
  /// There may be room again for what could not be sent.
  void has_room();

  // Both.

  /// What the connection has brought for a stream. Takes what was added out of its metadata.
  void hear(Event& event);

  /// False while no item of any stream is followed.
  bool follows_items() const { return !flows_.empty(); }
  /// Before an item of ours is in the output: its journey, null if it is not followed; appends to
  /// `metadata`.
  std::shared_ptr<journey::Journey> sending(std::uint32_t id, const Payload& item,
                                            ByteVector& metadata);
  void sent(std::uint32_t id, const std::shared_ptr<journey::Journey>& journey, std::size_t bytes,
            std::size_t bytes_before);

  /// Nobody answers it, waits for the answer, or has items for it, any more.
  void forget(std::uint32_t id);

  /// True if no journey waits for anything but answers.
  bool settled() const { return joining_.empty() && telling_.empty(); }
  WaitList& settling() { return settling_; }

  const JourneyCounts& counts() const { return counts_; }

 private:
  struct Asked {
    std::shared_ptr<journey::Journey> journey = {};
    std::shared_ptr<Follower> follower = {};
    bool is_told = false;  ///< the peer is
  };
  /// Waits for our kernel's words, and the peer's.
  struct Joining {
    std::uint32_t id = 0;
    std::uint64_t item = 0;
    Asked asked{};
    bool is_reply = false;  ///< came to us
    bool wants_half = false;
    bool wants_late = false;
    bool has_frames = false;
    Instant until{};
    bool is_overdue = false;  ///< what has come meanwhile is read once more
  };
  struct Called {
    std::shared_ptr<journey::Journey> journey = {};
    bool is_told = false;  ///< the caller is
    bool has_frames = false;
    bool has_half = false;  ///< that is not in the answer
  };
  /// Waits for our kernel's words, to tell them.
  struct Telling {
    std::uint32_t id = 0;
    std::uint64_t item = 0;
    Called call{};
    bool has_half = false;
    bool has_late = false;
    bool has_frame = false;
    Instant until{};
    Instant unconfirmed_until{};
  };
  /// A stream or channel, of either side, some of whose items are followed.
  struct FollowedFlow {
    bool is_ours = false;
    bool is_told = false;  ///< the other side is
    bool frames = false;
    std::uint32_t every = 0;
    std::uint64_t sent = 0;  ///< items
    std::uint64_t received = 0;
    std::shared_ptr<Follower> follower = {};
  };
  using AnyItem = std::variant<std::monostate, ReplyBlock, ItemBlock>;

  journey::Track* track() const;
  Tells tells_by(Journeys& journeys) const;
  Instant now() const;
  bool is_told_by_peer() const { return theirs_ && theirs_->tells != Tells::nothing; }
  bool fits(std::size_t message_bytes) const;
  HelloBlock hello() const;
  void greet();
  bool push(const ByteVector& metadata);
  void take(const JourneyBlock& block);
  void take(const LateBlock& late);
  void take(const HalfBlock& half);
  AnyItem take_block(Payload& payload);
  void hear_answer(Asked asked, const Event& event, const AnyItem& block);
  void hear_item(const Event& event, const AnyItem& block);
  void received(const std::shared_ptr<journey::Journey>& journey, journey::Way way);
  std::shared_ptr<journey::Journey> begin_journey(bool is_ours);
  void join(Joining joining);
  void finish_if_known(std::deque<Joining>::iterator at);
  void finish(const Joining& joining);
  void read_clocks(journey::Journey& journey);
  std::array<std::uint8_t, 16> trace_id();
  bool is_unconfirmed(const Telling& telling) const;
  bool may_go(const Telling& telling, bool alone) const;
  void tell(bool alone);
  void append_blocks(ByteVector& metadata, const Telling& telling) const;
  void wait_to_tell(Telling telling);
  void want_frames();
  void stop_frames();
  void arm();
  void run() override;

  Peer& peer_;
  Journeys* journeys_ = nullptr;  // as long as it lists this
  journey::Recorder* recorder_ = nullptr;
  Tells tells_ = Tells::nothing;
  journey::ClockIdentity clock_ = {};
  bool is_connected_ = false;
  bool offered_ = false;
  std::optional<HelloBlock> theirs_;
  Instant greeted_until_{};
  koine::Event greeting_;
  std::optional<bool> samples_;  // the next request, once that was decided
  std::map<std::uint32_t, Asked> asked_;
  std::deque<Joining> joining_;
  std::map<std::uint32_t, Called> called_;
  std::deque<Telling> telling_;
  std::map<std::uint32_t, FollowedFlow> flows_;
  std::uint64_t our_items_ = 0;    // of the flows that we asked for, in the order of which some
  std::uint64_t their_items_ = 0;  // are followed; and of the peer's
  Instant alone_from_{};
  bool is_telling_ = false;
  bool is_full_ = false;         // what is to be told waits for room
  std::size_t with_frames_ = 0;  // journeys under way that want them
  WaitList settling_;
  JourneyCounts counts_;
};

/// True if that metadata, composite, has a hello.
bool offers_to_follow(Bytes metadata);

}  // namespace koine::rsocket
