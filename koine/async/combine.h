// all and first_of: several operations at once, in one task.
//
//     auto [name, age] = co_await attempt(all(ask_name(), ask_age()));  // both, or the first error
//     auto answer = co_await first_of(reader.line(), sleep(1s));        // whoever is first
//
// As soon as it is decided the others are cancelled, before anything else can happen: an item that
// one of them would have taken a moment later is still there for somebody else.
#pragma once

#include <array>
#include <exception>
#include <optional>
#include <tuple>
#include <variant>

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

/// Starts several operations and hears from each, until `Self::enough<I>()`, asked when operation I
/// is over, says that it need not hear from the others: they are destroyed.
template <class Self, class... Ops>
class Several : public Awaited {
 public:
  Several(Ops... ops) : ops_(std::optional<Ops>(std::move(ops))...) {}  // NOLINT
  Several(Several&&) = default;

  bool ready() const noexcept { return sizeof...(Ops) == 0; }
  std::coroutine_handle<> start(Completion completion) {
    completion_ = completion;
    begin(std::index_sequence_for<Ops...>());
    beginning_ = false;
    return decided_ ? completion_() : Continuation(std::noop_coroutine());
  }
  const Awaited* awaited() const noexcept { return this; }

  const Awaited* inner() const override {
    const Awaited* first = nullptr;
    each_waiting([&](const Awaited* inner) { first = first == nullptr ? inner : first; });
    return first;
  }
  void visit_inner(AwaitedVisitor& visitor) const override {
    each_waiting([&](const Awaited* inner) {
      if (inner != nullptr) visitor.visit(*inner);
    });
  }

 protected:
  ~Several() = default;

  std::tuple<std::optional<Ops>...> ops_;

 private:
  template <std::size_t... I>
  void begin(std::index_sequence<I...>) {
    (begin_one<I>(), ...);
  }
  template <std::size_t I>
  void begin_one() {
    if (decided_) return;
    auto& op = *std::get<I>(ops_);
    if (op.ready()) {
      heard<I>(this);
    } else {
      Continuation(op.start({&Several::heard<I>, this})).resume();
    }
  }

  template <std::size_t I>
  static std::coroutine_handle<> heard(void* who) noexcept {
    auto& several = *static_cast<Several*>(who);
    several.over_[I] = true;
    if (!static_cast<Self&>(several).template enough<I>()) return std::noop_coroutine();
    several.decided_ = true;
    several.cancel_others(std::index_sequence_for<Ops...>());
    if (several.beginning_) return std::noop_coroutine();
    return several.completion_();
  }
  template <std::size_t... I>
  void cancel_others(std::index_sequence<I...>) {
    ((over_[I] ? void() : std::get<I>(ops_).reset()), ...);
  }

  template <class Look>
  void each_waiting(Look&& look) const {
    std::size_t index = 0;
    std::apply(
        [&](const auto&... op) {
          ((op && !over_[index] ? look(op->awaited()) : void(), ++index), ...);
        },
        ops_);
  }

  Completion completion_;
  std::array<bool, sizeof...(Ops)> over_{};
  bool beginning_ = true;
  bool decided_ = false;
};

}  // namespace detail

/// All of them, side by side: a tuple of their values, or the first error, which cancels the rest.
/// An exception is an error here; it is rethrown.
template <Operation... Ops>
class [[nodiscard]] All final : public detail::Several<All<Ops...>, Ops...>,
                                public CoAwait<All<Ops...>> {
 public:
  using Values = std::tuple<typename detail::ValueOf<AnswerOf<Ops>>::Type...>;
  using Base = detail::Several<All, Ops...>;
  using Base::Base;
  All(All&&) = default;

  template <std::size_t I>
  bool enough() {
    auto& op = *std::get<I>(this->ops_);
    if (koine::threw(op)) {
      try {
        op.take();
      } catch (...) {
        thrown_ = std::current_exception();
      }
      return true;
    }
    if constexpr (is_result<AnswerOf<std::remove_reference_t<decltype(op)>>>) {
      if (Error* error = op.error(); error != nullptr) {
        error_ = std::move(*error);
        return true;
      }
    }
    return ++heard_ == sizeof...(Ops);
  }

  bool threw() const noexcept { return thrown_ != nullptr; }
  Error* error() noexcept { return error_ ? &*error_ : nullptr; }
  Result<Values> take() {
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    if (error_) return std::unexpected(std::move(*error_));
    return std::apply([](auto&... op) { return Values{value(*op)...}; }, this->ops_);
  }
  Activity activity() const override { return {"all", {}}; }

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
  std::exception_ptr thrown_;
};

/// Whichever is over first, be it with an error: a variant whose index says which. The others are
/// cancelled. An exception that ends the first is rethrown.
template <Operation... Ops>
class [[nodiscard]] FirstOf final : public detail::Several<FirstOf<Ops...>, Ops...>,
                                    public CoAwait<FirstOf<Ops...>> {
 public:
  static_assert(sizeof...(Ops) > 0, "the first of nothing never comes");
  using Answer = std::variant<detail::Stored<AnswerOf<Ops>>...>;
  using Base = detail::Several<FirstOf, Ops...>;
  using Base::Base;
  FirstOf(FirstOf&&) = default;

  template <std::size_t I>
  bool enough() {
    winner_ = I;
    threw_ = koine::threw(*std::get<I>(this->ops_));
    return true;
  }

  bool threw() const noexcept { return threw_; }
  Answer take() { return take_winner<0>(); }
  Activity activity() const override { return {"first of", {}}; }

 private:
  template <std::size_t I>
  Answer take_winner() {
    if constexpr (I + 1 < sizeof...(Ops)) {
      if (winner_ != I) return take_winner<I + 1>();
    }
    return Answer(std::in_place_index<I>, detail::take_stored(*std::get<I>(this->ops_)));
  }

  std::size_t winner_ = 0;
  bool threw_ = false;
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
