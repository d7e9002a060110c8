// all and first_of: several operations at once, in one task.
//
//     auto [name, age] = co_await attempt(all(ask_name(), ask_age()));   // both, or the first
//     error auto answer = co_await first_of(reader.line(), sleep(1s));         // whoever is first
#pragma once

#include <array>
#include <optional>
#include <tuple>
#include <variant>

#include "koine/async/loop.h"
#include "koine/async/operation.h"

namespace koine {

namespace detail {

/// void in a tuple or variant.
template <class T>
using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class Op>
Stored<AnswerOf<Op>> take_stored(Op& op) {
  if constexpr (std::is_void_v<AnswerOf<Op>>) {
    op.take();
    return {};
  } else {
    return op.take();
  }
}

template <class T>
struct ValueOf {
  using Type = Stored<T>;
};
template <class T>
struct ValueOf<Result<T>> {
  using Type = Stored<T>;
};

/// Starts several operations and hears from each. It tells its user, once, when it is enough: never
/// from inside one of the operations, so that the others can be destroyed.
template <class Self, class... Ops>
class Several : public Runnable {
 public:
  Several(Ops... ops) : ops_(std::optional<Ops>(std::move(ops))...) {}  // NOLINT
  Several(Several&&) = default;

  bool ready() const noexcept { return false; }
  std::coroutine_handle<> start(Completion completion) {
    completion_ = completion;
    begin(std::index_sequence_for<Ops...>());
    return std::noop_coroutine();
  }
  const Awaited* awaited() const noexcept { return this; }
  const Awaited* inner() const override {
    const Awaited* first = nullptr;
    std::size_t index = 0;
    std::apply([&](const auto&... op) { ((look(op, index++, first)), ...); }, ops_);
    return first;
  }
  void run() override { completion_().resume(); }

 protected:
  ~Several() = default;

  void enough() {
    if (!listed()) Loop::current().schedule(*this);
  }

  std::tuple<std::optional<Ops>...> ops_;
  std::array<bool, sizeof...(Ops)> over_{};

 private:
  template <std::size_t... I>
  void begin(std::index_sequence<I...>) {
    (begin_one<I>(), ...);
  }
  template <std::size_t I>
  void begin_one() {
    auto& op = *std::get<I>(ops_);
    if (op.ready()) {
      heard<I>(this);
    } else {
      op.start({[](void* who) noexcept -> std::coroutine_handle<> {
                  heard<I>(who);
                  return std::noop_coroutine();
                },
                this})
          .resume();
    }
  }
  template <std::size_t I>
  static void heard(void* who) noexcept {
    auto& several = *static_cast<Several*>(who);
    several.over_[I] = true;
    static_cast<Self&>(several).template over<I>();
  }
  template <class Op>
  void look(const std::optional<Op>& op, std::size_t index, const Awaited*& first) const {
    if (first == nullptr && op && !over_[index]) first = op->awaited();
  }

  Completion completion_;
};

}  // namespace detail

/// All of them, side by side: a tuple of their values, or the first error, which cancels the rest.
template <Operation... Ops>
class [[nodiscard]] All final : public detail::Several<All<Ops...>, Ops...>,
                                public CoAwait<All<Ops...>> {
 public:
  using Values = std::tuple<typename detail::ValueOf<AnswerOf<Ops>>::Type...>;
  using Base = detail::Several<All, Ops...>;
  using Base::Base;
  All(All&&) = default;

  template <std::size_t I>
  void over() {
    auto& op = *std::get<I>(this->ops_);
    if constexpr (is_result<decltype(op.take())>) {
      if (Error* error = op.error(); error != nullptr && !error_) {
        error_ = std::move(*error);
        this->enough();
      }
    }
    if (++heard_ == sizeof...(Ops)) this->enough();
  }

  Result<Values> take() {
    if (error_) {
      std::apply([](auto&... op) { (op.reset(), ...); }, this->ops_);
      return std::unexpected(std::move(*error_));
    }
    return std::apply([](auto&... op) { return Values{value(*op)...}; }, this->ops_);
  }
  Error* error() noexcept { return error_ ? &*error_ : nullptr; }

 private:
  template <class Op>
  static typename detail::ValueOf<AnswerOf<Op>>::Type value(Op& op) {
    if constexpr (is_result<AnswerOf<Op>>) {
      auto answer = op.take();
      if constexpr (std::is_void_v<typename AnswerOf<Op>::value_type>) {
        return {};
      } else {
        return std::move(*answer);
      }
    } else {
      return detail::take_stored(op);
    }
  }

  std::size_t heard_ = 0;
  std::optional<Error> error_;
};

/// Whichever is over first: a variant whose index says which. The others are cancelled.
template <Operation... Ops>
class [[nodiscard]] FirstOf final : public detail::Several<FirstOf<Ops...>, Ops...>,
                                    public CoAwait<FirstOf<Ops...>> {
 public:
  using Answer = std::variant<detail::Stored<AnswerOf<Ops>>...>;
  using Base = detail::Several<FirstOf, Ops...>;
  using Base::Base;
  FirstOf(FirstOf&&) = default;

  template <std::size_t I>
  void over() {
    if (winner_ < sizeof...(Ops)) return;
    winner_ = I;
    this->enough();
  }

  Answer take() { return take_winner<0>(); }

 private:
  template <std::size_t I>
  Answer take_winner() {
    if constexpr (I + 1 < sizeof...(Ops)) {
      if (winner_ != I) return take_winner<I + 1>();
    }
    Answer answer(std::in_place_index<I>, detail::take_stored(*std::get<I>(this->ops_)));
    std::apply([](auto&... op) { (op.reset(), ...); }, this->ops_);
    return answer;
  }

  std::size_t winner_ = sizeof...(Ops);
};

template <Operation... Ops>
All<Ops...> all(Ops... ops) {
  return All<Ops...>(std::move(ops)...);
}

template <Operation... Ops>
FirstOf<Ops...> first_of(Ops... ops) {
  return FirstOf<Ops...>(std::move(ops)...);
}

}  // namespace koine
