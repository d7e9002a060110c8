// Channel: a bounded queue between tasks of one loop. Sending waits while it is full.
#pragma once

#include <cassert>
#include <cstddef>
#include <deque>
#include <optional>

#include "koine/async/wait.h"

namespace koine {

template <class T>
class Channel {
 public:
  /// Holds at most `items_max`, which is at least 1.
  explicit Channel(std::size_t items_max) : items_max_(items_max) { assert(items_max > 0); }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  class [[nodiscard]] Send final : public Trying<Send, void> {
   public:
    Send(Channel& channel, T item) : channel_(&channel), item_(std::move(item)) {}
    Send(Send&&) = default;
    ~Send() { channel_->passed_on(notified_, channel_->sending_); }

    Result<void> attempt_once() {
      if (channel_->closed_) return fail(Fault::closed, "send to a channel");
      if (channel_->items_.size() >= channel_->items_max_) return fail(Fault::would_block);
      notified_ = false;
      channel_->items_.push_back(std::move(item_));
      channel_->wake_receiver();
      return {};
    }
    void park() {
      notified_ = false;
      channel_->sending_.push_back(*this);
    }
    Activity activity() const override { return {"send to a channel", {}}; }

   private:
    friend class Channel;
    Channel* channel_;
    T item_;
    bool notified_ = false;
  };

  class [[nodiscard]] Receive final : public Trying<Receive, T> {
   public:
    explicit Receive(Channel& channel) : channel_(&channel) {}
    Receive(Receive&&) = default;
    ~Receive() { channel_->passed_on(notified_, channel_->receiving_); }

    Result<T> attempt_once() {
      if (channel_->items_.empty()) {
        if (channel_->closed_) return fail(Fault::closed);
        return fail(Fault::would_block);
      }
      notified_ = false;
      T item = std::move(channel_->items_.front());
      channel_->items_.pop_front();
      channel_->wake_sender();
      return item;
    }
    void park() {
      notified_ = false;
      channel_->receiving_.push_back(*this);
    }

    /// The next item; nothing once the channel is closed and empty.
    std::optional<T> take() {
      auto item = Trying<Receive, T>::take();
      if (!item) return std::nullopt;
      return std::move(*item);
    }
    Activity activity() const override { return {"receive from a channel", {}}; }

   private:
    friend class Channel;
    Channel* channel_;
    bool notified_ = false;
  };

  /// `co_await attempt(channel.send(item))`. Fails with Fault::closed after close().
  Send send(T item) { return Send(*this, std::move(item)); }

  /// `while (auto item = co_await channel.receive())`
  Receive receive() { return Receive(*this); }

  /// No more is sent; what is inside can still be received.
  void close() {
    closed_ = true;
    while (!sending_.empty()) wake(sending_);
    while (!receiving_.empty()) wake(receiving_);
  }

  std::size_t size() const { return items_.size(); }
  bool closed() const { return closed_; }

 private:
  template <class Waiter>
  static void wake(List<Waiter>& waiting) {
    if (waiting.empty()) return;
    Waiter& first = waiting.pop_front();
    first.notified_ = true;
    Loop::current().schedule(first);
  }
  void wake_receiver() { wake(receiving_); }
  void wake_sender() { wake(sending_); }

  /// One that was woken died before it ran: the news is for the next.
  template <class Waiter>
  static void passed_on(bool notified, List<Waiter>& waiting) {
    if (notified) wake(waiting);
  }

  const std::size_t items_max_;
  std::deque<T> items_;
  List<Send> sending_;
  List<Receive> receiving_;
  bool closed_ = false;
};

}  // namespace koine
