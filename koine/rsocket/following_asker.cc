// What a peer that asks does for the journeys of its messages: it begins them, and joins both ends.
#include <algorithm>
#include <utility>

#include "koine/rsocket/following.h"
#include "koine/rsocket/peer.h"

namespace koine::rsocket {

using journey::Journey;
using journey::Leg;
using journey::Offset;
using journey::Stamp;
using journey::Way;

namespace {

bool has_items(FrameType type) {
  return type == FrameType::request_stream || type == FrameType::request_channel;
}

/// What the other end has stamped, on a clock that nobody can compare with ours.
void drop_other_half(Journey& journey) {
  Leg& there = journey.request;
  there.rx = there.recv_in = there.recv_out = {};
  there.cpu_wait_ns.reset();
  journey.handler_in = journey.handler_out = {};
  const Leg& back = journey.reply;
  Leg arrived{.bytes = back.bytes,
              .rx = back.rx,
              .recv_in = back.recv_in,
              .recv_out = back.recv_out,
              .cpu_wait_ns = back.cpu_wait_ns};
  journey.reply = std::move(arrived);
}

/// How the stamps of what came to us alone are to be read. If the clocks are two, it says by how
/// much the other is ahead at least; its moment on ours is when it came.
Offset offset_of(const Journey& came, journey::ClockOffset& clocks, bool says_same_clock) {
  if (says_same_clock) {
    const Offset same = clocks.of(came, true);
    if (same.method == Offset::Method::same_clock) return same;
  }
  Journey arrival;
  arrival.request.write_in = came.reply.rx ? came.reply.rx : came.reply.recv_out;
  arrival.reply = came.reply;
  return clocks.of(arrival, false);
}

}  // namespace

Following::Asking Following::begin(FrameType type, ByteVector* metadata, std::size_t request_bytes,
                                   const std::shared_ptr<Follower>& follower) {
  Asking asking{.follower = follower};
  if (track() == nullptr || !peer_.connection_.has_transport()) return asking;
  if (!offered_) greet();
  if (!samples_) samples_ = recorder_->samples();
  const bool is_wanted = *samples_ || follower != nullptr;
  asking.is_crowded = is_wanted && asked_.size() + joining_.size() >= followed_max;
  RequestBlock block{.is_followed = is_wanted && !asking.is_crowded,
                     .next_is_followed = recorder_->samples_next()};
  block.wants_frames =
      block.is_followed && (follower != nullptr ? follower->frames : recorder_->options().frames);
  if (has_items(type)) block.items_every = follower != nullptr ? 1 : recorder_->options().every;
  asking.items_every = block.items_every;
  if (block.is_followed) {
    asking.journey = begin_journey(true);
    asking.journey->trace_id = block.trace_id = trace_id();
  }
  if (metadata == nullptr || !is_told_by_peer()) return asking;
  asking.is_told = fits(request_bytes + metadata->size());
  asking.is_left_out = !asking.is_told && block.is_followed;
  if (asking.is_told && (block.is_followed || block.next_is_followed || block.items_every != 0))
    append_block(*metadata, block);
  return asking;
}

void Following::asked(std::uint32_t id, FrameType type, Asking asking, std::size_t bytes,
                      std::size_t bytes_before) {
  samples_.reset();
  counts_.crowded += asking.is_crowded ? 1 : 0;
  counts_.left_out += asking.is_left_out ? 1 : 0;
  const auto& follower = asking.follower;
  const bool wants_frames = follower && follower->frames && asking.journey;
  if (has_items(type) && asking.items_every != 0) {
    if (wants_frames) want_frames();
    flows_[id] = {.is_ours = true,
                  .is_told = asking.is_told,
                  .frames = wants_frames,
                  .every = asking.items_every,
                  .follower = follower};
  }
  if (!asking.journey) {
    if (follower) follower->done.set();
    return;
  }
  if (wants_frames) want_frames();
  if (follower) follower->begins();
  track()->send(asking.journey, Way::there, bytes, bytes_before);
  Asked asked{std::move(asking.journey), follower, asking.is_told};
  if (type == FrameType::request_response) {
    asked_[id] = std::move(asked);
  } else {
    join({.id = id,
          .asked = std::move(asked),
          .wants_half = asking.is_told,
          .has_frames = wants_frames});
  }
}

void Following::join(Joining joining) {
  joining.until = later(now(), late_patience);
  joining_.push_back(std::move(joining));
  arm();
}

void Following::hear_answer(Asked asked, const Event& event, const AnyItem& block) {
  if (track() == nullptr) {  // the stream was aborted, and what it had brought is still read
    if (asked.follower && asked.follower->frames) stop_frames();
    if (asked.follower) asked.follower->loses();
    return;
  }
  Journey& journey = *asked.journey;
  received(asked.journey, Way::back);
  journey.reply.bytes = event.payload.data.size();
  const auto* reply = std::get_if<ReplyBlock>(&block);
  if (reply != nullptr) add_half(journey, *reply);
  join({.id = event.stream_id,
        .asked = asked,
        .is_reply = true,
        .wants_half = asked.is_told && reply == nullptr,
        .wants_late = asked.is_told,
        .has_frames = asked.follower && asked.follower->frames});
}

void Following::hear_item(const Event& event, const AnyItem& any) {
  const auto at = flows_.find(event.stream_id);
  if (at == flows_.end() || track() == nullptr) return;
  FollowedFlow& flow = at->second;
  ++flow.received;
  const auto* block = std::get_if<ItemBlock>(&any);
  // Of a peer that does not tell there is at least the arrival.
  const bool is_sampled =
      block == nullptr && flow.is_ours && !flow.is_told && our_items_++ % flow.every == 0;
  if (block == nullptr && !is_sampled) return;
  if (block != nullptr && block->sender_joins == flow.is_ours) {
    ++counts_.malformed;
    return;
  }
  const std::size_t under_way =
      flow.is_ours ? asked_.size() + joining_.size() : called_.size() + telling_.size();
  if (under_way >= followed_max) {
    ++counts_.crowded;
    return;
  }
  const auto journey = begin_journey(flow.is_ours);
  if (block != nullptr) journey->trace_id = block->trace_id;
  const Way way = flow.is_ours ? Way::back : Way::there;
  received(journey, way);
  (flow.is_ours ? journey->reply : journey->request).bytes = event.payload.data.size();
  if (!flow.is_ours) {
    Telling telling;  // named, since g++ 12 finds members of a temporary one uninitialized
    telling.id = event.stream_id;
    telling.item = block->item;
    telling.call.journey = journey;
    telling.call.is_told = true;
    telling.has_half = true;
    wait_to_tell(std::move(telling));
    return;
  }
  if (block != nullptr) journey->reply.write_in = block->write_in;
  if (flow.follower) flow.follower->begins();
  join({.id = event.stream_id,
        .item = flow.received,
        .asked = {journey, flow.follower},
        .is_reply = true,
        .wants_late = block != nullptr});
}

void Following::take(const LateBlock& late) {
  const auto at = std::ranges::find_if(joining_, [&](const Joining& joining) {
    return joining.id == late.stream_id && joining.item == late.item && joining.wants_late;
  });
  if (at == joining_.end()) return;
  at->wants_late = false;
  add_half(*at->asked.journey, late);
  finish_if_known(at);
}

void Following::take(const HalfBlock& half) {
  const auto at = std::ranges::find_if(joining_, [&](const Joining& joining) {
    return joining.id == half.stream_id && joining.item == half.item && joining.wants_half;
  });
  if (at == joining_.end()) return;
  at->wants_half = false;
  ReplyBlock known = half.half;
  if (!at->is_reply && track() != nullptr) {
    // Who has no answer to send says when it told.
    const auto last = std::make_shared<Journey>();
    received(last, Way::back);
    last->reply.write_in = std::exchange(known.write_in, {});
    const bool says_same = theirs_ && theirs_->clock.is_same_as(clock_);
    if (last->reply.write_in)
      static_cast<void>(offset_of(*last, track()->connection().clocks, says_same));
  }
  add_half(*at->asked.journey, known);
  finish_if_known(at);
}

void Following::finish_if_known(std::deque<Joining>::iterator at) {
  journey::Track* const track = this->track();
  const bool waits = at->wants_half || at->wants_late;
  if (waits || track == nullptr || track->awaits(*at->asked.journey)) return;
  const Joining over = *at;
  joining_.erase(at);
  finish(over);
}

void Following::finish(const Joining& joining) {
  journey::Track* const track = this->track();
  const std::shared_ptr<Journey>& journey = joining.asked.journey;
  const std::shared_ptr<Follower>& follower = joining.asked.follower;
  if (joining.has_frames) stop_frames();
  if (track != nullptr) {
    read_clocks(*journey);
    track->finish(journey);
  }
  if (follower)
    follower->ends(joining.item, joining.is_reply, track != nullptr ? journey : nullptr);
  if (settled()) settling_.wake_all(peer_.loop_);
}

/// How what the other end has told is to be read.
void Following::read_clocks(Journey& journey) {
  const bool went = static_cast<bool>(journey.request.write_in);
  const bool came = static_cast<bool>(journey.reply.recv_out);
  if (went ? !journey.request.recv_out : !journey.reply.write_in) {
    if (went != came) drop_other_half(journey);
    return;
  }
  journey::ClockOffset& clocks = track()->connection().clocks;
  const bool says_same = theirs_ && theirs_->clock.is_same_as(clock_);
  journey.offset = went ? clocks.of(journey, says_same) : offset_of(journey, clocks, says_same);
  if (went != came && journey.offset.method == Offset::Method::unknown) drop_other_half(journey);
}

}  // namespace koine::rsocket
