// Call: one request of ours for one answer.
//
//     Sum sum = co_await attempt(within(200ms, peer.call<Sum>("add", Add{2, 3})));
//
// Within a time, the peer is told how much of it there is, and gives up when it has passed.
#pragma once

#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "koine/async/within.h"
#include "koine/rsocket/codec.h"
#include "koine/rsocket/flow.h"

namespace koine::rsocket {

struct Follower;

/// What is known of a request that has failed, or is not over.
enum class Fate : std::uint8_t {
  unsent,    ///< the peer cannot know of it
  unknown,   ///< sent, and never answered: the peer may have processed it
  rejected,  ///< the peer says that it has not processed it
  answered,  ///< the peer has answered, with an error if not with success
};

/// What a Call of any type is.
class AnyCall : public Runnable, private StreamOwner {
 public:
  AnyCall(AnyCall&&) = default;

  bool ready();
  std::coroutine_handle<> start(Completion completion);
  const Awaited* awaited() const noexcept { return this; }
  void run() final;
  Activity activity() const final { return {"call", std::string(route_)}; }

  /// The peer is told that it has so long.
  void has_time(Duration timeout) {
    if (!timeout_ || timeout < *timeout_) timeout_ = timeout;
  }

  /// Its journey is for that one.
  void follow(std::shared_ptr<Follower> follower) { follower_ = std::move(follower); }

  /// Keeps `fate` up to date, as long as it is not over.
  void tells_fate(Fate& fate) { fate_ = &fate; }

 protected:
  AnyCall(Peer& peer, std::string_view route, Encoded request)
      : peer_(&peer), route_(route), request_(std::move(request)) {}
  ~AnyCall();

 private:
  bool begin();
  void wait();
  void hear(const Event& event) final;
  void lost(const Error& error) final;
  void over();
  virtual Result<void> keep(const Payload& answer) = 0;
  virtual void fail_with(Error error) = 0;

  Peer* peer_;
  std::string_view route_;
  Encoded request_;
  std::optional<Duration> timeout_;
  Instant asked_{};
  Fate* fate_ = nullptr;
  std::shared_ptr<Follower> follower_;
  std::uint32_t id_ = 0;
  bool is_over_ = false;
  bool is_waiting_ = false;  // for room to begin
  Completion completion_;
};

/// Destroying it cancels the request. Its route is lent until it is over, and so are raw data that
/// are no temporaries.
///
/// Errors carry the peer's words as their note. REJECTED is Fault::refused: the peer did not
/// process it, and asking again is safe. CANCELED is cancelled, or timed_out if the peer was told
/// how much time it has; INVALID malformed; any other system. An answer that is no T is malformed,
/// and says what was expected.
template <class T>
class [[nodiscard]] Call final : public AnyCall, public CoAwait<Call<T>> {
 public:
  Call(Peer& peer, std::string_view route, Encoded request)
      : AnyCall(peer, route, std::move(request)) {}
  Call(Call&&) = default;

  Result<T>&& take() { return std::move(answer_); }
  Error* error() noexcept {
    return answer_.has_value() || answer_.error() == Fault::would_block ? nullptr
                                                                        : &answer_.error();
  }

 private:
  Result<void> keep(const Payload& answer) override {
    if constexpr (std::is_void_v<T>) {
      static_cast<void>(answer);
      answer_ = {};
    } else {
      answer_ = decode<T>(answer);
      if (!answer_) return std::unexpected(std::move(answer_.error()));
    }
    return {};
  }
  void fail_with(Error error) override { answer_ = std::unexpected(std::move(error)); }

  Result<T> answer_{std::unexpect, Fault::would_block};  // until it is over
};

}  // namespace koine::rsocket

namespace koine {

/// `within` for a call: the time it has goes with the request.
template <class T>
Within<rsocket::Call<T>> within(Duration limit, rsocket::Call<T> call) {
  call.has_time(limit);
  return Within<rsocket::Call<T>>(limit, std::move(call));
}

}  // namespace koine
