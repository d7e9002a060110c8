// Shards: one loop a core, nothing shared between them but messages.
//
//     auto shards = Shards::make(4, options);
//     (*shards)->run([](Shard& shard) -> Io<void> { ... });   // once on each loop, until all end
//
// Each shard listens on the same port (ListenOptions::shared) and the kernel spreads the
// connections. A connection lives and dies on one shard.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "koine/async/task.h"
#include "koine/base/function.h"
#include "koine/os/network.h"
#include "koine/os/reactor.h"

namespace koine::os {

/// One loop of several.
struct Shard {
  std::size_t number;  ///< 0 runs on the thread that called run()
  Reactor& reactor;
  Network& network;
};

class Shards {
 public:
  /// Fails if a reactor cannot be made. `count` is at least 1.
  static Result<std::unique_ptr<Shards>> make(std::size_t count, const ReactorOptions& options);
  Shards(const Shards&) = delete;
  Shards& operator=(const Shards&) = delete;
  ~Shards();

  std::size_t count() const { return loops_.size(); }

  /// Calls `story` on every shard and returns when all have ended: the first error, by number. An
  /// error of one does not end the others; tell them with post(). If a thread or a reactor cannot
  /// be made, none begins. It runs once.
  Result<void> run(Function<Io<void>(Shard&)> story);

  /// Runs `message` on the loop of shard `number`, from any thread, while run() runs. What arrives
  /// when that shard has ended is dropped.
  void post(std::size_t number, Function<void()> message);

 private:
  class OneLoop;
  Shards();

  ReactorOptions options_;
  std::vector<std::unique_ptr<OneLoop>> loops_;
};

}  // namespace koine::os
