// Mailbox: how other threads reach a loop. Any thread puts messages in, one takes them out; there
// is no lock, and no memory but the messages' own.
//
// The messages are a stack, of which the reader takes all at once and turns it round:
//
//     top_ -> newest -> ... -> oldest      empty: null, or `asleep` while the reader waits for the
//                                          bell; `closed`, once nobody reads any more
//
// That the reader sleeps stands in the same word as what it must not miss. It falls asleep by
// turning null into `asleep` in one step, which fails if a message came before; whoever puts a
// message on `asleep` rings, and nobody else does. These are read-modify-writes of one variable, in
// whose order all threads agree, so no wake-up is lost whatever the order of anything else.
//
// Putting releases and taking acquires: the reader sees what was written before a message was put,
// also of those further down, because a read-modify-write goes on with the release before it. A top
// that was taken and came back at the same address (ABA) is a top like any other: nothing but all
// is ever taken.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include "koine/async/frame_pool.h"
#include "koine/base/error.h"
#include "koine/os/fd.h"

namespace koine::os {

/// Something for another thread to do. Whoever puts it gives it away until it arrives.
class Message {
 public:
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  // In the reader's thread it joins the reader's memory, and goes out again with an answer.
  static void* operator new(std::size_t bytes) { return frame_pool::allocate(bytes); }
  static void operator delete(void* memory, std::size_t bytes) {
    frame_pool::release(memory, bytes);
  }

 protected:
  /// Called once, with its message: in the reader's thread, or, if it is not `heard`, where the
  /// mailbox is closed. The message belongs to it.
  using Arrive = void (*)(Message& message, bool heard) noexcept;

  constexpr explicit Message(Arrive arrive) : arrive_(arrive) {}
  ~Message() = default;

 private:
  friend class Mailbox;
  Arrive arrive_;
  Message* next_ = nullptr;
};

class Mailbox {
 public:
  /// An open one. Fails if no descriptor is left for its bell.
  static Result<std::shared_ptr<Mailbox>> make();

  explicit Mailbox(Fd bell) : bell_(std::move(bell)) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox() { close(); }

  // For any thread.

  /// False if it is closed: the message stays the caller's.
  bool put(Message& message);

  /// Has the reader call `f`, which must not throw; likewise.
  template <class F>
  bool post(F&& f) {
    auto* message = new Posted<std::decay_t<F>>(std::forward<F>(f));
    if (put(*message)) return true;
    delete message;
    return false;
  }

  /// How many messages were not heard: refused, or in it when it was closed.
  std::size_t unheard() const { return unheard_.load(std::memory_order_relaxed); }

  // For the reader.

  /// An eventfd(2): readable when somebody has woken the reader.
  int bell() const { return bell_.get(); }

  bool has_messages() const {
    const Message* top = top_.load(std::memory_order_relaxed);
    return top != nullptr && top != &asleep;
  }

  /// Before it waits for the bell: false if it must not, because there are messages.
  bool fall_asleep() {
    Message* empty = nullptr;
    return top_.compare_exchange_strong(empty, &asleep, std::memory_order_relaxed);
  }

  /// It looks into the mailbox soon without being rung for.
  void wake_up() {
    Message* top = top_.load(std::memory_order_relaxed);
    if (top == &asleep) top_.compare_exchange_strong(top, nullptr, std::memory_order_relaxed);
  }

  /// Lets arrive what is in it, oldest first, and wakes up.
  void take_all() {
    if (top_.load(std::memory_order_relaxed) != nullptr)
      deliver(top_.exchange(nullptr, std::memory_order_acquire), true);
  }

  /// Refuses what comes from now on; what is in it is not heard. Its reader has left it, or never
  /// came.
  void close();

 private:
  template <class F>
  class Posted final : public Message {
   public:
    template <class From>
    explicit Posted(From&& f) : Message(&arrive), f_(std::forward<From>(f)) {}

   private:
    static_assert(alignof(F) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    static void arrive(Message& message, bool heard) noexcept {
      auto* self = static_cast<Posted*>(&message);
      if (heard) static_cast<void>(self->f_());
      delete self;
    }
    F f_;
  };

  static Message asleep;
  static Message closed;

  std::size_t deliver(Message* newest, bool heard);
  void ring() const;

  const Fd bell_;
  std::atomic<std::size_t> unheard_{0};
  alignas(64) std::atomic<Message*> top_{nullptr};  // a cache line that writers share
};

}  // namespace koine::os
