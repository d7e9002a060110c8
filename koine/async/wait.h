// The two kinds of waiting that most operations are made of: until something happens, and until
// trying again may help.
#pragma once

#include <optional>

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
    completion_ = completion;
    wait();
    return std::noop_coroutine();
  }

  Result<T>&& take() { return std::move(answer_); }
  Error* error() noexcept { return answer_.has_value() ? nullptr : &answer_.error(); }
  const Awaited* awaited() const noexcept { return this; }

  void run() final {
    if (once()) {
      completion_().resume();
    } else {
      wait();
    }
  }

 protected:
  Trying() = default;
  Trying(Trying&&) = default;
  ~Trying() = default;

 private:
  bool once() {
    answer_ = self().attempt_once();
    return answer_.has_value() || answer_.error() != Fault::would_block;
  }
  void wait() {
    if (starved_) {
      starved_ = false;
      Loop::current().schedule(*this);
    } else {
      self().park();
    }
  }
  Op& self() { return static_cast<Op&>(*this); }

  Result<T> answer_{std::unexpect, Fault::would_block};
  Completion completion_;
  bool starved_ = false;
};

}  // namespace koine
