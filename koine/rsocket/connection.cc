#include "koine/rsocket/connection.h"

#include <algorithm>
#include <utility>

namespace koine::rsocket {

namespace {

using Kind = Event::Kind;

constexpr std::size_t error_text_bytes_max = 1024;

std::uint32_t milliseconds(Duration duration) {
  const auto count = duration / 1ms;
  return static_cast<std::uint32_t>(
      std::clamp<Duration::rep>(count, 1, static_cast<Duration::rep>(request_n_max)));
}

bool has_items(FrameType type) {
  return type == FrameType::request_stream || type == FrameType::request_channel;
}

}  // namespace

Connection::Connection(Side side, ConnectionOptions options, Instant now)
    : options_(std::move(options)),
      side_(side),
      state_(side == Side::client ? State::open : State::awaiting_setup),
      next_id_(side == Side::client ? 1 : 2),
      heard_(now) {
  options_.frame_bytes_max = std::clamp(options_.frame_bytes_max, fragment_bytes_min, length_max);
  if (side == Side::server) return;
  we_need_lease_ = options_.lease;
  next_keepalive_ = later(now, options_.keepalive);
  constexpr std::size_t mime_bytes_max = 255;
  static_cast<void>(writer_.setup(
      {.keepalive_ms = milliseconds(options_.keepalive),
       .lifetime_ms = milliseconds(options_.lifetime),
       .lease = options_.lease,
       .metadata_mime_type =
           std::string_view(options_.metadata_mime_type).substr(0, mime_bytes_max),
       .data_mime_type = std::string_view(options_.data_mime_type).substr(0, mime_bytes_max)}));
}

// In.

std::size_t Connection::frame_bytes_max_in() const {
  // Header, initial N and metadata length; a SETUP without a message has its mime types.
  constexpr std::size_t overhead = 1024;
  return std::min(options_.message_bytes_max + overhead, length_max);
}

Event Connection::receive(Bytes frame, Instant now) {
  if (whole_) whole_.reset();
  if (state_ == State::over) return {};
  ++counts_.frames;
  const auto parsed = parse_frame(frame);
  if (state_ == State::open) heard_ = now;
  if (!parsed) return take_mistake(frame, parsed.error());
  return take(*parsed, now);
}

/// Section "Connection Establishment": until SETUP nothing else has a meaning.
Event Connection::take_mistake(Bytes frame, const Mistake& mistake) {
  if (state_ == State::awaiting_setup) {
    const bool is_named = !mistake.is_ignored() && mistake.stream_id == 0 &&
                          mistake.code != ErrorCode::connection_error;
    return end(is_named ? mistake.code : ErrorCode::invalid_setup, Fault::malformed,
               mistake.reason);
  }
  if (mistake.is_ignored()) return ignore();
  if (mistake.stream_id == 0) {
    // A second SETUP, and a RESUME of a session that goes on, are ignored, right or wrong.
    if (mistake.code != ErrorCode::connection_error) return ignore();
    return end(mistake.code, Fault::malformed, mistake.reason);
  }
  if (OpenStream* stream = streams_.find(mistake.stream_id)) {
    if (static_cast<FrameType>(load_be16(&frame[4]) >> 10) != FrameType::request_n) return ignore();
    return break_off(*stream, mistake.code, Fault::malformed, mistake.reason);
  }
  if (static_cast<FrameType>(load_be16(&frame[4]) >> 10) == FrameType::request_n ||
      !is_of_peer(mistake.stream_id))
    return ignore();
  writer_.error(mistake.stream_id, mistake.code, mistake.reason);
  return {};
}

Event Connection::take(const Frame& frame, Instant now) {
  if (state_ == State::awaiting_setup) {
    if (const auto* setup = std::get_if<rsocket::Setup>(&frame.body))
      return take_setup(*setup, now);
    if (std::holds_alternative<Resume>(frame.body))
      return end(ErrorCode::rejected_resume, Fault::unsupported, "resuming is not served here");
    return end(ErrorCode::invalid_setup, Fault::malformed, "the first frame is not SETUP");
  }
  const std::uint32_t id = frame.stream_id;
  if (const auto* next = std::get_if<Next>(&frame.body)) return take_next(id, *next);
  if (const auto* request = std::get_if<Request>(&frame.body))
    return take_request(id, *request, now);
  if (const auto* n = std::get_if<RequestN>(&frame.body)) return take_request_n(id, n->n);
  if (std::holds_alternative<Cancel>(frame.body)) return take_cancel(id);
  if (const auto* failure = std::get_if<Failure>(&frame.body)) return take_failure(id, *failure);
  if (const auto* keepalive = std::get_if<KeepAlive>(&frame.body)) {
    if (keepalive->respond) static_cast<void>(writer_.keepalive({.data = keepalive->data}));
    return {};
  }
  if (const auto* lease = std::get_if<Lease>(&frame.body)) {
    our_lease_ = {lease->requests, later(now, std::chrono::milliseconds(lease->time_to_live_ms))};
    return {.kind = Kind::leased};
  }
  if (const auto* push = std::get_if<MetadataPush>(&frame.body))
    return {.kind = Kind::pushed, .payload = {{}, push->metadata}};
  if (const auto* extension = std::get_if<Extension>(&frame.body)) {
    if (!extension->can_ignore)
      return end(ErrorCode::connection_error, Fault::malformed, "an extension that is not known");
  }
  return ignore();  // SETUP, RESUME, RESUME_OK: section "Handling the Unexpected"
}

Event Connection::take_setup(const rsocket::Setup& setup, Instant now) {
  if (setup.major != version_major)
    return end(ErrorCode::unsupported_setup, Fault::unsupported, "only version 1.0 is served here");
  if (setup.resume_token)
    return end(ErrorCode::rejected_setup, Fault::unsupported, "resuming is not served here");
  if (setup.lease && !options_.lease)
    return end(ErrorCode::unsupported_setup, Fault::unsupported, "leases are not served here");
  state_ = State::open;
  heard_ = now;
  peer_needs_lease_ = setup.lease;
  options_.keepalive = std::chrono::milliseconds(setup.keepalive_ms);
  options_.lifetime = std::chrono::milliseconds(setup.lifetime_ms);
  options_.metadata_mime_type = setup.metadata_mime_type;
  options_.data_mime_type = setup.data_mime_type;
  return {.kind = Kind::setup, .payload = setup.payload};
}

Event Connection::take_request(std::uint32_t id, const Request& request, Instant now) {
  // Section "Handling the Unexpected": a stream id in use, or not the requester's to use.
  if (!is_of_peer(id) || streams_.find(id) != nullptr) return ignore();
  const auto reject = [&](const char* text) {
    ++counts_.rejected;
    if (request.type != FrameType::request_fnf) writer_.error(id, ErrorCode::rejected, text);
    return Event();
  };
  if (is_closing()) return reject("the connection is closing");
  if (theirs_ >= options_.requests_max) return reject("too many requests are open");
  if (peer_needs_lease_) {
    if (their_lease_.left == 0 || now >= their_lease_.until) return reject("no lease");
    --their_lease_.left;
  }
  if (request.payload.size() > options_.message_bytes_max)
    return reject("the message is too large");

  const bool is_channel = request.type == FrameType::request_channel;
  OpenStream& stream =
      streams_.add({.id = id,
                    .may_send = request.type == FrameType::request_response ? 1 : request.initial_n,
                    .type = request.type,
                    .sending = request.type != FrameType::request_fnf,
                    .receiving = is_channel,
                    .completes = request.complete});
  ++theirs_;
  if (!request.follows) return announce(stream, request.payload);
  if (keep(stream, request.payload)) return {};
  return break_off(stream, ErrorCode::rejected, Fault::over_limit, "too much is in fragments");
}

/// All of a request is there.
Event Connection::announce(OpenStream& stream, const Payload& payload) {
  stream.is_announced = true;
  if (stream.completes) stream.receiving = false;
  Event event = about(stream, Kind::request);
  event.payload = payload;
  event.is_last = !stream.receiving;
  event.is_over = forget_if_over(stream);
  return event;
}

Event Connection::take_next(std::uint32_t id, const Next& next) {
  OpenStream* const stream = streams_.find(id);
  if (stream == nullptr) return ignore();
  // A PAYLOAD with both flags ignores the first: section "Handling the Unexpected".
  const bool follows = next.follows && !next.complete;

  if (!stream->is_announced) {  // the rest of a request
    if (!keep(*stream, next.payload))
      return break_off(*stream, ErrorCode::rejected, Fault::over_limit, "the message is too large");
    if (follows) return {};
    if (next.complete) stream->completes = true;
    return announce(*stream, assembled(*stream));
  }
  if (!stream->receiving) return ignore();

  const bool begins = stream->partial == nullptr && (next.next || next.follows);
  if (begins) {
    if (stream->may_receive == 0)
      return break_off(*stream, ErrorCode::invalid, Fault::malformed,
                       "an item that was not requested");
    if (stream->may_receive != request_n_max) --stream->may_receive;
  } else if (stream->partial == nullptr && !next.complete) {
    return ignore();  // neither item nor end
  }
  const bool is_whole = begins && !follows;
  if (is_whole && next.payload.size() <= options_.message_bytes_max)
    return deliver(*stream, next.payload, true, next.complete);
  if (!begins && stream->partial == nullptr) return deliver(*stream, {}, false, true);
  if (is_whole || !keep(*stream, next.payload))
    return break_off(*stream, ErrorCode::canceled, Fault::over_limit, "the message is too large");
  if (follows) return {};
  return deliver(*stream, assembled(*stream), true, next.complete);
}

Event Connection::deliver(OpenStream& stream, const Payload& payload, bool has_item, bool is_last) {
  // Section "Handling the Unexpected": the answer to REQUEST_RESPONSE is the last item anyway.
  is_last = is_last || stream.type == FrameType::request_response;
  Event event = about(stream, has_item ? Kind::next : Kind::completed);
  event.payload = payload;
  event.is_last = is_last;
  if (is_last) {
    stream.receiving = false;
    event.is_over = forget_if_over(stream);
  }
  return event;
}

/// Keeps a fragment; false if it is too much.
bool Connection::keep(OpenStream& stream, const Payload& part) {
  const std::size_t before = stream.partial ? stream.partial->size() : 0;
  if (before + part.size() > options_.message_bytes_max ||
      partial_bytes_ + part.size() > options_.partial_bytes_max)
    return false;
  if (!stream.partial) stream.partial = std::make_unique<Partial>();
  Partial& partial = *stream.partial;
  if (part.metadata) {
    partial.has_metadata = true;
    partial.metadata.insert(partial.metadata.end(), part.metadata->begin(), part.metadata->end());
  }
  partial.data.insert(partial.data.end(), part.data.begin(), part.data.end());
  partial_bytes_ += part.size();
  return true;
}

/// The message whose fragments are all there, lent until the next frame.
Payload Connection::assembled(OpenStream& stream) {
  whole_ = std::move(stream.partial);
  partial_bytes_ -= whole_->size();
  Payload payload{.data = whole_->data};
  if (whole_->has_metadata) payload.metadata = Bytes(whole_->metadata);
  return payload;
}

Event Connection::take_failure(std::uint32_t id, const Failure& failure) {
  if (id != 0) {
    OpenStream* const stream = streams_.find(id);
    if (stream == nullptr) return ignore();
    Event event = about(*stream, stream->is_announced ? Kind::failed : Kind::none);
    event.code = failure.code;
    event.text = failure.text;
    event.is_over = true;
    forget(*stream);
    return event;
  }
  if (failure.code == ErrorCode::connection_close) {
    peer_closes_ = true;
    over_if_closing();
    return {.kind = Kind::closing, .code = failure.code, .text = failure.text};
  }
  // A server ignores what is said about a SETUP, a client once it was accepted; it cannot know.
  const bool is_about_setup = failure.code < ErrorCode::connection_error;
  if (is_about_setup && side_ == Side::server) return ignore();
  state_ = State::over;
  said_ = failure.text.substr(0, error_text_bytes_max);
  return {.kind = Kind::closed,
          .code = failure.code,
          .text = said_,
          .fault = is_about_setup ? Fault::refused : Fault::reset};
}

Event Connection::take_cancel(std::uint32_t id) {
  OpenStream* const stream = streams_.find(id);
  if (stream == nullptr) return ignore();
  if (!stream->is_ours) {
    Event event = about(*stream, stream->is_announced ? Kind::cancelled : Kind::none);
    event.is_over = true;
    forget(*stream);
    return event;
  }
  if (!stream->sending) return ignore();
  stream->sending = false;
  Event event = about(*stream, Kind::cancelled);
  event.is_over = forget_if_over(*stream);
  return event;
}

Event Connection::take_request_n(std::uint32_t id, std::uint32_t n) {
  OpenStream* const stream = streams_.find(id);
  if (stream == nullptr || !stream->sending || !has_items(stream->type)) return ignore();
  allow_more(stream->may_send, n);
  if (!stream->is_announced) return {};
  return about(*stream, Kind::requested);
}

/// The peer broke a rule of this stream, or a limit: it ends for both.
Event Connection::break_off(OpenStream& stream, ErrorCode code, Fault fault, const char* text) {
  Event event = about(stream, stream.is_announced ? Kind::failed : Kind::none);
  event.code = code;
  event.fault = fault;
  event.text = text;
  event.is_over = true;
  if (stream.is_ours) {
    writer_.cancel(stream.id);
  } else if (stream.type != FrameType::request_fnf) {
    writer_.error(stream.id, code, text);
  }
  forget(stream);
  return event;
}

Event Connection::about(const OpenStream& stream, Event::Kind kind) const {
  return {.kind = kind, .type = stream.type, .stream_id = stream.id, .owner = stream.owner};
}

// Out.

void Connection::sent(std::size_t count) {
  sent_ += count;
  if (sent_ == out_.size()) {
    sent_ = 0;
    constexpr std::size_t kept_bytes_max = 4096;  // what the pool has ready for the next time
    if (out_.capacity() > kept_bytes_max) {
      out_ = ByteVector();
    } else {
      out_.clear();
    }
  } else if (sent_ >= options_.output_bytes_max) {
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(sent_));
    sent_ = 0;
  }
}

std::optional<Instant> Connection::next_deadline() const {
  if (state_ == State::over) return std::nullopt;
  if (state_ == State::awaiting_setup) return later(heard_, options_.setup);
  const Instant dead = later(heard_, options_.lifetime);
  return side_ == Side::client ? std::min(dead, next_keepalive_) : dead;
}

Event Connection::tick(Instant now) {
  if (state_ == State::over) return {};
  if (state_ == State::awaiting_setup) {
    if (now < later(heard_, options_.setup)) return {};
    return end(ErrorCode::invalid_setup, Fault::timed_out, "no SETUP came");
  }
  if (now >= later(heard_, options_.lifetime))
    return end(ErrorCode::connection_error, Fault::timed_out, "no KEEPALIVE came");
  if (side_ == Side::client && now >= next_keepalive_) {
    if (wants_input()) static_cast<void>(writer_.keepalive({.respond = true}));
    next_keepalive_ = later(now, options_.keepalive);
  }
  return {};
}

// Streams.

Result<std::uint32_t> Connection::open(const Request& request, void* owner, Instant now) {
  constexpr const char* operation = "request";
  if (state_ != State::open || is_closing()) return fail(Fault::closed, operation);
  if (request.payload.size() > options_.message_bytes_max) {
    return std::unexpected(Error(Fault::over_limit, operation)
                               .with_note("a message has at most " +
                                          std::to_string(options_.message_bytes_max) + " bytes"));
  }
  if (!wants_input() || ours_ >= options_.requests_max) return fail(Fault::would_block);
  if (we_need_lease_ && (our_lease_.left == 0 || now >= our_lease_.until))
    return std::unexpected(Error(Fault::exhausted, operation).with_note("no lease"));
  const std::uint32_t id = unused_id();
  if (auto written = writer_.request(id, request, options_.frame_bytes_max); !written)
    return std::unexpected(std::move(written.error()));
  if (we_need_lease_) --our_lease_.left;
  if (request.type == FrameType::request_fnf) return id;
  streams_.add({.id = id,
                .may_receive = has_items(request.type) ? request.initial_n : 1,
                .type = request.type,
                .is_ours = true,
                .sending = request.type == FrameType::request_channel && !request.complete,
                .receiving = true,
                .is_announced = true,
                .owner = owner});
  ++ours_;
  return id;
}

/// Section "Stream Identifiers": two more each time; when they are used up, those that are free
/// again. Fewer streams are open than there are ids.
std::uint32_t Connection::unused_id() {
  std::uint32_t id = 0;
  do {
    id = next_id_;
    next_id_ = id > stream_id_max - 2 ? (side_ == Side::client ? 1u : 2u) : id + 2;
  } while (streams_.find(id) != nullptr);
  return id;
}

Result<void> Connection::next(std::uint32_t id, const Payload& payload, bool is_last) {
  constexpr const char* operation = "send item";
  OpenStream* const stream = streams_.find(id);
  if (state_ != State::open || stream == nullptr || !stream->sending)
    return fail(Fault::closed, operation);
  if (payload.size() > options_.message_bytes_max) {
    return std::unexpected(Error(Fault::over_limit, operation)
                               .with_note("a message has at most " +
                                          std::to_string(options_.message_bytes_max) + " bytes"));
  }
  if (stream->may_send == 0 || !wants_input()) return fail(Fault::would_block);
  is_last = is_last || stream->type == FrameType::request_response;
  const Next item{.complete = is_last, .next = true, .payload = payload};
  if (auto written = writer_.next(id, item, options_.frame_bytes_max); !written) return written;
  if (stream->may_send != request_n_max) --stream->may_send;
  if (is_last) {
    stream->sending = false;
    forget_if_over(*stream);
  }
  return {};
}

void Connection::complete(std::uint32_t id) {
  OpenStream* const stream = streams_.find(id);
  if (state_ != State::open || stream == nullptr || !stream->sending) return;
  static_cast<void>(writer_.next(id, {.complete = true}, options_.frame_bytes_max));
  stream->sending = false;
  forget_if_over(*stream);
}

void Connection::fail_stream(std::uint32_t id, ErrorCode code, std::string_view text) {
  OpenStream* const stream = streams_.find(id);
  if (state_ != State::open || stream == nullptr) return;
  writer_.error(id, code, text.substr(0, error_text_bytes_max));
  forget(*stream);
}

void Connection::cancel(std::uint32_t id) {
  OpenStream* const stream = streams_.find(id);
  if (state_ != State::open || stream == nullptr || !stream->receiving) return;
  writer_.cancel(id);
  if (stream->is_ours) {
    forget(*stream);
    return;
  }
  stream->receiving = false;
  if (stream->partial) partial_bytes_ -= stream->partial->size();
  stream->partial.reset();
  forget_if_over(*stream);
}

void Connection::request_more(std::uint32_t id, std::uint32_t n) {
  OpenStream* const stream = streams_.find(id);
  if (state_ != State::open || stream == nullptr || !stream->receiving || n == 0) return;
  if (!has_items(stream->type)) return;
  n = std::min(n, request_n_max);
  allow_more(stream->may_receive, n);
  writer_.request_n(id, n);
}

/// Section "Flow Control": what is requested adds up, and the most that can be written is no limit.
void Connection::allow_more(std::uint32_t& permits, std::uint32_t n) {
  permits = n >= request_n_max - permits ? request_n_max : permits + n;
}

void Connection::set_owner(std::uint32_t id, void* owner) {
  if (OpenStream* const stream = streams_.find(id)) stream->owner = owner;
}

void Connection::release_owner(std::uint32_t id, const void* owner) {
  OpenStream* const stream = streams_.find(id);
  if (stream != nullptr && stream->owner == owner) stream->owner = nullptr;
}

std::uint32_t Connection::may_send(std::uint32_t id) {
  const OpenStream* const stream = streams_.find(id);
  return stream != nullptr && stream->sending ? stream->may_send : 0;
}

void Connection::forget(OpenStream& stream) {
  if (stream.partial) partial_bytes_ -= stream.partial->size();
  --(stream.is_ours ? ours_ : theirs_);
  streams_.remove(stream);
  over_if_closing();
}

bool Connection::forget_if_over(OpenStream& stream) {
  if (stream.sending || stream.receiving) return false;
  forget(stream);
  return true;
}

// The connection.

void Connection::grant(std::uint32_t requests, Duration time, Instant now) {
  if (state_ != State::open || !wants_input() || requests == 0) return;
  const Lease lease{.time_to_live_ms = milliseconds(time),
                    .requests = std::min(requests, request_n_max)};
  their_lease_ = {lease.requests, later(now, std::chrono::milliseconds(lease.time_to_live_ms))};
  static_cast<void>(writer_.lease(lease));
}

Result<void> Connection::push(Bytes metadata) {
  if (state_ != State::open) return fail(Fault::closed, "push metadata");
  if (!wants_input()) return fail(Fault::would_block);
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
  if (state_ == State::open && is_closing() && streams_.size() == 0) state_ = State::over;
}

void Connection::abort(ErrorCode code, std::string_view text) {
  static_cast<void>(end(code, Fault::closed, text));
}

Event Connection::end(ErrorCode code, Fault fault, std::string_view text) {
  if (state_ == State::over) return {};
  state_ = State::over;
  said_ = text.substr(0, error_text_bytes_max);
  writer_.error(0, code, said_);
  return {.kind = Kind::closed, .code = code, .text = said_, .fault = fault};
}

}  // namespace koine::rsocket
