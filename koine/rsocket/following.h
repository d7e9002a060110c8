// Following: what a peer does for the journeys of its calls and its callers'.
//
// It exists only while a recorder is attached, or once the other side has offered to follow; a
// peer without one looks at a pointer for each message.
//
//     asker                                       answerer
//     hello (SETUP, or METADATA_PUSH)  ─────────>  keeps it
//                                      <─────────  hello (METADATA_PUSH), if it tells
//     request, with its block          ─────────>  stamps its arrival, and the handler
//                                      <─────────  answer, with what is known by then
//                                      <─────────  late block: before the next answer, or alone
//     joins both, and hands the journey to the recorder
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "koine/async/event.h"
#include "koine/async/loop.h"
#include "koine/journey/track.h"
#include "koine/rsocket/journeys.h"
#include "koine/rsocket/request.h"

namespace koine::rsocket {

class Peer;
struct Event;

/// Somebody who waits for the journey of one call.
struct Follower {
  bool frames = false;
  std::shared_ptr<const journey::Journey> journey = {};  ///< null: it could not be followed
  koine::Event done = {};
};

class Following final : public InJourneys, private Timer {
 public:
  /// An answerer's late block waits so long for an answer to ride with, and then goes alone, but no
  /// more than ten times a second.
  static constexpr Duration late_after = 20ms;
  static constexpr Duration alone_gap = 100ms;

  /// An asker waits so long for it, once it is promised.
  static constexpr Duration late_patience = 1s;

  /// And so long for a peer's hello.
  static constexpr Duration patience = 250ms;

  /// Calls of one peer that are followed at a time, and its callers'; more are only counted.
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

  /// The next call is to be sent: its journey, null if it is not followed, and, appended to
  /// `metadata` unless that is null, what the peer shall know.
  std::shared_ptr<journey::Journey> begin(ByteVector* metadata, std::size_t request_bytes,
                                          const Follower* follower);
  /// It is in the output, `bytes` behind `bytes_before` others.
  void asked(std::uint32_t id, std::shared_ptr<journey::Journey> journey, std::size_t bytes,
             std::size_t bytes_before, std::shared_ptr<Follower> follower);
  /// A call is answered, or over. Takes what was added out of the answer's metadata.
  void hear(Event& event);

  // Answering.

  void called(std::uint32_t id, Bytes content, std::size_t bytes);
  void handler_begins(std::uint32_t id);
  bool tells(std::uint32_t id) const;
  /// Before the answer is in the output: appends to `metadata`.
  std::shared_ptr<journey::Journey> answering(std::uint32_t id, const Payload& answer,
                                              ByteVector& metadata);
  void answered(std::uint32_t id, const std::shared_ptr<journey::Journey>& journey,
                std::size_t bytes, std::size_t bytes_before);
  /// Nobody answers it, or waits for the answer, any more.
  void forget(std::uint32_t id);

  /// True if no journey waits for anything but answers.
  bool settled() const { return joining_.empty() && telling_.empty(); }
  WaitList& settling() { return settling_; }

  /// Blocks of the peer's that were none.
  std::uint64_t malformed() const { return malformed_; }

 private:
  struct Asked {
    std::shared_ptr<journey::Journey> journey = {};
    std::shared_ptr<Follower> follower = {};
  };
  /// Answered: waits for our kernel's words, and the peer's.
  struct Joining {
    std::uint32_t id;
    Asked call;
    bool wants_late;
    Instant until;
  };
  struct Called {
    std::shared_ptr<journey::Journey> journey = {};
    bool is_told = false;  ///< the caller is
    bool has_frames = false;
  };
  /// Answered: waits for our kernel's words, to tell them.
  struct Telling {
    std::uint32_t id;
    Called call;
    Instant until;
  };

  journey::Track* track() const;
  Tells tells_by(Journeys& journeys) const;
  Instant now() const;
  void greet();
  bool push(const ByteVector& metadata);
  void take(const JourneyBlock& block);
  void take(const LateBlock& late);
  std::optional<ReplyBlock> take_block(Payload& answer);
  void received(const std::shared_ptr<journey::Journey>& journey, journey::Way way);
  void tell(bool alone);
  void finish(const Asked& call);
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
  std::optional<bool> samples_;  // the next call, once that was decided
  std::map<std::uint32_t, Asked> asked_;
  std::deque<Joining> joining_;
  std::map<std::uint32_t, Called> called_;
  std::deque<Telling> telling_;
  Instant alone_from_{};
  std::size_t with_frames_ = 0;  // journeys under way that want them
  WaitList settling_;
  std::uint64_t malformed_ = 0;
};

/// True if that metadata, composite, has a hello.
bool offers_to_follow(Bytes metadata);

}  // namespace koine::rsocket
