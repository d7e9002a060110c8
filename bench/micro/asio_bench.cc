// Boost.Asio's micro costs, by the names that async_bench.cc and os_bench.cc give to koine's.
//
// Fairness: one thread and no locks (the concurrency hint), the context's own executor type instead
// of the type-erased one, frames and handlers recycled by Asio itself: as asio_coroutines.cc.
// Between threads the hint is left out, because there the locks are needed.
#include <benchmark/benchmark.h>

#include <boost/asio.hpp>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

namespace asio = boost::asio;
using Executor = asio::io_context::executor_type;
using Void = asio::awaitable<void, Executor>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

namespace {

constexpr asio::use_awaitable_t<Executor> token;

Void trivial() { co_return; }

void ScheduleAndRun(benchmark::State& state) {
  asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
  int runs = 0;
  for (auto _ : state) {
    for (int i = 0; i < 1000; ++i)
      asio::post(context, [&runs] { benchmark::DoNotOptimize(++runs); });
    context.poll();
    context.restart();
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(ScheduleAndRun);

/// Runs `round` as a coroutine for each of the iterations.
template <class Round>
void run(benchmark::State& state, Round round) {
  asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
  const auto story = [](benchmark::State& shared, Round body) -> Void {
    for (auto _ : shared) co_await body();
  };
  asio::co_spawn(context.get_executor(), story(state, round), asio::detached);
  context.run();
}

void YieldAlone(benchmark::State& state) {
  run(state, []() -> Void { co_await asio::post(co_await asio::this_coro::executor, token); });
}
BENCHMARK(YieldAlone);

void AwaitAChildTask(benchmark::State& state) { run(state, trivial); }
BENCHMARK(AwaitAChildTask);

void SpawnAndFinish(benchmark::State& state) {
  asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
  for (auto _ : state) {
    for (int i = 0; i < 1000; ++i)
      asio::co_spawn(context.get_executor(), trivial(), asio::detached);
    context.poll();
    context.restart();
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(SpawnAndFinish);

/// As idle timeouts are moved by each byte: later than before, among 10'000. The handlers of the
/// waits that ended so are called, as Asio calls them, with "cancelled": in batches, as a loop that
/// is busy has them.
void MoveATimerBack(benchmark::State& state) {
  asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
  std::vector<Timer> timers;
  timers.reserve(10'000);
  const auto nothing = [](const boost::system::error_code&) {};
  auto due = std::chrono::steady_clock::now() + std::chrono::hours(1);
  for (std::size_t i = 0; i < 10'000; ++i) {
    timers.emplace_back(context.get_executor(), due);
    timers.back().async_wait(nothing);
  }
  std::size_t which = 0;
  for (auto _ : state) {
    for (int i = 0; i < 1000; ++i) {
      due += std::chrono::nanoseconds(100);
      timers[which].expires_at(due);
      timers[which].async_wait(nothing);
      which = which + 7919 < timers.size() ? which + 7919 : which + 7919 - timers.size();
    }
    context.poll();
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(MoveATimerBack);

/// Two contexts, each on a thread of its own. Asleep unless there is something to run, or `awake`.
/// Neither has a descriptor, so they sleep on a condition variable: cheaper to wake than a loop
/// with sockets, which koine's is.
template <class Story>
void run_two(benchmark::State& state, Story story, bool awake = false) {
  asio::io_context here(1);
  asio::io_context there(1);
  const auto stay = asio::make_work_guard(there);
  const auto stay_here = asio::make_work_guard(here);
  std::thread thread([&there, awake] {
    while (awake && !there.stopped()) there.poll();
    there.run();
  });
  story(here, there, state);
  there.stop();
  thread.join();
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

template <bool awake>
void there_and_back(asio::io_context& here, asio::io_context& there, benchmark::State& state) {
  const std::int64_t messages = state.range(0);
  for (auto _ : state) {
    std::int64_t answered = 0;
    for (std::int64_t i = 0; i < messages; ++i) {
      asio::post(there, [&here, &answered] { asio::post(here, [&answered] { ++answered; }); });
    }
    while (answered < messages) {
      if (awake) {
        here.poll();
      } else {
        here.run_one();
      }
    }
  }
}

/// Only the last one is answered.
void one_way(asio::io_context& here, asio::io_context& there, benchmark::State& state) {
  const std::int64_t messages = state.range(0);
  std::int64_t heard = 0;  // there
  bool all_are_there = false;
  for (auto _ : state) {
    for (std::int64_t i = 0; i < messages; ++i) {
      asio::post(there, [&here, &heard, &all_are_there, messages] {
        if (++heard % messages == 0) asio::post(here, [&all_are_there] { all_are_there = true; });
      });
    }
    while (!all_are_there) here.run_one();
    all_are_there = false;
  }
}

void to_itself(asio::io_context& here, asio::io_context&, benchmark::State& state) {
  const std::int64_t messages = state.range(0);
  std::int64_t heard = 0;
  for (auto _ : state) {
    for (std::int64_t i = 0; i < messages; ++i) asio::post(here, [&heard] { ++heard; });
    while (heard < messages) here.poll();
    heard = 0;
  }
}

void MessageThereAndBack(benchmark::State& state) { run_two(state, there_and_back<false>); }
BENCHMARK(MessageThereAndBack)->Arg(1)->Arg(1'000)->UseRealTime();

void MessageThereAndBackAwake(benchmark::State& state) {
  run_two(state, there_and_back<true>, true);
}
BENCHMARK(MessageThereAndBackAwake)->Arg(1)->UseRealTime();

void MessageOneWay(benchmark::State& state) { run_two(state, one_way); }
BENCHMARK(MessageOneWay)->Arg(1'000)->UseRealTime();

void MessageToItself(benchmark::State& state) { run_two(state, to_itself); }
BENCHMARK(MessageToItself)->Arg(1'000);

}  // namespace
