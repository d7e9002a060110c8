// Letting time pass, and letting others go first.
#pragma once

#include "koine/async/loop.h"

namespace koine {

/// `co_await sleep(20ms)`: continues when that much time has passed on this loop's clock since it
/// was awaited. Zero or less continues in the loop's next turn.
class [[nodiscard]] Sleep final : public Timer, public CoAwait<Sleep> {
 public:
  explicit Sleep(Duration duration) : duration_(duration) {}
  explicit Sleep(Instant until) : until_(until) {}
  Sleep(Sleep&&) = default;

  bool ready() const noexcept { return false; }
  std::coroutine_handle<> start(Completion completion) {
    completion_ = completion;
    Loop& loop = Loop::current();
    loop.arm(*this, until_ ? *until_ : later(loop.now(), duration_));
    return std::noop_coroutine();
  }
  void take() const noexcept {}
  const Awaited* awaited() const noexcept { return this; }

  void run() override { completion_().resume(); }
  Activity activity() const override { return {"sleep", {}}; }

 private:
  Duration duration_{};
  std::optional<Instant> until_;
  Completion completion_;
};

inline Sleep sleep(Duration duration) { return Sleep(duration); }
inline Sleep sleep_until(Instant until) { return Sleep(until); }

/// `co_await yield()`: continues after all that is ready now.
class [[nodiscard]] Yield final : public Runnable, public CoAwait<Yield> {
 public:
  Yield() = default;
  Yield(Yield&&) = default;
  bool ready() const noexcept { return false; }
  std::coroutine_handle<> start(Completion completion) {
    completion_ = completion;
    Loop::current().schedule(*this);
    return std::noop_coroutine();
  }
  void take() const noexcept {}
  const Awaited* awaited() const noexcept { return this; }

  void run() override { completion_().resume(); }
  Activity activity() const override { return {"yield", {}}; }

 private:
  Completion completion_;
};

inline Yield yield() { return {}; }

}  // namespace koine
