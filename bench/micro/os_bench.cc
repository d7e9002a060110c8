// What a message between two shards costs: each a loop on a thread of its own.
//
// One there and back is what a request pays that needs another shard; it has to wake that shard,
// whose core may sleep, unless both look for news all the time. A thousand at once is what a shard
// pays that hands over many, and to itself what it costs but for the cores' talk.
#include <benchmark/benchmark.h>

#include "koine/async/event.h"
#include "koine/os/shards.h"

namespace koine::os {
namespace {

/// Two shards, the first of which measures; the other does what it is told.
template <class Story>
void run_two(benchmark::State& state, Story story, Duration busy_poll = {}) {
  auto shards = Shards::make(2, {.multiplexer = {}, .busy_poll = busy_poll});
  if (!shards) {
    state.SkipWithError(to_string(shards.error()).c_str());
    return;
  }
  Event over;  // on shard 1
  const auto ended = (*shards)->run([&](Shard& shard) -> Io<void> {
    if (shard.number == 0) {
      co_await story(**shards, state);
      (*shards)->post(1, [&over] { over.set(); });
    } else {
      co_await over.wait();
    }
    co_return {};
  });
  if (!ended) state.SkipWithError(to_string(ended.error()).c_str());
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

Task<void> there_and_back(Shards& shards, benchmark::State& state) {
  const auto messages = state.range(0);
  std::int64_t answered = 0;
  Event all_are_back;
  for (auto _ : state) {
    answered = 0;
    for (std::int64_t i = 0; i < messages; ++i) {
      shards.post(1, [&] {
        shards.post(0, [&] {
          if (++answered == messages) all_are_back.set();
        });
      });
    }
    co_await all_are_back.wait();
    all_are_back.reset();
  }
}

/// Only the last one is answered.
Task<void> one_way(Shards& shards, benchmark::State& state) {
  const auto messages = state.range(0);
  std::int64_t heard = 0;  // on shard 1
  Event all_are_there;
  for (auto _ : state) {
    for (std::int64_t i = 0; i < messages; ++i) {
      shards.post(1, [&] {
        if (++heard % messages == 0) shards.post(0, [&] { all_are_there.set(); });
      });
    }
    co_await all_are_there.wait();
    all_are_there.reset();
  }
}

Task<void> to_itself(Shards& shards, benchmark::State& state) {
  const auto messages = state.range(0);
  std::int64_t heard = 0;
  Event all_are_there;
  for (auto _ : state) {
    for (std::int64_t i = 0; i < messages; ++i) {
      shards.post(0, [&] {
        if (++heard % messages == 0) all_are_there.set();
      });
    }
    co_await all_are_there.wait();
    all_are_there.reset();
  }
}

void MessageThereAndBack(benchmark::State& state) { run_two(state, there_and_back); }
BENCHMARK(MessageThereAndBack)->Arg(1)->Arg(1'000)->UseRealTime();

void MessageThereAndBackAwake(benchmark::State& state) { run_two(state, there_and_back, 1s); }
BENCHMARK(MessageThereAndBackAwake)->Arg(1)->UseRealTime();

void MessageOneWay(benchmark::State& state) { run_two(state, one_way); }
BENCHMARK(MessageOneWay)->Arg(1'000)->UseRealTime();

void MessageToItself(benchmark::State& state) { run_two(state, to_itself); }
BENCHMARK(MessageToItself)->Arg(1'000);

}  // namespace
}  // namespace koine::os
