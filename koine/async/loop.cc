#include "koine/async/loop.h"

namespace koine {

thread_local constinit Loop* detail::current_loop = nullptr;

void Loop::forget_current() { detail::current_loop = nullptr; }

Loop::Entered::Entered(Loop& loop) : before_(detail::current_loop) { detail::current_loop = &loop; }

Loop::Entered::~Entered() { detail::current_loop = before_; }

void Loop::advance(Instant now) {
  tick(now);
  timers_.expire(now_, ready_);
}

/// One round: what `list` holds now, which is something, not what joins it meanwhile.
[[gnu::always_inline]] inline void Loop::run_all(List<Runnable>& list) {
  Runnable& first = list.pop_front();
  if (list.empty()) {  // as nearly always
    run(first);
    return;
  }
  List<Runnable> batch;
  batch.splice(list);
  run(first);
  while (!batch.empty()) run(batch.pop_front());
}

bool Loop::run_ready() {
  for (int round = 0; round < rounds_max && !ready_.empty(); ++round) run_all(ready_);
  // Somebody may always have something to do; who waits for the end of the turn gets it still.
  if (!ending_.empty()) run_all(ending_);
  return !idle();
}

bool Loop::run_one() {
  if (ready_.empty()) ready_.splice(ending_);
  if (ready_.empty()) return false;
  run(ready_.pop_front());
  return true;
}

}  // namespace koine
