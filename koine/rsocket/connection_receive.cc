// What a connection makes of the frames of its peer: events, or what the specification asks to say
// to what breaks its rules. Read "Handling the Unexpected" before changing it.
#include <utility>

#include "koine/rsocket/connection.h"

namespace koine::rsocket {

namespace {

using Kind = Event::Kind;

}  // namespace

Event Connection::receive(Bytes frame, Instant now) {
  if (whole_) whole_.reset();
  if (state_ == State::over || state_ == State::detached) return {};
  ++counts_.frames;
  const auto parsed = parse_frame(frame);
  if (state_ == State::resuming) {
    if (parsed) return take_while_resuming(*parsed, now);
    return end(ErrorCode::connection_error, Fault::malformed, parsed.error().reason);
  }
  if (state_ == State::open) {
    heard_ = now;
    if (is_resumable_ && frame.size() >= header_bytes && has_position(frame))
      received_ += frame.size();
  }
  const std::size_t before = out_.size();
  Event event = parsed ? take(*parsed, now) : take_mistake(frame, parsed.error());
  if (needs_leases_ && state_ == State::open) renew_lease(now);
  answered(before);
  return event;
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
    if (mistake.code == ErrorCode::rejected_resume) return take_resume(nullptr);
    if (mistake.code == ErrorCode::invalid_setup) return ignore();  // a second one
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
    if (const auto* resume = std::get_if<Resume>(&frame.body)) return take_resume(resume);
    return end(ErrorCode::invalid_setup, Fault::malformed, "the first frame is not SETUP");
  }
  const std::uint32_t id = frame.stream_id;
  // Section "Connection Establishment": a client sees by these that its SETUP is accepted.
  is_accepted_ = is_accepted_ || id != 0 || std::holds_alternative<Lease>(frame.body);
  if (const auto* next = std::get_if<Next>(&frame.body)) return take_next(id, *next);
  if (const auto* request = std::get_if<Request>(&frame.body))
    return take_request(id, *request, now);
  if (const auto* n = std::get_if<RequestN>(&frame.body)) return take_request_n(id, n->n);
  if (std::holds_alternative<Cancel>(frame.body)) return take_cancel(id);
  if (const auto* failure = std::get_if<Failure>(&frame.body)) return take_failure(id, *failure);
  if (const auto* keepalive = std::get_if<KeepAlive>(&frame.body)) {
    if (keepalive->respond) {
      static_cast<void>(writer_.keepalive({.last_position = received_, .data = keepalive->data}));
    }
    if (is_resumable_) learn(*keepalive);
    return {};
  }
  if (const auto* lease = std::get_if<Lease>(&frame.body)) return take_lease(*lease, now);
  if (const auto* push = std::get_if<MetadataPush>(&frame.body))
    return {.kind = Kind::pushed, .payload = {{}, push->metadata}};
  if (const auto* extension = std::get_if<Extension>(&frame.body)) {
    if (!extension->can_ignore)
      return end(ErrorCode::connection_error, Fault::malformed, "an extension that is not known");
  }
  if (const auto* resume = std::get_if<Resume>(&frame.body)) return take_resume(resume);
  return ignore();  // SETUP, RESUME_OK: section "Handling the Unexpected"
}

/// The last one holds, also if it allows nothing any more.
Event Connection::take_lease(const Lease& lease, Instant now) {
  our_lease_ = {.left = lease.requests,
                .granted = lease.requests,
                .until = later(now, std::chrono::milliseconds(lease.time_to_live_ms))};
  return {.kind = Kind::leased};
}

Event Connection::take_setup(const rsocket::Setup& setup, Instant now) {
  if (setup.major != version_major || setup.minor != version_minor)
    return end(ErrorCode::invalid_setup, Fault::unsupported, "only version 1.0 is served here");
  if (setup.resume_token && !options_.resume)
    return end(ErrorCode::rejected_setup, Fault::unsupported, "resuming is not served here");
  if (setup.resume_token && setup.resume_token->empty())
    return end(ErrorCode::invalid_setup, Fault::malformed, "the resume token is empty");
  if (setup.lease && !options_.lease)
    return end(ErrorCode::unsupported_setup, Fault::unsupported, "leases are not served here");
  state_ = State::open;
  heard_ = now;
  needs_leases_ = setup.lease;
  is_resumable_ = setup.resume_token.has_value();
  if (is_resumable_) options_.resume_token = as_text(*setup.resume_token);
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
  if (needs_leases_) {
    if (!their_lease_.allows(now)) return reject("no lease");
    --their_lease_.left;
    ++their_lease_.used;
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
  // Section "Fragmentation and Reassembly".
  if (next.payload.metadata && stream->partial && !stream->partial->data.empty())
    return break_off(*stream, ErrorCode::invalid, Fault::malformed, "metadata behind data");

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
  // A server ignores what is said about a SETUP, a client does once its own was accepted.
  const bool is_about_setup = failure.code < ErrorCode::connection_error;
  if (is_about_setup && (side_ == Side::server || is_accepted_)) return ignore();
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

}  // namespace koine::rsocket
