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
  ~Function() {
    if (held_ != nullptr) held_->kind.destroy(held_);
  }

  R operator()(Arguments... arguments) const {
    return held_->kind.call(*held_, std::forward<Arguments>(arguments)...);
  }

  explicit operator bool() const { return held_ != nullptr; }

 private:
  struct Callable;

  // Two pointers instead of virtual functions, whose classes' names would be in every program.
  struct Kind {
    R (*call)(Callable& callable, Arguments&&... arguments);
    void (*destroy)(Callable* callable) noexcept;
  };
  struct Callable {
    const Kind& kind;
  };

  template <class F>
  struct Held : Callable {
    explicit Held(F&& f) : Callable{kind_of_held}, callable(std::move(f)) {}
    explicit Held(const F& f) : Callable{kind_of_held}, callable(f) {}

    static R call(Callable& held, Arguments&&... arguments) {
      F& callable = static_cast<Held&>(held).callable;
      if constexpr (std::is_void_v<R>) {
        static_cast<void>(callable(std::forward<Arguments>(arguments)...));
      } else {
        return callable(std::forward<Arguments>(arguments)...);
      }
    }
    static void destroy(Callable* held) noexcept { delete static_cast<Held*>(held); }
    static constexpr Kind kind_of_held{&call, &destroy};

    F callable;
  };

  Callable* held_ = nullptr;
};

}  // namespace koine
