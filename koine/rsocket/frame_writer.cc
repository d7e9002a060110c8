// Frames as bytes. What is begun is always ended: sizes are checked before.
#include <algorithm>
#include <array>
#include <string>

#include "koine/rsocket/frame.h"

namespace koine::rsocket {

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
