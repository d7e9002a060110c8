#include "koine/rsocket/frame.h"

#include <algorithm>
#include <array>
#include <string>

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
  if (setup.major == version_major) {
    setup.metadata_mime_type = mime_type(fields);
    setup.data_mime_type = mime_type(fields);
    if (fields.is_short()) return wrong(ErrorCode::invalid_setup, too_short);
    if (setup.keepalive_ms == 0)
      return wrong(ErrorCode::invalid_setup, "the time between keepalives is 0");
    if (setup.lifetime_ms == 0) return wrong(ErrorCode::invalid_setup, "the max lifetime is 0");
    if (!read_payload(fields, flags, setup.payload)) return ignored(metadata_too_long);
  }
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
  if (!read_payload(fields, flags, request.payload)) return ignored(metadata_too_long);
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
      if (lease.time_to_live_ms == 0 || lease.requests == 0)
        return ignored("a lease of no time or no requests");
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
    case FrameType::metadata_push:
      if (!(flags & flag::metadata)) return ignored("a metadata push without metadata");
      return Frame{0, MetadataPush{fields.rest()}};
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
      if (!read_payload(fields, flags, next.payload)) return ignored(metadata_too_long);
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

// Writing. What is begun is always ended: sizes are checked before.

std::size_t FrameWriter::begin(std::uint32_t stream_id, FrameType type, std::uint16_t flags) {
  const std::size_t started = out_.size();
  if (has_length_) put24(0);
  put32(stream_id);
  put16(static_cast<std::uint16_t>(static_cast<unsigned>(type) << 10 | flags));
  return started;
}

void FrameWriter::end(std::size_t started) {
  if (!has_length_) return;
  const std::size_t size = out_.size() - started - 3;
  out_[started] = static_cast<std::byte>(size >> 16);
  store_be16(&out_[started + 1], static_cast<std::uint16_t>(size));
}

void FrameWriter::put16(std::uint16_t value) {
  std::array<std::byte, 2> bytes;
  store_be16(bytes.data(), value);
  put(bytes);
}
void FrameWriter::put24(std::size_t value) {
  out_.push_back(static_cast<std::byte>(value >> 16));
  put16(static_cast<std::uint16_t>(value));
}
void FrameWriter::put32(std::uint32_t value) {
  std::array<std::byte, 4> bytes;
  store_be32(bytes.data(), value);
  put(bytes);
}
void FrameWriter::put64(std::uint64_t value) {
  std::array<std::byte, 8> bytes;
  store_be64(bytes.data(), value);
  put(bytes);
}
void FrameWriter::put(Bytes bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
void FrameWriter::put(const Payload& payload) {
  if (payload.metadata) {
    put24(payload.metadata->size());
    put(*payload.metadata);
  }
  put(payload.data);
}

namespace {

std::uint16_t bit(bool is_set, std::uint16_t flag) { return is_set ? flag : std::uint16_t{0}; }

Error too_large(std::string_view what) {
  return Error(Fault::over_limit, "send rsocket frame").with_note(std::string(what));
}

/// What a payload takes in a frame.
std::size_t room_for(const Payload& payload) { return payload.size() + (payload.metadata ? 3 : 0); }

}  // namespace

Result<void> FrameWriter::setup(const Setup& setup) {
  constexpr std::size_t mime_bytes_max = 255;
  constexpr std::size_t token_bytes_max = 0xffff;
  if (setup.metadata_mime_type.size() > mime_bytes_max ||
      setup.data_mime_type.size() > mime_bytes_max)
    return std::unexpected(too_large("a mime type has at most 255 bytes"));
  const std::size_t token_bytes = setup.resume_token ? setup.resume_token->size() : 0;
  if (token_bytes > token_bytes_max)
    return std::unexpected(too_large("a resume token has at most 65535 bytes"));
  if (setup.payload.size() > length_max - token_bytes - 1024)
    return std::unexpected(too_large("the payload of a setup fits into one frame"));
  const std::size_t started =
      begin(0, FrameType::setup,
            static_cast<std::uint16_t>(bit(setup.payload.metadata.has_value(), flag::metadata) |
                                       bit(setup.resume_token.has_value(), flag::resume) |
                                       bit(setup.lease, flag::lease)));
  put16(setup.major);
  put16(setup.minor);
  put32(setup.keepalive_ms);
  put32(setup.lifetime_ms);
  if (setup.resume_token) {
    put16(static_cast<std::uint16_t>(token_bytes));
    put(*setup.resume_token);
  }
  for (const std::string_view mime : {setup.metadata_mime_type, setup.data_mime_type}) {
    out_.push_back(static_cast<std::byte>(mime.size()));
    put(as_bytes(mime));
  }
  put(setup.payload);
  end(started);
  return {};
}

Result<void> FrameWriter::lease(const Lease& lease) {
  if (lease.metadata && lease.metadata->size() > length_max - header_bytes - 8)
    return std::unexpected(too_large("the metadata of a lease fits into one frame"));
  const std::size_t started =
      begin(0, FrameType::lease, bit(lease.metadata.has_value(), flag::metadata));
  put32(lease.time_to_live_ms);
  put32(lease.requests);
  if (lease.metadata) put(*lease.metadata);
  end(started);
  return {};
}

Result<void> FrameWriter::keepalive(const KeepAlive& keepalive) {
  if (keepalive.data.size() > length_max - header_bytes - 8)
    return std::unexpected(too_large("the data of a keepalive fits into one frame"));
  const std::size_t started = begin(0, FrameType::keepalive, bit(keepalive.respond, flag::respond));
  put64(keepalive.last_position);
  put(keepalive.data);
  end(started);
  return {};
}

void FrameWriter::request_n(std::uint32_t stream_id, std::uint32_t n) {
  const std::size_t started = begin(stream_id, FrameType::request_n, 0);
  put32(n);
  end(started);
}

void FrameWriter::cancel(std::uint32_t stream_id) { end(begin(stream_id, FrameType::cancel, 0)); }

void FrameWriter::error(std::uint32_t stream_id, ErrorCode code, std::string_view text) {
  const std::size_t started = begin(stream_id, FrameType::error, 0);
  put32(static_cast<std::uint32_t>(code));
  put(as_bytes(text.substr(0, length_max - header_bytes - 4)));
  end(started);
}

Result<void> FrameWriter::metadata_push(Bytes metadata) {
  if (metadata.size() > length_max - header_bytes)
    return std::unexpected(too_large("a metadata push fits into one frame"));
  const std::size_t started = begin(0, FrameType::metadata_push, flag::metadata);
  put(metadata);
  end(started);
  return {};
}

Result<void> FrameWriter::resume(const Resume& resume) {
  if (resume.token.size() > 0xffff)
    return std::unexpected(too_large("a resume token has at most 65535 bytes"));
  const std::size_t started = begin(0, FrameType::resume, 0);
  put16(resume.major);
  put16(resume.minor);
  put16(static_cast<std::uint16_t>(resume.token.size()));
  put(resume.token);
  put64(resume.last_received);
  put64(resume.first_available);
  end(started);
  return {};
}

void FrameWriter::resume_ok(std::uint64_t last_received) {
  const std::size_t started = begin(0, FrameType::resume_ok, 0);
  put64(last_received);
  end(started);
}

namespace {

/// Takes from `rest` what fits into `room` bytes of a frame: metadata first, and no data before all
/// of it is gone.
Payload first_part(Payload& rest, std::size_t room) {
  Payload part;
  if (rest.metadata) {
    const std::size_t size = std::min(rest.metadata->size(), room - 3);
    part.metadata = rest.metadata->first(size);
    room -= 3 + size;
    if (size < rest.metadata->size()) {
      rest.metadata = rest.metadata->subspan(size);
      return part;
    }
    rest.metadata.reset();
  }
  const std::size_t size = std::min(rest.data.size(), room);
  part.data = rest.data.first(size);
  rest.data = rest.data.subspan(size);
  return part;
}

}  // namespace

/// The fragments behind the first. Each carries an item's part, the last one ends the stream if the
/// item is its last.
void FrameWriter::fragments(std::uint32_t stream_id, Payload rest, bool complete,
                            std::size_t frame_bytes_max) {
  while (rest.size() != 0) {
    const Payload part = first_part(rest, frame_bytes_max - header_bytes);
    const bool is_last = rest.size() == 0;
    const std::size_t started = begin(
        stream_id, FrameType::payload,
        static_cast<std::uint16_t>(flag::next | bit(part.metadata.has_value(), flag::metadata) |
                                   bit(!is_last, flag::follows) |
                                   bit(is_last && complete, flag::complete)));
    put(part);
    end(started);
  }
}

Result<void> FrameWriter::request(std::uint32_t stream_id, const Request& request,
                                  std::size_t frame_bytes_max) {
  const bool has_n =
      request.type == FrameType::request_stream || request.type == FrameType::request_channel;
  const std::size_t room = frame_bytes_max - header_bytes - (has_n ? 4 : 0);
  Payload rest = request.payload;
  const bool fits = room_for(rest) <= room;
  const Payload part = fits ? rest : first_part(rest, room);
  // A channel that is complete with its first item: said at the end of that item.
  const std::size_t started =
      begin(stream_id, request.type,
            static_cast<std::uint16_t>(bit(part.metadata.has_value(), flag::metadata) |
                                       bit(!fits, flag::follows) |
                                       bit(fits && request.complete, flag::complete)));
  if (has_n) put32(request.initial_n);
  put(part);
  end(started);
  if (!fits) fragments(stream_id, rest, request.complete, frame_bytes_max);
  return {};
}

Result<void> FrameWriter::next(std::uint32_t stream_id, const Next& next,
                               std::size_t frame_bytes_max) {
  Payload rest = next.payload;
  const bool fits = room_for(rest) <= frame_bytes_max - header_bytes;
  if (!fits) {
    fragments(stream_id, rest, next.complete, frame_bytes_max);
    return {};
  }
  const std::size_t started = begin(
      stream_id, FrameType::payload,
      static_cast<std::uint16_t>(bit(rest.metadata.has_value(), flag::metadata) |
                                 bit(next.complete, flag::complete) | bit(next.next, flag::next)));
  put(rest);
  end(started);
  return {};
}

}  // namespace koine::rsocket
