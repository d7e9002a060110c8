// A callable that is owned, moved and never copied: std::move_only_function without the cost of
// including <functional> everywhere.
#pragma once

#include <type_traits>
#include <utility>

namespace koine {

template <class Signature>
class Function;

/// Holds any callable that fits; empty until given one. Calling an empty one is a bug.
template <class R, class... Arguments>
class Function<R(Arguments...)> {
 public:
  Function() = default;

  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Function> &&
             std::is_invocable_r_v<R, std::decay_t<F>&, Arguments...>)
  Function(F&& callable)  // NOLINT: a callable is a function
      : held_(new Held<std::decay_t<F>>(std::forward<F>(callable))) {}
  Function(Function&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  Function& operator=(Function&& other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~Function() { delete held_; }

  R operator()(Arguments... arguments) const {
    return held_->call(std::forward<Arguments>(arguments)...);
  }

  explicit operator bool() const { return held_ != nullptr; }

 private:
  struct Callable {
    virtual ~Callable() = default;
    virtual R call(Arguments... arguments) = 0;
  };

  template <class F>
  struct Held final : Callable {
    explicit Held(F&& f) : callable(std::move(f)) {}
    explicit Held(const F& f) : callable(f) {}
    R call(Arguments... arguments) override {
      if constexpr (std::is_void_v<R>) {
        static_cast<void>(callable(std::forward<Arguments>(arguments)...));
      } else {
        return callable(std::forward<Arguments>(arguments)...);
      }
    }
    F callable;
  };

  Callable* held_ = nullptr;
};

}  // namespace koine
