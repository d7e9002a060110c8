// How a peer answers: it finds the handler, lets it run, and sends what it has to say.
#include <algorithm>
#include <utility>

#include "koine/rsocket/handling.h"
#include "koine/rsocket/peer.h"

namespace koine::rsocket {

void Peer::answer(const Event& event) {
  const auto refuse = [&](ErrorCode code, std::string_view text) {
    fail_stream(event.stream_id, code, text);
  };
  RequestHead head;
  if (event.payload.metadata) {
    auto parsed = parse_head(connection_.metadata_mime_type(), *event.payload.metadata);
    if (!parsed) return refuse(ErrorCode::invalid, to_string(parsed.error()));
    head = *parsed;
  }
  if (following_)
    following_->called(event.stream_id, event.type, head.journey, event.payload.data.size());
  const Service::Route* const route = service_ ? service_->find(head.route) : nullptr;
  if (route == nullptr || route->answerer(event.type) == nullptr) {
    return refuse(ErrorCode::invalid, "no handler for " + std::string(to_string(event.type)) +
                                          " of route '" + std::string(head.route) + "'");
  }
  if (head.timeout && *head.timeout <= Duration::zero())
    return refuse(ErrorCode::rejected, "the caller's time is over");
  if (event.type == FrameType::request_fnf) {
    if (fires_ >= options_.fires_max) {
      ++fires_dropped_;
      return;
    }
  }
  if (requests_bytes_ + event.payload.size() > options_.requests_bytes_max) {
    if (event.type == FrameType::request_fnf) ++fires_dropped_;
    return refuse(ErrorCode::rejected, "too many bytes of requests wait for their answers");
  }
  std::unique_ptr<Handling> handling(new Handling(*this, event, head));
  connection_.set_owner(event.stream_id, static_cast<StreamOwner*>(handling.get()));
  Payload request = event.payload;
  if (!head.has_more) request.metadata.reset();
  if (auto begun = handling->begin(*route, request); !begun) {
    const bool is_invalid = begun.error() == Fault::malformed;
    const std::string text =
        to_string(std::move(begun.error()).with_operation("decode request of", head.route));
    return refuse(is_invalid ? ErrorCode::invalid : ErrorCode::application_error, text);
  }
  if (event.type == FrameType::request_fnf) ++fires_;
  requests_bytes_ += handling->request_bytes();
  ++running_;
  handlings_.push_back(*handling.release());
}

/// When the last byte of the last frame reached this host, as well as anybody here knows.
Instant Peer::arrival() const {
  journey::Track* const track = following_ && stream_ ? stream_->track() : nullptr;
  const auto since = track != nullptr ? track->since_arrival() : std::nullopt;
  return since ? std::min(loop_.now() - *since, read_at_) : read_at_;
}

Result<void> Peer::reply(std::uint32_t id, const Payload& answer) {
  Payload with_block = answer;
  ByteVector metadata;
  std::shared_ptr<journey::Journey> journey;
  std::size_t before = 0;
  if (following_) {
    journey = following_->answering(id, answer, metadata);
    if (!metadata.empty()) with_block.metadata = metadata;
    before = connection_.output().size();
  }
  auto sent = connection_.next(id, with_block, true);
  if (!sent) return sent;
  if (journey) following_->answered(id, journey, connection_.output().size() - before, before);
  write();
  return sent;
}

/// The last frame of a stream is one without metadata: who follows it is told of it afterwards.
template <class Say>
void Peer::end_stream(std::uint32_t id, Say&& say) {
  const auto journey = following_ ? following_->ending(id) : nullptr;
  const std::size_t before = journey ? connection_.output().size() : 0;
  say();
  if (journey) following_->answered(id, journey, connection_.output().size() - before, before);
  if (following_) following_->forget(id);
}

void Peer::fail_stream(std::uint32_t id, ErrorCode code, std::string_view text) {
  end_stream(id, [&] { connection_.fail_stream(id, code, text); });
}

void Peer::complete_stream(std::uint32_t id) {
  end_stream(id, [&] { connection_.complete(id); });
}

Result<void> Peer::send_item(std::uint32_t id, const Payload& item) {
  if (!following_ || !following_->follows_items()) return connection_.next(id, item, false);
  Payload with_block = item;
  ByteVector metadata;
  const auto journey = following_->sending(id, item, metadata);
  if (!metadata.empty()) with_block.metadata = metadata;
  const std::size_t before = connection_.output().size();
  auto sent = connection_.next(id, with_block, false);
  if (sent) following_->sent(id, journey, connection_.output().size() - before, before);
  return sent;
}

void Peer::ended(Handling& handling) {
  --running_;
  if (following_) following_->forget(handling.id());
  if (handling.type() == FrameType::request_fnf) --fires_;
  requests_bytes_ -= handling.request_bytes();
  delete &handling;
}

}  // namespace koine::rsocket
