// Event and Semaphore: two ways for the tasks of one loop to wait for each other.
#pragma once

#include <cstddef>

#include "koine/async/wait.h"

namespace koine {

/// Something that happens once, or until it is reset: all who wait for it go on.
class Event {
 public:
  class [[nodiscard]] Wait final : public Trying<Wait, void> {
   public:
    explicit Wait(Event& event) : event_(event) {}
    Wait(Wait&&) = default;
    Result<void> attempt_once() {
      if (!event_.is_set_ && !woken_) {
        woken_ = true;  // the next try follows set(), even if reset() followed that
        return fail(Fault::would_block);
      }
      return {};
    }
    void park() {
      event_.loop_ = &Loop::current();
      event_.waiting_.join(*this);
    }
    void take() const noexcept {}
    Activity activity() const override { return {"wait for an event", {}}; }

   private:
    Event& event_;
    bool woken_ = false;
  };

  void set() {
    is_set_ = true;
    if (waiting_) waiting_.wake_all(*loop_);
  }
  void reset() { is_set_ = false; }
  bool is_set() const { return is_set_; }

  /// `co_await event.wait()`
  Wait wait() { return Wait(*this); }

 private:
  WaitList waiting_;
  Loop* loop_ = nullptr;  // where they wait: set() may be called while no loop runs
  bool is_set_ = false;
};

/// A number of permits. Who waits longest gets the next one.
class Semaphore {
 public:
  explicit Semaphore(std::size_t permits) : permits_(permits) {}
  Semaphore(const Semaphore&) = delete;
  ~Semaphore() = default;

  /// One permit, given back when it dies. It must not outlive the semaphore.
  class Permit {
   public:
    Permit() = default;
    explicit Permit(Semaphore& semaphore) : semaphore_(&semaphore) {}
    Permit(Permit&& other) noexcept : semaphore_(std::exchange(other.semaphore_, nullptr)) {}
    Permit& operator=(Permit&& other) noexcept {
      std::swap(semaphore_, other.semaphore_);
      return *this;
    }
    ~Permit() {
      if (semaphore_ != nullptr) semaphore_->give_back();
    }

   private:
    Semaphore* semaphore_ = nullptr;
  };

  class [[nodiscard]] Acquire final : public Runnable, public CoAwait<Acquire> {
   public:
    explicit Acquire(Semaphore& semaphore) : semaphore_(semaphore) {}
    Acquire(Acquire&&) = default;
    ~Acquire() {
      if (granted_) semaphore_.give_back();  // cancelled between being granted and being resumed
    }
    bool ready() {
      if (semaphore_.permits_ == 0) return false;  // nobody waits while there are any
      if (!Loop::current().spend()) return false;  // start() is granted it, next round
      --semaphore_.permits_;
      granted_ = true;
      return true;
    }
    std::coroutine_handle<> start(Completion completion) {
      completion_ = completion;
      semaphore_.waiting_.join(*this);
      if (semaphore_.permits_ != 0) semaphore_.grant();
      return std::noop_coroutine();
    }
    Permit take() {
      granted_ = false;
      return Permit(semaphore_);
    }
    const Awaited* awaited() const noexcept { return this; }
    void run() override { completion_().resume(); }
    Activity activity() const override { return {"wait for a permit", {}}; }

   private:
    friend class Semaphore;
    Semaphore& semaphore_;
    Completion completion_;
    bool granted_ = false;
  };

  /// `auto permit = co_await semaphore.acquire();`
  Acquire acquire() { return Acquire(*this); }

  std::size_t available() const { return permits_; }

 private:
  class Waiters {
   public:
    explicit operator bool() const { return !list_.empty(); }
    void join(Acquire& acquire) { list_.push_back(acquire); }
    Acquire& pop_front() { return list_.pop_front(); }

   private:
    List<Acquire> list_;
  };

  void grant() {
    if (!waiting_) return;
    --permits_;
    Acquire& next = waiting_.pop_front();
    next.granted_ = true;
    Loop::current().schedule(next);
  }
  void give_back() {
    ++permits_;
    grant();
  }

  std::size_t permits_;
  Waiters waiting_;
};

}  // namespace koine
