#include "koine/rsocket/handling.h"

#include <algorithm>
#include <utility>

#include "koine/base/thrown.h"

namespace koine::rsocket {

namespace {

std::string in_ms(Duration duration) { return std::to_string(duration / 1ms) + " ms"; }

}  // namespace

Handling::Handling(Peer& peer, const Event& event, const RequestHead& head)
    : peer_(peer),
      type_(event.type),
      id_(event.stream_id),
      request_bytes_(event.payload.size()),
      arrived_(peer.arrival()) {
  if (is_flow()) {
    flow_.reset(new Flow(peer, head.route, std::max(peer.options_.window, 1u)));
    flow_->id_ = id_;
    flow_->is_ended_ = event.is_last;
  }
  set_clock(head);
}

Handling::~Handling() {
  peer_.connection_.release_owner(id_, static_cast<StreamOwner*>(this));
  if (flow_) flow_->id_ = 0;  // its end is said by whoever ends the handler
}

Result<void> Handling::begin(const Service::Route& route, const Payload& request) {
  const bool begins_flow = type_ == FrameType::request_channel && !route.takes_request;
  if (begins_flow) flow_->begin_with(request);
  try {
    auto answering = (*route.answerer(type_))(*this, request);
    if (!answering) return std::unexpected(std::move(answering.error()));
    task_.emplace(std::move(*answering));
  } catch (...) {  // before there was a coroutine
    return std::unexpected(thrown_error("answer"));
  }
  if (flow_ && !flow_->is_ended_) peer_.connection_.request_more(id_, flow_->window_);
  peer_.loop_.add(*this);
  peer_.loop_.schedule(*this);
  return {};
}

void Handling::set_clock(const RequestHead& head) {
  const Instant now = peer_.loop_.now();
  const PeerOptions& options = peer_.options_;
  if (head.timeout) ends_ = later(now, *head.timeout);
  if (flow_) flow_->moves();
  const Instant limit = later(now, flow_ ? options.quiet_max : options.handler_time_max);
  peer_.loop_.arm(clock_, ends_ ? std::min(*ends_, limit) : limit);
}

void Handling::time_is_up() {
  const Instant now = peer_.loop_.now();
  std::string why;
  if (ends_ && now >= *ends_) {
    why = "the caller's time is over";
  } else if (!flow_) {
    why = "the handler took longer than " + in_ms(peer_.options_.handler_time_max);
  } else {
    const Instant limit = later(flow_->moved_at_, peer_.options_.quiet_max);
    if (now < limit) {
      peer_.loop_.arm(clock_, ends_ ? std::min(*ends_, limit) : limit);
      return;
    }
    why = "no item moved for " + in_ms(peer_.options_.quiet_max);
  }
  ++peer_.timed_out_;
  peer_.fail_stream(id_, ErrorCode::canceled, why);
  peer_.write();
  peer_.ended(*this);
}

void Handling::run() {
  if (peer_.following_) peer_.following_->handler_begins(id_);
  Continuation(task_->start({[](void* who) noexcept -> std::coroutine_handle<> {
                               static_cast<Handling*>(who)->finished();
                               return std::noop_coroutine();
                             },
                             this}))
      .resume();
}

void Handling::finished() noexcept {
  Result<void> done;
  try {
    done = task_->take();
  } catch (...) {
    done = std::unexpected(thrown_error("answer"));
  }
  task_.reset();
  if (!done) {
    peer_.fail_stream(id_, ErrorCode::application_error, to_string(done.error()));
  } else if (type_ != FrameType::request_fnf) {  // no answer, or no further item
    // Only a whole message has metadata, in which its caller can be told of its journey at once;
    // and only that needs room.
    const bool is_told = peer_.following_ && peer_.following_->tells(id_);
    if (!is_told || !peer_.reply(id_, {})) peer_.complete_stream(id_);
    if (flow_) peer_.connection_.cancel(id_);
  }
  peer_.write();
  peer_.ended(*this);
}

void Handling::hear(const Event& event) {
  // What goes on is for the flow; what is over for both has nobody left to answer.
  if (event.kind == Event::Kind::cancelled || event.kind == Event::Kind::failed) {
    peer_.ended(*this);
  } else if (flow_) {
    static_cast<StreamOwner&>(*flow_).hear(event);
  }
}

Result<void> Handling::reply_now(const Payload& payload) { return peer_.reply(id_, payload); }

WaitList& Handling::room() { return peer_.output_room_; }

}  // namespace koine::rsocket
