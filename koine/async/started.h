// Started: an operation that is run from outside, by a main function, a test or a world.
#pragma once

#include <optional>
#include <source_location>

#include "koine/async/loop.h"
#include "koine/async/operation.h"

namespace koine {

/// Runs `op` on `loop`, from the loop's next round on. Destroying it cancels.
template <Operation Op>
class Started final : public Root {
 public:
  Started(Loop& loop, Op op, std::source_location where = std::source_location::current())
      : loop_(loop), op_(std::move(op)), spawned_at_(where) {
    loop.add(*this);
    loop.schedule(*this);
  }
  Started(const Started&) = delete;
  ~Started() {
    const Loop::Entered entered(loop_);  // what is destroyed may wake somebody
    op_.reset();
  }

  bool done() const { return done_; }

  /// The answer, once done.
  AnswerOf<Op> take() {
    detail::assert_over(done_);
    const Loop::Entered entered(loop_);
    return op_->take();
  }

  void run() override {
    if (op_->ready()) {
      over();
      return;
    }
    Continuation(op_->start({[](void* who) noexcept -> std::coroutine_handle<> {
                               static_cast<Started*>(who)->over();
                               return std::noop_coroutine();
                             },
                             this}))
        .resume();
  }
  std::source_location spawned_at() const override { return spawned_at_; }
  const Awaited* awaited() const override { return op_ ? op_->awaited() : nullptr; }

 private:
  void over() noexcept {
    done_ = true;
    InDump::leave();
  }

  Loop& loop_;
  std::optional<Op> op_;
  std::source_location spawned_at_;
  bool done_ = false;
};

}  // namespace koine
