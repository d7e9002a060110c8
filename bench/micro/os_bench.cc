// What a message between two shards costs: each a loop on a thread of its own.
//
// There and back is what a request pays that needs another shard; it has to wake that shard, whose
// core may sleep. A thousand at once is what a shard pays that hands over many.
#include <benchmark/benchmark.h>

#include "koine/async/event.h"
#include "koine/os/shards.h"

namespace koine::os {
namespace {

struct Court {
  Shards& shards;
  int messages;  // under way together
  int answered = 0;
  Event returned = {};  // on shard 0
  Event over = {};      // on shard 1

  /// To shard 1 and back; the last one to come back wakes who waits.
  void serve() {
    shards.post(1, [this] {
      shards.post(0, [this] {
        if (++answered == messages) returned.set();
      });
    });
  }
};

Io<void> play(Shard& shard, Court& court, benchmark::State& state) {
  if (shard.number != 0) {
    co_await court.over.wait();
    co_return {};
  }
  for (auto _ : state) {
    court.answered = 0;
    for (int i = 0; i < court.messages; ++i) court.serve();
    co_await court.returned.wait();
    court.returned.reset();
  }
  court.shards.post(1, [&court] { court.over.set(); });
  co_return {};
}

void MessageThereAndBack(benchmark::State& state) {
  auto shards = Shards::make(2, ReactorOptions());
  if (!shards) {
    state.SkipWithError(to_string(shards.error()).c_str());
    return;
  }
  Court court{.shards = **shards, .messages = static_cast<int>(state.range(0))};
  const auto ended = (*shards)->run([&](Shard& shard) { return play(shard, court, state); });
  if (!ended) state.SkipWithError(to_string(ended.error()).c_str());
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(MessageThereAndBack)->Arg(1)->Arg(1'000)->UseRealTime();

}  // namespace
}  // namespace koine::os
