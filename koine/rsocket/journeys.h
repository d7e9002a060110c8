// Whose journeys the peers of one loop follow.
//
//     journey::Recorder recorder;
//     rsocket::Journeys journeys;
//     journeys.attach(recorder);  // before there are peers, or while they talk
//     return serve(url, rsocket::handler(service, {.journeys = &journeys}));
//
// Requests of all kinds are followed: one in RecorderOptions::every, and those that are asked for
// (Peer::call, fire, stream and channel with journey::follow); and as many of the items of our
// streams and channels, all of them where the request was asked for. A call's journey goes there
// and back. Any other message has one way, and so has its journey: its `request` is what the asker
// sent, its `reply` what was sent to the asker, and the other is empty.
//
// With a peer that follows as well, and tells, a journey has both ends; with any other it has ours.
// What travels is in journey_block.h: nothing at all, unless a recorder is attached, and until the
// peer has said hello nothing but our own hello.
#pragma once

#include "koine/base/function.h"
#include "koine/base/list.h"
#include "koine/journey/recorder.h"
#include "koine/rsocket/journey_block.h"
#include "koine/transport/address.h"

namespace koine::rsocket {

/// What a peer did not follow, or does not know, and why.
struct JourneyCounts {
  std::uint64_t malformed = 0;  ///< blocks of the peer's that were none, and were passed over
  std::uint64_t crowded = 0;    ///< messages not followed: as many as can be were under way
  std::uint64_t left_out = 0;   ///< blocks not sent: the message would have been too large for the
                                ///< peer, or for us. An answer's half follows it; a request is told
                                ///< to nobody.
  std::uint64_t untold = 0;     ///< halves that the peer did not tell within its time
  std::uint64_t dropped = 0;    ///< halves not told: there was no room to send them in time
};

class Following;
struct InJourneys : ListNode {};

class Journeys {
 public:
  Journeys() = default;
  explicit Journeys(journey::Recorder& recorder) { attach(recorder); }
  Journeys(const Journeys&) = delete;
  Journeys& operator=(const Journeys&) = delete;
  ~Journeys();

  /// For the peers that have this in their options, those to come included, in the place of another
  /// recorder. It outlives them, or is taken away. `tells`: what a peer that offers it is told of
  /// our end of its calls.
  void attach(journey::Recorder& recorder, Tells tells = Tells::stamps_and_frames);
  void detach();

  /// Set before there are peers: follows only with those that offer it, so that others cost
  /// nothing.
  bool only_who_offers = false;

  /// If set, says for each peer what it is told, and no peer is told more: times tell about a host.
  Function<Tells(const Address& peer)> tells_whom = {};

 private:
  friend class Following;

  journey::Recorder* recorder_ = nullptr;
  Tells tells_ = Tells::nothing;
  List<Following, InJourneys> peers_;
};

}  // namespace koine::rsocket
