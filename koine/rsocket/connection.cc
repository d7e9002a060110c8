#include "koine/rsocket/connection.h"

#include <algorithm>
#include <utility>

namespace koine::rsocket {

namespace {

using Kind = Event::Kind;

std::uint32_t milliseconds(Duration duration) {
  const auto count = duration / 1ms;
  return static_cast<std::uint32_t>(
      std::clamp<Duration::rep>(count, 1, static_cast<Duration::rep>(request_n_max)));
}

}  // namespace

Connection::Connection(Side side, ConnectionOptions options, Instant now)
    : options_(std::move(options)),
      side_(side),
      state_(side == Side::client ? State::open : State::awaiting_setup),
      next_id_(side == Side::client ? 1 : 2),
      // What is written while the limit is not reached yet has its place, too.
      retained_(options_.retained_bytes_max + options_.message_bytes_max +
                2 * options_.output_bytes_max),
      heard_(now) {
  options_.frame_bytes_max = std::clamp(options_.frame_bytes_max, fragment_bytes_min, length_max);
  if (side == Side::server) return;
  needs_leases_ = options_.lease;
  next_keepalive_ = later(now, options_.keepalive);
  constexpr std::size_t mime_bytes_max = 255;
  constexpr std::size_t token_bytes_max = 0xffff;
  rsocket::Setup setup{
      .keepalive_ms = milliseconds(options_.keepalive),
      .lifetime_ms = milliseconds(options_.lifetime),
      .lease = options_.lease,
      .metadata_mime_type = std::string_view(options_.metadata_mime_type).substr(0, mime_bytes_max),
      .data_mime_type = std::string_view(options_.data_mime_type).substr(0, mime_bytes_max)};
  is_resumable_ = options_.resume && !options_.resume_token.empty();
  options_.resume_token.resize(std::min(options_.resume_token.size(), token_bytes_max));
  if (is_resumable_) setup.resume_token = as_bytes(options_.resume_token);
  if (!options_.setup_metadata.empty()) setup.payload.metadata = as_bytes(options_.setup_metadata);
  static_cast<void>(writer_.setup(setup));
  renew_lease(now);
}

Bytes Connection::output() {
  if (state_ == State::detached) return {};
  if (state_ == State::resuming) return greeting_;
  if (is_resumable_) retain();
  return Bytes(out_).subspan(sent_);
}

void Connection::sent(std::size_t count) {
  if (state_ == State::resuming) {
    greeting_.erase(greeting_.begin(), greeting_.begin() + static_cast<std::ptrdiff_t>(count));
    return;
  }
  sent_ += count;
  answers_ -= std::min(answers_, count);
  if (sent_ == out_.size()) {
    constexpr std::size_t kept_bytes_max = 4096;  // what the pool has ready for the next time
    if (out_.capacity() > kept_bytes_max) {
      out_ = ByteVector();
    } else {
      out_.clear();
    }
  } else if (sent_ >= options_.output_bytes_max) {
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(sent_));
  } else {
    return;
  }
  retained_upto_ -= std::min(retained_upto_, sent_);
  sent_ = 0;
}

std::optional<Instant> Connection::next_deadline() const {
  switch (state_) {
    case State::over: return std::nullopt;
    case State::awaiting_setup: return later(heard_, options_.setup);
    case State::detached: return later(detached_, options_.session);
    case State::resuming:
      return std::min(later(heard_, options_.setup), later(detached_, options_.session));
    case State::open: break;
  }
  Instant next = later(heard_, options_.lifetime);
  if (side_ == Side::client) next = std::min(next, next_keepalive_);
  if (needs_leases_ && options_.lease_requests != 0) next = std::min(next, their_lease_.renewal);
  return next;
}

Event Connection::tick(Instant now) {
  switch (state_) {
    case State::over: return {};
    case State::awaiting_setup:
      if (now < later(heard_, options_.setup)) return {};
      return end(ErrorCode::invalid_setup, Fault::timed_out, "no SETUP came");
    case State::detached:
    case State::resuming:
      if (now >= later(detached_, options_.session))
        return end(ErrorCode::connection_error, Fault::timed_out, "the session was not resumed");
      if (state_ == State::resuming && now >= later(heard_, options_.setup))
        return {.kind = Kind::lost};
      return {};
    case State::open: break;
  }
  if (now >= later(heard_, options_.lifetime)) {
    if (is_resumable_) return {.kind = Kind::lost};
    return end(ErrorCode::connection_error, Fault::timed_out, "no KEEPALIVE came");
  }
  if (side_ == Side::client && now >= next_keepalive_) {
    if (waiting() < options_.output_bytes_max)
      static_cast<void>(writer_.keepalive({.respond = true, .last_position = received_}));
    next_keepalive_ = later(now, options_.keepalive);
  }
  renew_lease(now);
  return {};
}

std::size_t Connection::frame_bytes_max_in() const {
  // Header, initial N and metadata length; a SETUP without a message has its mime types.
  constexpr std::size_t overhead = 1024;
  return std::min(options_.message_bytes_max + overhead, length_max);
}

// Section "Lease Semantics".

bool Connection::grant(std::uint32_t requests, Duration time, Instant now) {
  if (!needs_leases_ || !is_going()) return true;
  if (state_ != State::open || waiting() >= options_.output_bytes_max) return false;
  Lease lease;
  if (requests != 0 && time > Duration(0))
    lease = {.time_to_live_ms = milliseconds(time), .requests = std::min(requests, request_n_max)};
  // The peer counts from when it hears of it. What it does until then goes by the lease before, so
  // what was left of that is allowed as well, and a lease is over for us later than for the peer.
  const Duration valid = std::chrono::milliseconds(lease.time_to_live_ms);
  const std::uint32_t before =
      now < their_lease_.until ? std::min(their_lease_.left, their_lease_.granted) : 0;
  their_lease_ = {.left = before,
                  .granted = lease.requests,
                  .renewal = later(now, valid / 2),
                  .until = later(now, valid + options_.lifetime)};
  allow_more(their_lease_.left, lease.requests);
  static_cast<void>(writer_.lease(lease));
  return true;
}

/// As the load allows: so that the requests that are open stay below their limit.
void Connection::renew_lease(Instant now) {
  if (!needs_leases_ || options_.lease_requests == 0 || is_closing()) return;
  const bool is_used_up = 2 * std::uint64_t{their_lease_.used} >= their_lease_.granted;
  if (!is_used_up && now < their_lease_.renewal) return;
  const auto free = static_cast<std::uint32_t>(
      std::min<std::size_t>(options_.requests_max - theirs_, options_.lease_requests));
  is_starved_ = free == 0;  // then again when a stream has ended
  if (is_starved_ || !grant(free, options_.lease_time, now))
    their_lease_.renewal = later(now, options_.lease_time / 2);
}

Result<void> Connection::push(Bytes metadata) {
  if (!is_going()) return fail(Fault::closed, "push metadata");
  if (state_ != State::open || !takes_messages()) return fail(Fault::would_block);
  return writer_.metadata_push(metadata);
}

void Connection::close() {
  if (state_ == State::over || we_close_) return;
  we_close_ = true;
  if (state_ == State::awaiting_setup) {
    state_ = State::over;
    return;
  }
  writer_.error(0, ErrorCode::connection_close, "closing");
  over_if_closing();
}

void Connection::over_if_closing() {
  if (!is_going() || !is_closing() || streams_.size() != 0) return;
  if (state_ != State::open) drop_output();  // there is no transport for it
  state_ = State::over;
}

void Connection::abort(ErrorCode code, std::string_view text) {
  static_cast<void>(end(code, Fault::closed, text));
}

Event Connection::end(ErrorCode code, Fault fault, std::string_view text) {
  if (state_ == State::over) return {};
  const bool has_transport = state_ == State::open || state_ == State::awaiting_setup;
  state_ = State::over;
  said_ = text.substr(0, error_text_bytes_max);
  if (has_transport) {
    writer_.error(0, code, said_);
  } else {
    drop_output();
  }
  return {.kind = Kind::closed, .code = code, .text = said_, .fault = fault};
}

}  // namespace koine::rsocket
