// What a peer that is asked does for its callers' journeys, and what it sends of its own items: it
// stamps its end, and tells.
#include <algorithm>
#include <utility>

#include "koine/rsocket/following.h"
#include "koine/rsocket/peer.h"

namespace koine::rsocket {

using journey::Journey;
using journey::Stamp;
using journey::Way;

namespace {

/// Blocks go together in a frame that this fills, and with two more is not too large for any peer:
/// METADATA_PUSH has no fragments.
constexpr std::size_t push_bytes_min = 512;

bool is_composite(const std::optional<Bytes>& metadata) {
  if (!metadata) return true;
  CompositeReader entries(*metadata);
  for (;;) {
    const auto entry = entries.next();
    if (!entry) return false;
    if (!*entry) return true;
  }
}

}  // namespace

void Following::called(std::uint32_t id, FrameType type, Bytes content, std::size_t bytes) {
  journey::Track* const track = this->track();
  if (track == nullptr) return;
  const bool samples = recorder_->samples();
  RequestBlock block;
  if (!content.empty()) {
    const auto parsed = parse_block(content);
    const auto* request = parsed ? std::get_if<RequestBlock>(&*parsed) : nullptr;
    if (request == nullptr) ++counts_.malformed;
    if (request != nullptr && theirs_ && tells_ != Tells::nothing) block = *request;
  }
  const bool is_call = type == FrameType::request_response;
  const bool wants_frames = block.wants_frames && tells_ == Tells::stamps_and_frames;
  const bool has_items = block.items_every != 0 && !is_call && type != FrameType::request_fnf;
  if (has_items) {
    if (wants_frames) want_frames();
    flows_[id] = {.is_told = true, .frames = wants_frames, .every = block.items_every};
  }
  if (block.next_is_followed) track->expect();
  if (!samples && !block.is_followed) return;
  if (called_.size() + telling_.size() >= followed_max) {
    ++counts_.crowded;
    return;
  }
  Called call{.journey = begin_journey(false), .is_told = block.is_followed};
  call.journey->trace_id = block.trace_id;
  received(call.journey, Way::there);
  call.journey->request.bytes = bytes;
  if (is_call) {
    call.has_frames = wants_frames && block.is_followed;
    if (call.has_frames) want_frames();
    called_[id] = std::move(call);
    return;
  }
  Telling telling;
  telling.id = id;
  telling.call = std::move(call);
  telling.has_half = true;
  wait_to_tell(std::move(telling));
}

void Following::handler_begins(std::uint32_t id) {
  journey::Track* const track = this->track();
  if (track == nullptr) return;
  Journey* journey = nullptr;
  if (const auto at = called_.find(id); at != called_.end()) journey = at->second.journey.get();
  for (const Telling& telling : telling_)
    if (telling.id == id && telling.item == 0) journey = telling.call.journey.get();
  if (journey != nullptr) journey->handler_in = track->now();
}

bool Following::tells(std::uint32_t id) const {
  const auto at = called_.find(id);
  return at != called_.end() && at->second.is_told;
}

std::shared_ptr<Journey> Following::answering(std::uint32_t id, const Payload& answer,
                                              ByteVector& metadata) {
  const auto journey = ending(id);
  if (!journey) return nullptr;
  Called& call = called_.at(id);
  call.has_half = call.is_told && !(fits(answer.size()) && is_composite(answer.metadata));
  if (call.has_half && peer_.connection_.takes_messages()) ++counts_.left_out;
  if (!call.is_told || call.has_half) return journey;
  if (answer.metadata) metadata.assign(answer.metadata->begin(), answer.metadata->end());
  journey->reply.write_in = track()->now();
  ReplyBlock block = reply_block_of(*journey);
  block.has_own_metadata = answer.metadata.has_value();
  append_block(metadata, block);
  return journey;
}

std::shared_ptr<Journey> Following::ending(std::uint32_t id) {
  if (called_.contains(id) && peer_.connection_.takes_messages()) tell(false);
  const auto at = called_.find(id);
  journey::Track* const track = this->track();
  if (at == called_.end() || track == nullptr || !peer_.connection_.has_transport()) return nullptr;
  const std::shared_ptr<Journey>& journey = at->second.journey;
  if (!journey->handler_out && journey->handler_in) journey->handler_out = track->now();
  at->second.has_half = true;
  return journey;
}

void Following::answered(std::uint32_t id, const std::shared_ptr<Journey>& journey,
                         std::size_t bytes, std::size_t bytes_before) {
  const auto at = called_.find(id);
  const bool has_half = at->second.has_half;
  const Stamp told = has_half ? Stamp() : journey->reply.write_in;
  track()->send(journey, Way::back, bytes, bytes_before);
  if (told) journey->reply.write_in = told;
  Telling telling;
  telling.id = id;
  telling.call = std::move(at->second);
  telling.has_half = has_half;
  telling.has_late = true;
  called_.erase(at);
  wait_to_tell(std::move(telling));
}

std::shared_ptr<Journey> Following::sending(std::uint32_t id, const Payload& item,
                                            ByteVector& metadata) {
  Connection& connection = peer_.connection_;
  const bool can_go = connection.has_transport() && connection.takes_messages();
  auto at = flows_.find(id);
  if (at == flows_.end() || !can_go || connection.may_send(id) == 0) return nullptr;
  const bool is_ours = at->second.is_ours;
  if ((is_ours ? our_items_ : their_items_) % at->second.every != 0) return nullptr;
  if (!is_ours) tell(false);
  at = flows_.find(id);  // who was shown a journey may have ended all
  if (at == flows_.end() || track() == nullptr) return nullptr;
  const FollowedFlow& flow = at->second;
  const std::size_t under_way =
      flow.is_ours ? asked_.size() + joining_.size() : called_.size() + telling_.size();
  if (under_way >= followed_max) {
    ++counts_.crowded;
    return nullptr;
  }
  const bool has_room = fits(item.size()) && is_composite(item.metadata) &&
                        connection.metadata_mime_type() == composite_mime_type;
  counts_.left_out += flow.is_told && !has_room ? 1 : 0;
  auto journey = begin_journey(flow.is_ours);
  journey->trace_id = trace_id();
  if (!flow.is_told || !has_room) return journey;
  if (item.metadata) metadata.assign(item.metadata->begin(), item.metadata->end());
  Stamp& write_in = flow.is_ours ? journey->request.write_in : journey->reply.write_in;
  write_in = track()->now();
  append_block(metadata, ItemBlock{.has_own_metadata = item.metadata.has_value(),
                                   .sender_joins = flow.is_ours,
                                   .item = flow.sent + 1,
                                   .trace_id = journey->trace_id,
                                   .write_in = write_in});
  return journey;
}

void Following::sent(std::uint32_t id, const std::shared_ptr<Journey>& journey, std::size_t bytes,
                     std::size_t bytes_before) {
  const auto at = flows_.find(id);
  if (at == flows_.end()) return;
  FollowedFlow& flow = at->second;
  ++flow.sent;
  ++(flow.is_ours ? our_items_ : their_items_);
  if (!journey) return;
  Stamp& write_in = flow.is_ours ? journey->request.write_in : journey->reply.write_in;
  const Stamp told = write_in;
  track()->send(journey, flow.is_ours ? Way::there : Way::back, bytes, bytes_before);
  if (told) write_in = told;
  if (flow.is_ours) {
    if (flow.follower) flow.follower->begins();
    join({.id = id,
          .item = flow.sent,
          .asked = {journey, flow.follower},
          .wants_half = static_cast<bool>(told)});
    return;
  }
  Telling telling;
  telling.id = id;
  telling.item = flow.sent;
  telling.call.journey = journey;
  telling.call.is_told = static_cast<bool>(told);
  telling.has_late = true;
  telling.has_frame = flow.frames;
  wait_to_tell(std::move(telling));
}

// Telling.

void Following::wait_to_tell(Telling telling) {
  telling.until = later(now(), late_after);
  telling.unconfirmed_until = later(now(), confirming_max);
  telling_.push_back(std::move(telling));
  arm();
}

void Following::has_room() {
  if (!is_full_) return;
  is_full_ = false;
  tell(true);
  arm();
}

/// TCP may be sending it again: which sending arrives, and when it left, is yet to come.
bool Following::is_unconfirmed(const Telling& telling) const {
  return telling.has_late && now() < telling.unconfirmed_until &&
         track()->awaits(*telling.call.journey);
}

/// A half without a late block has nothing more to wait for but company.
bool Following::may_go(const Telling& telling, bool alone) const {
  if (is_unconfirmed(telling)) return false;
  const bool is_due = telling.until <= now();
  if (alone && telling.call.is_told) return is_due && alone_from_ <= now();
  return is_due || telling.has_late;
}

/// What is known of our end: to who asked, and to our own recorder. `alone`: there is no answer to
/// ride with.
void Following::tell(bool alone) {
  if (is_telling_ || track() == nullptr) return;
  is_telling_ = true;  // what is pushed makes room, and that calls for this
  std::deque<Telling> staying;
  std::vector<Telling> going;
  std::vector<Telling> over;
  ByteVector metadata;
  bool has_pushed = false;
  const auto push_all = [&] {
    if (going.empty()) return;
    is_full_ = !push(metadata);
    has_pushed = has_pushed || !is_full_;
    for (Telling& telling : going) {
      // Who asked waits for it no more.
      const bool is_late = is_full_ && later(telling.until, late_patience) <= now();
      if (is_full_ && !is_late) {
        staying.push_back(std::move(telling));
      } else {
        counts_.dropped += is_late ? 1 : 0;
        over.push_back(std::move(telling));
      }
    }
    going.clear();
    metadata.clear();
  };
  is_full_ = false;
  for (Telling& telling : std::exchange(telling_, {})) {
    if (!may_go(telling, alone)) {
      if (telling.until <= now() && is_unconfirmed(telling))
        telling.until = later(now(), late_after);
      staying.push_back(std::move(telling));
    } else if (!telling.call.is_told) {
      over.push_back(std::move(telling));
    } else {
      append_blocks(metadata, telling);
      going.push_back(std::move(telling));
      if (metadata.size() >= push_bytes_min) push_all();
    }
  }
  push_all();
  if (has_pushed && alone) alone_from_ = later(now(), alone_gap);
  telling_.insert(telling_.begin(), std::make_move_iterator(staying.begin()),
                  std::make_move_iterator(staying.end()));
  is_telling_ = false;
  for (const Telling& telling : over)
    if (telling.call.has_frames) stop_frames();
  // Who is shown a journey may attach another recorder, or none.
  const journey::Recorder* const ours = recorder_;
  for (const Telling& telling : over)
    if (journey::Track* const left = recorder_ == ours ? track() : nullptr)
      left->finish(telling.call.journey);
  if (settled()) settling_.wake_all(peer_.loop_);
}

void Following::append_blocks(ByteVector& metadata, const Telling& telling) const {
  const Journey& journey = *telling.call.journey;
  if (telling.has_half) {
    HalfBlock half{.stream_id = telling.id, .item = telling.item, .half = reply_block_of(journey)};
    if (!telling.has_late) half.half.write_in = track()->now();
    append_block(metadata, half);
  }
  if (!telling.has_late) return;
  LateBlock late{.stream_id = telling.id, .item = telling.item, .leg = journey.reply};
  const auto frame = std::ranges::find(journey.frames, true, &journey::Frame::reply);
  if (frame != journey.frames.end() && (telling.call.has_frames || telling.has_frame))
    late.frame = *frame;
  append_block(metadata, late);
}

}  // namespace koine::rsocket
