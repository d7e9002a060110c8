// Whose journeys the peers of one loop follow.
//
//     journey::Recorder recorder;
//     rsocket::Journeys journeys;
//     journeys.attach(recorder);  // before there are peers, or while they talk
//     return serve(url, rsocket::handler(service, {.journeys = &journeys}));
//
// Calls (REQUEST_RESPONSE) are followed: one in RecorderOptions::every, and those that are asked
// for (Peer::call with journey::follow). With a peer that does the same, and tells, the journey has
// both ends; with any other it has ours. What travels is in journey_block.h: nothing at all, unless
// a recorder is attached, and until the peer has said hello nothing but our own hello. Streams,
// channels and messages without an answer are not followed.
#pragma once

#include "koine/base/function.h"
#include "koine/base/list.h"
#include "koine/journey/recorder.h"
#include "koine/rsocket/journey_block.h"
#include "koine/transport/address.h"

namespace koine::rsocket {

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
