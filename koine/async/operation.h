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

#include <cassert>
#include <concepts>
#include <coroutine>
#include <cstdint>
#include <new>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>

#include "koine/base/error.h"
#include "koine/base/list.h"

namespace koine {

/// What is being waited for, in the words of an error: "read", "tcp://10.0.0.7:80".
struct Activity {
  const char* operation = "";
  std::string peer;
};

class Root;
class AwaitedVisitor;

/// Something that somebody waits for; it can say what it is, for errors and for the task dump.
class Awaited {
 public:
  /// What it does itself; an empty operation if `inner()` says it better.
  virtual Activity activity() const { return {}; }

  /// What it waits for in turn; null at the end of the chain. The first if there are several.
  virtual const Awaited* inner() const { return nullptr; }

  /// Shows all that it waits for in turn; only what waits for several things at once overrides it.
  virtual void visit_inner(AwaitedVisitor& visitor) const;

  /// Where in the source it waits; line 0 if it is no coroutine.
  virtual std::source_location where() const { return {}; }

 protected:
  ~Awaited() = default;
};

namespace detail {

// A coroutine that stops hands over to the next one. Clang jumps there, whatever the flags say. GCC
// does so only when it optimises and calls it otherwise, so that a loop over tasks which never wait
// would fill the stack. There the next one is noted instead, for whoever resumed the one that
// stops.
#ifdef __clang__
using Transfer = std::coroutine_handle<>;
inline Transfer transfer(std::coroutine_handle<> next) noexcept { return next; }
#else
inline constinit thread_local std::coroutine_handle<> noted;
using Transfer = void;
inline Transfer transfer(std::coroutine_handle<> next) noexcept { noted = next; }
#endif

}  // namespace detail

/// A coroutine that is about to go on.
class Continuation {
 public:
  Continuation(std::coroutine_handle<> next) noexcept : next_(next) {}  // NOLINT
  operator std::coroutine_handle<>() const noexcept { return next_; }   // NOLINT

  /// Runs it, and all that it hands over to, until somebody waits. Nobody but this resumes a
  /// coroutine of koine's.
  void resume() const {
#ifdef __clang__
    next_.resume();
#else
    std::coroutine_handle<> next = next_;
    while (next) {
      next.resume();
      next = std::exchange(detail::noted, {});
    }
#endif
  }

 private:
  std::coroutine_handle<> next_;
};

class AwaitedVisitor {
 public:
  virtual void visit(const Awaited& inner) = 0;
  virtual void visit_task(const Root& task) = 0;  ///< a task of its own (see loop.h)

 protected:
  ~AwaitedVisitor() = default;
};

inline void Awaited::visit_inner(AwaitedVisitor& visitor) const {
  if (const Awaited* only = inner()) visitor.visit(*only);
}

/// Who continues when an operation is over.
struct Completion {
  using Next = std::coroutine_handle<> (*)(void* who) noexcept;

  Next next = nullptr;
  void* who = nullptr;

  /// Says that it is over; resume what comes back. The operation may not exist any more when that
  /// returns.
  Continuation operator()() const noexcept { return next(who); }
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

/// True if taking the answer of `op` will throw; operations that know nothing of exceptions do not.
template <class Op>
bool threw(const Op& op) noexcept {
  if constexpr (requires { op.threw(); }) return op.threw();
  return false;
}

/// What an operation answers with. take() may hand it over where it is, as an rvalue reference.
template <class Op>
using AnswerOf = std::remove_reference_t<decltype(std::declval<Op&>().take())>;

template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<Result<T>> = true;

namespace detail {

/// What is returned if it may fail, too.
template <class T>
struct AsResult {
  using Type = Result<T>;
};
template <class T>
struct AsResult<Result<T>> {
  using Type = Result<T>;
};

}  // namespace detail

/// An operation that can fail: it can show its error before it is taken. There is none until it is
/// over.
template <class Op>
concept FallibleOperation = Operation<Op> && is_result<AnswerOf<Op>> && requires(Op& op) {
  { op.error() } -> std::same_as<Error*>;
};

namespace detail {

// The assertions of templates: each by itself would carry the names of all its types into every
// program.
inline void assert_waiting([[maybe_unused]] bool it_waits) { assert(it_waits); }
inline void assert_over([[maybe_unused]] bool it_is_over) { assert(it_is_over); }

struct Nothing {};

/// How something ended: a value, an error or what was thrown; `Before` in the same memory as long
/// as it has not. What waits exists by the ten thousand, so this is smaller than its parts.
template <class T, class Before, class Thrown = Nothing>
class Outcome {
 public:
  Outcome() noexcept { ::new (static_cast<void*>(&before_)) Before(); }
  Outcome(const Outcome&) = delete;
  Outcome& operator=(const Outcome&) = delete;
  ~Outcome() { clear(); }

  bool is_open() const { return held_ == Held::before; }
  Before& before() {
    assert_waiting(is_open());
    return before_;
  }
  const Before& before() const {
    assert_waiting(is_open());
    return before_;
  }

  template <class... Arguments>
  void put_value(Arguments&&... arguments) {
    ::new (static_cast<void*>(&value_)) Value(std::forward<Arguments>(arguments)...);
    held_ = Held::value;
  }
  void put(Result<T>&& result) {
    if (!result) {
      ::new (static_cast<void*>(&error_)) Error(std::move(result.error()));
      held_ = Held::error;
    } else if constexpr (std::is_void_v<T>) {
      put_value();
    } else {
      put_value(*std::move(result));
    }
  }
  /// Instead of an answer that was there already, too.
  void put_thrown(Thrown thrown) noexcept {
    clear();
    ::new (static_cast<void*>(&thrown_)) Thrown(std::move(thrown));
    held_ = Held::thrown;
  }

  bool has_thrown() const { return held_ == Held::thrown; }
  const Thrown& thrown() const { return thrown_; }
  Error* error() { return held_ == Held::error ? &error_ : nullptr; }
  std::add_rvalue_reference_t<T> value() {
    assert_over(held_ == Held::value);
    if constexpr (!std::is_void_v<T>) return std::move(value_);
  }
  Result<T> result() {
    if (held_ == Held::error) return std::unexpected(std::move(error_));
    assert_over(held_ == Held::value);
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return std::move(value_);
    }
  }

 private:
  using Value = std::conditional_t<std::is_void_v<T>, Nothing, T>;
  enum class Held : std::uint8_t { before, value, error, thrown };
  static_assert(std::is_trivially_destructible_v<Before>);

  void clear() noexcept {
    if (held_ == Held::value) value_.~Value();
    if (held_ == Held::error) error_.~Error();
    if (held_ == Held::thrown) thrown_.~Thrown();
  }

  union {
    Before before_;
    Value value_;
    Error error_;
    Thrown thrown_;
  };
  Held held_ = Held::before;
};

}  // namespace detail

class PromiseBase;

/// Makes an operation awaitable: derive from CoAwait<Op>.
template <class Op>
class CoAwait {
 public:
  bool await_ready() { return self().ready(); }

  template <class Promise>
  detail::Transfer await_suspend(std::coroutine_handle<Promise> caller) {
    if constexpr (std::derived_from<Promise, PromiseBase>) {
      Promise& promise = caller.promise();
      promise.awaits(self().awaited());
      return detail::transfer(self().start({[](void* who) noexcept -> std::coroutine_handle<> {
                                              auto& waiting = *static_cast<Promise*>(who);
                                              waiting.awaits(nullptr);
                                              return std::coroutine_handle<Promise>::from_promise(
                                                  waiting);
                                            },
                                            &promise}));
    } else {  // a coroutine of somebody else's, resumed by rules of its own
      const Completion completion{
          [](void* who) noexcept { return std::coroutine_handle<>::from_address(who); },
          caller.address()};
#ifdef __clang__
      return self().start(completion);
#else
      Continuation(self().start(completion)).resume();
#endif
    }
  }

  auto await_resume() { return self().take(); }

 private:
  Op& self() { return static_cast<Op&>(*this); }
};

}  // namespace koine
