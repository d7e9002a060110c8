#include "koine/rsocket/following.h"

#include <algorithm>
#include <utility>

#include "koine/rsocket/peer.h"

namespace koine::rsocket {

using journey::Journey;
using journey::Way;

namespace {

/// `visit(MetadataEntry)` for those about journeys.
template <class Visit>
void for_each_block(Bytes metadata, Visit&& visit) {
  CompositeReader entries(metadata);
  while (const auto entry = entries.next()) {
    if (!*entry) return;
    if ((*entry)->mime_type == journey_mime_type) visit(**entry);
  }
}

}  // namespace

bool offers_to_follow(Bytes metadata) {
  bool offers = false;
  for_each_block(metadata, [&](const MetadataEntry& entry) {
    const auto block = parse_block(entry.content);
    offers = offers || (block && std::holds_alternative<HelloBlock>(*block));
  });
  return offers;
}

void Follower::begins() {
  ++under_way;
  done.reset();
}

void Follower::ends(std::uint64_t item, bool is_reply, std::shared_ptr<const Journey> journey) {
  if (item == 0) {
    journeys.request = std::move(journey);
  } else if (journey && journeys.items.size() < items_max) {
    journeys.items.push_back({item, is_reply, std::move(journey)});
  }
  loses();
}

void Follower::loses() {
  if (--under_way == 0) done.set();
}

journey::Track* Following::track() const {
  const bool has_stream = recorder_ != nullptr && peer_.stream_ != nullptr;
  return has_stream ? peer_.stream_->track() : nullptr;
}

Instant Following::now() const { return peer_.loop_.now(); }

void Following::attach(journey::Recorder* recorder, Tells tells) {
  lose();
  recorder_ = recorder;
  tells_ = recorder == nullptr ? Tells::nothing : tells;
  samples_.reset();
  if (peer_.stream_ && !peer_.stream_->attach(recorder)) recorder_ = nullptr;
  if (journey::Track* const track = this->track()) clock_ = track->clock();
  if (offered_ || recorder_ != nullptr) greet();
}

void Following::join(Journeys& journeys) {
  journeys.peers_.push_back(*this);
  journeys_ = &journeys;
  if (journeys.recorder_ != nullptr) follow_with(journeys);
}

void Following::follow_with(Journeys& journeys) { attach(journeys.recorder_, tells_by(journeys)); }

/// While there is nobody to ask about, nobody is told.
Tells Following::tells_by(Journeys& journeys) const {
  if (!journeys.tells_whom) return journeys.tells_;
  if (!peer_.stream_) return Tells::nothing;
  return std::min(journeys.tells_, journeys.tells_whom(peer_.stream_->peer()));
}

void Following::lose() {
  const auto give_up = [](const Asked& asked) {
    if (asked.follower) asked.follower->loses();
  };
  for (const auto& [id, asked] : asked_) give_up(asked);
  for (const Joining& joining : joining_) give_up(joining.asked);
  asked_.clear();
  joining_.clear();
  called_.clear();
  telling_.clear();
  flows_.clear();
  with_frames_ = 0;
  is_full_ = false;
  cancel();
  settling_.wake_all(peer_.loop_);
}

void Following::begin_anew() {
  lose();
  if (recorder_ == nullptr) return;
  offered_ = false;  // what was said last may be lost
  if (InJourneys::listed() && recorder_ == journeys_->recorder_) tells_ = tells_by(*journeys_);
  if (!peer_.stream_->attach(recorder_)) recorder_ = nullptr;
  if (journey::Track* const track = this->track()) clock_ = track->clock();
  greet();
}

// What is said before there is anything to follow.

HelloBlock Following::hello() const {
  const std::size_t bytes = peer_.options_.connection.message_bytes_max;
  return {.tells = tells_,
          .message_bytes_max = static_cast<std::uint32_t>(std::min<std::size_t>(bytes, UINT32_MAX)),
          .clock = clock_};
}

ByteVector Following::offer() {
  ByteVector metadata;
  if (recorder_ == nullptr) return metadata;
  append_block(metadata, hello());
  offered_ = true;
  greeted_until_ = later(now(), patience);
  return metadata;
}

void Following::connected() {
  is_connected_ = true;
  if (recorder_ != nullptr && !offered_) greet();
}

/// A client may begin; a server answers. Who knows nothing of it passes it over.
void Following::greet() {
  if (!is_connected_ || (peer_.connection_.side() == Side::server && !theirs_)) return;
  ByteVector metadata;
  append_block(metadata, hello());
  if (!push(metadata)) return;
  offered_ = true;
  greeted_until_ = later(now(), patience);
}

bool Following::push(const ByteVector& metadata) {
  if (peer_.connection_.metadata_mime_type() != composite_mime_type) return false;
  const bool pushed = peer_.connection_.push(metadata).has_value();
  if (pushed) peer_.write();
  return pushed;
}

void Following::hear_push(Bytes metadata) {
  for_each_block(metadata, [&](const MetadataEntry& entry) {
    const auto block = parse_block(entry.content);
    if (block) {
      take(*block);
    } else {
      ++counts_.malformed;
    }
  });
}

void Following::take(const JourneyBlock& block) {
  if (const auto* hello = std::get_if<HelloBlock>(&block)) {
    theirs_ = *hello;
    greeting_.set();
    if (recorder_ != nullptr && !offered_) greet();
  } else if (const auto* late = std::get_if<LateBlock>(&block)) {
    take(*late);
  } else if (const auto* half = std::get_if<HalfBlock>(&block)) {
    take(*half);
  } else {
    ++counts_.malformed;  // it belongs to a message
  }
}

// Both.

/// True if the other side, and this, takes a message of that size with a block of ours.
bool Following::fits(std::size_t message_bytes) const {
  /// More than a block and its mime type need, and less than a frame of the smallest size.
  constexpr std::size_t block_bytes_max = 128;
  std::size_t most = peer_.options_.connection.message_bytes_max;
  if (theirs_) most = std::min<std::size_t>(most, theirs_->message_bytes_max);
  return message_bytes + block_bytes_max <= most;
}

std::shared_ptr<Journey> Following::begin_journey(bool is_ours) {
  auto journey = recorder_->begin(track()->connection());
  if (!is_ours) std::swap(journey->client, journey->server);
  return journey;
}

std::array<std::uint8_t, 16> Following::trace_id() {
  std::array<std::uint8_t, 16> id{};
  for (std::uint8_t& byte : id) byte = static_cast<std::uint8_t>(peer_.loop_.chance()() >> 32);
  return id;
}

void Following::received(const std::shared_ptr<Journey>& journey, Way way) {
  track()->receive(journey, way, peer_.reader_ ? peer_.reader_->buffered() : 0);
}

/// The block that was added to a message's metadata is its last entry: nobody else shall see it.
Following::AnyItem Following::take_block(Payload& payload) {
  AnyItem found;
  if (!payload.metadata) return found;
  const Bytes metadata = *payload.metadata;
  CompositeReader entries(metadata);
  std::size_t begin = 0;
  while (const auto entry = entries.next()) {
    if (!*entry) break;
    const std::size_t end = static_cast<std::size_t>((*entry)->content.data() - metadata.data()) +
                            (*entry)->content.size();
    if ((*entry)->mime_type == journey_mime_type) {
      const auto block = parse_block((*entry)->content);
      const auto* reply = block ? std::get_if<ReplyBlock>(&*block) : nullptr;
      const auto* item = block ? std::get_if<ItemBlock>(&*block) : nullptr;
      if (reply == nullptr && item == nullptr) {
        ++counts_.malformed;
      } else if (end == metadata.size()) {
        const bool has_own = reply != nullptr ? reply->has_own_metadata : item->has_own_metadata;
        payload.metadata = metadata.first(begin);
        if (!has_own) payload.metadata.reset();
        if (reply != nullptr) found = *reply;
        if (item != nullptr) found = *item;
      }
    }
    begin = end;
  }
  return found;
}

void Following::hear(Event& event) {
  if (!recorder_ && !event.payload.metadata) return;
  const AnyItem block = take_block(event.payload);
  if (const auto at = asked_.find(event.stream_id); at != asked_.end()) {
    if (!event.is_over) return;
    Asked asked = std::move(at->second);
    asked_.erase(at);
    hear_answer(std::move(asked), event, block);
    return;
  }
  if (event.kind == Event::Kind::next) hear_item(event, block);
  if (event.is_over) forget(event.stream_id);
}

void Following::forget(std::uint32_t id) {
  if (const auto at = called_.find(id); at != called_.end()) {
    if (at->second.has_frames) stop_frames();
    called_.erase(at);
  }
  if (const auto at = asked_.find(id); at != asked_.end()) {
    const auto follower = std::move(at->second.follower);
    asked_.erase(at);
    if (follower && follower->frames) stop_frames();
    if (follower) follower->loses();
  }
  if (const auto at = flows_.find(id); at != flows_.end()) {
    if (at->second.frames) stop_frames();
    flows_.erase(at);
  }
}

void Following::want_frames() {
  if (++with_frames_ == 1) static_cast<void>(track()->keep_frames(true));
}

void Following::stop_frames() {
  if (with_frames_ == 0 || --with_frames_ != 0) return;
  if (journey::Track* const track = this->track())
    static_cast<void>(track->keep_frames(recorder_->options().frames));
}

void Following::arm() {
  std::optional<Instant> next;
  const auto at = [&](Instant instant) { next = std::min(next.value_or(instant), instant); };
  for (const Telling& telling : telling_) {
    const Instant goes = std::max(telling.until, alone_from_);
    at(is_full_ ? later(telling.until, late_patience) : goes);
  }
  if (!joining_.empty()) at(later(now(), late_after));
  if (next && (!armed() || *next < deadline())) peer_.loop_.arm(*this, *next);
}

void Following::run() {
  tell(true);
  for (std::size_t i = 0; i < joining_.size();) {
    Joining& joining = joining_[i];
    journey::Track* const track = this->track();
    const bool wants = is_told_by_peer() && (joining.wants_half || joining.wants_late);
    const bool waits = wants || (track != nullptr && track->awaits(*joining.asked.journey));
    if (track != nullptr && waits && !joining.is_overdue) {
      joining.is_overdue = joining.until <= now();
      ++i;
      continue;
    }
    if (wants) ++counts_.untold;
    const Joining over = joining;
    joining_.erase(joining_.begin() + static_cast<std::ptrdiff_t>(i));
    finish(over);
  }
  arm();
}

}  // namespace koine::rsocket
