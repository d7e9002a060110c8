#include "koine/rsocket/call.h"

#include "koine/rsocket/event_error.h"
#include "koine/rsocket/peer.h"

namespace koine::rsocket {

AnyCall::~AnyCall() {
  if (id_ != 0) {
    if (peer_->following_) peer_->following_->forget(id_);
    peer_->connection_.release_owner(id_, static_cast<StreamOwner*>(this));
    peer_->connection_.cancel(id_);
    peer_->write();
  }
  // It may have been woken for room that is now somebody else's.
  if (id_ != 0 || is_waiting_) peer_->wake_opener();
}

/// True if it is over at once; otherwise it is on its way, or waits for room.
bool AnyCall::begin() {
  if (!request_.failure()) {
    Error error = request_.failure().error();
    fail_with(std::move(error).with_operation("encode", route_));
    return true;
  }
  RequestHead head{.route = route_, .timeout = timeout_};
  if (timeout_) head.timeout = *timeout_ - (peer_->loop_.now() - asked_);
  auto opened =
      peer_->open(FrameType::request_response, head, request_.payload(), 0, this, follower_);
  if (opened) {
    id_ = *opened;
    if (fate_ != nullptr) *fate_ = Fate::unknown;
    return false;
  }
  if (opened.error() == Fault::would_block) return false;
  fail_with(std::move(opened.error()));
  return true;
}

bool AnyCall::ready() {
  asked_ = peer_->loop_.now();
  return begin();
}

std::coroutine_handle<> AnyCall::start(Completion completion) {
  completion_ = completion;
  if (id_ == 0) wait();
  return std::noop_coroutine();
}

void AnyCall::wait() {
  is_waiting_ = true;
  peer_->openers_.join(*this);
}

void AnyCall::run() {
  if (is_over_) {
    completion_().resume();
    return;
  }
  is_waiting_ = false;
  const bool failed = begin();
  if (!failed && id_ == 0) {
    wait();
    return;
  }
  peer_->wake_opener();  // there may be room for one more
  if (failed) completion_().resume();
}

void AnyCall::hear(const Event& event) {
  if (fate_ != nullptr) {
    const bool is_rejected = event.kind == Event::Kind::failed && fault_of(event) == Fault::refused;
    *fate_ = is_rejected ? Fate::rejected : Fate::answered;
  }
  if (event.kind == Event::Kind::next || event.kind == Event::Kind::completed) {
    if (auto kept = keep(event.payload); !kept)
      fail_with(std::move(kept.error()).with_operation("decode answer of", route_));
    over();
  } else if (event.kind == Event::Kind::failed) {
    // A peer that was told how much time it has, and gave up, has run out of it.
    const bool is_late = timeout_ && fault_of(event) == Fault::cancelled;
    const Fault fault = is_late ? Fault::timed_out : fault_of(event);
    fail_with(Error(fault, "call", route_).with_note(note_of(event)));
    over();
  }
}

void AnyCall::lost(const Error& error) {
  fail_with(error);
  over();
}

void AnyCall::over() {
  id_ = 0;
  is_over_ = true;
  peer_->loop_.schedule(*this);
}

}  // namespace koine::rsocket
