// What the parts of koine/async cost: nanoseconds for each, on a loop that does nothing else.
//
//     cmake --preset release -D KOINE_BENCH=ON && ninja -C build/release koine_async_bench
//
// The goals, on a machine of 3 GHz: spawn and finish a trivial task in 50 ns, schedule and run a
// Runnable in 15, move an armed timer among 10'000 in 30.
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "koine/async/channel.h"
#include "koine/async/combine.h"
#include "koine/async/event.h"
#include "koine/async/scope.h"
#include "koine/async/sleep.h"
#include "koine/async/virtual_time.h"
#include "koine/async/within.h"

namespace koine {
namespace {

void count(benchmark::State& state, std::int64_t items) {
  state.SetItemsProcessed(state.iterations() * items);
}

/// Runs `round(state)` as a task until the benchmark has seen enough.
template <class Round>
void run(benchmark::State& state, Round round) {
  VirtualTime time;
  auto story = [](benchmark::State& shared, Round body) -> Task<void> {
    for (auto _ : shared) co_await body();
  };
  time.finish(story(state, round));
}

// Scheduling.

class Nothing final : public Runnable {
 public:
  void run() override { benchmark::DoNotOptimize(this); }
};

void ScheduleAndRun(benchmark::State& state) {
  Loop loop(Instant(), 1);
  std::vector<Nothing> runnables(1000);
  for (auto _ : state) {
    for (Nothing& runnable : runnables) loop.schedule(runnable);
    loop.run_ready();
  }
  count(state, 1000);
}
BENCHMARK(ScheduleAndRun);

void YieldAlone(benchmark::State& state) {
  run(state, [] { return yield(); });
}
BENCHMARK(YieldAlone);

// Tasks.

Task<int> trivial() { co_return 1; }
Io<int> trivial_io() { co_return 1; }
Task<void> trivial_void() { co_return; }

void AwaitAChildTask(benchmark::State& state) {
  run(state, [] { return trivial(); });
}
BENCHMARK(AwaitAChildTask);

Io<void> attempts(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(co_await attempt(trivial_io()));
  co_return {};
}
void AttemptAChildTask(benchmark::State& state) {
  VirtualTime time;
  time.finish(attempts(state));
}
BENCHMARK(AttemptAChildTask);

Task<void> spawn_thousand(benchmark::State& state) {
  Scope scope;
  for (auto _ : state) {
    for (int i = 0; i < 1000; ++i) scope.spawn(trivial_void());
    co_await scope.join();
  }
}
void SpawnAndFinish(benchmark::State& state) {
  VirtualTime time;
  time.finish(spawn_thousand(state));
  count(state, 1000);
}
BENCHMARK(SpawnAndFinish);

Task<void> spawn_few(benchmark::State& state) {
  Scope scope;
  for (auto _ : state) {
    for (int i = 0; i < 8; ++i) scope.spawn(trivial_void());
    co_await scope.join();
  }
}
void SpawnAndFinishFew(benchmark::State& state) {
  VirtualTime time;
  time.finish(spawn_few(state));
  count(state, 8);
}
BENCHMARK(SpawnAndFinishFew);

// Timers.

class Alarm final : public Timer {
 public:
  void run() override {}
};

/// As idle timeouts are moved by each byte: later than before, by less than they last.
void MoveATimerBack(benchmark::State& state) {
  Timers timers{Instant()};
  std::vector<Alarm> alarms(10'000);
  for (Alarm& alarm : alarms) timers.arm(alarm, Instant(60s));
  Instant now;
  std::size_t which = 0;
  for (auto _ : state) {
    now += 100ns;
    timers.arm(alarms[which], now + 60s);
    which = which + 7919 < alarms.size() ? which + 7919 : which + 7919 - alarms.size();
  }
}
BENCHMARK(MoveATimerBack);

/// The same with all that it causes: slots that come up, and timers that are filed anew.
void MoveATimerBackAsTimeGoesOn(benchmark::State& state) {
  Timers timers{Instant()};
  std::vector<Alarm> alarms(10'000);
  for (Alarm& alarm : alarms) timers.arm(alarm, Instant(60s));
  List<Runnable> due;
  Instant now;
  std::size_t which = 0;
  for (auto _ : state) {
    now += 10us;  // so each of them is moved ten times a second
    timers.expire(now, due);
    timers.arm(alarms[which], now + 60s);
    benchmark::DoNotOptimize(timers.next());
    which = which + 7919 < alarms.size() ? which + 7919 : which + 7919 - alarms.size();
  }
}
BENCHMARK(MoveATimerBackAsTimeGoesOn);

/// As requests arm and cancel theirs, among 10'000 others.
void ArmAndCancelATimer(benchmark::State& state) {
  Timers timers{Instant()};
  std::vector<Alarm> others(10'000);
  for (std::size_t i = 0; i < others.size(); ++i)
    timers.arm(others[i], Instant(Duration(60s) + i * 1ms));
  Alarm alarm;
  Instant now;
  for (auto _ : state) {
    now += 100ns;
    timers.arm(alarm, now + 2s);
    alarm.cancel();
  }
}
BENCHMARK(ArmAndCancelATimer);

/// Deadlines that all come: each timer is armed, filed, made ready and run. The argument is how
/// many are armed at once, each due within 100 ms.
void ArmAndExpireTimers(benchmark::State& state) {
  Timers timers{Instant()};
  std::vector<Alarm> alarms(static_cast<std::size_t>(state.range(0)));
  Prng prng(1);
  List<Runnable> due;
  Instant now;
  for (Alarm& alarm : alarms) timers.arm(alarm, now + Duration(prng.below(100'000'000)));
  std::int64_t fired = 0;
  for (auto _ : state) {
    now = *timers.next();
    timers.expire(now, due);
    while (!due.empty()) {
      timers.arm(static_cast<Alarm&>(due.pop_front()), now + Duration(prng.below(100'000'000)));
      ++fired;
    }
  }
  state.SetItemsProcessed(fired);
}
BENCHMARK(ArmAndExpireTimers)->Arg(10)->Arg(1'000)->Arg(100'000);

/// Many timers within one slot, as a busy simulated network has them: every turn asks for the next.
void TimersWithinOneSlot(benchmark::State& state) {
  Timers timers{Instant()};
  std::vector<Alarm> alarms(static_cast<std::size_t>(state.range(0)));
  Prng prng(1);
  List<Runnable> due;
  Instant now;
  for (Alarm& alarm : alarms) timers.arm(alarm, now + Duration(prng.below(100'000)));
  std::int64_t fired = 0;
  for (auto _ : state) {
    now = *timers.next();
    timers.expire(now, due);
    while (!due.empty()) {
      timers.arm(static_cast<Alarm&>(due.pop_front()), now + Duration(prng.below(100'000)));
      ++fired;
    }
  }
  state.SetItemsProcessed(fired);
}
BENCHMARK(TimersWithinOneSlot)->Arg(10)->Arg(100)->Arg(1'000);

void WithinAChildTask(benchmark::State& state) {
  run(state, [] { return within(1s, trivial()); });
}
BENCHMARK(WithinAChildTask);

void SleepAndWake(benchmark::State& state) {
  run(state, [] { return sleep(1us); });
}
BENCHMARK(SleepAndWake);

// Between tasks.

Task<void> forward(Channel<int>& from, Channel<int>& to) {
  while (auto item = co_await from.receive()) {
    if (!co_await to.send(*item)) co_return;
  }
}

/// An item there and back through two tasks: two hops, each of which wakes the other task.
void ChannelThereAndBack(benchmark::State& state) {
  VirtualTime time;
  Channel<int> there(1), back(1);
  const Started echo(time.loop(), forward(there, back));
  auto story = [](benchmark::State& shared, Channel<int>& out, Channel<int>& in) -> Task<void> {
    for (auto _ : shared) {
      benchmark::DoNotOptimize(co_await out.send(1));
      benchmark::DoNotOptimize(co_await in.receive());
    }
  };
  time.finish(story(state, there, back));
  count(state, 2);
}
BENCHMARK(ChannelThereAndBack);

void ChannelStream(benchmark::State& state) {
  VirtualTime time;
  Channel<int> channel(64);
  auto send = [](Channel<int>& to) -> Task<void> {
    for (int i = 0;; ++i) benchmark::DoNotOptimize(co_await to.send(i));
  };
  const Started sender(time.loop(), send(channel));
  auto story = [](benchmark::State& shared, Channel<int>& from) -> Task<void> {
    for (auto _ : shared) benchmark::DoNotOptimize(co_await from.receive());
  };
  time.finish(story(state, channel));
}
BENCHMARK(ChannelStream);

void AllOfThree(benchmark::State& state) {
  run(state, [] { return all(trivial(), trivial(), trivial()); });
}
BENCHMARK(AllOfThree);

void FirstOfATaskAndASleep(benchmark::State& state) {
  run(state, [] { return first_of(sleep(1s), trivial()); });
}
BENCHMARK(FirstOfATaskAndASleep);

}  // namespace
}  // namespace koine
