// Scope: the owner of tasks that run side by side.
//
// A scope never ends before its children: leaving it cancels those that still run. There is no way
// to let a task go on without an owner.
//
//     Scope scope;
//     scope.spawn(copy, std::ref(*left), std::ref(*right));
//     scope.spawn(copy, std::ref(*right), std::ref(*left));
//     co_await attempt(scope.join());        // both, or the first error, and then neither
#pragma once

#include <exception>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

#include "koine/async/loop.h"
#include "koine/async/task.h"
#include "koine/async/wait.h"

namespace koine {

class Join;
class Scope;

struct InScope : ListNode {};

/// One child: it is started by the loop, and tells its scope when it is over.
class Child : public Root, public InScope {
 public:
  virtual ~Child() = default;
  std::source_location spawned_at() const final { return spawned_at_; }

 protected:
  friend class Scope;
  void over() noexcept;
  void failed(Error error) noexcept;
  void threw(std::exception_ptr thrown) noexcept;

  Scope* scope_ = nullptr;
  std::source_location spawned_at_;
};

namespace detail {

/// True if calling F moves every argument into the coroutine: a plain function whose parameters are
/// values of the arguments' own types, or non-const lvalue references, which only std::ref can bind
/// here. (A std::string given for a string_view would be moved nowhere.)
template <class F, class... Arguments>
inline constexpr bool keeps_its_arguments = false;
template <class R, class... Parameters, class... Arguments>
  requires(sizeof...(Parameters) == sizeof...(Arguments))
inline constexpr bool keeps_its_arguments<R (*)(Parameters...), Arguments...> =
    ((std::is_same_v<Parameters, Arguments> ||
      (std::is_lvalue_reference_v<Parameters> &&
       !std::is_const_v<std::remove_reference_t<Parameters>>)) &&
     ...);

}  // namespace detail

class Scope {
 public:
  Scope() : Scope(Loop::current()) {}
  explicit Scope(Loop& loop) : loop_(loop), reaper_(*this) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  /// Cancels the children that still run. A child must not destroy its own scope.
  ~Scope();

  /// Starts `task` in this turn. What it uses it has to own, or has to outlive the scope.
  template <class T>
  void spawn(Task<T> task, std::source_location where = std::source_location::current()) {
    adopt(new (frame_pool::allocate(sizeof(Spawned<T>))) Spawned<T>(std::move(task)), where);
  }

  /// Starts `function(arguments...)`. The task owns function and arguments, as a std::thread does;
  /// what it merely borrows is spelled std::ref at the call.
  template <class F, class... Arguments>
    requires std::is_invocable_v<F&, Arguments...>
  void spawn(F function, Arguments... arguments) {
    if constexpr (detail::keeps_its_arguments<F, Arguments...>) {
      spawn(function(std::move(arguments)...), std::source_location());
    } else {
      spawn(call(std::move(function), std::move(arguments)...), std::source_location());
    }
  }

  /// How many children are not over.
  std::size_t running() const { return running_; }

  /// Cancels all children, in the loop's next round; any of them may call it.
  void cancel() {
    if (running_ != 0) loop_.schedule(reaper_);
  }

  /// Waits until no child runs: the first error, or success. An exception that left a child is
  /// rethrown. One task may wait at a time. Afterwards the scope can be used again.
  Join join();

 private:
  friend class Child;
  friend class Join;

  template <class T>
  class Spawned;

  template <class F, class... Arguments>
  static auto call(F function, Arguments... arguments) -> std::invoke_result_t<F&, Arguments...> {
    auto task = function(std::move(arguments)...);
    co_return co_await task;
  }

  class Reaper final : public Runnable {
   public:
    explicit Reaper(Scope& scope) : scope_(scope) {}
    void run() override { scope_.reap(); }

   private:
    Scope& scope_;
  };

  void adopt(Child* child, std::source_location where);
  void reap();
  void ended(Child& child) noexcept;

  Loop& loop_;
  List<Child, InScope> children_;
  std::size_t running_ = 0;
  std::optional<Error> error_;
  std::exception_ptr thrown_;
  WaitList joining_;
  Reaper reaper_;
};

template <class T>
class Scope::Spawned final : public Child {
 public:
  explicit Spawned(Task<T> task) : task_(std::move(task)) {}

  static void operator delete(void* child) noexcept { frame_pool::release(child, sizeof(Spawned)); }

  void run() override {
    Continuation(task_.start({[](void* who) noexcept -> std::coroutine_handle<> {
                                static_cast<Spawned*>(who)->finished();
                                return std::noop_coroutine();
                              },
                              this}))
        .resume();
  }
  const Awaited* awaited() const override { return task_.awaited(); }

 private:
  void finished() noexcept {
    try {
      if constexpr (is_result<T>) {
        if (T answer = task_.take(); !answer) failed(std::move(answer.error()));
      } else {
        task_.take();
      }
    } catch (...) {
      threw(std::current_exception());
    }
    over();  // destroys this
  }

  Task<T> task_;
};

/// Waits for a scope's children.
class [[nodiscard]] Join final : public Trying<Join, void> {
 public:
  explicit Join(Scope& scope) : scope_(scope) {}
  Join(Join&&) = default;

  Result<void> attempt_once();
  void park() { scope_.joining_.join(*this); }
  Activity activity() const override { return {"join", {}}; }
  void visit_inner(AwaitedVisitor& visitor) const override {
    scope_.children_.for_each([&](const Child& child) { visitor.visit_task(child); });
  }

  bool threw() const noexcept { return scope_.thrown_ != nullptr; }
  Result<void> take() {
    rethrow();
    return Trying::take();
  }
  void value() { rethrow(); }

 private:
  void rethrow() {
    if (scope_.thrown_) std::rethrow_exception(std::exchange(scope_.thrown_, nullptr));
  }

  Scope& scope_;
};

inline Join Scope::join() { return Join(*this); }

}  // namespace koine
