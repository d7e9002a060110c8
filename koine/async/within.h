// within: a deadline on any operation.
//
//     auto line = co_await attempt(within(2s, reader.line()));
//
// When the time is up the operation is destroyed, which cancels everything below it, and the answer
// is Fault::timed_out with the words of whatever it was waiting for: "read tcp://10.0.0.7:80: timed
// out (after 2.0 s)". Deadlines nest: an outer one ends what an inner one still allows.
#pragma once

#include <optional>

#include "koine/async/loop.h"

namespace koine {

namespace detail {

/// What the innermost link of the chain from `awaited` waits for.
Activity innermost(const Awaited* awaited);

Error timed_out(const Awaited* awaited, Duration after);

}  // namespace detail

template <Operation Op>
class [[nodiscard]] Within final : public Timer, public CoAwait<Within<Op>> {
 public:
  using Answer = typename detail::AsResult<AnswerOf<Op>>::Type;

  Within(Duration limit, Op op) : limit_(limit), op_(std::move(op)) {}
  Within(Within&&) = default;

  bool ready() { return op_->ready(); }

  std::coroutine_handle<> start(Completion completion) {
    completion_ = completion;
    Loop& loop = Loop::current();
    loop.arm(*this, later(loop.now(), limit_));
    return op_->start({[](void* who) noexcept -> std::coroutine_handle<> {
                         auto& within = *static_cast<Within*>(who);
                         within.cancel();
                         return within.completion_();
                       },
                       this});
  }

  Answer take() {
    if (late_) return std::unexpected(std::move(*late_));
    if constexpr (is_result<AnswerOf<Op>>) {
      return op_->take();
    } else if constexpr (std::is_void_v<AnswerOf<Op>>) {
      op_->take();
      return {};
    } else {
      return op_->take();
    }
  }
  Error* error() noexcept {
    if (late_) return &*late_;
    if constexpr (is_result<AnswerOf<Op>>) return op_->error();
    return nullptr;
  }
  bool threw() const noexcept { return !late_ && koine::threw(*op_); }
  const Awaited* awaited() const noexcept { return this; }
  const Awaited* inner() const override { return op_ ? op_->awaited() : nullptr; }

  /// The time is up.
  void run() override {
    late_ = detail::timed_out(op_->awaited(), limit_);
    op_.reset();
    completion_().resume();
  }

 private:
  Duration limit_;
  std::optional<Op> op_;
  std::optional<Error> late_;
  Completion completion_;
};

/// `op`, but no longer than `limit` from when it is awaited. Zero or less times out unless it is
/// ready at once.
template <Operation Op>
Within<Op> within(Duration limit, Op op) {
  return Within<Op>(limit, std::move(op));
}

}  // namespace koine
