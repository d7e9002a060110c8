// What can be awaited, and the small protocol that everything awaited speaks.
//
// An operation is made, perhaps moved, then started once. Before starting it is asked whether it is
// `ready()`: what can be done at once is done there and never suspends. Otherwise
// `start(completion)` begins it, and when it is over it calls the completion, which answers with
// the coroutine to resume. Destroying an operation cancels it: it leaves every list it is in, and
// the completion is not called.
//
// The protocol is what lets attempt(), within(), all() and Scope wrap an operation without a
// coroutine frame of their own.
#pragma once

#include <concepts>
#include <coroutine>
#include <source_location>
#include <string>
#include <utility>

#include "koine/base/error.h"
#include "koine/base/list.h"

namespace koine {

/// What is being waited for, in the words of an error: "read", "tcp://10.0.0.7:80".
struct Activity {
  const char* operation = "";
  std::string peer;
};

/// Something that somebody waits for; it can say what it is, for errors and for the task dump.
class Awaited {
 public:
  /// What it does itself; an empty operation if `inner()` says it better.
  virtual Activity activity() const { return {}; }

  /// What it waits for in turn; null at the end of the chain.
  virtual const Awaited* inner() const { return nullptr; }

  /// Where in the source it waits; line 0 if it is no coroutine.
  virtual std::source_location where() const { return {}; }

 protected:
  ~Awaited() = default;
};

/// Who continues when an operation is over.
struct Completion {
  using Next = std::coroutine_handle<> (*)(void* who) noexcept;

  Next next = nullptr;
  void* who = nullptr;

  /// Says that it is over; resume what comes back.
  std::coroutine_handle<> operator()() const noexcept { return next(who); }
};

/// What a Loop runs when its turn comes. It may wait in one list at a time: of a loop, a timer
/// wheel, or of whatever it waits for.
class Runnable : public Awaited, public ListNode {
 public:
  virtual void run() = 0;

 protected:
  Runnable() = default;
  Runnable(Runnable&&) = default;
  ~Runnable() = default;
};

template <class Op>
concept Operation = std::move_constructible<Op> && requires(Op& op, Completion completion) {
  { op.ready() } -> std::same_as<bool>;
  { op.start(completion) } -> std::same_as<std::coroutine_handle<>>;
  { op.awaited() } -> std::same_as<const Awaited*>;
  op.take();
};

/// What an operation answers with.
template <class Op>
using AnswerOf = decltype(std::declval<Op&>().take());

template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<Result<T>> = true;

/// An operation that can fail: it can show its error before it is taken.
template <class Op>
concept FallibleOperation = Operation<Op> && is_result<AnswerOf<Op>> && requires(Op& op) {
  { op.error() } -> std::same_as<Error*>;
};

class PromiseBase;

/// Makes an operation awaitable: derive from CoAwait<Op>.
template <class Op>
class CoAwait {
 public:
  bool await_ready() { return self().ready(); }

  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> caller) {
    if constexpr (std::derived_from<Promise, PromiseBase>) {
      Promise& promise = caller.promise();
      promise.awaits(self().awaited());
      return self().start({[](void* who) noexcept -> std::coroutine_handle<> {
                             auto& waiting = *static_cast<Promise*>(who);
                             waiting.awaits(nullptr);
                             return std::coroutine_handle<Promise>::from_promise(waiting);
                           },
                           &promise});
    } else {
      return self().start(
          {[](void* who) noexcept { return std::coroutine_handle<>::from_address(who); },
           caller.address()});
    }
  }

  decltype(auto) await_resume() { return self().take(); }

 private:
  Op& self() { return static_cast<Op&>(*this); }
};

}  // namespace koine
