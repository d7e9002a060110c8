// Task: a coroutine that starts when awaited and answers once. Io: a task that can fail.
//
// A task is lazy: calling the function only makes it. Moving it hands it over, awaiting it runs it,
// destroying it cancels it: its frame goes, its locals are destroyed, and every wait below it
// leaves the list it was in. So cancelling works at every co_await, at once, and cannot be missed.
//
// An exception that leaves the coroutine is rethrown where the task is awaited. koine itself throws
// none.
#pragma once

#include <cassert>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <source_location>
#include <type_traits>
#include <utility>

#include "koine/async/frame_pool.h"
#include "koine/async/operation.h"

namespace koine {

namespace detail {

// What is awaited stays where it is. g++ 12 copies an awaiter that await_transform() returns by
// reference; there it is lent through one that may be copied.
#ifdef __clang__
template <class Awaitable>
using Lent = Awaitable&;
#else
template <class Awaitable>
class Lent {
 public:
  explicit Lent(Awaitable& awaitable) : awaitable_(awaitable) {}
  bool await_ready() { return awaitable_.await_ready(); }
  template <class Promise>
  auto await_suspend(std::coroutine_handle<Promise> caller) {
    return awaitable_.await_suspend(caller);
  }
  decltype(auto) await_resume() { return awaitable_.await_resume(); }

 private:
  std::remove_reference_t<Awaitable>& awaitable_;
};
#endif

}  // namespace detail

/// What all coroutines of koine carry: who continues, and what they wait for.
class PromiseBase : public Awaited {
 public:
  static void* operator new(std::size_t bytes) { return frame_pool::allocate(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept {
    frame_pool::release(frame, bytes);
  }

  std::suspend_always initial_suspend() const noexcept { return {}; }

  /// Notes the place of each co_await; it costs a store, and a stuck program can tell where it is.
  template <class Awaitable>
  detail::Lent<Awaitable> await_transform(
      Awaitable&& awaitable,
      std::source_location where = std::source_location::current()) noexcept {
    where_ = where;
    return static_cast<detail::Lent<Awaitable>>(awaitable);
  }

  void awaits(const Awaited* what) noexcept { awaiting_ = what; }
  void completes(Completion completion) noexcept { completion_ = completion; }
  Completion completion() const noexcept { return completion_; }

  const Awaited* inner() const override { return awaiting_; }
  std::source_location where() const override { return where_; }

 protected:
  ~PromiseBase() = default;

 private:
  Completion completion_;
  const Awaited* awaiting_ = nullptr;
  std::source_location where_;
};

template <class T>
class [[nodiscard]] Task : public CoAwait<Task<T>> {
 public:
  using Answer = T;
  class Promise;
  using promise_type = Promise;

  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  /// Cancels what it held before.
  Task& operator=(Task&& other) noexcept {
    Task before(std::exchange(frame_, std::exchange(other.frame_, {})));
    return *this;
  }
  ~Task() {
    if (frame_) frame_.destroy();
  }

  // As an operation (see operation.h); users just co_await.
  bool ready() const noexcept { return false; }
  std::coroutine_handle<> start(Completion completion) noexcept {
    assert(frame_ && "a task is awaited once");
    frame_.promise().completes(completion);
    return frame_;
  }
  /// The answer. The frame is gone on return, and with it whatever the coroutine still held.
  T take() {
    const Task over(std::move(*this));
    return over.frame_.promise().take();
  }
  Error* error() noexcept
    requires is_result<T>
  {
    return frame_.promise().error();
  }
  bool threw() const noexcept { return frame_.promise().threw(); }
  const Awaited* awaited() const noexcept { return frame_ ? &frame_.promise() : nullptr; }

 private:
  friend class Promise;
  explicit Task(std::coroutine_handle<Promise> frame) : frame_(frame) {}

  std::coroutine_handle<Promise> frame_;
};

/// A task whose answer may be an error.
template <class T>
using Io = Task<Result<T>>;

namespace detail {

struct FinalAwait {
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  Transfer await_suspend(std::coroutine_handle<Promise> frame) const noexcept {
    return transfer(frame.promise().completion()());
  }
  void await_resume() const noexcept {}
};

/// The part of a promise that holds the answer, until it is taken, or what was thrown instead.
template <class T>
class Holds {
 public:
  Holds() noexcept {}
  Holds(const Holds&) = delete;
  Holds& operator=(const Holds&) = delete;
  ~Holds() { clear(); }

  template <class U = T>
    requires std::constructible_from<T, U&&>
  void return_value(U&& answer) {
    std::construct_at(&answer_, std::forward<U>(answer));
    held_ = Held::answer;
  }

  T take() {
    if (threw()) std::rethrow_exception(thrown_);
    assert(held_ == Held::answer && "the task is not over");
    return std::move(answer_);
  }

  Error* error() noexcept
    requires is_result<T>
  {
    return held_ == Held::answer && !answer_.has_value() ? &answer_.error() : nullptr;
  }

  void unhandled_exception() noexcept {
    clear();  // a destructor may have thrown after the answer was given
    std::construct_at(&thrown_, std::current_exception());
    held_ = Held::exception;
  }
  bool threw() const noexcept { return held_ == Held::exception; }

 private:
  enum class Held : std::uint8_t { nothing, answer, exception };

  void clear() noexcept {
    if (held_ == Held::answer) std::destroy_at(&answer_);
    if (held_ == Held::exception) std::destroy_at(&thrown_);
    held_ = Held::nothing;
  }

  union {
    T answer_;
    std::exception_ptr thrown_;
  };
  Held held_ = Held::nothing;
};

template <>
class Holds<void> {
 public:
  void return_void() noexcept {}
  void take() {
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
  }
  void unhandled_exception() noexcept { thrown_ = std::current_exception(); }
  bool threw() const noexcept { return thrown_ != nullptr; }

 private:
  std::exception_ptr thrown_;
};

}  // namespace detail

template <class T>
class Task<T>::Promise final : public PromiseBase, public detail::Holds<T> {
 public:
  Task get_return_object() { return Task(std::coroutine_handle<Promise>::from_promise(*this)); }
  detail::FinalAwait final_suspend() const noexcept { return {}; }
};

/// `co_await attempt(op)`: the value of `op`, or leave this coroutine with its error.
///
/// Leaving is like `co_return`: whoever awaits this coroutine gets the error, and its locals are
/// destroyed (when the error is taken, not before it is known). Nothing is thrown.
///
/// It refers to `op`, which lives until the end of the expression: await it there.
template <FallibleOperation Op>
class [[nodiscard]] Attempt {
 public:
  explicit Attempt(Op& op) : op_(op) {}
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  bool await_ready() {
    over_ = op_.ready();
    return over_ && op_.error() == nullptr;
  }

  template <class Promise>
  detail::Transfer await_suspend(std::coroutine_handle<Promise> caller) {
    static_assert(
        requires { caller.promise().error(); },
        "attempt() needs a coroutine that returns Io<...>: it leaves with the error");
    promise_ = &caller.promise();
    if (over_) return detail::transfer(next<Promise>(this));
    caller.promise().awaits(op_.awaited());
    return detail::transfer(op_.start({&Attempt::next<Promise>, this}));
  }

  auto await_resume() {
    auto&& answer = op_.take();
    if constexpr (!std::is_void_v<typename AnswerOf<Op>::value_type>) return std::move(*answer);
  }

 private:
  template <class Promise>
  static std::coroutine_handle<> next(void* who) noexcept {
    auto& attempt = *static_cast<Attempt*>(who);
    auto& promise = *static_cast<Promise*>(attempt.promise_);
    promise.awaits(nullptr);
    Error* error = attempt.op_.error();
    if (error == nullptr) return std::coroutine_handle<Promise>::from_promise(promise);
    promise.return_value(std::unexpected(std::move(*error)));
    return promise.completion()();
  }

  Op& op_;
  void* promise_ = nullptr;
  bool over_ = false;
};

template <class Op>
  requires(!std::is_lvalue_reference_v<Op> && FallibleOperation<Op>)
Attempt<Op> attempt(Op&& op) {
  return Attempt<Op>(op);
}

/// The same for a result that is there already, so that attempt() serves plain functions as well.
template <class T>
class [[nodiscard]] AttemptResult {
 public:
  explicit AttemptResult(Result<T> result) : result_(std::move(result)) {}
  bool await_ready() const noexcept { return result_.has_value(); }
  template <class Promise>
  detail::Transfer await_suspend(std::coroutine_handle<Promise> caller) {
    caller.promise().return_value(std::unexpected(std::move(result_.error())));
    return detail::transfer(caller.promise().completion()());
  }
  T await_resume() {
    if constexpr (!std::is_void_v<T>) return std::move(*result_);
  }

 private:
  Result<T> result_;
};

template <class T>
AttemptResult<T> attempt(Result<T> result) {
  return AttemptResult<T>(std::move(result));
}

}  // namespace koine
