// Processor: what drives the Loop of a simulated machine, and the machine's clock.
//
// It sleeps until a frame arrives, a timer of its programs is due, or the stack has something to
// do; then it does everything there is to do, in no time at all, and sleeps again. Two hosts can
// share one, so that a single program may hold the ends of both.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "koine/async/loop.h"
#include "koine/sim/clock.h"
#include "koine/sim/timeline.h"

namespace koine::sim {

/// What a processor drives besides its loop.
class Peripheral {
 public:
  /// Does what can be done now; may make the loop's tasks ready. False if there was nothing.
  virtual bool advance() = 0;

  /// When advance() has something to do, on the machine's clock; Instant::max() for never.
  virtual Instant next_deadline() = 0;

 protected:
  ~Peripheral() = default;
};

class Processor final : public Component {
 public:
  /// A program that never waits keeps its processor at one instant for ever. After so many turns
  /// without time passing the world stops, with the list of its tasks.
  static constexpr int turns_without_time_max = 1'000'000;

  Processor(Timeline& timeline, const std::string& name, Instant clock_begins);

  Loop& loop() { return loop_; }

  /// The machine's clock, now.
  Instant local_now() const { return clock_.at(now()); }

  void attach(Peripheral& peripheral) { peripherals_.push_back(&peripheral); }
  void detach(Peripheral& peripheral) { std::erase(peripherals_, &peripheral); }

  /// Does what there is to do now, unless it is paused or doing it already.
  void run();

  /// The same soon: for callers that are in the middle of something.
  void wake() {
    wake_at(now());
    if (!is_background_) set_awaited(1);
  }

  /// False if something is ready on the loop: somebody outside of it put it there.
  bool is_idle() const { return loop_.idle(); }
  bool is_running() const { return is_running_; }

  /// Nobody waits for what it does: routers.
  void set_background(bool on) { is_background_ = on; }

  void pause() { is_paused_ = true; }
  void resume() {
    is_paused_ = false;
    wake();
  }
  bool is_paused() const { return is_paused_; }

  void set_drift(std::int64_t ppm);
  void step_clock(Duration by);

 private:
  void happen() override { run(); }
  void make_appointment();

  Clock clock_;
  Loop loop_;
  std::string name_;
  std::vector<Peripheral*> peripherals_;
  bool is_running_ = false;
  bool is_paused_ = false;
  bool is_background_ = false;
  Instant turned_at_ = Instant::min();
  int turns_ = 0;
};

}  // namespace koine::sim
