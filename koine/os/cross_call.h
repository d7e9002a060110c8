// CrossCall: has another loop call a function, and waits for what it returns.
//
// The message takes the question there and the answer home, where its memory came from: a loop that
// is warm allocates none. It is no part of the caller's frame, which may be destroyed while it is
// under way (docs/decisions/0002) and from where nobody could take it back: it then comes home, and
// nobody is told.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include "koine/async/loop.h"
#include "koine/os/mailbox.h"

namespace koine::os {

/// `co_await` answers with what `F` returned, as a Result, or Fault::ended if nobody is there who
/// could call it any more. Cancelled, `F` may or may not be called. It ends before its own reactor.
template <class F>
class [[nodiscard]] CrossCall final : public Runnable, public CoAwait<CrossCall<F>> {
  using Returned = std::invoke_result_t<F&>;

 public:
  using Answer = typename koine::detail::AsResult<Returned>::Type;

  CrossCall(Mailbox& here, Mailbox& there, F f)
      : round_(new Round(here, std::move(f))), there_(there) {}
  CrossCall(CrossCall&& other) noexcept
      : round_(std::exchange(other.round_, nullptr)), there_(other.there_) {}
  ~CrossCall() {
    if (round_ == nullptr) return;
    round_->caller = nullptr;
    if (!round_->is_away) delete round_;
  }

  bool ready() const noexcept { return false; }
  std::coroutine_handle<> start(Completion completion) {
    completion_ = completion;
    round_->caller = this;
    round_->is_away = true;
    if (!there_.put(*round_)) {
      round_->answer = nobody_there();
      round_->come_home();
    }
    return std::noop_coroutine();
  }
  Answer take() { return std::move(*round_->answer); }
  Error* error() {
    if (round_->is_away || !round_->answer || *round_->answer) return nullptr;
    return &round_->answer->error();
  }
  const Awaited* awaited() const noexcept { return this; }
  void run() override { completion_().resume(); }
  Activity activity() const override { return {"wait for another shard", {}}; }

 private:
  /// What travels. `caller` and `is_away` are the business of the thread it comes home to.
  struct Round final : Message {
    Round(Mailbox& from, F what) : Message(&arrive), home(from), f(std::move(what)) {}

    static void arrive(Message& message, bool heard) noexcept {
      auto& self = static_cast<Round&>(message);
      if (self.answer) {
        self.come_home();
        return;
      }
      if (!heard) {
        self.answer = nobody_there();
      } else if constexpr (std::is_void_v<Returned>) {
        self.f();
        self.answer = Answer();
      } else {
        self.answer = Answer(self.f());
      }
      // A home that is closed has no callers any more.
      if (!self.home.put(self)) delete &self;
    }
    void come_home() {
      is_away = false;
      if (caller == nullptr) {
        delete this;
      } else {
        Loop::current().schedule(*caller);
      }
    }

    Mailbox& home;
    F f;
    std::optional<Answer> answer;
    CrossCall* caller = nullptr;
    bool is_away = false;
  };

  static Answer nobody_there() { return fail(Fault::ended, "call", "a shard that has ended"); }

  Round* round_;
  Mailbox& there_;
  Completion completion_;
};

}  // namespace koine::os
