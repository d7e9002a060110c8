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
#include <source_location>
#include <type_traits>
#include <utility>

#include "koine/async/frame_pool.h"
#include "koine/async/operation.h"

namespace koine {

namespace detail {

/// A task is awaited once.
inline void assert_not_awaited([[maybe_unused]] bool it_has_a_frame) { assert(it_has_a_frame); }

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

/// What all coroutines of koine carry.
class PromiseBase : public Awaited {
 public:
  static void* operator new(std::size_t bytes) { return frame_pool::allocate(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept {
    frame_pool::release(frame, bytes);
  }

  std::suspend_always initial_suspend() const noexcept { return {}; }

  void completes(Completion completion) noexcept { completion_ = completion; }
  Completion completion() const noexcept { return completion_; }

 protected:
  ~PromiseBase() = default;

 private:
  Completion completion_;
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
    detail::assert_not_awaited(static_cast<bool>(frame_));
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
  /// The error of the task whose awaited() this is.
  static Error* error_of(const Awaited& awaited) noexcept
    requires is_result<T>
  {
    return const_cast<Promise&>(static_cast<const Promise&>(awaited)).error();
  }

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

template <class T>
struct ValueOfTask {
  using Type = T;
};
template <class V>
struct ValueOfTask<Result<V>> {
  using Type = V;
};

/// What a coroutine waits for, and where.
struct Waiting {
  const Awaited* awaited = nullptr;
  std::source_location where;
};

/// How a coroutine answers. It is no part of a class with virtual functions: the name of one for
/// each T would be in every program.
template <class Promise, class T>
class Returns {
 public:
  template <class U = T>
    requires std::constructible_from<T, U&&>
  void return_value(U&& answer) {
    auto& outcome = static_cast<Promise&>(*this).outcome_;
    if constexpr (is_result<T>) {
      outcome.put(T(std::forward<U>(answer)));
    } else {
      outcome.put_value(std::forward<U>(answer));
    }
  }
};
template <class Promise>
class Returns<Promise, void> {
 public:
  void return_void() noexcept { static_cast<Promise&>(*this).outcome_.put_value(); }
};

}  // namespace detail

/// Holds what the coroutine waits for; then the answer, until it is taken, or what was thrown
/// instead.
template <class T>
class Task<T>::Promise final : public PromiseBase,
                               public detail::Returns<typename Task<T>::Promise, T> {
 public:
  Task get_return_object() { return Task(std::coroutine_handle<Promise>::from_promise(*this)); }
  detail::FinalAwait final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { outcome_.put_thrown(std::current_exception()); }

  /// Notes the place of each co_await; it costs a store, and a stuck program can tell where it is.
  template <class Awaitable>
  detail::Lent<Awaitable> await_transform(
      Awaitable&& awaitable,
      std::source_location where = std::source_location::current()) noexcept {
    outcome_.before().where = where;
    return static_cast<detail::Lent<Awaitable>>(awaitable);
  }

  void awaits(const Awaited* what) noexcept { outcome_.before().awaited = what; }
  const Awaited* inner() const override {
    return outcome_.is_open() ? outcome_.before().awaited : nullptr;
  }
  std::source_location where() const override {
    return outcome_.is_open() ? outcome_.before().where : std::source_location();
  }

  T take() {
    if (threw()) std::rethrow_exception(outcome_.thrown());
    if constexpr (is_result<T>) {
      return outcome_.result();
    } else {
      return static_cast<T>(outcome_.value());
    }
  }
  Error* error() noexcept
    requires is_result<T>
  {
    return outcome_.error();
  }
  bool threw() const noexcept { return outcome_.has_thrown(); }

 private:
  friend class detail::Returns<Promise, T>;

  detail::Outcome<typename detail::ValueOfTask<T>::Type, detail::Waiting, std::exception_ptr>
      outcome_;
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

  bool await_ready() { return op_.ready() && op_.error() == nullptr; }

  template <class Promise>
  detail::Transfer await_suspend(std::coroutine_handle<Promise> caller) {
    static_assert(
        requires { caller.promise().error(); },
        "attempt() needs a coroutine that returns Io<...>: it leaves with the error");
    Promise& promise = caller.promise();
    if (Error* error = op_.error()) return detail::transfer(leave(promise, *error));
    promise.awaits(op_.awaited());
    return detail::transfer(op_.start({&Attempt::next<Promise>, &promise}));
  }

  typename AnswerOf<Op>::value_type await_resume() {
    if constexpr (requires { op_.value(); }) {
      return op_.value();  // without a whole answer on the way, for which the frame would have room
    } else {
      auto&& answer = op_.take();
      if constexpr (!std::is_void_v<typename AnswerOf<Op>::value_type>) return std::move(*answer);
    }
  }

 private:
  // Finds the operation from what the promise notes of it: there is one of these in each frame.
  template <class Promise>
  static std::coroutine_handle<> next(void* who) noexcept {
    auto& promise = *static_cast<Promise*>(who);
    Error* error = error_of(*promise.inner());
    promise.awaits(nullptr);
    if (error == nullptr) return std::coroutine_handle<Promise>::from_promise(promise);
    return leave(promise, *error);
  }
  template <class Promise>
  static std::coroutine_handle<> leave(Promise& promise, Error& error) {
    promise.return_value(std::unexpected(std::move(error)));
    return promise.completion()();
  }
  static Error* error_of(const Awaited& awaited) {
    if constexpr (requires { Op::error_of(awaited); }) {
      return Op::error_of(awaited);
    } else {
      return const_cast<Op&>(static_cast<const Op&>(awaited)).error();
    }
  }

  Op& op_;
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
