// How a connection goes on without its transport, and with another. Read "Resuming Operation" of
// RSocket 1.0 before changing it.
#include <utility>

#include "koine/rsocket/connection.h"

namespace koine::rsocket {

namespace {

using Kind = Event::Kind;

}  // namespace

/// Keeps what was written since the last time: before any of it can leave, and before it is lost.
void Connection::retain() {
  retained_.keep(Bytes(out_).subspan(retained_upto_));
  if (state_ == State::open && !is_asked_ &&
      retained_.size() >= options_.retained_bytes_max / 2 + 1) {
    is_asked_ = true;
    static_cast<void>(writer_.keepalive({.respond = true, .last_position = received_}));
  }
  retained_upto_ = out_.size();
}

/// Section "Keepalive Position Field". A peer that was asked and says 0 does not say what it has.
void Connection::learn(const KeepAlive& keepalive) {
  static_cast<void>(retained_.release(keepalive.last_position));
  if (keepalive.last_position != 0) {
    is_silent_ = false;
  } else if (is_asked_ && !keepalive.respond) {
    is_silent_ = true;
  }
  if (!keepalive.respond && !is_silent_) is_asked_ = false;
}

bool Connection::detach(Instant now) {
  if (!is_resumable()) return false;
  if (state_ == State::open) {
    retain();
    drop_output();
    is_asked_ = false;
    our_lease_ = their_lease_ = {};
    detached_ = now;
  }
  greeting_ = ByteVector();
  state_ = State::detached;
  return true;
}

void Connection::resume(Instant now) {
  if (state_ != State::detached || side_ != Side::client) return;
  state_ = State::resuming;
  heard_ = now;
  static_cast<void>(FrameWriter(greeting_).resume({.token = as_bytes(options_.resume_token),
                                                   .last_received = received_,
                                                   .first_available = retained_.first()}));
}

/// Section "Resume Operation", of the client.
Event Connection::take_while_resuming(const Frame& frame, Instant now) {
  if (const auto* ok = std::get_if<ResumeOk>(&frame.body)) {
    retain();
    if (!retained_.release(ok->last_received))
      return end(ErrorCode::connection_error, Fault::malformed,
                 "the server wants to go on where there is nothing");
    drop_output();
    go_on(now);
    return {.kind = Kind::resumed};
  }
  if (const auto* failure = std::get_if<Failure>(&frame.body); failure && frame.stream_id == 0) {
    state_ = State::over;
    drop_output();
    said_ = failure->text.substr(0, error_text_bytes_max);
    return {.kind = Kind::closed, .code = failure->code, .text = said_, .fault = Fault::reset};
  }
  return end(ErrorCode::connection_error, Fault::malformed, "neither RESUME_OK nor ERROR");
}

/// Section "Resume Operation", of the server: RESUME has a place where SETUP would have one.
Event Connection::take_resume(const Resume* resume) {
  if (side_ == Side::client) return ignore();
  if (state_ != State::awaiting_setup || !asked_.token.empty())
    return end(ErrorCode::connection_error, Fault::malformed,
               "RESUME on a connection that has begun");
  if (!options_.resume || resume->token.empty() || resume->major != version_major ||
      resume->minor != version_minor)
    return end(ErrorCode::rejected_resume, Fault::unsupported, "resuming is not served here");
  asked_ = *resume;
  return {.kind = Kind::resume};
}

bool Connection::resumed(const Resume& asked, Instant now) {
  if (!is_resumable()) return false;
  retain();
  if (asked.first_available > received_ || !retained_.can_release(asked.last_received))
    return false;
  static_cast<void>(detach(now));
  static_cast<void>(retained_.release(asked.last_received));
  drop_output();
  writer_.resume_ok(received_);
  go_on(now);
  return true;
}

void Connection::drop_output() {
  out_ = ByteVector();
  sent_ = retained_upto_ = answers_ = 0;
}

/// Sends again what the peer does not have, and whatever else begins a connection.
void Connection::go_on(Instant now) {
  state_ = State::open;
  ++counts_.resumed;
  const Bytes again = retained_.frames();
  out_.insert(out_.end(), again.begin(), again.end());
  retained_upto_ = out_.size();
  is_accepted_ = true;
  heard_ = now;
  next_keepalive_ = later(now, options_.keepalive);
  renew_lease(now);
}

}  // namespace koine::rsocket
