// Flow: the items of one stream, in either direction; and the typed ends of it, Source and Sink.
//
//     Io<void> count(int to, Sink<int>& out) {
//       for (int i = 0; i < to; ++i) co_await attempt(out.send(i));
//       co_return {};
//     }
//
//     auto opening = peer.stream<int>("count", 10);
//     auto numbers = co_await attempt(std::move(opening));
//     while (auto number = co_await attempt(numbers.next())) ...
//
// A flow belongs to the loop of its peer, which outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "koine/async/task.h"
#include "koine/async/wait.h"
#include "koine/rsocket/codec.h"
#include "koine/rsocket/items.h"

namespace koine::journey {
struct Journey;
}

namespace koine::rsocket {

class Peer;
class Flow;
struct Event;
struct Follower;

/// One item's way: from the asker in its `request`, to the asker in its `reply`.
struct ItemJourney {
  std::uint64_t item = 0;  ///< which one of its sender's, from 1
  bool is_reply = false;
  std::shared_ptr<const journey::Journey> journey;
};

/// What is known of the way of a stream's or channel's request, and of its first items: at most 16,
/// in the order in which they came to their end. Null and empty for what could not be followed.
struct FlowJourneys {
  std::shared_ptr<const journey::Journey> request;
  std::vector<ItemJourney> items;
};

/// Who hears of a stream. lost() is the last, when the connection is over.
class StreamOwner {
 public:
  virtual void hear(const Event& event) = 0;
  virtual void lost(const Error& error) = 0;

 protected:
  ~StreamOwner() = default;
};

/// `while (auto item = co_await attempt(flow.next()))`: nothing once the peer has completed.
/// Fault::malformed for an item that is no T; the next one may be.
template <class T>
class [[nodiscard]] TakeItem final : public Trying<TakeItem<T>, std::optional<T>> {
 public:
  explicit TakeItem(Flow& flow) : flow_(&flow) {}
  Result<std::optional<T>> attempt_once();
  void park();
  Activity activity() const override;

 private:
  Flow* flow_;
};

/// `co_await attempt(flow.send(item))`: waits until the peer has requested it and there is room.
/// Raw items that are no temporaries are lent so long. Fault::closed if the peer wants no more.
class [[nodiscard]] SendItem final : public Trying<SendItem, void> {
 public:
  SendItem(Flow& flow, Encoded item) : flow_(&flow), item_(std::move(item)) {}
  Result<void> attempt_once();
  void park();
  Activity activity() const override;

 private:
  Flow* flow_;
  Encoded item_;
};

class Flow final : private StreamOwner {
 public:
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;
  /// Ours: cancels it if it is not over.
  ~Flow();

  static void* operator new(std::size_t bytes) { return frame_pool::allocate(bytes); }
  static void operator delete(void* flow, std::size_t bytes) noexcept {
    frame_pool::release(flow, bytes);
  }

  TakeItem<Message> next() { return TakeItem<Message>(*this); }

  template <class T>
  SendItem send(T&& item) {
    return {*this, encoded(std::forward<T>(item))};
  }

  /// No more items of ours follow.
  void complete();

  const std::string& route() const { return route_; }

  /// Of one that was asked for with journey::follow: waits until none of its journeys is under way,
  /// at most a second after the last began.
  Io<FlowJourneys> journeys() const;

  // What Source, Sink and the operations are made of: what can be done now, or would_block.

  /// The oldest item, lent until it is popped; nothing after the last.
  Result<std::optional<Payload>> front_now();
  void pop();
  Result<void> send_now(const Payload& payload);
  WaitList& takeable() { return takeable_; }
  WaitList& sendable();

 private:
  friend class Peer;
  friend class Handling;
  Flow(Peer& peer, std::string_view route, std::uint32_t window)
      : peer_(peer), route_(route), window_(window) {}

  void hear(const Event& event) override;
  void lost(const Error& error) override;
  void begin_with(const Payload& request);
  void leave_if_over();
  void take_in(const Payload& item);
  void wake();
  void moves();

  Peer& peer_;
  std::string route_;
  std::uint32_t id_ = 0;  // 0 once it is over
  std::uint32_t window_;
  std::uint32_t taken_ = 0;  // and not requested again
  bool is_ended_ = false;    // the peer sends no more
  bool first_is_the_request_ = false;
  Instant moved_at_{};  // an item, either way
  std::optional<Error> error_;
  std::shared_ptr<Follower> follower_;
  Items items_;
  WaitList takeable_;
  WaitList requested_;
};

template <class T>
Result<std::optional<T>> TakeItem<T>::attempt_once() {
  auto item = flow_->front_now();
  if (!item) return std::unexpected(std::move(item.error()));
  if (!*item) return std::optional<T>();
  auto decoded = decode<T>(**item);
  flow_->pop();
  if (!decoded) {
    return std::unexpected(
        std::move(decoded.error()).with_operation("decode item", flow_->route()));
  }
  return std::optional<T>(std::move(*decoded));
}

template <class T>
void TakeItem<T>::park() {
  flow_->takeable().join(*this);
}

template <class T>
Activity TakeItem<T>::activity() const {
  return {"take item", flow_->route()};
}

/// Where items come from. A client's owns its flow: destroying it wants no more of them.
template <class T>
class Source {
 public:
  explicit Source(std::unique_ptr<Flow> flow) : owned_(std::move(flow)), flow_(owned_.get()) {}
  explicit Source(Flow& flow) : flow_(&flow) {}

  TakeItem<T> next() { return TakeItem<T>(*flow_); }
  Io<FlowJourneys> journeys() const { return flow_->journeys(); }
  Flow& flow() { return *flow_; }

 private:
  std::unique_ptr<Flow> owned_;
  Flow* flow_;
};

/// Where items go. They are complete when the handler that was given it ends.
template <class T>
class Sink {
 public:
  explicit Sink(Flow& flow) : flow_(&flow) {}

  SendItem send(const T& item) { return {*flow_, Encoded(item)}; }
  SendItem send(T&& item) { return {*flow_, encoded(std::move(item))}; }
  Flow& flow() { return *flow_; }

 private:
  Flow* flow_;
};

/// Both, as the client of a channel has them.
template <class In, class Out>
class Channel {
 public:
  explicit Channel(std::unique_ptr<Flow> flow) : flow_(std::move(flow)) {}

  TakeItem<In> next() { return TakeItem<In>(*flow_); }
  SendItem send(const Out& item) { return {*flow_, Encoded(item)}; }
  SendItem send(Out&& item) { return {*flow_, encoded(std::move(item))}; }

  /// No more items of ours follow.
  void complete() { flow_->complete(); }
  Io<FlowJourneys> journeys() const { return flow_->journeys(); }
  Flow& flow() { return *flow_; }

 private:
  std::unique_ptr<Flow> flow_;
};

}  // namespace koine::rsocket
