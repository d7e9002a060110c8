// Loop: what is ready to run, and when the next timer is due. It decides; its driver does.
//
// A loop has no thread, no clock and no descriptor. A driver (koine/os: a thread that waits in the
// kernel; koine/sim: the simulated world) tells it the time and runs it:
//
//     turn:  advance(now)  ->  run_ready()  ->  wait until next_deadline(), or for the outside
//
// Everything on a loop runs on one thread at a time, so nothing here locks. The only way in from
// other threads is the driver's.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "koine/async/operation.h"
#include "koine/async/timers.h"
#include "koine/base/random.h"
#include "koine/base/time.h"

namespace koine {

class Loop;

namespace detail {

extern thread_local constinit Loop* current_loop;  // see Loop::current()

}  // namespace detail

struct InDump : ListNode {};  // which of a task's two lists is meant

/// A task that nobody awaits but a Scope or the program itself: where a chain of waits begins. It
/// is run once, to start it.
class Root : public Runnable, public InDump {
 public:
  /// What runs, as the first link of the chain.
  virtual const Awaited* awaited() const = 0;

  /// Where it was spawned; line 0 if nobody knows.
  virtual std::source_location spawned_at() const { return {}; }

 protected:
  Root() = default;
  Root(Root&&) = default;
  ~Root() = default;
};

class Loop {
 public:
  /// `seed` is where all chance on this loop comes from.
  Loop(Instant now, std::uint64_t seed) : timers_(now), chance_(seed), now_(now) {}
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// The loop that runs on this thread now. To call it elsewhere is a bug.
  static Loop& current() {
    assert(has_current() && "no loop runs on this thread");
    return *detail::current_loop;
  }
  static bool has_current() { return detail::current_loop != nullptr; }

  /// For a forked child, which inherits the parent's loop in the middle of a turn and must not run
  /// it.
  static void forget_current();

  /// While it lives, `loop` is the current one on this thread.
  class Entered {
   public:
    explicit Entered(Loop& loop);
    Entered(const Entered&) = delete;
    ~Entered();

   private:
    Loop* before_;
  };

  /// The time at the beginning of this turn.
  Instant now() const { return now_; }

  Prng& chance() { return chance_; }

  /// Runs `what` in this turn or the next, after all that became ready before it.
  void schedule(Runnable& what) { ready_.push_back(what); }

  /// Runs `what` at the end of this turn, once nothing more is ready or it has lasted long enough:
  /// the moment to send what was collected.
  void at_end_of_turn(Runnable& what) { ending_.push_back(what); }

  /// Arms `timer`, or moves it. O(1).
  void arm(Timer& timer, Instant deadline) { timers_.arm(timer, deadline); }

  /// Takes one step from this turn's budget. False when it is spent: whoever could go on for ever
  /// without waiting then waits for its next turn, so that one busy peer starves nobody.
  bool spend() {
    if (budget_ == 0) return false;
    --budget_;
    return true;
  }

  // For the driver.

  /// Moves the time on, never back, without looking at the timers.
  void tick(Instant now) {
    if (now > now_) now_ = now;
  }

  /// Moves the time on and makes ready what is due.
  void advance(Instant now);

  /// Runs what is ready until nothing is, or for a bounded number of rounds. True if more is ready.
  bool run_ready();

  /// Runs the first of what is ready and no more, so that a test can look, or cancel, between any
  /// two steps of a story. False if nothing is ready.
  bool run_one();

  bool idle() const { return ready_.empty() && ending_.empty(); }

  /// How many Runnables have been run: the same number as before means that nothing happened.
  std::uint64_t runs() const { return runs_; }

  /// Nothing is due before this.
  std::optional<Instant> next_deadline() { return timers_.next(); }

  /// Lists `root` in dump() until it dies.
  void add(Root& root) { roots_.push_back(root); }

  /// Calls `visit(Root&)` for each of these; it may not end any.
  template <class Visit>
  void for_each_root(Visit&& visit) const {
    roots_.for_each(visit);
  }

  /// All tasks spawned here that are not over, as a tree, each with what it waits for and where
  /// (see dump.cc): the answer to "why does nothing happen?".
  std::string dump() const;

 private:
  static constexpr int rounds_max = 16;  // of run_ready(), before the outside is looked at again
  static constexpr int budget_per_run = 64;  // waits that may be skipped in a row

  void run_all(List<Runnable>& list);
  void run(Runnable& what) {
    budget_ = budget_per_run;
    ++runs_;
    what.run();
  }

  List<Runnable> ready_;
  List<Runnable> ending_;
  Timers timers_;
  Prng chance_;
  Instant now_;
  int budget_ = budget_per_run;
  std::uint64_t runs_ = 0;
  List<Root, InDump> roots_;
};

}  // namespace koine
