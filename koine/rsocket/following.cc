#include "koine/rsocket/following.h"

#include <algorithm>
#include <utility>

#include "koine/rsocket/peer.h"

namespace koine::rsocket {

using journey::Journey;
using journey::Leg;
using journey::Quality;
using journey::Stamp;
using journey::Way;

namespace {

/// More than a block and its mime type need, and less than a frame of the smallest size.
constexpr std::size_t block_bytes_max = 128;

/// Late blocks go together in a frame that this fills, and with one more is not too large for any
/// peer: METADATA_PUSH has no fragments.
constexpr std::size_t push_bytes_min = 512;

bool is_composite(Bytes metadata) {
  CompositeReader entries(metadata);
  for (;;) {
    const auto entry = entries.next();
    if (!entry) return false;
    if (!*entry) return true;
  }
}

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
  const auto give_up = [](const Asked& call) {
    if (call.follower) call.follower->done.set();
  };
  for (const auto& [id, call] : asked_) give_up(call);
  for (const Joining& joining : joining_) give_up(joining.call);
  asked_.clear();
  joining_.clear();
  called_.clear();
  telling_.clear();
  with_frames_ = 0;
  cancel();
  settling_.wake_all(peer_.loop_);
}

void Following::begin_anew() {
  lose();
  if (recorder_ == nullptr) return;
  offered_ = false;  // what was said last may be lost
  if (InJourneys::listed() && recorder_ == journeys_->recorder_) tells_ = tells_by(*journeys_);
  if (!peer_.stream_->attach(recorder_)) recorder_ = nullptr;
  greet();
}

// What is said before there is anything to follow.

ByteVector Following::offer() {
  ByteVector metadata;
  if (recorder_ == nullptr) return metadata;
  append_block(metadata, HelloBlock{.tells = tells_, .clock = clock_});
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
  append_block(metadata, HelloBlock{.tells = tells_, .clock = clock_});
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
      ++malformed_;
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
  } else {
    ++malformed_;  // it belongs to a request, or an answer
  }
}

// Asking.

std::shared_ptr<Journey> Following::begin(ByteVector* metadata, std::size_t request_bytes,
                                          const Follower* follower) {
  journey::Track* const track = this->track();
  if (track == nullptr || !peer_.connection_.has_transport()) return nullptr;
  if (!offered_) greet();
  if (!samples_) samples_ = recorder_->samples();
  const bool has_room = asked_.size() + joining_.size() < followed_max;
  RequestBlock block{.is_followed = has_room && (*samples_ || follower != nullptr),
                     .next_is_followed = recorder_->samples_next()};
  block.wants_frames =
      block.is_followed && (follower != nullptr ? follower->frames : recorder_->options().frames);
  std::shared_ptr<Journey> journey;
  if (block.is_followed) {
    journey = recorder_->begin(track->connection());
    for (std::uint8_t& byte : block.trace_id)
      byte = static_cast<std::uint8_t>(peer_.loop_.chance()() >> 32);
    journey->trace_id = block.trace_id;
  }
  const bool is_heard = theirs_ && theirs_->tells != Tells::nothing && metadata != nullptr;
  const bool fits = metadata != nullptr && request_bytes + metadata->size() + block_bytes_max <=
                                               peer_.options_.connection.message_bytes_max;
  if (is_heard && fits && (block.is_followed || block.next_is_followed))
    append_block(*metadata, block);
  return journey;
}

void Following::asked(std::uint32_t id, std::shared_ptr<Journey> journey, std::size_t bytes,
                      std::size_t bytes_before, std::shared_ptr<Follower> follower) {
  samples_.reset();
  if (!journey) {
    if (follower) follower->done.set();
    return;
  }
  if (follower && follower->frames) want_frames();
  track()->send(journey, Way::there, bytes, bytes_before);
  asked_[id] = {std::move(journey), std::move(follower)};
}

/// The block that was added to an answer's metadata is its last entry: nobody else shall see it.
std::optional<ReplyBlock> Following::take_block(Payload& answer) {
  if (!answer.metadata) return std::nullopt;
  const Bytes metadata = *answer.metadata;
  std::optional<ReplyBlock> found;
  CompositeReader entries(metadata);
  std::size_t begin = 0;
  while (const auto entry = entries.next()) {
    if (!*entry) break;
    const std::size_t end = static_cast<std::size_t>((*entry)->content.data() - metadata.data()) +
                            (*entry)->content.size();
    if ((*entry)->mime_type == journey_mime_type) {
      const auto block = parse_block((*entry)->content);
      const auto* reply = block ? std::get_if<ReplyBlock>(&*block) : nullptr;
      if (reply == nullptr) {
        ++malformed_;
      } else if (end == metadata.size()) {
        found = *reply;
        answer.metadata = metadata.first(begin);
        if (!reply->has_own_metadata) answer.metadata.reset();
      }
    }
    begin = end;
  }
  return found;
}

void Following::hear(Event& event) {
  const auto at = asked_.find(event.stream_id);
  if (at == asked_.end() || !event.is_over) return;
  Asked call = std::move(at->second);
  asked_.erase(at);
  Journey& journey = *call.journey;
  const auto block = take_block(event.payload);
  received(call.journey, Way::back);
  journey.reply.bytes = event.payload.data.size();
  if (block) {
    journey.request.rx = block->rx;
    journey.request.recv_in = block->recv_in;
    journey.request.recv_out = block->recv_out;
    journey.request.cpu_wait_ns = block->cpu_wait_ns;
    journey.handler_in = block->handler_in;
    journey.handler_out = block->handler_out;
    journey.reply.write_in = block->write_in;
  }
  joining_.push_back({.id = event.stream_id,
                      .call = std::move(call),
                      .wants_late = block.has_value(),
                      .until = later(now(), late_patience)});
  arm();
}

void Following::take(const LateBlock& late) {
  const auto at = std::ranges::find(joining_, late.stream_id, &Joining::id);
  if (at == joining_.end() || !at->wants_late) return;
  at->wants_late = false;
  Journey& journey = *at->call.journey;
  Leg& leg = journey.reply;
  leg.write_out = late.leg.write_out;
  leg.sched = late.leg.sched;
  leg.snd = late.leg.snd;
  leg.sendings = late.leg.sendings;
  leg.first_snd = late.leg.first_snd;
  leg.ack = late.leg.ack;
  leg.tcp = late.leg.tcp;
  if (late.frame) journey.frames.push_back(*late.frame);
  journey::Track* const track = this->track();
  if (track == nullptr || track->awaits(journey)) return;
  const Asked call = std::move(at->call);
  joining_.erase(at);
  finish(call);
}

/// Who is shown the journey may attach another recorder, or none.
void Following::finish(const Asked& call) {
  journey::Track* const track = this->track();
  const std::shared_ptr<Journey>& journey = call.journey;
  if (call.follower && call.follower->frames) stop_frames();
  if (track != nullptr) {
    if (journey->request.recv_out) {  // the other end has told
      const bool says_same_clock = theirs_ && theirs_->clock.is_same_as(clock_);
      journey->offset = track->connection().clocks.of(*journey, says_same_clock);
    }
    track->finish(journey);
    if (call.follower) call.follower->journey = journey;
  }
  if (call.follower) call.follower->done.set();
  if (settled()) settling_.wake_all(peer_.loop_);
}

// Answering.

void Following::called(std::uint32_t id, Bytes content, std::size_t bytes) {
  journey::Track* const track = this->track();
  if (track == nullptr) return;
  const bool samples = recorder_->samples();
  RequestBlock block;
  if (!content.empty()) {
    const auto parsed = parse_block(content);
    const auto* request = parsed ? std::get_if<RequestBlock>(&*parsed) : nullptr;
    if (request == nullptr) ++malformed_;
    if (request != nullptr && theirs_ && tells_ != Tells::nothing) block = *request;
  }
  const bool has_room = called_.size() + telling_.size() < followed_max;
  if (has_room && (samples || block.is_followed)) {
    Called call{.journey = recorder_->begin(track->connection()), .is_told = block.is_followed};
    call.journey->trace_id = block.trace_id;
    std::swap(call.journey->client, call.journey->server);
    received(call.journey, Way::there);
    call.journey->request.bytes = bytes;
    call.has_frames = block.wants_frames && tells_ == Tells::stamps_and_frames;
    if (call.has_frames) want_frames();
    called_[id] = std::move(call);
  }
  if (block.next_is_followed) track->expect();
}

void Following::handler_begins(std::uint32_t id) {
  const auto at = called_.find(id);
  journey::Track* const track = this->track();
  if (at != called_.end() && track != nullptr) at->second.journey->handler_in = track->now();
}

bool Following::tells(std::uint32_t id) const {
  const auto at = called_.find(id);
  return at != called_.end() && at->second.is_told;
}

std::shared_ptr<Journey> Following::answering(std::uint32_t id, const Payload& answer,
                                              ByteVector& metadata) {
  const auto at = called_.find(id);
  journey::Track* const track = this->track();
  if (at == called_.end() || track == nullptr || !peer_.connection_.has_transport()) return nullptr;
  if (peer_.connection_.takes_messages()) tell(false);
  const std::shared_ptr<Journey>& journey = at->second.journey;
  if (!journey->handler_out) journey->handler_out = track->now();
  const bool fits = answer.size() + block_bytes_max <= peer_.options_.connection.message_bytes_max;
  if (!at->second.is_told || !fits || (answer.metadata && !is_composite(*answer.metadata)))
    return journey;
  if (answer.metadata) metadata.assign(answer.metadata->begin(), answer.metadata->end());
  journey->reply.write_in = track->now();
  append_block(metadata, ReplyBlock{.has_own_metadata = answer.metadata.has_value(),
                                    .rx = journey->request.rx,
                                    .recv_in = journey->request.recv_in,
                                    .recv_out = journey->request.recv_out,
                                    .handler_in = journey->handler_in,
                                    .handler_out = journey->handler_out,
                                    .write_in = journey->reply.write_in,
                                    .cpu_wait_ns = journey->request.cpu_wait_ns});
  return journey;
}

void Following::answered(std::uint32_t id, const std::shared_ptr<Journey>& journey,
                         std::size_t bytes, std::size_t bytes_before) {
  const auto at = called_.find(id);
  const Stamp told = journey->reply.write_in;
  track()->send(journey, Way::back, bytes, bytes_before);
  if (told) journey->reply.write_in = told;
  telling_.push_back({.id = id, .call = std::move(at->second), .until = later(now(), late_after)});
  called_.erase(at);
  arm();
}

void Following::forget(std::uint32_t id) {
  if (const auto at = called_.find(id); at != called_.end()) {
    if (at->second.has_frames) stop_frames();
    called_.erase(at);
  }
  if (const auto at = asked_.find(id); at != asked_.end()) {
    if (at->second.follower && at->second.follower->frames) stop_frames();
    if (at->second.follower) at->second.follower->done.set();
    asked_.erase(at);
  }
}

/// What the kernel has said of our answers: to who asked, and to our own recorder. `alone`: there
/// is no answer to ride with.
void Following::tell(bool alone) {
  journey::Track* const track = this->track();
  if (track == nullptr) return;
  ByteVector metadata;
  std::vector<std::shared_ptr<Journey>> told;
  for (auto at = telling_.begin(); at != telling_.end();) {
    const Journey& journey = *at->call.journey;
    const bool is_due = at->until <= now();
    const bool may_go = at->call.is_told && alone ? is_due && alone_from_ <= now()
                                                  : is_due || !track->awaits(journey);
    if (!may_go) {
      ++at;
      continue;
    }
    if (at->call.is_told) {
      LateBlock late{.stream_id = at->id, .leg = journey.reply};
      const auto frame = std::ranges::find(journey.frames, true, &journey::Frame::reply);
      if (frame != journey.frames.end() && at->call.has_frames) late.frame = *frame;
      append_block(metadata, late);
      if (metadata.size() > push_bytes_min) {
        static_cast<void>(push(metadata));
        metadata.clear();
        if (alone) alone_from_ = later(now(), alone_gap);
      }
    }
    if (at->call.has_frames) stop_frames();
    told.push_back(std::move(at->call.journey));
    at = telling_.erase(at);
  }
  if (!metadata.empty() && push(metadata) && alone) alone_from_ = later(now(), alone_gap);
  for (const auto& journey : told)
    if (journey::Track* const left = this->track()) left->finish(journey);
  if (settled()) settling_.wake_all(peer_.loop_);
}

// Both.

void Following::received(const std::shared_ptr<Journey>& journey, Way way) {
  track()->receive(journey, way, peer_.reader_ ? peer_.reader_->buffered() : 0);
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
  for (const Telling& telling : telling_) at(std::max(telling.until, alone_from_));
  if (!joining_.empty()) at(later(now(), late_after));
  if (next && (!armed() || *next < deadline())) peer_.loop_.arm(*this, *next);
}

void Following::run() {
  tell(true);
  for (std::size_t i = 0; i < joining_.size();) {
    const Joining& joining = joining_[i];
    journey::Track* const track = this->track();
    const bool waits = track != nullptr && joining.until > now() &&
                       (joining.wants_late || track->awaits(*joining.call.journey));
    if (waits) {
      ++i;
      continue;
    }
    const Asked call = joining.call;
    joining_.erase(joining_.begin() + static_cast<std::ptrdiff_t>(i));
    finish(call);
  }
  arm();
}

}  // namespace koine::rsocket
