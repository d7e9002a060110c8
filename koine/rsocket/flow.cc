#include "koine/rsocket/flow.h"

#include <utility>

#include "koine/rsocket/event_error.h"
#include "koine/rsocket/peer.h"

namespace koine::rsocket {

Result<void> SendItem::attempt_once() {
  if (!item_.failure()) {
    Error error = item_.failure().error();
    return std::unexpected(std::move(error).with_operation("encode item", flow_->route()));
  }
  return flow_->send_now(item_.payload());
}

void SendItem::park() { flow_->sendable().join(*this); }

Activity SendItem::activity() const { return {"send item", flow_->route()}; }

Flow::~Flow() {
  peer_.items_bytes_ -= items_.size();
  if (id_ == 0) return;
  if (peer_.following_) peer_.following_->forget(id_);
  peer_.connection_.release_owner(id_, static_cast<StreamOwner*>(this));
  peer_.connection_.cancel(id_);
  peer_.connection_.complete(id_);
  peer_.write();
  peer_.wake_opener();
}

Result<std::optional<Payload>> Flow::front_now() {
  if (!items_.empty()) return items_.front();
  if (error_) return std::unexpected(*error_);
  if (is_ended_) return std::nullopt;
  return fail(Fault::would_block);
}

void Flow::pop() {
  const std::size_t before = items_.size();
  items_.pop_front();
  peer_.items_bytes_ -= before - items_.size();
  moves();
  if (is_ended_) return;
  if (first_is_the_request_) {  // which nobody had to ask for
    first_is_the_request_ = false;
    return;
  }
  // Half of the window at a time: few frames, and the peer need not wait.
  if (++taken_ < (window_ + 1) / 2) return;
  peer_.connection_.request_more(id_, std::exchange(taken_, 0));
  peer_.write();
}

Result<void> Flow::send_now(const Payload& payload) {
  if (error_) return std::unexpected(*error_);
  if (id_ == 0) return fail(Fault::closed, "send item", route_);
  auto sent = peer_.send_item(id_, payload);
  if (!sent) return sent;
  moves();
  peer_.write();
  return sent;
}

WaitList& Flow::sendable() {
  return peer_.connection_.may_send(id_) == 0 ? requested_ : peer_.output_room_;
}

void Flow::complete() {
  if (id_ == 0) return;
  peer_.connection_.complete(id_);
  leave_if_over();
  peer_.write();
}

/// Of a stream that may have ended with what was just done.
void Flow::leave_if_over() {
  if (peer_.connection_.is_open(id_)) return;
  if (peer_.following_) peer_.following_->forget(id_);
  id_ = 0;
}

Io<FlowJourneys> Flow::journeys() const {
  const std::shared_ptr<Follower> follower = follower_;
  if (!follower) co_return FlowJourneys();
  co_await follower->done.wait();
  co_return follower->journeys;
}

/// The request of a channel is its first item.
void Flow::begin_with(const Payload& request) {
  first_is_the_request_ = true;
  items_.push_back(request);
  peer_.items_bytes_ += items_.size();
}

void Flow::hear(const Event& event) {
  using Kind = Event::Kind;
  if (event.is_last || event.kind == Kind::failed) is_ended_ = true;
  if (event.kind == Kind::failed)
    error_ = Error(fault_of(event), "stream", route_).with_note(note_of(event));
  if (event.is_over) id_ = 0;
  if (event.kind == Kind::next) take_in(event.payload);
  wake();
}

void Flow::take_in(const Payload& item) {
  const std::size_t before = items_.size();
  items_.push_back(item);
  peer_.items_bytes_ += items_.size() - before;
  moves();
  if (peer_.items_bytes_ <= peer_.options_.items_bytes_max) return;
  // Somebody asked for more than fits: this flow is the one that has brought it.
  is_ended_ = true;
  error_ = Error(Fault::over_limit, "stream", route_)
               .with_note("more than " + std::to_string(peer_.options_.items_bytes_max) +
                          " bytes of items wait to be taken");
  if (id_ != 0) peer_.connection_.cancel(id_);
  leave_if_over();
}

void Flow::lost(const Error& error) {
  id_ = 0;
  is_ended_ = true;
  error_ = error;
  wake();
}

void Flow::wake() {
  takeable_.wake_all(peer_.loop_);
  requested_.wake_all(peer_.loop_);
}

void Flow::moves() { moved_at_ = peer_.loop_.now(); }

}  // namespace koine::rsocket
