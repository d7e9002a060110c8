// Channel: a bounded queue between tasks of one loop. Sending waits while it is full.
//
// Who waits longest is served first, on both sides: a waiter that is woken owns a place (a slot to
// fill, or an item to take) which no newcomer can take from it. If it dies before it runs, the
// place goes to the next. So nothing is lost, doubled or overtaken, however tasks are cancelled.
#pragma once

#include <cassert>
#include <cstddef>
#include <optional>

#include "koine/async/wait.h"
#include "koine/base/ring.h"

namespace koine {

template <class T>
class Channel {
 public:
  /// Holds at most `items_max`, which is at least 1; the room for them is allocated now.
  explicit Channel(std::size_t items_max) : items_(items_max) { assert(items_max > 0); }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  class [[nodiscard]] Send final : public Trying<Send, void> {
   public:
    Send(Channel& channel, T item) : channel_(channel), item_(std::move(item)) {}
    Send(Send&&) = default;
    ~Send() {
      if (has_place_) channel_.give_back_slot();
    }

    Result<void> attempt_once() {
      if (channel_.closed_) return fail(Fault::closed, "send to a channel");
      if (!has_place_ && channel_.free_slots() == 0) return fail(Fault::would_block);
      if (std::exchange(has_place_, false)) --channel_.promised_slots_;
      channel_.items_.push_back(std::move(item_));
      channel_.wake(channel_.receiving_, channel_.promised_items_);
      return {};
    }
    void park() { channel_.sending_.push_back(*this); }
    Activity activity() const override { return {"send to a channel", {}}; }

   private:
    friend class Channel;
    Channel& channel_;
    T item_;
    bool has_place_ = false;
  };

  class [[nodiscard]] Receive final : public Trying<Receive, T> {
   public:
    explicit Receive(Channel& channel) : channel_(channel) {}
    Receive(Receive&&) = default;
    ~Receive() {
      if (has_place_) channel_.give_back_item();
    }

    Result<T> attempt_once() {
      if (!has_place_ && channel_.free_items() == 0)
        return fail(channel_.closed_ ? Fault::closed : Fault::would_block);
      if (std::exchange(has_place_, false)) --channel_.promised_items_;
      T item = channel_.items_.pop_front();
      channel_.wake(channel_.sending_, channel_.promised_slots_);
      return item;
    }
    void park() { channel_.receiving_.push_back(*this); }

    /// The next item; nothing once the channel is closed and empty.
    std::optional<T> take() {
      auto item = Trying<Receive, T>::take();
      if (!item) return std::nullopt;
      return std::move(*item);
    }
    Activity activity() const override { return {"receive from a channel", {}}; }

   private:
    friend class Channel;
    Channel& channel_;
    bool has_place_ = false;
  };

  /// `co_await attempt(channel.send(item))`. Fails with Fault::closed after close(), and then the
  /// item is destroyed.
  Send send(T item) { return Send(*this, std::move(item)); }

  /// `while (auto item = co_await channel.receive())`
  Receive receive() { return Receive(*this); }

  /// No more is sent, not by those who wait to send either; what is inside can still be received.
  void close() {
    closed_ = true;
    while (!sending_.empty()) Loop::current().schedule(sending_.pop_front());
    while (!receiving_.empty()) Loop::current().schedule(receiving_.pop_front());
  }

  std::size_t size() const { return items_.size(); }
  bool closed() const { return closed_; }

 private:
  // Somebody waits in a list only while what it waits for is zero.
  std::size_t free_slots() const { return items_.capacity() - items_.size() - promised_slots_; }
  std::size_t free_items() const { return items_.size() - promised_items_; }

  /// There is one place more: for the first who waits, or for any newcomer.
  template <class Waiter>
  static void wake(List<Waiter>& waiting, std::size_t& promised) {
    if (waiting.empty()) return;
    Waiter& first = waiting.pop_front();
    first.has_place_ = true;
    ++promised;
    Loop::current().schedule(first);
  }
  void give_back_slot() {
    --promised_slots_;
    wake(sending_, promised_slots_);
  }
  void give_back_item() {
    --promised_items_;
    wake(receiving_, promised_items_);
  }

  Ring<T> items_;
  std::size_t promised_slots_ = 0;  // to senders that were woken and have not run yet
  std::size_t promised_items_ = 0;  // to receivers
  List<Send> sending_;
  List<Receive> receiving_;
  bool closed_ = false;
};

}  // namespace koine
