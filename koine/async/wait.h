// The two kinds of waiting that most operations are made of: until something happens, and until
// trying again may help.
#pragma once

#include <utility>

#include "koine/async/loop.h"
#include "koine/async/operation.h"

namespace koine {

/// Where operations wait for one kind of news, in the order in which they came.
class WaitList {
 public:
  explicit operator bool() const { return !waiting_.empty(); }
  void join(Runnable& operation) { waiting_.push_back(operation); }

  /// Makes the first one ready; nothing happens if nobody waits. If that one is cancelled before it
  /// runs, nobody else hears the news: for what only one of many may have, see Semaphore.
  void wake_one(Loop& loop) {
    if (!waiting_.empty()) loop.schedule(waiting_.pop_front());
  }
  void wake_all(Loop& loop) {
    while (!waiting_.empty()) loop.schedule(waiting_.pop_front());
  }

 private:
  List<Runnable> waiting_;
};

/// An operation that tries; while it would block it waits for a sign, and then tries again.
///
/// `Op` says how: `Result<T> attempt_once()`, which answers Fault::would_block when there is
/// nothing to be done now, and `void park()`, which joins the list whose news may change that.
template <class Op, class T>
class Trying : public Runnable, public CoAwait<Op> {
 public:
  bool ready() {
    if (!Loop::current().spend()) {
      starved_ = true;
      return false;
    }
    return once();
  }

  std::coroutine_handle<> start(Completion completion) {
    outcome_.before() = completion;
    wait();
    return std::noop_coroutine();
  }

  Result<T> take() { return outcome_.result(); }
  Error* error() noexcept { return outcome_.error(); }
  /// What take() answers with if there is no error: for attempt(). Whoever overrides one of the two
  /// overrides both.
  std::add_rvalue_reference_t<T> value() { return outcome_.value(); }
  const Awaited* awaited() const noexcept { return this; }

  void run() final;

 protected:
  Trying() = default;
  /// Only what was not yet asked whether it is ready may move.
  Trying(Trying&& other) noexcept : Runnable(std::move(other)), CoAwait<Op>(other) {
    detail::assert_waiting(!other.starved_ && other.outcome_.is_open() && !other.listed());
  }
  ~Trying() = default;

 private:
  [[gnu::noinline]] bool once();
  void wait();
  Op& self() { return static_cast<Op&>(*this); }

  [[no_unique_address]] detail::Outcome<T, Completion> outcome_;  // before: who continues
  bool starved_ = false;
};

// Not in the class, where they would be inline: of what the library waits for itself, the library
// has them (`extern template`), and no program compiles them again.

template <class Op, class T>
void Trying<Op, T>::run() {
  const Completion completion = outcome_.before();
  if (once()) {
    completion().resume();
  } else {
    wait();
  }
}

template <class Op, class T>
bool Trying<Op, T>::once() {
  Result<T> answer = self().attempt_once();
  if (!answer && answer.error() == Fault::would_block) return false;
  outcome_.put(std::move(answer));
  return true;
}

template <class Op, class T>
void Trying<Op, T>::wait() {
  if (starved_) {
    starved_ = false;
    Loop::current().schedule(*this);
  } else {
    self().park();
  }
}

}  // namespace koine
