#include "koine/rsocket/journeys.h"

#include "koine/rsocket/following.h"

namespace koine::rsocket {

Journeys::~Journeys() = default;

void Journeys::attach(journey::Recorder& recorder, Tells tells) {
  recorder_ = &recorder;
  tells_ = tells;
  peers_.for_each([&](Following& following) { following.follow_with(*this); });
}

void Journeys::detach() {
  recorder_ = nullptr;
  tells_ = Tells::nothing;
  peers_.for_each([&](Following& following) { following.follow_with(*this); });
}

}  // namespace koine::rsocket
