#include "koine/rsocket/frame.h"

namespace koine::rsocket {

namespace {

using Parsed = std::expected<Frame, Mistake>;

/// Looks at the fields of a frame, in order. Once it has run out it stays so.
class Fields {
 public:
  explicit Fields(Bytes rest) : rest_(rest) {}

  Bytes take(std::size_t count) {
    if (count > rest_.size()) {
      is_short_ = true;
      count = 0;
    }
    const Bytes taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::size_t u24() { return static_cast<std::size_t>(number(3)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  /// A number whose first bit is reserved: sent as 0, and not looked at.
  std::uint32_t u31() { return u32() & 0x7fffffff; }
  std::uint64_t u63() { return u64() & 0x7fffffffffffffff; }

  Bytes rest() const { return rest_; }
  bool is_short() const { return is_short_; }

 private:
  std::uint64_t number(std::size_t size) {
    std::uint64_t value = 0;
    for (const std::byte byte : take(size)) value = value << 8 | std::to_integer<unsigned>(byte);
    return value;
  }

  Bytes rest_;
  bool is_short_ = false;
};

std::unexpected<Mistake> ignored(const char* reason) {
  return std::unexpected(Mistake{.reason = reason});
}

std::unexpected<Mistake> wrong(ErrorCode code, const char* reason, std::uint32_t stream_id = 0) {
  return std::unexpected(Mistake{.code = code, .stream_id = stream_id, .reason = reason});
}

/// Metadata if there is any, then data. False if the metadata is longer than the frame.
bool read_payload(Fields& fields, std::uint16_t flags, Payload& payload) {
  if (flags & flag::metadata) {
    const std::size_t size = fields.u24();
    if (fields.is_short()) return false;
    payload.metadata = fields.take(size);
  }
  payload.data = fields.rest();
  return !fields.is_short();
}

constexpr const char* metadata_too_long = "the metadata is longer than the frame";
constexpr const char* too_short = "the frame is shorter than its fields";

/// Section "Metadata Optional Header": such a frame ends the connection unless it may be ignored.
std::unexpected<Mistake> lying_metadata(std::uint16_t flags) {
  if (flags & flag::ignore) return ignored(metadata_too_long);
  return wrong(ErrorCode::connection_error, metadata_too_long);
}

std::string_view mime_type(Fields& fields) { return as_text(fields.take(fields.u8())); }

Parsed parse_setup(Fields fields, std::uint16_t flags) {
  Setup setup;
  setup.major = fields.u16();
  setup.minor = fields.u16();
  setup.keepalive_ms = fields.u31();
  setup.lifetime_ms = fields.u31();
  setup.lease = (flags & flag::lease) != 0;
  if (flags & flag::resume) {
    const std::size_t size = fields.u16();
    setup.resume_token = fields.take(size);
  }
  if (fields.is_short()) return wrong(ErrorCode::invalid_setup, too_short);
  // What another version has behind these fields is not ours to judge.
  if (setup.major != version_major || setup.minor != version_minor) return Frame{0, setup};
  setup.metadata_mime_type = mime_type(fields);
  setup.data_mime_type = mime_type(fields);
  if (fields.is_short()) return wrong(ErrorCode::invalid_setup, too_short);
  if (setup.keepalive_ms == 0)
    return wrong(ErrorCode::invalid_setup, "the time between keepalives is 0");
  if (setup.lifetime_ms == 0) return wrong(ErrorCode::invalid_setup, "the max lifetime is 0");
  if (!read_payload(fields, flags, setup.payload))
    return wrong(ErrorCode::invalid_setup, metadata_too_long);
  return Frame{0, setup};
}

Parsed parse_request(Fields fields, std::uint32_t id, FrameType type, std::uint16_t flags) {
  Request request{.type = type,
                  .follows = (flags & flag::follows) != 0,
                  .complete = type == FrameType::request_channel && (flags & flag::complete) != 0};
  if (type == FrameType::request_stream || type == FrameType::request_channel) {
    request.initial_n = fields.u31();
    if (fields.is_short()) return wrong(ErrorCode::connection_error, too_short);
    if (request.initial_n == 0) return wrong(ErrorCode::invalid, "the initial request N is 0", id);
  }
  if (!read_payload(fields, flags, request.payload)) return lying_metadata(flags);
  return Frame{id, request};
}

Parsed parse_resume(Fields fields) {
  Resume resume;
  resume.major = fields.u16();
  resume.minor = fields.u16();
  const std::size_t size = fields.u16();
  resume.token = fields.take(size);
  resume.last_received = fields.u63();
  resume.first_available = fields.u63();
  if (fields.is_short()) return wrong(ErrorCode::rejected_resume, too_short);
  return Frame{0, resume};
}

/// Frames about the connection: stream 0, and only there.
Parsed parse_on_connection(Fields fields, FrameType type, std::uint16_t flags) {
  switch (type) {
    case FrameType::setup: return parse_setup(fields, flags);
    case FrameType::lease: {
      Lease lease{.time_to_live_ms = fields.u31(), .requests = fields.u31(), .metadata = {}};
      if (fields.is_short()) return wrong(ErrorCode::connection_error, too_short);
      if (flags & flag::metadata) lease.metadata = fields.rest();
      return Frame{0, lease};
    }
    case FrameType::keepalive: {
      KeepAlive keepalive{
          .respond = (flags & flag::respond) != 0, .last_position = fields.u63(), .data = {}};
      if (fields.is_short()) return wrong(ErrorCode::connection_error, too_short);
      keepalive.data = fields.rest();
      return Frame{0, keepalive};
    }
    // It has nothing but metadata, so that its flag says nothing; rsocket-js does not set it.
    case FrameType::metadata_push: return Frame{0, MetadataPush{fields.rest()}};
    case FrameType::resume: return parse_resume(fields);
    default: {  // RESUME_OK
      const ResumeOk resume_ok{fields.u63()};
      if (fields.is_short()) return wrong(ErrorCode::connection_error, too_short);
      return Frame{0, resume_ok};
    }
  }
}

Parsed parse_error(Fields fields, std::uint32_t id) {
  const auto code = ErrorCode{fields.u32()};
  if (fields.is_short()) return wrong(ErrorCode::connection_error, too_short);
  if (id == 0 && static_cast<std::uint32_t>(code) >= 0x200)
    return ignored("an error of a stream on stream 0");
  return Frame{id, Failure{code, as_text(fields.rest())}};
}

/// Frames about one stream, never stream 0.
Parsed parse_on_stream(Fields fields, std::uint32_t id, FrameType type, std::uint16_t flags) {
  switch (type) {
    case FrameType::request_n: {
      const RequestN request_n{fields.u31()};
      if (fields.is_short()) return wrong(ErrorCode::connection_error, too_short);
      if (request_n.n == 0) return wrong(ErrorCode::invalid, "request N of 0", id);
      return Frame{id, request_n};
    }
    case FrameType::cancel: return Frame{id, Cancel{}};
    case FrameType::payload: {
      Next next{.follows = (flags & flag::follows) != 0,
                .complete = (flags & flag::complete) != 0,
                .next = (flags & flag::next) != 0,
                .payload = {}};
      if (!read_payload(fields, flags, next.payload)) return lying_metadata(flags);
      return Frame{id, next};
    }
    default: return parse_request(fields, id, type, flags);
  }
}

}  // namespace

Parsed parse_frame(Bytes bytes) {
  Fields fields(bytes);
  const std::uint32_t id = fields.u31();
  const std::uint16_t head = fields.u16();
  if (fields.is_short()) return wrong(ErrorCode::connection_error, "shorter than a frame header");
  const auto type = static_cast<FrameType>(head >> 10);
  const auto flags = static_cast<std::uint16_t>(head & 0x3ff);
  switch (type) {
    case FrameType::setup:
    case FrameType::lease:
    case FrameType::keepalive:
    case FrameType::metadata_push:
    case FrameType::resume:
    case FrameType::resume_ok:
      if (id != 0) return ignored("a frame of the connection on another stream than 0");
      return parse_on_connection(fields, type, flags);
    case FrameType::error: return parse_error(fields, id);
    case FrameType::request_response:
    case FrameType::request_fnf:
    case FrameType::request_stream:
    case FrameType::request_channel:
    case FrameType::request_n:
    case FrameType::cancel:
    case FrameType::payload:
      if (id == 0) return ignored("a frame of a stream on stream 0");
      return parse_on_stream(fields, id, type, flags);
    case FrameType::extension: {
      Extension extension{
          .type = fields.u31(), .can_ignore = (flags & flag::ignore) != 0, .body = {}};
      if (fields.is_short()) return wrong(ErrorCode::connection_error, too_short);
      extension.body = fields.rest();
      return Frame{id, extension};
    }
  }
  // Section "Handling Ignore Flag".
  if (flags & flag::ignore) return ignored("a frame type that is not known");
  return wrong(ErrorCode::connection_error, "a frame type that is not known");
}

}  // namespace koine::rsocket
