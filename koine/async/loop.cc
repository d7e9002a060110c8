#include "koine/async/loop.h"

#include <cassert>

namespace koine {
namespace {

thread_local constinit Loop* current_loop = nullptr;

}  // namespace

Loop& Loop::current() {
  assert(current_loop != nullptr && "no loop runs on this thread");
  return *current_loop;
}

bool Loop::has_current() { return current_loop != nullptr; }

void Loop::forget_current() { current_loop = nullptr; }

Loop::Entered::Entered(Loop& loop) : before_(current_loop) { current_loop = &loop; }

Loop::Entered::~Entered() { current_loop = before_; }

void Loop::advance(Instant now) {
  tick(now);
  timers_.expire(now_, ready_);
}

bool Loop::run_ready() {
  for (int round = 0; round < rounds_max && !ready_.empty(); ++round) run_all(ready_);
  // Somebody may always have something to do; who waits for the end of the turn gets it still.
  run_all(ending_);
  return !idle();
}

/// One round: what `list` holds now, not what joins it meanwhile.
void Loop::run_all(List<Runnable>& list) {
  List<Runnable> batch;
  batch.splice(list);
  while (!batch.empty()) run(batch.pop_front());
}

bool Loop::run_one() {
  if (ready_.empty()) ready_.splice(ending_);
  if (ready_.empty()) return false;
  run(ready_.pop_front());
  return true;
}

}  // namespace koine
