// How a peer asks: it waits for room, and writes the request.
#include <algorithm>
#include <utility>

#include "koine/rsocket/peer.h"

namespace koine::rsocket {

/// Waits for room to request, and tells the next when it has found some.
class [[nodiscard]] Peer::Opening final : public Trying<Opening, std::uint32_t> {
 public:
  Opening(Peer& peer, FrameType type, const RequestHead& head, const Payload& request,
          std::uint32_t n, StreamOwner* owner, const std::shared_ptr<Follower>& follower)
      : peer_(peer),
        type_(type),
        head_(head),
        request_(request),
        n_(n),
        owner_(owner),
        follower_(follower) {}
  ~Opening() {
    if (has_waited_) peer_.wake_opener();
  }
  Result<std::uint32_t> attempt_once() {
    return peer_.open(type_, head_, request_, n_, owner_, follower_);
  }
  void park() {
    has_waited_ = true;
    peer_.openers_.join(*this);
  }
  Activity activity() const override { return {"request", std::string(head_.route)}; }

 private:
  Peer& peer_;
  FrameType type_;
  RequestHead head_;
  Payload request_;
  std::uint32_t n_;
  StreamOwner* owner_;
  const std::shared_ptr<Follower>& follower_;  // whose task waits
  bool has_waited_ = false;
};

Io<void> Peer::fire_encoded(std::string route, Encoded request,
                            std::shared_ptr<Follower> follower) {
  if (!request.failure()) {
    Error error = request.failure().error();
    co_return std::unexpected(std::move(error).with_operation("encode", route));
  }
  Opening opening(*this, FrameType::request_fnf, {.route = route}, request.payload(), 0, nullptr,
                  follower);
  auto opened = co_await opening;
  if (!opened) co_return std::unexpected(std::move(opened.error()));
  co_return {};
}

Io<std::unique_ptr<Flow>> Peer::open_flow(FrameType type, std::string route, Encoded request,
                                          StreamOptions options,
                                          std::shared_ptr<Follower> follower) {
  if (!request.failure()) {
    Error error = request.failure().error();
    co_return std::unexpected(std::move(error).with_operation("encode", route));
  }
  const std::uint32_t window = std::clamp(options.window, 1u, request_n_max);
  std::unique_ptr<Flow> flow(new Flow(*this, route, window));
  const RequestHead head{.route = route, .timeout = options.timeout};
  flow->follower_ = follower;
  Opening opening(*this, type, head, request.payload(), window, flow.get(), follower);
  auto opened = co_await opening;
  if (!opened) co_return std::unexpected(std::move(opened.error()));
  flow->id_ = *opened;
  co_return std::move(flow);
}

Result<std::uint32_t> Peer::open(FrameType type, const RequestHead& head, const Payload& request,
                                 std::uint32_t n, StreamOwner* owner,
                                 const std::shared_ptr<Follower>& follower) {
  Request frame{.type = type, .initial_n = n, .payload = request};
  ByteVector metadata;
  Following::Asking asking;
  std::size_t before = 0;
  if (!request.metadata) {  // or the caller has written its own
    auto written = append_head(metadata, connection_.metadata_mime_type(), head);
    if (!written) return std::unexpected(std::move(written.error()));
  }
  if (following_ && connection_.takes_messages()) {
    const bool is_composite = connection_.metadata_mime_type() == composite_mime_type;
    asking = following_->begin(type, is_composite && !request.metadata ? &metadata : nullptr,
                               request.size(), follower);
    before = connection_.output().size();
  }
  if (!metadata.empty()) frame.payload.metadata = metadata;
  auto opened = connection_.open(frame, owner, loop_.now());
  if (!opened) {
    if (opened.error() == Fault::closed && error_) return std::unexpected(*error_);
    if (opened.error() == Fault::would_block) return opened;
    return std::unexpected(std::move(opened.error()).with_operation("request", head.route));
  }
  if (following_) {
    following_->asked(*opened, type, std::move(asking), connection_.output().size() - before,
                      before);
  } else if (follower) {
    follower->done.set();
  }
  write();
  return opened;
}

}  // namespace koine::rsocket
