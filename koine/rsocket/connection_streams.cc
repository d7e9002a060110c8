// What a connection does with its streams when the user asks for it.
#include <algorithm>
#include <utility>

#include "koine/rsocket/connection.h"

namespace koine::rsocket {

Result<std::uint32_t> Connection::open(const Request& request, void* owner, Instant now) {
  constexpr const char* operation = "request";
  if (!is_going() || is_closing()) return fail(Fault::closed, operation);
  if (request.payload.size() > options_.message_bytes_max) {
    return std::unexpected(Error(Fault::over_limit, operation)
                               .with_note("a message has at most " +
                                          std::to_string(options_.message_bytes_max) + " bytes"));
  }
  if (!takes_messages() || ours_ >= options_.requests_max) return fail(Fault::would_block);
  if (needs_leases_ && !our_lease_.allows(now)) {
    if (options_.lease_wait) return fail(Fault::would_block);
    return std::unexpected(Error(Fault::exhausted, operation).with_note("no lease"));
  }
  const std::uint32_t id = unused_id();
  if (auto written = writer_.request(id, request, options_.frame_bytes_max); !written)
    return std::unexpected(std::move(written.error()));
  if (needs_leases_) --our_lease_.left;
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

/// Section "Stream Identifiers": two more each time; when they are used up, again from the first,
/// without those in use. Fewer streams are open than there are ids.
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
  if (!is_going() || stream == nullptr || !stream->sending) return fail(Fault::closed, operation);
  if (payload.size() > options_.message_bytes_max) {
    return std::unexpected(Error(Fault::over_limit, operation)
                               .with_note("a message has at most " +
                                          std::to_string(options_.message_bytes_max) + " bytes"));
  }
  if (stream->may_send == 0 || !takes_messages()) return fail(Fault::would_block);
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
  if (!is_going() || stream == nullptr || !stream->sending) return;
  const std::size_t before = out_.size();
  static_cast<void>(writer_.next(id, {.complete = true}, options_.frame_bytes_max));
  answered(before);
  stream->sending = false;
  forget_if_over(*stream);
}

void Connection::fail_stream(std::uint32_t id, ErrorCode code, std::string_view text) {
  OpenStream* const stream = streams_.find(id);
  if (!is_going() || stream == nullptr) return;
  const std::size_t before = out_.size();
  writer_.error(id, code, text.substr(0, error_text_bytes_max));
  answered(before);
  forget(*stream);
}

void Connection::cancel(std::uint32_t id) {
  OpenStream* const stream = streams_.find(id);
  if (!is_going() || stream == nullptr || !stream->receiving) return;
  const std::size_t before = out_.size();
  writer_.cancel(id);
  answered(before);
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
  if (!is_going() || stream == nullptr || !stream->receiving || n == 0) return;
  if (!has_items(stream->type)) return;
  n = std::min(n, request_n_max);
  allow_more(stream->may_receive, n);
  const std::size_t before = out_.size();
  writer_.request_n(id, n);
  answered(before);
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
  if (is_starved_) their_lease_.renewal = {};
  over_if_closing();
}

bool Connection::forget_if_over(OpenStream& stream) {
  if (stream.sending || stream.receiving) return false;
  forget(stream);
  return true;
}

}  // namespace koine::rsocket
