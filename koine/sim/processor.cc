#include "koine/sim/processor.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "koine/sim/inside.h"

namespace koine::sim {

Processor::Processor(Timeline& timeline, const std::string& name, Instant clock_begins)
    : Component(timeline),
      clock_(clock_begins),
      loop_(clock_begins, timeline.chance_for("loop " + name)()),
      name_(name) {}

void Processor::run() {
  if (is_running_ || is_paused_) return;
  is_running_ = true;
  if (turned_at_ != now()) {
    turned_at_ = now();
    turns_ = 0;
  }
  {
    const Loop::Entered entered(loop_);
    const Inside inside(timeline().seed(), name_.c_str(), &loop_);
    loop_.advance(local_now());
    for (bool busy = true; busy;) {
      busy = false;
      for (std::size_t i = 0; i < peripherals_.size(); ++i) busy |= peripherals_[i]->advance();
      if (!loop_.idle()) {
        busy = true;
        loop_.run_ready();
        if (++turns_ > turns_without_time_max) {
          std::fprintf(stderr, "sim: %s is busy for ever without waiting. Its tasks:\n%s",
                       name_.c_str(), loop_.dump().c_str());
          std::abort();
        }
      }
    }
  }
  is_running_ = false;
  make_appointment();
}

void Processor::make_appointment() {
  Instant next = Instant::max();
  if (const auto timer = loop_.next_deadline()) next = *timer;
  for (Peripheral* each : peripherals_) next = std::min(next, each->next_deadline());
  set_awaited(next == Instant::max() || is_background_ ? 0 : 1);
  if (next != Instant::max()) wake_at(clock_.world_at(next));
}

void Processor::set_drift(std::int64_t ppm) {
  clock_.set_drift(now(), ppm);
  wake();  // deadlines are at other times of the world now
}

void Processor::step_clock(Duration by) {
  clock_.step(now(), by);
  wake();
}

}  // namespace koine::sim
