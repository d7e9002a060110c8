// What a peer does about journeys; what it does for each message is in peer.cc.
#include "koine/async/within.h"
#include "koine/rsocket/peer.h"

namespace koine::rsocket {

namespace {

class [[nodiscard]] Settled final : public Trying<Settled, void> {
 public:
  explicit Settled(Following& following) : following_(following) {}
  Result<void> attempt_once() {
    if (following_.settled()) return {};
    return fail(Fault::would_block);
  }
  void park() { following_.settling().join(*this); }
  Activity activity() const override { return {"wait for journeys", {}}; }

 private:
  Following& following_;
};

}  // namespace

/// While the peer is made: before there is a connection, since SETUP is its first frame.
Following* Peer::joined() {
  if (following_) following_->join(*options_.journeys);
  return following_.get();
}

void Peer::attach(journey::Recorder* recorder, Tells tells) {
  if (!following_) {
    if (recorder == nullptr) return;
    following_ = std::make_unique<Following>(*this);
    following_->connected();
  }
  following_->attach(recorder, tells);
}

/// SETUP, or METADATA_PUSH: only who follows, or hears that the other side does, looks into it.
void Peer::hear_of_journeys(const Event& event) {
  if (!event.payload.metadata || connection_.metadata_mime_type() != composite_mime_type) return;
  if (!following_) {
    if (!offers_to_follow(*event.payload.metadata)) return;
    following_ = std::make_unique<Following>(*this);
    following_->connected();
    if (options_.journeys != nullptr) following_->join(*options_.journeys);
  }
  following_->hear_push(*event.payload.metadata);
}

Io<void> Peer::journeys_agreed() {
  if (!following_ || !following_->may_be_greeted()) co_return {};
  auto greeted = within(Following::patience, following_->greeting().wait());
  static_cast<void>(co_await greeted);
  co_return {};
}

Io<void> Peer::journeys_settled() {
  if (!following_) co_return {};
  Settled settled(*following_);
  co_return co_await settled;
}

JourneyCounts Peer::journey_counts() const {
  return following_ ? following_->counts() : JourneyCounts();
}

Io<std::shared_ptr<Follower>> Peer::follow_next(bool frames) {
  auto agreeing = journeys_agreed();
  co_await attempt(std::move(agreeing));
  auto follower = std::make_shared<Follower>();
  follower->frames = frames;
  co_return std::move(follower);
}

Io<Followed<void>> Peer::fire_followed(std::string route, Encoded request, journey::Follow follow) {
  auto beginning = follow_next(follow.frames);
  auto follower = co_await attempt(std::move(beginning));
  auto firing = fire_encoded(std::move(route), std::move(request), follower);
  co_await attempt(std::move(firing));
  co_await follower->done.wait();
  co_return Followed<void>{follower->journeys.request};
}

Io<std::unique_ptr<Flow>> Peer::open_followed(FrameType type, std::string route, Encoded request,
                                              journey::Follow follow, StreamOptions options) {
  auto beginning = follow_next(follow.frames);
  auto follower = co_await attempt(std::move(beginning));
  auto opening = open_flow(type, std::move(route), std::move(request), options, follower);
  co_return co_await opening;
}

}  // namespace koine::rsocket
